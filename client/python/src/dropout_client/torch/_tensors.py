"""Torch tensors and what the client sends."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import numpy as np
import torch

from ..errors import FailedPreconditionError
from ..results import Mask
from ..tensor import DataType, Tensor


_TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def check_type(x: torch.Tensor) -> None:
    """Raises TypeError for types that the service does not have."""
    if x.dtype not in _TYPES:
        raise TypeError(f"dropout of a {x.dtype} tensor: it must be one of "
                        f"{', '.join(map(str, _TYPES))}")


def to_client(x: torch.Tensor) -> Any:
    """A tensor's elements as an array, or as a Tensor for bfloat16. No copy is made of what is on
    the CPU and contiguous. Raises TypeError as check_type."""
    check_type(x)
    x = x.detach().cpu().contiguous()
    if x.dtype == torch.bfloat16:
        bits = x.view(torch.int16).numpy()
        return Tensor(DataType.BFLOAT16, tuple(x.shape), memoryview(bits.reshape(-1)).cast("B"))
    return x.numpy()


def through(call: Callable[[Any, Optional[np.ndarray]], Any], x: torch.Tensor) -> torch.Tensor:
    """What a call makes of x, as a new tensor on x's device. `call` takes what is sent and the
    array that the answer is written to (None: the call returns it)."""
    sent = to_client(x)
    if isinstance(sent, Tensor):
        answer = torch.frombuffer(bytearray(call(sent, None).data), dtype=torch.bfloat16) \
            if x.numel() else torch.empty(0, dtype=torch.bfloat16)
        return answer.reshape(x.shape).to(x.device)
    result = torch.empty(x.shape, dtype=x.dtype)
    call(sent, result.numpy())
    return result.to(x.device)


def _compute_type(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def kept(mask: Mask, device: torch.device) -> torch.Tensor:
    """Which elements are kept, as booleans of the noise's shape."""
    return torch.from_numpy(mask.kept()).to(device)


def apply_mask(x: torch.Tensor, mask: Mask) -> torch.Tensor:
    """What Forward would make of x in train, computed here, to the last bit. Dropped elements
    are +0 whatever x is, and so are their gradients."""
    wide = _compute_type(x.dtype)
    if mask.multipliers is not None:
        factors = torch.from_numpy(np.array(mask.multipliers)).to(x.device)
        return (x.to(wide) * factors.to(wide)).to(x.dtype)
    scale = torch.as_tensor(mask.scales(), dtype=torch.float64, device=x.device).to(wide)
    product = (x.to(wide) * scale).to(x.dtype)
    return torch.where(kept(mask, x.device), product, torch.zeros((), dtype=x.dtype,
                                                                  device=x.device))


# The value at which SELU saturates, -lambda alpha (Klambauer et al., 2017).
_SATURATION = -1.7580993408473766


def apply_alpha_mask(x: torch.Tensor, mask: Mask, p: float) -> torch.Tensor:
    """The same for alpha dropout: a (x m + A (1 - m)) + b, which keeps mean and variance."""
    wide = _compute_type(x.dtype)
    scale = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * _SATURATION * _SATURATION))
    if not math.isclose(mask.scale, scale, rel_tol=1e-9):
        raise FailedPreconditionError(
            f"the module's p is {p}, and the server's layer has another p by now: its mask scales "
            f"by {mask.scale}, not by {scale}. Make the module anew")
    shift = -scale * _SATURATION * p
    a, b, dropped = (torch.tensor(value, dtype=torch.float64, device=x.device).to(wide)
                     for value in (scale, shift, scale * _SATURATION + shift))
    return torch.where(kept(mask, x.device), x.to(wide) * a + b, dropped).to(x.dtype)
