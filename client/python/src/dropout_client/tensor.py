"""Tensors of the service and NumPy arrays."""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import numpy as np

from ._stubs.dropout.v1 import tensor_pb2
from ._wire import MalformedMessageError


class DataType(enum.IntEnum):
    """The type of a tensor's elements."""

    UNSPECIFIED = 0
    FLOAT32 = 1
    FLOAT64 = 2
    FLOAT16 = 3
    BFLOAT16 = 4


# What elements are stored as. NumPy has no bfloat16: its bits are in uint16.
_STORAGE: Dict[int, np.dtype] = {
    DataType.FLOAT32: np.dtype("<f4"), DataType.FLOAT64: np.dtype("<f8"),
    DataType.FLOAT16: np.dtype("<f2"), DataType.BFLOAT16: np.dtype("<u2"),
}
_DATA_TYPES = {("f", 4): DataType.FLOAT32, ("f", 8): DataType.FLOAT64, ("f", 2): DataType.FLOAT16}


def storage_of(dtype: int) -> np.dtype:
    """The NumPy type that elements of a type of the service are stored as."""
    try:
        return _STORAGE[dtype]
    except KeyError:
        raise ValueError(f"dtype {dtype} is not a type of the service") from None


def data_type_of(dtype: np.dtype) -> DataType:
    """The service's type of a NumPy type; ml_dtypes' bfloat16 is known by its name."""
    if dtype.name == "bfloat16":
        return DataType.BFLOAT16
    try:
        return _DATA_TYPES[dtype.kind, dtype.itemsize]
    except KeyError:
        raise TypeError(f"an array of {dtype} cannot be sent: it must be of float16, bfloat16, "
                        "float32 or float64") from None


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as bytes: row-major, little-endian, no padding. For types that NumPy does not
    have, and for bytes that are sent as they are: nothing is checked before the server does."""

    dtype: int
    shape: Tuple[int, ...]
    data: Any  # bytes, or what memoryview takes, as an array

    def numpy(self) -> np.ndarray:
        """The elements without a copy, read-only if the bytes are; bfloat16 as uint16."""
        return np.frombuffer(self.data, storage_of(self.dtype)).reshape(self.shape)


Array = Union[np.ndarray, Tensor]


def as_contiguous(x: Any) -> np.ndarray:
    """x as a row-major, little-endian array: x itself if it is one, else a copy."""
    array = np.asarray(x)
    data_type_of(array.dtype)
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and not _LITTLE_ENDIAN):
        array = array.astype(array.dtype.newbyteorder("<"))
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


_LITTLE_ENDIAN = np.dtype("<u2") == np.dtype("=u2")


def bytes_of(array: np.ndarray) -> memoryview:
    """A contiguous array's bytes, without a copy."""
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def fields_of(x: Array) -> Tuple[int, Tuple[int, ...], Union[bytes, bytearray, memoryview]]:
    """dtype, shape and bytes of a tensor or a contiguous array."""
    if isinstance(x, Tensor):
        data = memoryview(x.data)
        return x.dtype, tuple(x.shape), data.cast("B") if data.nbytes else b""
    return data_type_of(x.dtype), x.shape, bytes_of(x)


def byte_size(dtype: int, shape: Sequence[int]) -> int:
    return math.prod(shape) * storage_of(dtype).itemsize


def like(template: Optional[Array], dtype: int, shape: Sequence[int],
         data: Union[bytes, memoryview]) -> Any:
    """An answer's bytes as what the call was given: a Tensor for a Tensor, else an array of the
    same NumPy type. Nothing is copied. Raises MalformedMessageError where bytes and shape
    disagree."""
    if isinstance(template, Tensor):
        return Tensor(dtype, tuple(shape), data)
    try:
        storage = storage_of(dtype)
        if template is not None and data_type_of(template.dtype) == dtype:
            storage = template.dtype.newbyteorder("<")
        return np.frombuffer(data, storage).reshape(tuple(shape))
    except ValueError as error:
        raise MalformedMessageError(str(error)) from error


def from_message(message: tensor_pb2.Tensor, template: Optional[Array] = None) -> Any:
    return like(template, message.dtype, message.shape, message.data)


def to_message(x: Any) -> tensor_pb2.Tensor:
    """For small tensors: the bytes are copied into the message."""
    dtype, shape, data = fields_of(x if isinstance(x, Tensor) else as_contiguous(x))
    return tensor_pb2.Tensor(dtype=int(dtype), shape=shape, data=bytes(data))
