"""GENERATOR_NUMPY_LEGACY: a stream that is drawn from in the order of the calls."""

from answers import FLOAT32, FLOAT64, Tensor, numpy_mask, pack, ramp
from case import Case, dropout, place
from mask_reference import NumpyLegacyStream

COMMENT = "Masks from numpy.random.seed's stream; the first case is the teaching notebook."

NUMPY = "GENERATOR_NUMPY_LEGACY"


def arange(count, shape, divisor):
    return Tensor(FLOAT64, shape, pack(FLOAT64, [i / divisor for i in range(count)]))


def notebook():
    case = Case("notebook", 1, [dropout("dropout", 0.5, generator=NUMPY)])
    x, gradient = arange(20, (4, 5), 20), arange(20, (4, 5), 50)
    mask = numpy_mask(NumpyLegacyStream(1), 0.5, (4, 5))
    case.forward(place("dropout", 0), x, mask, 0.5)
    case.backward(place("dropout", 0), gradient, mask)
    case.set_mode("MODE_EVAL", answered=["dropout"])
    yield case.eval_forward(place("dropout"), x, 0.5)


def streams():
    """Layers draw from one stream; repeated calls draw nothing."""
    layers = [dropout("a", 0.25, generator=NUMPY), dropout("b", 0.5, (0,), generator=NUMPY)]
    case = Case("numpy stream of two layers", 2**32 - 1, layers)
    stream = NumpyLegacyStream(2**32 - 1)
    x = ramp(FLOAT32, (3, 7))
    first = numpy_mask(stream, 0.25, x.shape)
    second = numpy_mask(stream, 0.5, x.shape, (0,))
    third = numpy_mask(stream, 0.25, x.shape)
    case.forward(place("a", 0), x, first, 0.25)
    case.forward(place("b", 0), x, second, 0.5)
    case.forward(place("a", 0), x, first, 0.25)
    case.forward(place("a", 1, sample_offset=3), x, third, 0.25)
    case.backward(place("b", 0), x, second)
    case.mask(place("a", 1, sample_offset=3), None, third)
    yield case.error("GetMask", {**place("a", 2), "shape": [3, 7]}, "NOT_FOUND", "STEP_NOT_FOUND")


def eval_draws_nothing():
    case = Case("numpy eval draws nothing", 42, [dropout("a", 0.5, generator=NUMPY)])
    stream, x = NumpyLegacyStream(42), ramp(FLOAT64, (5, 4))
    case.forward(place("a", 0), x, numpy_mask(stream, 0.5, x.shape), 0.5)
    case.set_mode("MODE_EVAL")
    case.eval_forward(place("a", 1), x, 0.5)
    case.set_mode("MODE_TRAIN")
    yield case.forward(place("a", 2), x, numpy_mask(stream, 0.5, x.shape), 0.5)


def refused():
    case = Case("numpy seed out of range", 2**32)
    yield case.error("CreateLayer", {"layer": dropout("a", 0.5, generator=NUMPY)},
                     "INVALID_ARGUMENT", "INVALID_LAYER")


def cases():
    for group in (notebook, streams, eval_draws_nothing, refused):
        yield from group()
