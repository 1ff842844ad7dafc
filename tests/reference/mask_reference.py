#!/usr/bin/env python3
"""The mask format of docs/mask-format.md in plain Python: slow, short and easy to check.

Nothing but the standard library is needed. Section numbers below are that page's.

    $ mask_reference.py --seed=1 --layer_id=drop --step=0 --shape=4,5 --p=0.5
"""

import argparse
import math
import struct
import sys

MASK_32 = 0xFFFFFFFF
MASK_64 = 0xFFFFFFFFFFFFFFFF
INDEX_LIMIT = 1 << 63  # Every element's index stays below it.

DOMAIN_MASK = 0
DOMAIN_TIE = 1


def lo(x):
    return x & MASK_32


def hi(x):
    return x >> 32


# Random123


def philox4x32_10(counter, key):
    """Four 32-bit words from four counter words and two key words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0 = 0xD2511F53 * c0
        product1 = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (
            hi(product1) ^ c1 ^ k0,
            lo(product1),
            hi(product0) ^ c3 ^ k1,
            lo(product0),
        )
        k0 = lo(k0 + 0x9E3779B9)
        k1 = lo(k1 + 0xBB67AE85)
    return c0, c1, c2, c3


# 1. Key


def fnv1a64(data):
    """64-bit FNV-1a of bytes."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK_64
    return h


def mask_key(seed, layer_id, step=None, sequence_id=None):
    """(K0, K1, K2) for a layer that is keyed by exactly one of step and sequence_id."""
    if (step is None) == (sequence_id is None):
        raise ValueError("give exactly one of step and sequence_id")
    if step is not None:
        domain, t = 0x70657473, step
    else:
        domain, t = 0x6E716573, sequence_id
    for name, value in (("seed", seed), ("step or sequence_id", t)):
        if not 0 <= value <= MASK_64:
            raise ValueError(f"{name} is {value}, not in [0, 2^64)")
    h = fnv1a64(layer_id.encode("utf-8"))
    a = philox4x32_10((lo(seed), hi(seed), lo(h), hi(h)), (0x706F7264, domain))
    k = philox4x32_10((lo(t), hi(t), a[2], a[3]), (a[0], a[1]))
    return k[:3]


# 2. Index


def noise_shape(shape, broadcast_axes=()):
    """The tensor's shape, with size 1 on the axes that share one draw."""
    rank = len(shape)
    shared = set()
    for axis in broadcast_axes:
        if not -rank <= axis < rank:
            raise ValueError(f"broadcast axis {axis} is not in a tensor of rank {rank}")
        if axis % rank in shared:
            raise ValueError(f"broadcast axis {axis} is named twice")
        shared.add(axis % rank)
    return tuple(1 if axis in shared else size for axis, size in enumerate(shape))


def index_range(shape, sample_offset=0, broadcast_axes=()):
    """The indices g of the noise's elements in row-major order. They are consecutive."""
    sizes = noise_shape(shape, broadcast_axes)
    per_sample = math.prod(sizes[1:])
    axis_0_is_shared = any(axis % len(shape) == 0 for axis in broadcast_axes)
    start = 0 if axis_0_is_shared else sample_offset * per_sample
    indices = range(start, start + math.prod(sizes))
    if indices.stop > INDEX_LIMIT and len(indices) > 0:
        raise ValueError(f"index {indices.stop - 1} is not below 2^63")
    return indices


# 3. Bits


def threshold(p):
    """T = floor(p 2^64)."""
    if not 0 <= p < 1:
        raise ValueError(f"p is {p}, not in [0, 1)")
    return int(math.ldexp(p, 64))


def mask_block(key, block):
    """The 16 random bytes of the elements 16 block to 16 block + 15."""
    words = philox4x32_10((lo(block), hi(block), key[2], DOMAIN_MASK), key[:2])
    return struct.pack("<4I", *words)


def tie_bits(key, g):
    """The 64 further bits that decide element g on a tie."""
    y = philox4x32_10((lo(g), hi(g), key[2], DOMAIN_TIE), key[:2])
    return y[0] + (y[1] << 32)


def split_threshold(p):
    """(top, rest): the byte to compare with, and the 64 bits to compare with on a tie."""
    t = threshold(p)
    return t >> 56, (t << 8) & MASK_64


def bits(key, indices, p):
    """A list of 0 (dropped) and 1 (kept) for the elements with these indices."""
    top, rest = split_threshold(p)
    result = []
    block = None
    for g in indices:
        if g // 16 != block:
            block = g // 16
            random_bytes = mask_block(key, block)
        b = random_bytes[g % 16]
        dropped = b < top or (b == top and tie_bits(key, g) < rest)
        result.append(0 if dropped else 1)
    return result


