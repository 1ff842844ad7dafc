"""Tensors and expected answers in the JSON form of the cases, from the mask format's reference."""

import base64
import hashlib
import itertools
import math
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))

import mask_reference as reference

FLOAT32, FLOAT64 = "DATA_TYPE_FLOAT32", "DATA_TYPE_FLOAT64"
FLOAT16, BFLOAT16 = "DATA_TYPE_FLOAT16", "DATA_TYPE_BFLOAT16"
DATA_TYPES = (FLOAT32, FLOAT64, FLOAT16, BFLOAT16)
FORMATS = {FLOAT32: "f", FLOAT64: "d", FLOAT16: "e"}
ELEMENT_SIZES = {FLOAT32: 4, FLOAT64: 8, FLOAT16: 2, BFLOAT16: 2}
INLINE_BYTES = 2048  # Larger answers are given by their digest.


# --- Element types ------------------------------------------------------------------------


def _pack(letter, x):
    try:
        return struct.pack("<" + letter, x)
    except OverflowError:  # Rounds to infinity.
        return struct.pack("<" + letter, math.copysign(math.inf, x))


def _pack_bfloat16(x):
    """The upper half of x's float32, rounded to nearest, ties to even."""
    (bits,) = struct.unpack("<I", _pack("f", x))
    if not math.isnan(x):
        bits += 0x7FFF + (bits >> 16 & 1)
    return struct.pack("<H", bits >> 16)


def pack(dtype, values):
    """Elements as bytes, each rounded to the type."""
    if dtype == BFLOAT16:
        return b"".join(map(_pack_bfloat16, values))
    return b"".join(_pack(FORMATS[dtype], x) for x in values)


def unpack(dtype, data):
    """Bytes as a list of floats, exact."""
    if dtype == BFLOAT16:
        halves = struct.unpack(f"<{len(data) // 2}H", data)
        return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
    return list(struct.unpack(f"<{len(data) // ELEMENT_SIZES[dtype]}{FORMATS[dtype]}", data))


def compute_type(dtype, x):
    """x rounded to the type that products are computed in."""
    return x if dtype == FLOAT64 else unpack(FLOAT32, _pack("f", x))[0]


# --- Tensors ------------------------------------------------------------------------------


class Tensor:
    """A tensor's bytes. `pattern`: bytes that are repeated to give `data`, for short cases."""

    def __init__(self, dtype, shape, data=None, pattern=None):
        self.dtype, self.shape, self.pattern = dtype, tuple(shape), pattern
        size = math.prod(self.shape) * ELEMENT_SIZES[dtype]
        self.data = data if pattern is None else bytes(
            itertools.islice(itertools.cycle(pattern), size))
        assert len(self.data) == size

    def values(self):
        return unpack(self.dtype, self.data)

    def rows(self, start, stop):
        """The samples from `start` to before `stop`."""
        size = len(self.data) // self.shape[0]
        return Tensor(self.dtype, (stop - start,) + self.shape[1:],
                      self.data[start * size:stop * size])

    def _fields(self):
        return {"dtype": self.dtype, "shape": list(self.shape)}

    def request(self):
        if self.pattern is not None:
            return {**self._fields(), "repeat": base64_text(self.pattern)}
        return {**self._fields(), "data": base64_text(self.data)}

    def response(self):
        return {**self._fields(), **bytes_field("data", self.data)}


def base64_text(data):
    return base64.b64encode(data).decode("ascii")


def bytes_field(name, data):
    if len(data) > INLINE_BYTES:
        return {f"{name}_sha256": hashlib.sha256(data).hexdigest()}
    return {name: base64_text(data)}


def ramp(dtype, shape, divisor=3.0):
    """..., -1/3, 0, 1/3, ..., each rounded to the type."""
    count = math.prod(shape)
    return Tensor(dtype, shape, pack(dtype, [(i - count // 2) / divisor for i in range(count)]))


def repeated(dtype, shape, values):
    return Tensor(dtype, shape, pattern=pack(dtype, values))


# --- Masks and their application ----------------------------------------------------------


class Mask:
    """A Bernoulli mask: the noise's shape, its packed bits and the factor of kept elements."""

    def __init__(self, noise, bits, scale):
        self.noise, self.bits, self.scale = tuple(noise), bits, scale

    def applied_to(self, tensor):
        kept = reference.apply(tensor.values(), tensor.shape, self.noise, self.bits, 1.0)
        return Tensor(tensor.dtype, tensor.shape, scaled(tensor.dtype, kept, self.scale))

    def response(self):
        return {"shape": list(self.noise), "scale": self.scale, "sample_scales": [],
                **bytes_field("bits", self.bits)}


def scaled(dtype, values, factor):
    """The bytes of values times factor, as docs/mask-format.md, section 4, rounds them."""
    factor = compute_type(dtype, factor)
    return pack(dtype, [compute_type(dtype, x * factor) for x in values])


def philox_mask(seed, layer_id, p, shape, step=None, sequence_id=None, sample_offset=0, axes=(),
                scaling="INVERTED"):
    noise, bits = reference.mask(seed, layer_id, step, shape, p, sample_offset, axes, sequence_id)
    return Mask(noise, bits, reference.scale(p, scaling))


def numpy_mask(stream, p, shape, axes=()):
    noise, bits = reference.numpy_legacy_mask(stream, shape, p, axes)
    return Mask(noise, bits, reference.scale(p))


def all_kept(shape, factor=1.0):
    """The mask of a layer in eval, or with p = 0."""
    return Mask(shape, reference.pack([1] * math.prod(shape)), factor)
