#!/usr/bin/env python3
"""Writes mask_vectors.json, known answers made by the references of this folder. Always the same bytes."""

import hashlib
import json
import pathlib
import struct

import block_vectors
import mask_reference as reference
import noise_vectors

PATH = pathlib.Path(__file__).resolve().parent / "mask_vectors.json"

COMMENT = """\
Known answers of docs/mask-format.md, written by tests/reference/make_vectors.py: do not edit.
Integers that may exceed 2^53 are decimal strings. Words of 32 bits and strings of bytes are hex.
float64 values are JSON numbers that read back exactly, or, where they are answers, C hex floats.
philox4x32_10: counter (4 words), key (2 words), output (4 words).
fnv1a64: text (hashed as UTF-8), hash (16 hex digits).
keys: seed, layer_id, keyed_by ("step" or "sequence"), t (the step or sequence_id),
  key (K0, K1, K2).
masks: seed, layer_id, keyed_by and t as in keys; p; threshold (T); shape of the tensor;
  sample_offset; broadcast_axes; noise_shape; kept (how many bits are 1). Then either bits (packed,
  as on the wire) or, from 5000 elements up, bits_head (the first 32 bytes) and bits_sha256 (of
  all the bytes).
refused: shape, sample_offset, broadcast_axes of calls whose index would reach 2^63.
ties: seed, layer_id, keyed_by, t, p, threshold, top, rest; the elements with index g in
  [start, start + count) whose byte equals top, in order, each with g, r and kept. The others are
  decided by their byte alone.
scales: p; train_float64 and train_float32: s of INVERTED in that compute type; eval_float64 and
  eval_float32: the factor of EVAL in eval.
apply: float64 tensors under INVERTED: seed, layer_id, keyed_by, t, p, shape, sample_offset,
  broadcast_axes; input and output: the bits of the float64s, row-major, 16 hex digits each.
numpy_legacy_streams: seed, doubles (the first ones, hex floats).
numpy_legacy_sessions: seed, forwards: masks drawn one after the other from one stream, each with
  p, shape, broadcast_axes, noise_shape, kept, bits.
"""
COMMENT += noise_vectors.COMMENT + block_vectors.COMMENT

MAX_64 = 2**64 - 1
BIG_SEED = 0x0123456789ABCDEF
LONG_ID = "x" * 128
UTF8_ID = "Größe/層-1"
# Two spellings of one letter are two names: nothing is normalised.
LAYER_IDS = ("a", "b", " ", "drop", "\u00e9", "e\u0301", UTF8_ID, "\U0001f642", LONG_ID)

ALL_P = (1e-300, 1e-6, 0.001, 0.1, 0.25, 0.3, 0.5, 0.9, 0.999, 1 - 2**-53, 2**-64, 2**-65)


def words(values):
    return [f"{value:08x}" for value in values]


def philox_entries():
    ones = 0xFFFFFFFF
    cases = (
        ((0, 0, 0, 0), (0, 0)),
        ((ones,) * 4, (ones,) * 2),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)),
    )
    for counter, key in cases:
        output = reference.philox4x32_10(counter, key)
        yield {"counter": words(counter), "key": words(key), "output": words(output)}


def fnv_entries():
    for text in ("", "foobar") + LAYER_IDS:
        yield {"text": text, "hash": f"{reference.fnv1a64(text.encode('utf-8')):016x}"}


def time_arguments(keyed_by, t):
    return {"step": t} if keyed_by == "step" else {"step": None, "sequence_id": t}


def identity(seed, layer_id, keyed_by, t):
    return {"seed": str(seed), "layer_id": layer_id, "keyed_by": keyed_by, "t": str(t)}


def key_entries():
    times = (0, 1, 2**32 - 1, 2**32, MAX_64)
    cases = [(seed, "drop", 7) for seed in (0, 1, 2**32 - 1, 2**32, BIG_SEED, MAX_64)]
    cases += [(BIG_SEED, layer_id, 7) for layer_id in LAYER_IDS]
    cases += [(1, "drop", t) for t in times]
    cases += [(0, "a", 0), (MAX_64, LONG_ID, MAX_64)]
    for seed, layer_id, t in cases:
        for keyed_by in ("step", "sequence"):
            key = reference.mask_key(seed, layer_id, **time_arguments(keyed_by, t))
            yield {**identity(seed, layer_id, keyed_by, t), "key": words(key)}


def bit_fields(packed, noise):
    elements = 1
    for size in noise:
        elements *= size
    fields = {"noise_shape": list(noise), "kept": sum(reference.unpack(packed, elements))}
    if elements < 5000:
        return {**fields, "bits": packed.hex()}
    head, digest = packed[:32].hex(), hashlib.sha256(packed).hexdigest()
    return {**fields, "bits_head": head, "bits_sha256": digest}


