"""Layers as values: what kind of dropout, with which options.

The classes are the messages of layer.proto with the same field names; that file says
what each means, its range and its default.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, Dict, Optional, Sequence, Type, Union, cast

from ._stubs.dropout.v1 import layer_pb2


class Mode(enum.IntEnum):
    """Whether a layer masks or passes its input through."""

    UNSPECIFIED = 0
    TRAIN = 1
    EVAL = 2


class Generator(enum.IntEnum):
    """Where random bits come from."""

    UNSPECIFIED = 0
    PHILOX = 1
    NUMPY_LEGACY = 2


class Scaling(enum.IntEnum):
    """What kept elements are multiplied by."""

    UNSPECIFIED = 0
    INVERTED = 1
    NONE = 2
    EVAL = 3


class MaskScope(enum.IntEnum):
    """What one draw of noise is shared by."""

    UNSPECIFIED = 0
    SAMPLE = 1
    BATCH = 2
    SEQUENCE = 3
    STEP = 4


class DepthMode(enum.IntEnum):
    """What stochastic depth keeps or skips at once."""

    UNSPECIFIED = 0
    ROW = 1
    BATCH = 2


class Gamma(enum.IntEnum):
    """How DropBlock turns p into the rate of block seeds."""

    UNSPECIFIED = 0
    EXACT = 1
    PAPER = 2


class Normalization(enum.IntEnum):
    """What DropBlock's rescaling is computed over."""

    UNSPECIFIED = 0
    SAMPLE = 1
    BATCH = 2


class ConnectTarget(enum.IntEnum):
    """What DropConnect's input tensor is."""

    UNSPECIFIED = 0
    LINEAR = 1
    WEIGHTS = 2


# --- Variants -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Dropout:
    """Bernoulli dropout."""

    broadcast_axes: Sequence[int] = ()


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Gaussian dropout."""

    broadcast_axes: Sequence[int] = ()


@dataclasses.dataclass(frozen=True)
class Alpha:
    """Alpha dropout, for SELU networks."""


@dataclasses.dataclass(frozen=True)
class FeatureAlpha:
    """Alpha dropout of whole channels."""

    channel_axis: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Spatial:
    """Dropout of whole channels."""

    channel_axis: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class DropBlock:
    """Dropout of square regions of feature maps."""

    block_size: Sequence[int] = ()
    channel_axis: Optional[int] = None
    gamma: Gamma = Gamma.UNSPECIFIED
    normalization: Normalization = Normalization.UNSPECIFIED
    share_channels: bool = False


@dataclasses.dataclass(frozen=True)
class Concrete:
    """Concrete dropout: p is learned."""

    temperature: Optional[float] = None
    weight_regularizer: float = 0.0
    dropout_regularizer: float = 0.0
    spatial: bool = False


@dataclasses.dataclass(frozen=True)
class DropConnect:
    """A linear layer whose weights are masked."""

    in_features: int = 0
    out_features: int = 0
    bias: Optional[bool] = None
    mask_scope: MaskScope = MaskScope.UNSPECIFIED
    target: ConnectTarget = ConnectTarget.UNSPECIFIED


@dataclasses.dataclass(frozen=True)
class Variational:
    """One mask for a whole sequence."""

    time_axis: Optional[int] = None


@dataclasses.dataclass(frozen=True)
class Recurrent:
    """Dropout on a recurrent path."""

    mask_scope: MaskScope = MaskScope.UNSPECIFIED


@dataclasses.dataclass(frozen=True)
class StochasticDepth:
    """A residual branch is kept or skipped."""

    mode: DepthMode = DepthMode.UNSPECIFIED
    depth_index: int = 0
    depth_count: int = 0


Variant = Union[Dropout, Gaussian, Alpha, FeatureAlpha, Spatial, DropBlock, Concrete, DropConnect,
                Variational, Recurrent, StochasticDepth]

# By the names of the fields of the oneof.
VARIANTS: Dict[str, Type] = {
    "dropout": Dropout, "gaussian": Gaussian, "alpha": Alpha, "feature_alpha": FeatureAlpha,
    "spatial": Spatial, "drop_block": DropBlock, "concrete": Concrete,
    "drop_connect": DropConnect, "variational": Variational, "recurrent": Recurrent,
    "stochastic_depth": StochasticDepth,
}

# --- Schedules ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class LinearSchedule:
    """p moves on a straight line."""

    start_p: float = 0.0
    end_p: float = 0.0
    start_step: int = 0
    end_step: int = 0


@dataclasses.dataclass(frozen=True)
class CosineSchedule:
    """p moves on half a cosine wave."""

    start_p: float = 0.0
    end_p: float = 0.0
    start_step: int = 0
    end_step: int = 0


@dataclasses.dataclass(frozen=True)
class CurriculumSchedule:
    """p(t) = end_p (1 - exp(-gamma t))."""

    end_p: float = 0.0
    gamma: float = 0.0


@dataclasses.dataclass(frozen=True)
class PiecewiseSchedule:
    """p is constant between boundaries."""

    boundaries: Sequence[int] = ()
    values: Sequence[float] = ()


Schedule = Union[LinearSchedule, CosineSchedule, CurriculumSchedule, PiecewiseSchedule]

SCHEDULES: Dict[str, Type] = {
    "linear": LinearSchedule, "cosine": CosineSchedule, "curriculum": CurriculumSchedule,
    "piecewise": PiecewiseSchedule,
}

# --- Layers -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class LayerConfig:
    """A layer's whole configuration. `p` is given, also where it is 0, or `schedule`: ValueError
    without both, because such a layer drops nothing. Concrete learns p, from 0.1 by default. `mode`
    and `revision` are the server's in an answer; `variant` is None in an answer of a kind that this
    version does not know."""

    layer_id: str
    p: float = cast(float, None)  # 0.0 where only a schedule is given.
    variant: Optional[Variant] = Dropout()
    mode: Mode = Mode.UNSPECIFIED
    generator: Generator = Generator.UNSPECIFIED
    scaling: Scaling = Scaling.UNSPECIFIED
    schedule: Optional[Schedule] = None
    revision: int = 0

    def __post_init__(self) -> None:
        if self.p is not None:
            return
        learns_p = isinstance(self.variant, Concrete)
        if self.schedule is None and not learns_p:
            raise ValueError(f"p: not given for layer {self.layer_id!r}: give p=0.5, the probability "
                             "that an element is dropped, in [0, 1), or a schedule")
        # At p = 0 nothing is dropped, so nothing would be learned.
        object.__setattr__(self, "p", 0.1 if learns_p and self.schedule is None else 0.0)


def _fields_of(value: Any) -> Dict[str, Any]:
    """A dataclass's fields that are set, as a message's constructor takes them."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)
            if getattr(value, field.name) is not None}


