"""The kinds of dropout that mask a tensor with noise of its own."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

import torch

from ..layers import (Alpha, DropBlock, Dropout, FeatureAlpha, Gamma, Gaussian, Normalization,
                      Spatial)
from ..results import Mask
from . import _tensors
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


class _AlphaLayer(RemoteLayer):
    """A layer whose dropped elements are a constant that depends on p. With local=True p must be
    constant: a mask does not say what a schedule made of it. Raises ValueError."""

    def __init__(self, variant: Any, p: float, **options: Any) -> None:
        if options.get("local") and options.get("schedule") is not None:
            raise ValueError("local=True: alpha dropout cannot have a schedule")
        super().__init__(variant, p, **options)

    def _applied(self, x: torch.Tensor, mask: Mask) -> torch.Tensor:
        return _tensors.apply_alpha_mask(x, mask, self.p)


class RemoteAlphaDropout(_AlphaLayer):
    """torch.nn.AlphaDropout: keeps mean and variance after SELU."""

    def __init__(self, p: float = 0.5, **options: Any) -> None:
        super().__init__(Alpha(), p, **options)


class RemoteFeatureAlphaDropout(_AlphaLayer):
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