def mask_entry(shape, p, sample_offset=0, axes=(), seed=1, layer_id="drop", keyed_by="step", t=7):
    noise, packed = reference.mask(
        seed, layer_id, shape=shape, p=p, sample_offset=sample_offset, broadcast_axes=axes,
        **time_arguments(keyed_by, t),
    )
    return {
        **identity(seed, layer_id, keyed_by, t),
        "p": p,
        "threshold": str(reference.threshold(p)),
        "shape": list(shape),
        "sample_offset": str(sample_offset),
        "broadcast_axes": list(axes),
        **bit_fields(packed, noise),
    }


def mask_entries():
    for p in (0.0,) + ALL_P:
        yield mask_entry((71, 73), p)
        yield mask_entry((3, 7), p, seed=BIG_SEED, layer_id=UTF8_ID, t=2**32)

    shapes = (
        (), (1,), (2,), (8,), (9,), (15,), (16,), (17,), (129,), (1, 1), (5, 3), (32, 16), (7, 33),
        (2, 3, 5), (3, 1, 17), (2, 3, 5, 7), (2, 1, 3, 1, 11), (2, 3, 1, 2, 3, 2),
        (1, 2, 3, 1, 2, 3, 5), (2, 2, 2, 2, 2, 2, 2, 2), (1, 1, 1, 1, 1, 1, 1, 1),
        (3, 1, 2, 1, 2, 1, 2, 3),
        (0,), (0, 4), (4, 0), (3, 0, 5), (0, 0), (1, 1, 1, 1, 1, 1, 1, 0),
    )
    for shape in shapes:
        yield mask_entry(shape, 0.3)
    for shape in ((5000,), (1, 5001), (10007, 1), (64, 127), (9, 10, 11, 13)):
        yield mask_entry(shape, 0.1, t=MAX_64)

    # The last two begin just before g, and before g div 16, grow past 32 bits.
    for offset in (0, 1, 32, 2**40 + 3, 2**32 - 600, 2**36 - 600):
        for shape in ((), (37,), (5, 13), (32, 4, 3), (1300,)):
            yield mask_entry(shape, 0.3, offset)
        yield mask_entry((5, 1021), 0.001, offset)

    for shape, offset in near_limit():
        yield mask_entry(shape, 0.3, offset)
    # Axis 0 is shared: the offset is not part of the index.
    yield mask_entry((4, 9), 0.3, 2**63 - 1, (0,))

    for axes in (
        (0,), (1,), (-1,), (-3,), (0, 1), (0, -1), (1, 2), (2, 1), (1, -1), (-1, 0), (0, 1, 2),
        (-1, -2, -3),
    ):
        for offset in (0, 3):
            yield mask_entry((6, 5, 7), 0.3, offset, axes)
    yield mask_entry((2, 3, 2, 3, 2, 3, 2, 3), 0.5, 1, (1, 3, -2))
    yield mask_entry((2, 3, 2, 3, 2, 3, 2, 3), 0.5, 1, tuple(range(8)))
    yield mask_entry((40, 130, 17), 0.25, 32, (2,))
    # A shared axis has size 1 in the noise, even where the tensor's is 0.
    yield mask_entry((0, 5), 0.3, 0, (0,))
    yield mask_entry((3, 0), 0.3, 2, (1,))
    yield mask_entry((3, 0, 4), 0.3, 0, (0,))

    for seed, layer_id, t in ((0, "a", 0), (0, "b", 0), (1, "a", 0), (MAX_64, LONG_ID, MAX_64)):
        for keyed_by in ("step", "sequence"):
            yield mask_entry((11, 23), 0.3, 5, (), seed, layer_id, keyed_by, t)
    yield mask_entry((4, 9, 33), 0.25, 5, (1,), 1, "rnn", "sequence", 2**32)


