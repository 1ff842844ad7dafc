"""Regions of memory that a client shares with a server on the same host."""

from __future__ import annotations

import mmap
import os
from typing import Any, List, Optional, Sequence

import numpy as np

from . import tensor
from ._stubs.dropout.v1 import tensor_pb2, transport_pb2


class SharedMemory:
    """A mapped region. Arrays in it are sent by their place, not by their bytes.

    The region's file is the server's and goes with the session; the mapping lasts as long as
    this object or an array in it. Thread-safe, but the arrays are plain memory.
    """

    def __init__(self, message: transport_pb2.SharedMemory) -> None:
        """Maps the region's file. Raises OSError where it is not on this host."""
        self.region_id: str = message.region_id
        self.byte_size: int = message.byte_size
        descriptor = os.open(message.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._memory = np.frombuffer(mmap.mmap(descriptor, self.byte_size), np.uint8)
        finally:
            os.close(descriptor)

    def array(self, shape: "int | Sequence[int]", dtype: Any = np.float32,
              offset: int = 0) -> np.ndarray:
        """A writable array in the region, from byte `offset` on; nothing keeps two arrays apart.
        Raises ValueError where it does not fit."""
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        kind = np.dtype(dtype)
        tensor.data_type_of(kind)
        end = offset + int(np.prod(sizes, dtype=np.int64)) * kind.itemsize
        if not 0 <= offset <= end <= self.byte_size:
            raise ValueError(f"bytes {offset} to {end} are not in a region of {self.byte_size}")
        return self._memory[offset:end].view(kind).reshape(sizes)

    def offset_of(self, array: np.ndarray) -> Optional[int]:
        """Where a contiguous array starts in the region; None if it is not in it."""
        start = self._memory.ctypes.data
        offset = int(array.ctypes.data) - start
        inside = 0 <= offset and offset + array.nbytes <= self.byte_size
        return offset if inside and array.flags.c_contiguous else None


class Regions:
    """The regions that one session has mapped here."""

    def __init__(self) -> None:
        self._regions: List[SharedMemory] = []

    def add(self, region: SharedMemory) -> None:
        self._regions = [*self._regions, region]

    def remove(self, region: SharedMemory) -> None:
        self._regions = [other for other in self._regions if other is not region]

    def reference_to(self, x: Any) -> Optional[tensor_pb2.SharedMemoryRef]:
        """The place of an array, or None if it is not in a region."""
        if not isinstance(x, np.ndarray) or x.size == 0:
            return None
        for region in self._regions:
            offset = region.offset_of(x)
            if offset is not None:
                return tensor_pb2.SharedMemoryRef(region_id=region.region_id, offset=offset)
        return None
