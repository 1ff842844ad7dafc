"""The base of the modules: a layer on a server, driven by torch's conventions."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import weakref
from typing import Any, Callable, Dict, Iterator, Optional, Set, Tuple, Union

import torch
import torch.distributed
from torch import nn

from ..client import Layer, Session
from ..errors import ModeError
from ..layers import LayerConfig, Mode, Scaling, Schedule, Variant
from ..results import Mask
from . import _tensors
from ._steps import Place, Steps, draw_number, is_inside_backward

SampleOffset = Union[None, int, Callable[[torch.Tensor], int]]

_default_session: Optional[Session] = None


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


class _Names:
    """The ids that this process gives to the layers of one session: the same in every worker that
    makes and copies its modules in the same order."""

    def __init__(self) -> None:
        self._taken: Set[str] = set()
        self._counters: Dict[str, Iterator[int]] = {}

    def of_module(self, kind: str, layer_id: Optional[str]) -> str:
        """layer_id, or kind_0, kind_1, ..."""
        name = layer_id or f"{kind}_{next(self._counter(kind, first=0))}"
        self._taken.add(name)
        return name

    def of_copy(self, original: str) -> str:
        """ID.1, ID.2, ... of a module whose layer is ID."""
        counter = self._counter(original + ".", first=1)
        name = next(name for name in (f"{original}.{number}" for number in counter)
                    if name not in self._taken)
        self._taken.add(name)
        return name

    def _counter(self, key: str, first: int) -> Iterator[int]:
        return self._counters.setdefault(key, itertools.count(first))


_names: "weakref.WeakKeyDictionary[Session, _Names]" = weakref.WeakKeyDictionary()


def _names_of(session: Session) -> _Names:
    return _names.setdefault(session, _Names())


class _Handle:
    """A module's layer. A deep copy is another layer with the same configuration, which the
    server gets when it is used first. Thread-safe."""

    def __init__(self, session: Session, config: LayerConfig, original: str) -> None:
        """original: the id of the layer that was not copied."""
        self._session, self.config, self._original = session, config, original
        self._layer: Optional[Layer] = None

    @property
    def layer(self) -> Layer:
        if self._layer is None:  # Two threads may make it: the second gets what there is.
            self._layer = self._session.add_layer(self.config)
        return self._layer

    def __deepcopy__(self, memo: Any) -> "_Handle":
        layer_id = _names_of(self._session).of_copy(self._original)
        return _Handle(self._session, dataclasses.replace(self.config, layer_id=layer_id),
                       self._original)

    def __reduce__(self) -> Any:
        raise TypeError("a module with a layer on a server cannot be pickled: "
                        "save its state_dict()")


class _Masked(torch.autograd.Function):
    """Forward and Backward of a layer on the server."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: Layer, place: Place) -> torch.Tensor:
        def call(sent: Any, out: Any) -> Any:
            answer = layer.forward(sent, out=out, **place._asdict())
            if answer.mode != Mode.TRAIN:
                raise ModeError(
                    f"layer {layer.layer_id!r} is in EVAL on the server, which masks nothing, and its "
                    "module is in train(): somebody set the layer's or the session's mode. Call "
                    "session.train(), or eval() on the module")
            return answer.output

        ctx.layer, ctx.place = layer, place
        return _tensors.through(call, x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Tuple[torch.Tensor, None, None]:
        return _MaskedGradient.apply(gradient, ctx.layer, ctx.place), None, None


class _MaskedGradient(torch.autograd.Function):
    """Backward of a layer on the server. It is linear in the gradient and its own derivative, so
    that derivatives of any order are right."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, layer: Layer, place: Place) -> torch.Tensor:
        def call(sent: Any, out: Any) -> Any:
            return layer.backward(sent, out=out, **place._asdict()).input_gradient

        ctx.layer, ctx.place = layer, place
        return _tensors.through(call, gradient)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Tuple[torch.Tensor, None, None]:
        return _MaskedGradient.apply(gradient, ctx.layer, ctx.place), None, None


class RemoteLayer(nn.Module):
    """A dropout layer on a server, of any kind that masks a tensor element by element.

    In training each forward masks with the mask of the module's next step, and counts it if it
    succeeds; in evaluation nothing is sent. `steps`, how many there were, is in the state_dict:
    training that goes on from a checkpoint goes on with the masks that it would have had.

    Under torch.utils.checkpoint the forward that runs again inside the backward has the mask of
    the first one. Each training forward draws a number from torch's default generator to know it
    by, as nn.Dropout draws its mask. A forward inside a backward that is not such a repetition
    raises RecomputationError: as with preserve_rng_state=False, where `step` must be given.

    A deep copy has a layer and masks of its own: ID.1, ID.2, ... in order of copying.
    A module in train() whose layer the server has in EVAL raises ModeError.

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
        an int, or a function of the input; None: by rank. Raises DropoutError, and ValueError
        for a schedule with scaling EVAL: in eval() no step says which p to scale by."""
        super().__init__()
        if scaling == Scaling.EVAL and schedule is not None:
            raise ValueError("scaling EVAL cannot have a schedule: in eval() a module has no step "
                             "that says which p to scale by. Use scaling INVERTED")
        session = _session_of(session)
        layer_id = _names_of(session).of_module(type(variant).__name__.lower(), layer_id)
        self._handle = _Handle(session, LayerConfig(
            layer_id, p, variant, mode=Mode.TRAIN, scaling=scaling, schedule=schedule), layer_id)
        self._handle.layer  # Makes it, or raises.
        self._steps = Steps()
        self._sample_offset = sample_offset
        self.local = local
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def p(self) -> float:
        return self._config.p

    @property
    def layer(self) -> Layer:
        """The layer as the client has it. Makes that of a copy, if nothing did yet."""
        return self._handle.layer

    @property
    def _config(self) -> LayerConfig:
        return self._handle.config

    def extra_repr(self) -> str:
        return f"p={self._config.p}, layer_id={self._config.layer_id!r}, local={self.local}"

    def forward(self, x: torch.Tensor, step: Optional[int] = None) -> torch.Tensor:
        """step: this step's mask, in training; None: the next one, or that of the forward which
        this one recomputes."""
        if not self.training:
            if is_inside_backward():
                self._steps.check_evaluation(self._config.layer_id)
            return self._evaluated(x)
        _tensors.check_type(x)
        if step is not None:
            return self._masked(x, Place(step, self._offset(x)))
        number = draw_number()
        if is_inside_backward():
            return self._masked(x, self._steps.place_of(number, self._config.layer_id))
        with self._steps.next(self.steps) as step:
            place = Place(step, self._offset(x))
            y = self._masked(x, place)
        self._steps.remember(number, place)
        return y

    def _evaluated(self, x: torch.Tensor) -> torch.Tensor:
        return x * (1.0 - self.p) if self._config.scaling == Scaling.EVAL else x

    def _offset(self, x: torch.Tensor) -> int:
        if callable(self._sample_offset):
            return self._sample_offset(x)
        if self._sample_offset is not None:
            return self._sample_offset
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rows = x.shape[0] if x.dim() else 1
            return torch.distributed.get_rank() * rows
        return 0

    def _masked(self, x: torch.Tensor, place: Place) -> torch.Tensor:
        # No mask can be asked for by an empty shape, which means that of the step's Forward.
        if self.local and x.dim() != 0:
            mask = self.layer.mask(shape=x.shape, **place._asdict())
            # That of a Forward in EVAL is no mask to train with: a Forward replaces it, or fails.
            if mask.mode != Mode.EVAL:
                return self._applied(x, mask)
        return _Masked.apply(x, self.layer, place)

    def _applied(self, x: torch.Tensor, mask: Mask) -> torch.Tensor:
        """What Forward would make of x with this mask."""
        return _tensors.apply_mask(x, mask)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # A checkpoint of a model with torch's own dropout has no steps: they start at 0.
        state_dict.setdefault(prefix + "steps", torch.zeros((), dtype=torch.int64))
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._steps.restart()
