"""What calls answer with, as values."""

from __future__ import annotations

import dataclasses
import datetime
import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from . import tensor
from ._stubs.dropout.v1 import server_info_pb2, session_pb2, step_pb2
from .layers import Generator, LayerConfig, Mode, enumerator, layer_from_message


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """A mask: the tensor is multiplied by bit x scale, or by `multipliers`."""

    shape: Tuple[int, ...]  # of the noise: 1 on axes that share one draw
    scale: float
    bits: Optional[bytes]  # One bit an element, least significant first; None: multipliers.
    multipliers: Any = None  # an array, or a Tensor for bfloat16
    sample_scales: Tuple[float, ...] = ()  # One a sample, only where it differs between them.
    mode: Mode = Mode.UNSPECIFIED  # of the step; UNSPECIFIED: the server is too old to say it

    def kept(self) -> np.ndarray:
        """Which elements are kept, as booleans of the mask's shape. Only for a mask of bits."""
        if self.bits is None:
            raise ValueError("this mask is not of bits: use its multipliers")
        count = math.prod(self.shape)
        bits = np.frombuffer(self.bits, np.uint8)
        return np.unpackbits(bits, count=count, bitorder="little").reshape(self.shape).view(bool)

    def scales(self) -> "np.ndarray | float":
        """What kept elements are multiplied by, to be broadcast against the tensor."""
        if not self.sample_scales:
            return self.scale
        rest = (1,) * (len(self.shape) - 1)
        return np.array(self.sample_scales).reshape((-1,) + rest)


@dataclasses.dataclass(frozen=True, eq=False)
class ForwardResult:
    output: Any  # an array, or a Tensor where the input was one
    mask: Optional[Mask]  # if it was asked for
    mode: Mode  # that was applied
    p: float  # that was in force


@dataclasses.dataclass(frozen=True, eq=False)
class BackwardResult:
    input_gradient: Any  # an array, or a Tensor where the gradient was one
    parameter_gradients: Dict[str, Any]  # arrays, by the parameters' names


@dataclasses.dataclass(frozen=True)
class SessionInfo:
    """A session as the server has it."""

    session_id: str
    seed: int
    mode: Mode
    layers: List[LayerConfig]
    ttl: datetime.timedelta
    create_time: datetime.datetime
    expire_time: datetime.datetime


@dataclasses.dataclass(frozen=True)
class ServerInfo:
    """What the server is and can do."""

    version: str
    simd_target: str
    simd_targets: Sequence[str]
    store: str
    variants: Sequence[str]
    schedules: Sequence[str]
    unsupported_rpcs: Sequence[str]
    generators: Sequence[int]
    data_types: Sequence[int]
    limits: Dict[str, Any]  # By the names of the message Limits; durations as timedelta.


# --- From messages ------------------------------------------------------------------------


def mask_from_message(message: step_pb2.Mask) -> Mask:
    multipliers = None
    if message.WhichOneof("values") == "multipliers":
        template = None
        if message.multipliers.dtype == tensor.DataType.BFLOAT16:
            template = tensor.Tensor(0, (), b"")
        multipliers = tensor.from_message(message.multipliers, template)
    return Mask(
        shape=tuple(message.shape), scale=message.scale,
        bits=None if multipliers is not None else message.bits, multipliers=multipliers,
        sample_scales=tuple(message.sample_scales), mode=enumerator(Mode, message.mode))


def session_from_message(message: session_pb2.Session) -> SessionInfo:
    utc = datetime.timezone.utc
    return SessionInfo(
        session_id=message.session_id, seed=message.seed,
        mode=enumerator(Mode, message.mode),
        layers=[layer_from_message(layer) for layer in message.layers],
        ttl=message.ttl.ToTimedelta(),
        create_time=message.create_time.ToDatetime().replace(tzinfo=utc),
        expire_time=message.expire_time.ToDatetime().replace(tzinfo=utc))


def parameters_from_messages(messages: Sequence[step_pb2.Parameter]) -> Dict[str, Any]:
    return {message.name: tensor.from_message(message.value) for message in messages}


def server_info_from_message(message: server_info_pb2.ServerInfo) -> ServerInfo:
    limits = {}
    for field in message.limits.DESCRIPTOR.fields:
        value = getattr(message.limits, field.name)
        limits[field.name] = value.ToTimedelta() if field.message_type is not None else value
    return ServerInfo(
        version=message.version, simd_target=message.simd_target,
        simd_targets=tuple(message.simd_targets), store=message.store,
        variants=tuple(message.variants), schedules=tuple(message.schedules),
        unsupported_rpcs=tuple(message.unsupported_rpcs),
        generators=tuple(enumerator(Generator, number) for number in message.generators),
        data_types=tuple(message.data_types), limits=limits)
