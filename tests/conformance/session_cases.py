"""Sessions, layers, modes and steps: what is kept, and what a repeated call finds."""

from answers import FLOAT32, FLOAT64, all_kept, philox_mask, ramp
from case import EVAL, TRAIN, Case, dropout, place, text

COMMENT = "The life of sessions, layers and steps, of docs/api.md."

X, GRADIENT = ramp(FLOAT32, (4, 6)), ramp(FLOAT32, (4, 6), 7.0)


def mask(p, step, layer_id="drop", seed=1, shape=X.shape):
    return philox_mask(seed, layer_id, p, shape, step)


def stored(layer, revision=1, mode=TRAIN):
    """A layer as it is answered."""
    return {"generator": "GENERATOR_PHILOX", "scaling": "SCALING_INVERTED", **layer, "mode": mode,
            "revision": text(revision)}


def sessions():
    layers = [dropout("b", 0.5, (1,)), dropout("a", 0.25, mode=EVAL)]
    case = Case("session is created again", 2**64 - 1, layers, ttl="600s")
    answer = {"seed": text(2**64 - 1), "mode": TRAIN,
              "layers": [stored(layers[1], mode=EVAL), stored(layers[0])]}
    case.call("CreateSession", case.session, answer)
    case.call("GetSession", {}, answer)
    case.error("CreateSession", {**case.session, "seed": "1"}, "ALREADY_EXISTS", "SESSION_EXISTS")
    case.call("DeleteSession")
    case.error("GetSession", {}, "NOT_FOUND", "SESSION_NOT_FOUND")
    yield case.error("DeleteSession", {}, "NOT_FOUND", "SESSION_NOT_FOUND")


def layers_live():
    case = Case("layers are created, updated and deleted")
    case.call("CreateLayer", {"layer": dropout("drop", 0.5)}, stored(dropout("drop", 0.5)))
    case.call("CreateLayer", {"layer": dropout("drop", 0.5)}, stored(dropout("drop", 0.5)))
    case.error("CreateLayer", {"layer": dropout("drop", 0.25)}, "ALREADY_EXISTS", "LAYER_EXISTS")
    case.forward(place("drop", 0), X, mask(0.5, 0), 0.5)
    case.call("UpdateLayer", {"layer": dropout("drop", 0.25)}, stored(dropout("drop", 0.25), 2))
    case.call("UpdateLayer", {"layer": dropout("drop", 0.25)}, stored(dropout("drop", 0.25), 2))
    case.forward(place("drop", 1), X, mask(0.25, 1), 0.25)
    case.backward(place("drop", 0), GRADIENT, mask(0.5, 0))  # as at its Forward
    case.backward(place("drop", 1), GRADIENT, mask(0.25, 1))
    case.call("DeleteLayer", {"layer_id": "drop"})
    yield case.error("Backward", {**place("drop", 1), "output_gradient": GRADIENT.request()},
                     "NOT_FOUND", "LAYER_NOT_FOUND")


def modes():
    case = Case("modes", 1, [dropout("b", 0.5), dropout("a", 0.5)])
    case.set_mode(EVAL, ["b"], ["b"])
    case.eval_forward(place("b"), X, 0.5)
    case.forward(place("a", 0), X, mask(0.5, 0, "a"), 0.5)
    case.set_mode(EVAL, answered=["a", "b"])
    case.eval_forward(place("a"), X, 0.5)
    case.call("CreateLayer", {"layer": dropout("later", 0.5)},
              stored(dropout("later", 0.5), mode=EVAL))
    case.set_mode(TRAIN, ["a", "later"], ["a", "later"])
    yield case.forward(place("later", 0), X, mask(0.5, 0, "later"), 0.5)


def backward_obeys_its_forward():
    case = Case("backward obeys its forward", 1, [dropout("drop", 0.5)])
    case.forward(place("drop", 0), X, mask(0.5, 0), 0.5)
    case.set_mode(EVAL)
    case.backward(place("drop", 0), GRADIENT, mask(0.5, 0))
    case.eval_forward(place("drop", 1), X, 0.5)
    case.backward(place("drop", 9), GRADIENT, all_kept(X.shape))
    case.set_mode(TRAIN)
    case.backward(place("drop", 1), GRADIENT, all_kept(X.shape))
    yield case.backward(place("drop", 0), ramp(FLOAT64, (4, 6)), mask(0.5, 0))


def masks_are_functions():
    case = Case("mask before forward", 1, [dropout("drop", 0.5)])
    case.mask(place("drop", 3), X.shape, mask(0.5, 3))
    case.mask(place("drop", 3), (2, 2, 3), mask(0.5, 3, shape=(2, 2, 3)))
    case.error("GetMask", place("drop", 3), "NOT_FOUND", "STEP_NOT_FOUND")
    case.forward(place("drop", 3), X, mask(0.5, 3), 0.5)
    case.forward(place("drop", 3), X, mask(0.5, 3), 0.5)
    case.mask(place("drop", 3), None, mask(0.5, 3))
    case.set_mode(EVAL)
    yield case.mask(place("drop"), X.shape, all_kept(X.shape))


def steps_are_released():
    case = Case("steps are released", 1, [dropout("a", 0.5), dropout("b", 0.5)])
    for step in range(4):
        case.forward(place("a", step), X, mask(0.5, step, "a"), 0.5)
    case.forward(place("b", 1), X, mask(0.5, 1, "b"), 0.5)
    case.call("ReleaseSteps", {"layer_id": "a", "through_step": "0"}, {"released_count": "1"})
    case.call("ReleaseSteps", {"layer_id": "a", "through_step": "0"}, {"released_count": "0"})
    case.call("ReleaseSteps", {"through_step": "1"}, {"released_count": "2"})
    gone = {**place("a", 1), "output_gradient": GRADIENT.request()}
    case.error("Backward", gone, "NOT_FOUND", "STEP_NOT_FOUND")
    case.backward(place("a", 2), GRADIENT, mask(0.5, 2, "a"), release=True)
    gone = {**place("a", 2), "output_gradient": GRADIENT.request()}
    case.error("Backward", gone, "NOT_FOUND", "STEP_NOT_FOUND")
    yield case.backward(place("a", 3), GRADIENT, mask(0.5, 3, "a"))


def cases():
    for group in (sessions, layers_live, modes, backward_obeys_its_forward, masks_are_functions,
                  steps_are_released):
        yield from group()
