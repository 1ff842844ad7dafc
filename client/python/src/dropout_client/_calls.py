"""Each call of the contract as a value: the bytes to send, whether they may be sent again, and
how to read the answer. Both clients, blocking and asyncio, send these."""

from __future__ import annotations

import dataclasses
import datetime
import re
import secrets
from typing import (Any, Callable, Dict, Generic, Iterable, List, Mapping, Optional, Sequence,
                    TypeVar, Union)

import numpy as np

from . import _wire, results, tensor
from ._stubs.dropout.v1 import (layer_pb2, server_info_pb2, session_pb2, step_pb2, tensor_pb2,
                                transport_pb2)
from .layers import LayerConfig, Mode, enumerator, layer_from_message, layer_to_message
from .retry import Idempotency
from .shared_memory import Regions

SERVICE = "/dropout.v1.DropoutService/"
_SESSION_ID = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")

T = TypeVar("T")
Ttl = Union[float, datetime.timedelta, None]


@dataclasses.dataclass(frozen=True)
class Call(Generic[T]):
    rpc: str
    session_id: str  # "" where the call names none
    request: bytes
    idempotency: Idempotency
    parse: Callable[[bytes], T]

    @property
    def method(self) -> str:
        return SERVICE + self.rpc

    def metadata(self) -> tuple:
        """The session's id as metadata, for a balancer that keeps sessions together; only what
        the server would take, because a header cannot have other bytes."""
        if _SESSION_ID.match(self.session_id):
            return (("x-session-id", self.session_id),)
        return ()


def _call(rpc: str, request: Any, parse: Callable[[bytes], T],
          idempotency: Idempotency = Idempotency.SAFE) -> Call[T]:
    return Call(rpc, getattr(request, "session_id", ""), request.SerializeToString(), idempotency,
                parse)


def _nothing(_: bytes) -> None:
    return None


# --- Sessions -----------------------------------------------------------------------------


def new_session_id() -> str:
    """An id of the client's own choice, so that CreateSession is safe to repeat."""
    return secrets.token_hex(16)


def _session(encoded: bytes) -> results.SessionInfo:
    return results.session_from_message(session_pb2.Session.FromString(encoded))


def create_session(session_id: str, seed: Optional[int], layers: Iterable[LayerConfig],
                   mode: Mode, ttl: Ttl) -> Call[results.SessionInfo]:
    request = session_pb2.CreateSessionRequest(
        session_id=session_id, seed=seed, layers=[layer_to_message(layer) for layer in layers],
        mode=int(mode))
    if ttl is not None:
        if not isinstance(ttl, datetime.timedelta):
            ttl = datetime.timedelta(seconds=ttl)
        request.ttl.FromTimedelta(ttl)
        request.ttl.SetInParent()
    return _call("CreateSession", request, _session)


def export_session(session_id: str) -> Call[bytes]:
    return _call("ExportSession", session_pb2.ExportSessionRequest(session_id=session_id),
                 lambda encoded: session_pb2.ExportSessionResponse.FromString(encoded).snapshot)


def import_session(snapshot: bytes, session_id: str) -> Call[results.SessionInfo]:
    return _call("ImportSession", session_pb2.ImportSessionRequest(
        session_id=session_id, snapshot=snapshot), _session)


def fork_session(session_id: str, new_session_id: str) -> Call[results.SessionInfo]:
    return _call("ForkSession", session_pb2.ForkSessionRequest(
        session_id=session_id, new_session_id=new_session_id), _session)


def get_session(session_id: str) -> Call[results.SessionInfo]:
    return _call("GetSession", session_pb2.GetSessionRequest(session_id=session_id), _session)


@dataclasses.dataclass(frozen=True)
class SessionPage:
    sessions: List[results.SessionInfo]
    next_page_token: str
    corrupt_session_ids: List[str]


def list_sessions(page_size: int, page_token: str) -> Call[SessionPage]:
    def parse(encoded: bytes) -> SessionPage:
        answer = session_pb2.ListSessionsResponse.FromString(encoded)
        return SessionPage([results.session_from_message(one) for one in answer.sessions],
                           answer.next_page_token, list(answer.corrupt_session_ids))

    request = session_pb2.ListSessionsRequest(page_size=page_size, page_token=page_token)
    return _call("ListSessions", request, parse)


def delete_session(session_id: str) -> Call[None]:
    request = session_pb2.DeleteSessionRequest(session_id=session_id)
    return _call("DeleteSession", request, _nothing, Idempotency.DELETION)


