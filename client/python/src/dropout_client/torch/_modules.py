"""The kinds of dropout that mask a tensor with noise of its own."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

from ..layers import (Alpha, DropBlock, Dropout, FeatureAlpha, Gamma, Gaussian, Normalization,
                      Spatial)
from ._layer import RemoteLayer


class RemoteDropout(RemoteLayer):
    """torch.nn.Dropout, from a server. broadcast_axes: axes that share one draw."""

    def __init__(self, p: float = 0.5, *, broadcast_axes: Sequence[int] = (),
                 **options: Any) -> None:
        super().__init__(Dropout(tuple(broadcast_axes)), p, **options)


class RemoteGaussianDropout(RemoteLayer):
    """Multiplies by normal noise of mean 1 and variance p / (1 - p)."""

    def __init__(self, p: float = 0.5, *, broadcast_axes: Sequence[int] = (),
                 **options: Any) -> None:
        super().__init__(Gaussian(tuple(broadcast_axes)), p, **options)


class RemoteSpatialDropout(RemoteLayer):
    """torch.nn.Dropout1d to Dropout3d: whole channels."""

    def __init__(self, p: float = 0.5, *, channel_axis: Optional[int] = None,
                 **options: Any) -> None:
        super().__init__(Spatial(channel_axis), p, **options)


class RemoteAlphaDropout(RemoteLayer):
    """torch.nn.AlphaDropout: keeps mean and variance after SELU."""

    def __init__(self, p: float = 0.5, **options: Any) -> None:
        super().__init__(Alpha(), p, **options)


class RemoteFeatureAlphaDropout(RemoteLayer):
    """torch.nn.FeatureAlphaDropout: whole channels."""

    def __init__(self, p: float = 0.5, *, channel_axis: Optional[int] = None,
                 **options: Any) -> None:
        super().__init__(FeatureAlpha(channel_axis), p, **options)


class RemoteDropBlock(RemoteLayer):
    """Square regions of feature maps. block_size: one number, or one for each spatial axis."""

    def __init__(self, block_size: Union[int, Sequence[int]] = 7, p: float = 0.1, *,
                 channel_axis: Optional[int] = None, gamma: Gamma = Gamma.UNSPECIFIED,
                 normalization: Normalization = Normalization.UNSPECIFIED,
                 share_channels: bool = False, **options: Any) -> None:
        sizes = (block_size,) if isinstance(block_size, int) else tuple(block_size)
        super().__init__(DropBlock(sizes, channel_axis, gamma, normalization, share_channels), p,
                         **options)