def near_limit():
    """Shapes and offsets whose last index is just below 2^63."""
    yield (), 2**63 - 1
    yield (3,), 2**63 - 3
    yield (300,), 2**63 - 300
    yield (1, 4), 2**61 - 1
    yield (5, 64), 2**57 - 5
    yield (2, 3), (2**63 // 3) - 2
    yield (40, 2, 64), 2**56 - 40


def refused_entries():
    cases = [(shape, offset + 1, ()) for shape, offset in near_limit() if shape]
    cases += [((1, 3), 2**63 - 1, ()), ((4, 4, 5), 2**61, (2,))]
    for shape, offset, axes in cases:
        yield {"shape": list(shape), "sample_offset": str(offset), "broadcast_axes": list(axes)}


def tie_entry(p, start, count, seed, layer_id, keyed_by, t):
    key = reference.mask_key(seed, layer_id, **time_arguments(keyed_by, t))
    top, rest = reference.split_threshold(p)
    ties = []
    for g in range(start, start + count):
        if reference.mask_block(key, g // 16)[g % 16] != top:
            continue
        kept = reference.bits(key, [g], p) == [1]
        ties.append({"g": str(g), "r": str(reference.tie_bits(key, g)), "kept": kept})
    return {
        **identity(seed, layer_id, keyed_by, t),
        "p": p,
        "threshold": str(reference.threshold(p)),
        "top": top,
        "rest": str(rest),
        "start": str(start),
        "count": count,
        "ties": ties,
    }


def tie_entries():
    for p in ALL_P:
        yield tie_entry(p, 0, 1500, 1, "drop", "step", 7)
    for start in (2**32 - 1000, 2**36 - 1000, 2**40 + 3, 2**63 - 2000):
        for p in (0.001, 0.1, 0.3, 0.9):
            yield tie_entry(p, start, 2000, BIG_SEED, UTF8_ID, "sequence", 2**32)
    # The rare tie that drops: one element in a million.
    yield tie_entry(1e-6, 252000, 4096, 1, "drop", "step", 7)


def scale_entries():
    for p in ALL_P:
        s, factor = reference.scale(p, "INVERTED"), reference.eval_factor(p, "EVAL")
        yield {
            "p": p,
            "train_float64": s.hex(),
            "train_float32": reference.to_float32(s).hex(),
            "eval_float64": factor.hex(),
            "eval_float32": reference.to_float32(factor).hex(),
        }


def float64_bits(x):
    return struct.pack(">d", x).hex()


def apply_entry(shape, p, sample_offset, axes, values):
    noise, packed = reference.mask(1, "drop", 7, shape, p, sample_offset, axes)
    output = reference.apply(values, shape, noise, packed, reference.scale(p))
    return {
        **identity(1, "drop", "step", 7),
        "p": p,
        "shape": list(shape),
        "sample_offset": str(sample_offset),
        "broadcast_axes": list(axes),
        "input": [float64_bits(x) for x in values],
        "output": [float64_bits(x) for x in output],
    }


def apply_entries():
    thirds = [(i - 30) / 3 for i in range(60)]
    yield apply_entry((), 0.3, 4, (), [1 / 3])
    yield apply_entry((4, 15), 0.3, 2, (), thirds)
    yield apply_entry((3, 4, 5), 0.1, 0, (1,), thirds)
    yield apply_entry((3, 4, 5), 0.9, 0, (0, -1), thirds)
    inf, nan = float("inf"), float("nan")
    # Signs of zero, infinities, overflow to infinity, subnormals, a quiet NaN.
    special = [0.0, -0.0, inf, -inf, 1.7e308, -1.7e308, 5e-324, -3e-320, nan]
    yield apply_entry((5, 9), 0.5, 0, (), special * 5)


def numpy_stream_entries():
    for seed in (0, 1, 2**32 - 1):
        doubles = reference.NumpyLegacyStream(seed).rand(5)
        yield {"seed": str(seed), "doubles": [u.hex() for u in doubles]}


def numpy_forward(stream, shape, p, axes=()):
    noise, packed = reference.numpy_legacy_mask(stream, shape, p, axes)
    return {
        "p": p, "shape": list(shape), "broadcast_axes": list(axes), **bit_fields(packed, noise)
    }


def numpy_session_entries():
    sessions = [(1, [((4, 5), 0.5)])]
    sessions += [(seed, [((1000,), 0.3)]) for seed in (0, 1, 42, 2**31, 2**32 - 1)]
    sessions += [
        (7, [((3, 7), 0.25), ((), 0.5), ((0, 3), 0.5), ((4, 6, 5), 0.1, (1,)), ((2, 9), 0.9, (0,))])
    ]
    for seed, calls in sessions:
        stream = reference.NumpyLegacyStream(seed)
        yield {"seed": str(seed), "forwards": [numpy_forward(stream, *call) for call in calls]}


def make():
    """The whole text of mask_vectors.json: an entry a line, so that a change reads well."""
    sections = {
        "comment": COMMENT.split("\n"),
        "philox4x32_10": philox_entries(),
        "fnv1a64": fnv_entries(),
        "keys": key_entries(),
        "masks": mask_entries(),
        "refused": refused_entries(),
        "ties": tie_entries(),
        "scales": scale_entries(),
        "apply": apply_entries(),
        "numpy_legacy_streams": numpy_stream_entries(),
        "numpy_legacy_sessions": numpy_session_entries(),
        **noise_vectors.sections(identity, time_arguments),
        **block_vectors.sections(),
    }
    blocks = []
    for name, entries in sections.items():
        lines = ",\n".join("    " + json.dumps(entry) for entry in entries)
        blocks.append(f'  "{name}": [\n{lines}\n  ]')
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(make(), encoding="ascii")