def set_mode(session_id: str, mode: Mode, layer_ids: Sequence[str]) -> Call[List[str]]:
    request = session_pb2.SetModeRequest(
        session_id=session_id, mode=int(mode), layer_ids=layer_ids)
    return _call("SetMode", request,
                 lambda encoded: list(session_pb2.SetModeResponse.FromString(encoded).layer_ids))


def server_info() -> Call[results.ServerInfo]:
    return _call("GetServerInfo", server_info_pb2.GetServerInfoRequest(),
                 lambda encoded: results.server_info_from_message(
                     server_info_pb2.ServerInfo.FromString(encoded)))


# --- Layers -------------------------------------------------------------------------------


def _layer(encoded: bytes) -> LayerConfig:
    return layer_from_message(layer_pb2.Layer.FromString(encoded))


def create_layer(session_id: str, layer: LayerConfig) -> Call[LayerConfig]:
    return _call("CreateLayer", session_pb2.CreateLayerRequest(
        session_id=session_id, layer=layer_to_message(layer)), _layer)


def update_layer(session_id: str, layer: LayerConfig) -> Call[LayerConfig]:
    return _call("UpdateLayer", session_pb2.UpdateLayerRequest(
        session_id=session_id, layer=layer_to_message(layer)), _layer)


def delete_layer(session_id: str, layer_id: str) -> Call[None]:
    request = session_pb2.DeleteLayerRequest(session_id=session_id, layer_id=layer_id)
    return _call("DeleteLayer", request, _nothing, Idempotency.DELETION)


def set_parameters(session_id: str, layer_id: str, values: Mapping[str, Any]) -> Call[None]:
    request = step_pb2.SetParametersRequest(
        session_id=session_id, layer_id=layer_id,
        parameters=[step_pb2.Parameter(name=name, value=tensor.to_message(value))
                    for name, value in values.items()])
    return _call("SetParameters", request, _nothing)


def get_parameters(session_id: str, layer_id: str) -> Call[Dict[str, Any]]:
    request = step_pb2.GetParametersRequest(session_id=session_id, layer_id=layer_id)
    return _call("GetParameters", request,
                 lambda encoded: results.parameters_from_messages(
                     step_pb2.GetParametersResponse.FromString(encoded).parameters))


# --- Steps --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Place:
    """Which mask: the layer, the step or the sequence, and the batch's first row."""

    session_id: str
    layer_id: str
    step: Optional[int] = None
    sample_offset: int = 0
    sequence_id: Optional[int] = None

    def fields(self) -> Dict[str, Any]:
        return dataclasses.asdict(self)


class _Tensors:
    """The tensors of one Forward or Backward: what is sent, and where the answer goes."""

    def __init__(self, x: Any, out: Optional[np.ndarray], regions: Regions) -> None:
        self.sent: tensor.Array = x if isinstance(x, tensor.Tensor) else tensor.as_contiguous(x)
        self.out = out
        self.source = regions.reference_to(self.sent)
        self.target = None if out is None else regions.reference_to(out)
        if out is not None:
            self._check_out()

    def _check_out(self) -> None:
        assert self.out is not None
        dtype, shape, _ = tensor.fields_of(self.sent)
        # The last axis is drop_connect's to change.
        if tensor.data_type_of(self.out.dtype) != dtype or self.out.shape[:-1] != shape[:-1]:
            raise ValueError(f"out is {self.out.dtype}{list(self.out.shape)}, the answer will be "
                             f"{tensor.DataType(dtype).name.lower()}{list(shape)}")
        if not self.out.flags.writeable:
            raise ValueError("out is read-only")

    def idempotency(self) -> Idempotency:
        """In place, a first attempt may have masked the input, and a second would again."""
        if self.source is None or self.target is None:
            return Idempotency.SAFE
        overlap = abs(self.source.offset - self.target.offset) < len(tensor.fields_of(self.sent)[2])
        same = self.source.region_id == self.target.region_id and overlap
        return Idempotency.UNSAFE if same else Idempotency.SAFE

    def encode(self, request: Any, name: str) -> bytes:
        """The request with the tensor in its field `name`."""
        if self.target is not None:
            request.output.CopyFrom(self.target)
        dtype, shape, data = tensor.fields_of(self.sent)
        if self.source is not None:
            getattr(request, name).CopyFrom(tensor_pb2.Tensor(
                dtype=int(dtype), shape=shape, shared_memory=self.source))
            return request.SerializeToString()
        field = request.DESCRIPTOR.fields_by_name[name].number
        return _wire.with_tensor(request, field, dtype, shape, data)

    def result(self, answer: Optional[_wire.TensorData], shape: Sequence[int]) -> Any:
        """The answer's tensor: in `out` if there is one, else a view of the answer. answer: its
        bytes, if they are in the message; shape: its shape if they are not."""
        if self.out is None:
            if answer is None:
                raise _wire.MalformedMessageError("the server sent no tensor")
            return tensor.like(self.sent, *answer)
        shape = shape if answer is None else answer.shape
        if tuple(shape) != self.out.shape:
            raise ValueError(f"out has the shape {list(self.out.shape)}, the answer {list(shape)}")
        if self.target is None:
            if answer is None:
                raise _wire.MalformedMessageError("the server sent no tensor")
            np.copyto(self.out, tensor.like(self.out, *answer))
        return self.out


