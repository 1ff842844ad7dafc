"""The base of the modules: a layer on a server, driven by torch's conventions."""

from __future__ import annotations

import contextlib
import weakref
from typing import Any, Callable, Iterator, List, Optional, Tuple, Union

import torch
import torch.distributed
from torch import nn
from torch.autograd.function import once_differentiable

from ..client import Layer, Session
from ..layers import LayerConfig, Mode, Scaling, Schedule, Variant
from ..results import Mask
from . import _tensors

SampleOffset = Union[None, int, Callable[[torch.Tensor], int]]

_default_session: Optional[Session] = None
_names: "weakref.WeakKeyDictionary[Session, List[str]]" = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def default_session(session: Session) -> Iterator[Session]:
    """Modules that are made inside and name no session use this one."""
    global _default_session
    before, _default_session = _default_session, session
    try:
        yield session
    finally:
        _default_session = before


def _session_of(session: Optional[Session]) -> Session:
    if session is not None:
        return session
    if _default_session is None:
        raise ValueError("no session: give one, or make the module inside default_session()")
    return _default_session


def _next_name(session: Session, kind: str) -> str:
    """kind_0, kind_1, ...: the same in every worker that makes its modules in the same order."""
    names = _names.setdefault(session, [])
    names.append(kind)
    return f"{kind}_{names.count(kind) - 1}"


class _Handle:
    """A layer that copies of a module share: a connection cannot be copied."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def __deepcopy__(self, memo: Any) -> "_Handle":
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a module with a layer on a server cannot be pickled: "
                        "save its state_dict()")


class _Masked(torch.autograd.Function):
    """Forward and Backward of a layer on the server."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: Layer, place: dict) -> torch.Tensor:
        ctx.layer, ctx.place = layer, place
        return _tensors.through(
            lambda sent, out: layer.forward(sent, out=out, **place).output, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> Tuple[torch.Tensor, None, None]:
        def call(sent: Any, out: Any) -> Any:
            return ctx.layer.backward(sent, out=out, **ctx.place).input_gradient

        return _tensors.through(call, gradient), None, None


class RemoteLayer(nn.Module):
    """A dropout layer on a server, of any kind that masks a tensor element by element.

    In training each forward masks with the mask of the module's next step, and counts it; in
    evaluation nothing is sent. `steps`, how many there were, is in the state_dict: training that
    goes on from a checkpoint goes on with the masks that it would have had.

    Data-parallel workers share a session (same session_id and seed) and make their modules in
    the same order. Where torch.distributed is initialised, a worker's rows start at
    rank x its number of rows; give sample_offset where parts are not equal.

    local=True fetches the mask (one bit an element) and applies it here: the same values.
    """

    steps: torch.Tensor

    def __init__(self, variant: Variant, p: float = 0.5, *, session: Optional[Session] = None,
                 layer_id: Optional[str] = None, scaling: Scaling = Scaling.UNSPECIFIED,
                 schedule: Optional[Schedule] = None, sample_offset: SampleOffset = None,
                 local: bool = False) -> None:
        """Creates the layer in the session. layer_id: None counts, as "dropout_0". sample_offset:
        an int, or a function of the input; None: by rank. Raises DropoutError."""
        super().__init__()
        session = _session_of(session)
        kind = type(variant).__name__.lower()
        config = LayerConfig(
            layer_id or _next_name(session, kind), p, variant, mode=Mode.TRAIN, scaling=scaling,
            schedule=schedule)
        self._handle = _Handle(session.add_layer(config))
        self._config = config
        self._sample_offset = sample_offset
        self.local = local
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def p(self) -> float:
        return self._config.p

    @property
    def layer(self) -> Layer:
        """The layer as the client has it."""
        return self._handle.layer

    def extra_repr(self) -> str:
        return f"p={self._config.p}, layer_id={self._config.layer_id!r}, local={self.local}"

    def forward(self, x: torch.Tensor, step: Optional[int] = None) -> torch.Tensor:
        """step: this step's mask, in training; None: the next one."""
        if not self.training:
            return self._evaluated(x)
        return self._masked(x, self._place(x, step))

    def _evaluated(self, x: torch.Tensor) -> torch.Tensor:
        return x * (1.0 - self.p) if self._config.scaling == Scaling.EVAL else x

    def _place(self, x: torch.Tensor, step: Optional[int]) -> dict:
        """Where this call's mask is, as the client's methods take it."""
        if step is None:
            step = int(self.steps)
            self.steps += 1
        return {"step": step, "sample_offset": self._offset(x)}

    def _offset(self, x: torch.Tensor) -> int:
        if callable(self._sample_offset):
            return self._sample_offset(x)
        if self._sample_offset is not None:
            return self._sample_offset
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rows = x.shape[0] if x.dim() else 1
            return torch.distributed.get_rank() * rows
        return 0

    def _masked(self, x: torch.Tensor, place: dict) -> torch.Tensor:
        if self.local:
            return self._applied(x, self.layer.mask(shape=x.shape, **place))
        return _Masked.apply(x, self.layer, place)

    def _applied(self, x: torch.Tensor, mask: Mask) -> torch.Tensor:
        """What Forward would make of x with this mask."""
        return _tensors.apply_mask(x, mask)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # A checkpoint of a model with torch's own dropout has no steps: they start at 0.
        state_dict.setdefault(prefix + "steps", torch.zeros((), dtype=torch.int64))
        super()._load_from_state_dict(state_dict, prefix, *args)
