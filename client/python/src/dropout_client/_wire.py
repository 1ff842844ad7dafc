"""Messages with a large tensor, written and read with no copy of its bytes but the message.

Protobuf's own Python classes copy a bytes field into the message object and again into the
encoded message. Here the message without its tensor goes through protobuf, and the tensor is
put beside it. Both sides are plain protobuf on the wire.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Type, Union

from ._stubs.dropout.v1 import tensor_pb2

Bytes = Union[bytes, bytearray, memoryview]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_DATA = tensor_pb2.Tensor.DATA_FIELD_NUMBER


class MalformedMessageError(ValueError):
    """The bytes are not a protobuf message."""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _length_tag(field: int) -> bytes:
    return varint(field << 3 | _LENGTH)


def with_tensor(message: Any, field: int, dtype: int, shape: Sequence[int], data: Bytes) -> bytes:
    """The encoding of `message` with a Tensor added as its field number `field`, which must be
    unset in it. The only copy of `data` is the one in the answer."""
    head = tensor_pb2.Tensor(dtype=int(dtype), shape=shape).SerializeToString()
    size = len(data)
    if size:
        head += _length_tag(_DATA) + varint(size)
    return b"".join((message.SerializeToString(), _length_tag(field), varint(len(head) + size),
                     head, data))


class TensorData(NamedTuple):
    """A tensor read from a message; `data` refers to the message's bytes."""

    dtype: int
    shape: Tuple[int, ...]
    data: memoryview


def _read_varint(data: memoryview, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise MalformedMessageError("a varint does not end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: memoryview) -> "List[Tuple[int, int, int, int]]":
    """Of each field: its number, where it starts, where its contents start (of a field of bytes
    or a message; else its end), and its end."""
    found = []
    at = 0
    while at < len(data):
        start = at
        tag, at = _read_varint(data, at)
        kind = tag & 7
        content = -1
        if kind == _VARINT:
            _, at = _read_varint(data, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind == _LENGTH:
            size, content = _read_varint(data, at)
            at = content + size
        else:
            raise MalformedMessageError(f"unknown wire type {kind}")
        if at > len(data):
            raise MalformedMessageError("a field is longer than its message")
        found.append((tag >> 3, start, at if content < 0 else content, at))
    return found


def split_tensor(encoded: bytes, cls: Type, field: int) -> Tuple[Any, Optional[TensorData]]:
    """Parses `encoded` as a message of the class `cls`; its Tensor in field number `field` comes
    apart from it, without a copy, if it is there with its bytes inline."""
    view = memoryview(encoded)
    top = _fields(view)
    tensors = [entry for entry in top if entry[0] == field]
    if len(tensors) != 1:  # None, or one in several parts, which protobuf knows to merge.
        return _merged(encoded, cls, field)
    _, start, content, end = tensors[0]
    inner = view[content:end]
    parts = [entry for entry in _fields(inner) if entry[0] == _DATA]
    if len(parts) != 1:
        return _merged(encoded, cls, field)
    _, data_start, data_content, data_end = parts[0]
    tensor = tensor_pb2.Tensor.FromString(bytes(inner[:data_start]) + bytes(inner[data_end:]))
    message = cls.FromString(bytes(view[:start]) + bytes(view[end:]))
    return message, TensorData(tensor.dtype, tuple(tensor.shape), inner[data_content:data_end])


def _merged(encoded: bytes, cls: Type, field: int) -> Tuple[Any, Optional[TensorData]]:
    message = cls.FromString(encoded)
    name = cls.DESCRIPTOR.fields_by_number[field].name
    tensor = getattr(message, name)
    if not message.HasField(name) or tensor.WhichOneof("storage") == "shared_memory":
        return message, None
    return message, TensorData(tensor.dtype, tuple(tensor.shape), memoryview(tensor.data))