def forward(place: Place, x: Any, return_mask: bool, out: Optional[np.ndarray],
            regions: Regions) -> Call[results.ForwardResult]:
    tensors = _Tensors(x, out, regions)

    def parse(encoded: bytes) -> results.ForwardResult:
        answer, output = _wire.split_tensor(
            encoded, step_pb2.ForwardResponse, step_pb2.ForwardResponse.OUTPUT_FIELD_NUMBER)
        mask = results.mask_from_message(answer.mask) if answer.HasField("mask") else None
        return results.ForwardResult(tensors.result(output, answer.output.shape), mask,
                                     enumerator(Mode, answer.mode), answer.p)

    request = step_pb2.ForwardRequest(**place.fields(), return_mask=return_mask)
    return Call("Forward", place.session_id, tensors.encode(request, "input"),
                tensors.idempotency(), parse)


def backward(place: Place, gradient: Any, release: bool, weight_squared_norm: Optional[float],
             out: Optional[np.ndarray], regions: Regions) -> Call[results.BackwardResult]:
    tensors = _Tensors(gradient, out, regions)

    def parse(encoded: bytes) -> results.BackwardResult:
        answer, output = _wire.split_tensor(
            encoded, step_pb2.BackwardResponse,
            step_pb2.BackwardResponse.INPUT_GRADIENT_FIELD_NUMBER)
        return results.BackwardResult(
            tensors.result(output, answer.input_gradient.shape),
            results.parameters_from_messages(answer.parameter_gradients))

    request = step_pb2.BackwardRequest(
        **place.fields(), release=release, weight_squared_norm=weight_squared_norm)
    # The first attempt may have released the step, and the second would not find it.
    idempotency = Idempotency.UNSAFE if release else tensors.idempotency()
    return Call("Backward", place.session_id, tensors.encode(request, "output_gradient"),
                idempotency, parse)


def get_mask(place: Place, shape: Optional[Sequence[int]]) -> Call[results.Mask]:
    if shape is not None and len(shape) == 0:
        # On the wire an empty shape is one that was not given.
        raise ValueError("shape is empty: a mask of rank 0 cannot be asked for; use "
                         "forward(return_mask=True), or shape=None for that of the step's Forward")
    request = step_pb2.GetMaskRequest(**place.fields(), shape=shape or ())
    return _call("GetMask", request,
                 lambda encoded: results.mask_from_message(step_pb2.Mask.FromString(encoded)))


def release_steps(session_id: str, layer_id: str, through_step: Optional[int]) -> Call[int]:
    request = step_pb2.ReleaseStepsRequest(
        session_id=session_id, layer_id=layer_id, through_step=through_step)
    return _call("ReleaseSteps", request,
                 lambda encoded: step_pb2.ReleaseStepsResponse.FromString(encoded).released_count)


# --- Shared memory ------------------------------------------------------------------------


def create_shared_memory(session_id: str, byte_size: int) -> Call[transport_pb2.SharedMemory]:
    # A repetition may leave a region that nobody knows; it goes with its session.
    return _call("CreateSharedMemory", transport_pb2.CreateSharedMemoryRequest(
        session_id=session_id, byte_size=byte_size), transport_pb2.SharedMemory.FromString)


def delete_shared_memory(session_id: str, region_id: str) -> Call[None]:
    request = transport_pb2.DeleteSharedMemoryRequest(session_id=session_id, region_id=region_id)
    return _call("DeleteSharedMemory", request, _nothing, Idempotency.DELETION)
