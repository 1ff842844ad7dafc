"""The variant `dropout` with counter-based masks: bits, values, types, shapes, places."""

from answers import (BFLOAT16, DATA_TYPES, FLOAT16, FLOAT32, FLOAT64, all_kept, philox_mask, ramp,
                     repeated)
from case import Case, dropout, place

COMMENT = "Bernoulli dropout with GENERATOR_PHILOX, of docs/mask-format.md."

MAX_64 = 2**64 - 1
INF, NAN = float("inf"), float("nan")


def short(dtype):
    return dtype.removeprefix("DATA_TYPE_").lower()


def one_step(name, dtype, shape, p, seed=1, layer_id="drop", step=7, sample_offset=0, axes=(),
             scaling="INVERTED"):
    """Forward and Backward of one step, and its mask."""
    fields = {} if scaling == "INVERTED" else {"scaling": f"SCALING_{scaling}"}
    case = Case(name, seed, [dropout(layer_id, p, axes, **fields)])
    at = place(layer_id, step, sample_offset)
    mask = all_kept(shape) if p == 0 else philox_mask(
        seed, layer_id, p, shape, step, sample_offset=sample_offset, axes=axes, scaling=scaling)
    case.forward(at, ramp(dtype, shape), mask, p)
    case.backward(at, ramp(dtype, shape, 7.0), mask)
    return case.mask(at, None, mask)


def types():
    for dtype in DATA_TYPES:
        for p in (0.1, 0.3, 0.9):
            yield one_step(f"dropout {short(dtype)} p {p}", dtype, (5, 7), p)


def probabilities():
    for p in (0.0, 1e-300, 1e-6, 0.25, 0.5, 0.999, 1 - 2**-53):
        yield one_step(f"dropout p {p!r}", FLOAT64, (9, 11), p)


def shapes():
    for shape in ((), (1,), (9,), (16,), (17,), (1, 1), (7, 33), (2, 3, 5, 7),
                  (2, 1, 2, 1, 2, 1, 2, 3)):
        name = "x".join(map(str, shape)) or "of rank 0"
        yield one_step(f"dropout shape {name}", FLOAT32, shape, 0.3)
    for shape in ((0,), (0, 4), (3, 0, 5)):
        name = "x".join(map(str, shape))
        yield one_step(f"dropout empty shape {name}", FLOAT32, shape, 0.3)


def names():
    """What the key is made from."""
    for seed, layer_id, step in ((0, "a", 0), (2**32, "b", 2**32), (MAX_64, "x" * 128, MAX_64),
                                 (0x0123456789ABCDEF, "Größe/層-1", 2**53 + 1)):
        yield one_step(f"dropout key of seed {seed} step {step}", FLOAT32, (4, 9), 0.3, seed,
                       layer_id, step)


def broadcast():
    for axes in ((0,), (1,), (-1,), (0, 2), (1, -1), (0, 1, 2)):
        name = ",".join(map(str, axes))
        yield one_step(f"dropout broadcast axes {name}", FLOAT32, (3, 4, 5), 0.3, sample_offset=2,
                       axes=axes)


def offsets():
    for offset, shape in ((1, (5, 13)), (2**32 - 3, (6, 4)), (2**63 - 3, (3,))):
        yield one_step(f"dropout sample offset {offset}", FLOAT32, shape, 0.3,
                       sample_offset=offset)


def scalings():
    for scaling, factor in (("NONE", 1.0), ("EVAL", 1 - 0.3)):
        for dtype in (FLOAT32, FLOAT64, FLOAT16, BFLOAT16):
            name = f"dropout scaling {scaling} {short(dtype)}"
            case = one_step(name, dtype, (4, 5), 0.3, scaling=scaling)
            case.set_mode("MODE_EVAL", answered=["drop"])
            yield case.eval_forward(place("drop"), ramp(dtype, (4, 5)), 0.3, factor)


def batch_split():
    """Workers with parts of a batch get those rows of the whole batch's mask."""
    case = Case("dropout batch split over workers", 9, [dropout("drop", 0.5)])
    whole, gradient = ramp(FLOAT32, (12, 10)), ramp(FLOAT32, (12, 10), 7.0)
    output = philox_mask(9, "drop", 0.5, whole.shape, 3).applied_to(whole)
    for start, stop in ((0, 12), (0, 6), (6, 12), (0, 1), (1, 4), (4, 12)):
        part = whole.rows(start, stop)
        mask = philox_mask(9, "drop", 0.5, part.shape, 3, sample_offset=start)
        assert mask.applied_to(part).data == output.rows(start, stop).data
        case.forward(place("drop", 3, start), part, mask, 0.5)
        case.backward(place("drop", 3, start), gradient.rows(start, stop), mask)
    yield case


def special_values():
    values = [0.0, -0.0, INF, -INF, 3.0e38, -3.0e38, 1.4e-45, NAN, 1.0]
    for dtype in DATA_TYPES:
        case = Case(f"dropout special values {short(dtype)}", 1, [dropout("drop", 0.5)])
        tensor = repeated(dtype, (8, 9), values)
        yield case.forward(place("drop", 7), tensor, philox_mask(1, "drop", 0.5, (8, 9), 7), 0.5)


def large():
    case = Case("dropout large", 5, [dropout("drop", 0.25)])
    tensor = repeated(FLOAT32, (61, 1031), [1.0, -2.5, 1 / 3])
    mask = philox_mask(5, "drop", 0.25, tensor.shape, 1)
    case.forward(place("drop", 1), tensor, mask, 0.25)
    yield case.backward(place("drop", 1), tensor, mask)
    case = Case("dropout large float16", 5, [dropout("drop", 0.25)])
    tensor = repeated(FLOAT16, (61, 131), [1.0, -2.5, 1 / 3, 65504.0])
    yield case.forward(place("drop", 1), tensor, philox_mask(5, "drop", 0.25, tensor.shape, 1),
                       0.25)


def cases():
    for group in (types, probabilities, shapes, names, broadcast, offsets, scalings, batch_split,
                  special_values, large):
        yield from group()