def pack(values):
    """Bits as bytes: least significant bit first, unused bits of the last byte 0."""
    packed = bytearray((len(values) + 7) // 8)
    for i, value in enumerate(values):
        packed[i // 8] |= value << (i % 8)
    return bytes(packed)


def unpack(packed, count):
    """The first `count` bits of `packed` as a list of 0 and 1."""
    return [packed[i // 8] >> (i % 8) & 1 for i in range(count)]


def mask(seed, layer_id, step, shape, p, sample_offset=0, broadcast_axes=(), sequence_id=None):
    """(noise shape, packed bits) as on the wire. With a sequence_id, step is None."""
    key = mask_key(seed, layer_id, step, sequence_id)
    indices = index_range(shape, sample_offset, broadcast_axes)
    return noise_shape(shape, broadcast_axes), pack(bits(key, indices, p))


# 4. Values


def scale(p, scaling="INVERTED"):
    """What kept elements are multiplied by in train, as a float64."""
    return {"INVERTED": 1 / (1 - p), "NONE": 1.0, "EVAL": 1.0}[scaling]


def eval_factor(p, scaling="INVERTED"):
    """What every element is multiplied by in eval, as a float64."""
    return {"INVERTED": 1.0, "NONE": 1.0, "EVAL": 1 - p}[scaling]


def to_float32(x):
    """x rounded to float32 (to nearest, ties to even)."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def apply(values, shape, noise, packed, factor):
    """The train output for a float64 tensor.

    `values` are its elements, row-major; `noise` is the mask's shape and `packed` its bits;
    `factor` multiplies the kept elements. Serves Backward too.
    """
    kept = unpack(packed, math.prod(noise))
    result = []
    for position, x in enumerate(values):
        place = 0  # of this element's draw in the noise
        stride = 1
        for size, noise_size in zip(reversed(shape), reversed(noise)):
            position, coordinate = divmod(position, size)
            place += stride * (coordinate if noise_size == size else 0)
            stride *= noise_size
        result.append(x * factor if kept[place] else 0.0)
    return result


# 5. GENERATOR_NUMPY_LEGACY


class NumpyLegacyStream:
    """numpy.random.seed(seed) and then numpy.random.rand: MT19937, 53-bit doubles."""

    SIZE = 624
    SHIFT = 397

    def __init__(self, seed):
        if not 0 <= seed <= MASK_32:
            raise ValueError(f"seed is {seed}, not in [0, 2^32)")
        self._state = [seed]  # init_genrand
        for i in range(1, self.SIZE):
            last = self._state[-1]
            self._state.append(lo(1812433253 * (last ^ (last >> 30)) + i))
        self._position = self.SIZE

    def _renew_state(self):
        state = self._state
        for i in range(self.SIZE):
            y = (state[i] & 0x80000000) | (state[(i + 1) % self.SIZE] & 0x7FFFFFFF)
            state[i] = state[(i + self.SHIFT) % self.SIZE] ^ (y >> 1)
            if y & 1:
                state[i] ^= 0x9908B0DF
        self._position = 0

    def next_word(self):
        """The next 32 bits."""
        if self._position == self.SIZE:
            self._renew_state()
        y = self._state[self._position]
        self._position += 1
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680
        y ^= (y << 15) & 0xEFC60000
        return y ^ (y >> 18)

    def rand(self, count):
        """The next `count` doubles in [0, 1)."""
        doubles = []
        for _ in range(count):
            a = self.next_word() >> 5
            b = self.next_word() >> 6
            doubles.append(((a << 26) + b) / (1 << 53))
        return doubles


def numpy_legacy_mask(stream, shape, p, broadcast_axes=()):
    """(noise shape, packed bits) of the next train Forward that draws from `stream`."""
    if not 0 < p < 1:
        raise ValueError(f"p is {p}, not in (0, 1): nothing is drawn")
    noise = noise_shape(shape, broadcast_axes)
    return noise, pack([1 if u > p else 0 for u in stream.rand(math.prod(noise))])


# Command line


def _integers(text):
    return tuple(int(part, 0) for part in text.split(",")) if text else ()


def _any_base(text):
    return int(text, 0)


def _arguments(argv):
    parser = argparse.ArgumentParser(
        description="Prints the mask's shape, its packed bits in hex, and a row of 0 and 1 for "
        "each row of the noise's last axis (1 = kept)."
    )
    parser.add_argument("--generator", choices=("philox", "numpy_legacy"), default="philox")
    parser.add_argument("--seed", type=_any_base, required=True)
    parser.add_argument("--layer_id", help="philox only")
    parser.add_argument("--step", type=_any_base, help="philox; this or --sequence_id")
    parser.add_argument("--sequence_id", type=_any_base, help="philox; this or --step")
    parser.add_argument("--shape", type=_integers, required=True, help='as 4,5; "" for rank 0')
    parser.add_argument("--p", type=float, required=True, help="probability to drop, in [0, 1)")
    parser.add_argument("--sample_offset", type=_any_base, default=0, help="philox only")
    parser.add_argument(
        "--broadcast_axes", type=_integers, default=(), help="as --broadcast_axes=0,-1"
    )
    arguments = parser.parse_args(argv)
    if any(size < 0 for size in arguments.shape):
        parser.error("--shape has a negative size")
    if arguments.sample_offset < 0:
        parser.error("--sample_offset is negative")
    if arguments.generator == "philox" and not arguments.layer_id:
        parser.error("--layer_id is required")
    return parser, arguments


def main(argv=None):
    parser, a = _arguments(argv)
    try:
        if a.generator == "philox":
            noise, packed = mask(
                a.seed, a.layer_id, a.step, a.shape, a.p, a.sample_offset, a.broadcast_axes,
                a.sequence_id,
            )
        else:
            stream = NumpyLegacyStream(a.seed)
            noise, packed = numpy_legacy_mask(stream, a.shape, a.p, a.broadcast_axes)
    except ValueError as error:
        parser.error(str(error))
    print("shape", ",".join(map(str, noise)))
    print("bits", packed.hex())
    kept = unpack(packed, math.prod(noise))
    width = noise[-1] if noise else 1
    for start in range(0, len(kept), max(width, 1)):
        print("".join(map(str, kept[start : start + width])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
