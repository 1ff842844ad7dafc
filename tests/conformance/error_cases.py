"""Calls that are refused, and lose nothing."""

from answers import FLOAT32, philox_mask, ramp
from case import Case, dropout, layer, place

COMMENT = "Errors by code and reason; what was there before is there after."

X = ramp(FLOAT32, (2, 3))


def refused_layers():
    dropout_fields = {"layer_id": "drop", "dropout": {}}
    for name, wrong in (
            ("p is 1", {**dropout_fields, "p": 1.0}),
            ("p is negative", {**dropout_fields, "p": -0.25}),
            ("p is NaN", {**dropout_fields, "p": "NaN"}),
            ("p is infinite", {**dropout_fields, "p": "Infinity"}),
            ("no variant", {"layer_id": "drop", "p": 0.5}),
            ("no layer_id", {"p": 0.5, "dropout": {}}),
            ("layer_id of 129 bytes", {**dropout_fields, "layer_id": "x" * 129, "p": 0.5}),
            ("control character in layer_id", {**dropout_fields, "layer_id": "a\nb", "p": 0.5}),
            ("axis out of range", dropout("drop", 0.5, (8,))),
            ("axis named twice", dropout("drop", 0.5, (1, 1)))):
        case = Case(f"layer refused: {name}", 1, [dropout("other", 0.5)])
        case.error("CreateLayer", {"layer": wrong}, "INVALID_ARGUMENT", "INVALID_LAYER")
        yield case.call("GetSession", {}, {"layers": [{"layer_id": "other"}]})
    case = Case("layer refused: axis that the input does not have", 1, [dropout("drop", 0.5, (2,))])
    yield case.error("Forward", {**place("drop", 0), "input": X.request()},
                     "INVALID_ARGUMENT", "INVALID_LAYER")


def refused_tensors():
    twenty_four = X.request()["data"]
    for name, tensor in (
            ("one byte too few", {"dtype": FLOAT32, "shape": [6], "data": twenty_four[:-4] + "AAA="}),
            ("no bytes", {"dtype": FLOAT32, "shape": [2, 3]}),
            ("more bytes than the shape", {"dtype": FLOAT32, "shape": [5], "data": twenty_four}),
            ("negative size", {"dtype": FLOAT32, "shape": [-2, -3], "data": twenty_four}),
            ("overflowing shape", {"dtype": FLOAT32, "shape": [2**40, 2**40], "data": twenty_four}),
            ("rank 9", {"dtype": FLOAT32, "shape": [1, 1, 1, 1, 1, 1, 1, 2, 3],
                        "data": twenty_four}),
            ("no dtype", {"shape": [2, 3], "data": twenty_four})):
        case = Case(f"tensor refused: {name}", 1, [dropout("drop", 0.5)])
        case.error("Forward", {**place("drop", 0), "input": tensor},
                   "INVALID_ARGUMENT", "INVALID_TENSOR")
        yield case.error("GetMask", place("drop", 0), "NOT_FOUND", "STEP_NOT_FOUND")
    case = Case("tensor refused: index past the last", 1, [dropout("drop", 0.5)])
    yield case.error("Forward", {**place("drop", 0, 2**63 - 1), "input": X.request()},
                     "INVALID_ARGUMENT", "INVALID_TENSOR")


def refused_steps():
    case = Case("steps refused", 1, [dropout("drop", 0.5)])
    mask = philox_mask(1, "drop", 0.5, X.shape, 0)
    case.error("Forward", {"layer_id": "drop", "input": X.request()},
               "INVALID_ARGUMENT", "STEP_REQUIRED")
    case.error("Backward", {"layer_id": "drop", "output_gradient": X.request()},
               "INVALID_ARGUMENT", "STEP_REQUIRED")
    case.error("GetMask", {"layer_id": "drop", "shape": [2, 3]},
               "INVALID_ARGUMENT", "STEP_REQUIRED")
    case.forward(place("drop", 0), X, mask, 0.5)
    transposed = {**place("drop", 0), "output_gradient": ramp(FLOAT32, (3, 2)).request()}
    case.error("Backward", transposed, "INVALID_ARGUMENT", "SHAPE_MISMATCH")
    unknown = {**place("drop", 1), "output_gradient": X.request()}
    case.error("Backward", unknown, "NOT_FOUND", "STEP_NOT_FOUND")
    yield case.backward(place("drop", 0), X, mask)


def unknown_names():
    case = Case("layer not found", 1, [dropout("drop", 0.5)])
    nobody = place("nobody", 0)
    for rpc, request in (
            ("Forward", {**nobody, "input": X.request()}),
            ("Backward", {**nobody, "output_gradient": X.request()}),
            ("GetMask", {**nobody, "shape": [2, 3]}),
            ("UpdateLayer", {"layer": dropout("nobody", 0.5)}),
            ("DeleteLayer", {"layer_id": "nobody"}),
            ("ReleaseSteps", {"layer_id": "nobody", "through_step": "0"}),
            ("SetMode", {"mode": "MODE_EVAL", "layer_ids": ["drop", "nobody"]})):
        case.error(rpc, request, "NOT_FOUND", "LAYER_NOT_FOUND")
    yield case.call("GetSession", {}, {"layers": [{"layer_id": "drop", "mode": "MODE_TRAIN"}]})

    case = Case("session not found", 1, [dropout("drop", 0.5)])
    case.call("DeleteSession")
    for rpc, request in (
            ("Forward", {**place("drop", 0), "input": X.request()}),
            ("Backward", {**place("drop", 0), "output_gradient": X.request()}),
            ("GetMask", {**place("drop", 0), "shape": [2, 3]}),
            ("CreateLayer", {"layer": dropout("drop", 0.5)}),
            ("UpdateLayer", {"layer": dropout("drop", 0.5)}),
            ("DeleteLayer", {"layer_id": "drop"}),
            ("ReleaseSteps", {"through_step": "0"}),
            ("SetMode", {"mode": "MODE_EVAL"})):
        case.error(rpc, request, "NOT_FOUND", "SESSION_NOT_FOUND")
    yield case


def refused_requests():
    case = Case("requests refused", 1, [dropout("drop", 0.5)])
    yield case.error("SetMode", {"mode": "MODE_UNSPECIFIED"},
                     "INVALID_ARGUMENT", "INVALID_REQUEST")
    for ttl in ("-1s", "2678400s"):
        case = Case(f"session refused: ttl {ttl}")
        request = {**case.session, "ttl": ttl}
        case.call("DeleteSession")
        yield case.error("CreateSession", request, "INVALID_ARGUMENT", "INVALID_SESSION")
    case = Case("session refused: one layer of two")
    layers = [dropout("a", 0.5), layer("b", 1.5)]
    case.call("DeleteSession")
    case.error("CreateSession", {"seed": "1", "layers": layers},
               "INVALID_ARGUMENT", "INVALID_LAYER")
    yield case.error("GetSession", {}, "NOT_FOUND", "SESSION_NOT_FOUND")


def cases():
    for group in (refused_layers, refused_tensors, refused_steps, unknown_names,
                  refused_requests):
        yield from group()