def _value_of(message: Any, cls: Type) -> Any:
    """The dataclass `cls` of a message with the same field names."""
    fields: Dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        descriptor = message.DESCRIPTOR.fields_by_name[field.name]
        value = getattr(message, field.name)
        if descriptor.label == descriptor.LABEL_REPEATED:
            value = tuple(value)
        elif descriptor.containing_oneof is not None and not message.HasField(field.name):  # unset
            value = None
        elif descriptor.enum_type is not None:
            value = enumerator(type(field.default), value)
        fields[field.name] = value
    return cls(**fields)


def enumerator(cls: Type, number: int) -> Any:
    """The enumerator, or the bare number where this version does not know it."""
    try:
        return cls(number)
    except ValueError:
        return number


def _name_in(table: Dict[str, Type], value: Any, what: str) -> str:
    for name, cls in table.items():
        if isinstance(value, cls):
            return name
    raise TypeError(f"{what} is a {type(value).__name__}, not one of {', '.join(table)}")


def layer_to_message(layer: LayerConfig) -> layer_pb2.Layer:
    message = layer_pb2.Layer(
        layer_id=layer.layer_id, p=layer.p, mode=int(layer.mode), generator=int(layer.generator),
        scaling=int(layer.scaling))
    if layer.variant is not None:
        name = _name_in(VARIANTS, layer.variant, "variant")
        field = getattr(message, name)
        field.SetInParent()
        field.MergeFrom(type(field)(**_fields_of(layer.variant)))
    if layer.schedule is not None:
        name = _name_in(SCHEDULES, layer.schedule, "schedule")
        field = getattr(message.schedule, name)
        field.SetInParent()
        field.MergeFrom(type(field)(**_fields_of(layer.schedule)))
    return message


def layer_from_message(message: layer_pb2.Layer) -> LayerConfig:
    variant = message.WhichOneof("variant")
    schedule = message.schedule.WhichOneof("kind")
    return LayerConfig(
        layer_id=message.layer_id, p=message.p,
        variant=_value_of(getattr(message, variant), VARIANTS[variant]) if variant else None,
        mode=enumerator(Mode, message.mode),
        generator=enumerator(Generator, message.generator),
        scaling=enumerator(Scaling, message.scaling),
        schedule=(_value_of(getattr(message.schedule, schedule), SCHEDULES[schedule])
                  if schedule else None),
        revision=message.revision)
