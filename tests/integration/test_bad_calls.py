"""Every kind of bad call: its code and reason, and that it changed nothing.

A row is one bad call. After each, the server's state is read again and compared with what it
was before: sessions and layers, masks of recorded steps, and gradients of recorded steps.
"""

import dataclasses
import pathlib
import os
import re
import time
import typing
import unittest

import grpc
import harness
import numpy as np
from client_helpers import (EVAL, FLOAT32, FLOAT64, TRAIN, Client, dropout_layer, pb, reason_of,
                            to_array, to_tensor)
from google.protobuf.duration_pb2 import Duration

MIN_ROWS = 150
MIB = 1 << 20
HUGE = 50_000  # Characters, or small numbers, that a request without a tensor may still have.
MAX_INT64 = 2**63 - 1
MAX_UINT64 = 2**64 - 1
MAX_MESSAGE = 1000  # Characters; trailers have little room.
EXPIRY_SECONDS = 120

# Reasons that no call can meet in this build, or that need a server that is stopping or at fault.
ELSEWHERE = {"VARIANT_UNSUPPORTED", "SEQUENCE_REQUIRED", "REGION_NOT_FOUND", "STORE_UNAVAILABLE",
             "STORE_CORRUPT", "STORE_FORMAT_NEWER", "DRAINING", "INTERNAL", "UNAUTHENTICATED",
             "QUOTA_STREAMS", "QUOTA_CALL_RATE", "REGION_BROKEN", "PARAMETERS_REQUIRED",
             "QUOTA_PARAMETER_BYTES", "QUOTA_SHARED_MEMORY", "COMPRESSION_UNSUPPORTED"}

# Paths, addresses and places in the source have no business in a message.
FORBIDDEN = re.compile(r"(^|[\s\"'(])/\w+|\d+\.\d+\.\d+\.\d+|ipv[46]:|unix:|localhost|0x[0-9a-f]|"
                       r"\.(cc|h|py|proto)\b|secret-tenant")


def documented_codes():
    """{reason: code} from the comment in front of DropoutService."""
    text = (pathlib.Path(os.environ["DROPOUT_PROTO_DIR"]) /
            "dropout/v1/dropout_service.proto").read_text()
    table = text[text.index("//   code "):text.index("// A message that does not parse")]
    codes, code = {}, None
    for line in table.splitlines()[1:]:
        if match := re.match(r"//   (\w+)?\s+([A-Z_, ]+)", line):
            code = grpc.StatusCode[match[1]] if match[1] else code
            codes.update((reason, code) for reason in re.findall(r"\w+", match[2]))
    return codes


CODES = documented_codes()


@dataclasses.dataclass(frozen=True)
class Row:
    """A bad call. request: a message, or bytes that are sent as they are. reason: one of the
    contract's, which gives the code; or a code, where gRPC itself answers without a reason.
    word: what the message must contain."""
    name: str
    rpc: str
    request: typing.Any
    reason: typing.Any
    word: str = ""


# --- Rows ---------------------------------------------------------------------------------

SESSION = "main"
SEED = 7
DROP, SHARED, EVALUATED, LEGACY = "drop", "shared", "evaluated", "legacy"
X = np.arange(1, 21, dtype=np.float32).reshape(4, 5)
STEP, OFFSET = 1, 32  # Recorded for DROP, at OFFSET and 0, and for LEGACY at 0.
RELEASED_STEP = 0

SCHEDULES = ["linear", "cosine", "curriculum", "piecewise"]
PARAMETER_RPCS = {"SetParameters": pb.SetParametersRequest,
                  "GetParameters": pb.GetParametersRequest}
UNBUILT_RPCS = {"CreateSharedMemory": pb.CreateSharedMemoryRequest,
                "DeleteSharedMemory": pb.DeleteSharedMemoryRequest}


def with_schedule(kind):
    layer = dropout_layer(DROP)
    layer.schedule.SetInParent()
    if kind is not None:
        getattr(layer.schedule, kind).SetInParent()
    return layer


def bad_layers():
    """(name, layer, reason, word)"""
    for p in ["nan", "inf", "-inf", -1, -5e-324, 1, 1.5, 1e308]:
        yield f"p {p}", dropout_layer(DROP, float(p)), "INVALID_LAYER", "p:"
    for name, layer_id in [("empty", ""), ("129 bytes", "x" * 129), ("43 characters", "€" * 43),
                           ("huge", "x" * HUGE), ("newline", "a\nb"), ("NUL", "a\0b"),
                           ("DEL", "a\x7f"), ("tab", "\t")]:
        yield f"layer_id {name}", dropout_layer(layer_id), "INVALID_LAYER", "layer_id:"
    for field, first in [("mode", 3), ("generator", 3), ("scaling", 4)]:
        for value in [first, 99, -1, 2**31 - 1, -2**31]:
            yield (f"{field} {value}", dropout_layer(DROP, **{field: value}), "INVALID_LAYER",
                   f"{field}: {value}")
    yield "no variant", pb.Layer(layer_id=DROP, p=0.5), "INVALID_LAYER", "variant"
    for axes in [[8], [-9], [2**31 - 1], [-2**31], [0, 1, 0], [-1, -1], [3] * HUGE]:
        yield (f"broadcast_axes {axes[:3]}", dropout_layer(DROP, broadcast_axes=axes),
               "INVALID_LAYER", "broadcast_axes")
    for kind in [None, *SCHEDULES]:
        yield f"schedule {kind}", with_schedule(kind), "INVALID_LAYER", "schedule"


def layer_rows():
    for name, layer, reason, word in bad_layers():
        yield Row(name, "CreateLayer", pb.CreateLayerRequest(session_id=SESSION, layer=layer),
                  reason, word)
        yield Row(name, "UpdateLayer", pb.UpdateLayerRequest(session_id=SESSION, layer=layer),
                  reason, word)
        yield Row(name, "CreateSession",
                  pb.CreateSessionRequest(session_id="new", layers=[dropout_layer("good"), layer]),
                  reason, word)
    yield Row("no layer", "CreateLayer", pb.CreateLayerRequest(session_id=SESSION),
              "INVALID_LAYER", "variant")
    yield Row("no layer", "UpdateLayer", pb.UpdateLayerRequest(session_id=SESSION),
              "INVALID_LAYER", "variant")
    yield Row("unknown layer", "UpdateLayer",
              pb.UpdateLayerRequest(session_id=SESSION, layer=dropout_layer("unknown")),
              "LAYER_NOT_FOUND", "unknown")
    for name, layer in [("p", dropout_layer(DROP, 0.25)),
                        ("mode", dropout_layer(DROP, mode=TRAIN)),
                        ("generator", dropout_layer(DROP, generator=pb.GENERATOR_NUMPY_LEGACY)),
                        ("scaling", dropout_layer(DROP, scaling=pb.SCALING_NONE)),
                        ("broadcast_axes", dropout_layer(DROP, broadcast_axes=[0]))]:
        yield Row(f"layer with other {name}", "CreateLayer",
                  pb.CreateLayerRequest(session_id=SESSION, layer=layer), "LAYER_EXISTS", DROP)


def session_rows():
    def create(name, reason, word, **fields):
        fields = {"session_id": "new", **fields}
        return Row(name, "CreateSession", pb.CreateSessionRequest(**fields), reason, word)

    for name, session_id in [("space", "a b"), ("slash", "a/b"), ("newline", "a\nb"),
                             ("NUL", "a\0"), ("accent", "ä"), ("129 bytes", "x" * 129),
                             ("huge", "x" * HUGE), ("colon", "a:b"), ("percent", "%41")]:
        yield create(f"session_id {name}", "INVALID_SESSION", "session_id", session_id=session_id)
    for name, ttl in [("0", Duration()), ("negative", Duration(seconds=-1)),
                      ("negative nanoseconds", Duration(nanos=-1)),
                      ("over the limit", Duration(seconds=30 * 24 * 3600, nanos=1)),
                      ("year 10000", Duration(seconds=315576000000)),
                      ("INT64_MAX", Duration(seconds=MAX_INT64)),
                      ("INT64_MIN", Duration(seconds=-2**63)),
                      ("overflows nanoseconds", Duration(seconds=2**63 // 10**9 + 1)),
                      ("mixed signs", Duration(seconds=2, nanos=-1)),
                      ("mixed signs, negative", Duration(seconds=-2, nanos=1)),
                      ("nanos 10^9", Duration(seconds=1, nanos=10**9)),
                      ("nanos INT32_MAX", Duration(nanos=2**31 - 1)),
                      ("nanos INT32_MIN", Duration(nanos=-2**31))]:
        yield create(f"ttl {name}", "INVALID_SESSION", "ttl", ttl=ttl)
    for mode in [3, -1, 2**31 - 1]:
        yield create(f"session's mode {mode}", "INVALID_SESSION", f"mode: {mode}", mode=mode)
    yield create("layer twice", "LAYER_EXISTS", "twin",
                 layers=[dropout_layer("twin"), dropout_layer("twin", 0.25)])
    yield create("the same layer twice", "LAYER_EXISTS", "twin", layers=[dropout_layer("twin")] * 2)
    legacy = dropout_layer("l", generator=pb.GENERATOR_NUMPY_LEGACY)
    for seed in [2**32, MAX_UINT64]:
        yield create(f"NUMPY_LEGACY with seed {seed}", "INVALID_LAYER", "seed", seed=seed,
                     layers=[legacy])
    yield create("layers over the limit", "QUOTA_LAYERS", "layers",
                 layers=[dropout_layer(str(i)) for i in range(1025)])
    same = {"session_id": SESSION, "seed": SEED, "layers": main_layers()}
    for name, fields in [("seed", {"seed": 8}), ("mode", {"mode": EVAL}),
                         ("ttl", {"ttl": Duration(seconds=5)}), ("no layers", {"layers": []}),
                         ("another layer", {"layers": [*main_layers(), dropout_layer("more")]}),
                         ("other p", {"layers": [dropout_layer(DROP, 0.25), *main_layers()[1:]]})]:
        yield create(f"session with other {name}", "SESSION_EXISTS", SESSION, **{**same, **fields})
    yield create("session without its seed", "SESSION_EXISTS", SESSION, session_id=SESSION,
                 layers=main_layers())
    for rpc, layer in [("CreateLayer", dropout_layer("l", generator=pb.GENERATOR_NUMPY_LEGACY)),
                       ("UpdateLayer", dropout_layer("d", generator=pb.GENERATOR_NUMPY_LEGACY))]:
        yield Row("NUMPY_LEGACY with a large seed", rpc,
                  getattr(pb, f"{rpc}Request")(session_id="large-seed", layer=layer),
                  "INVALID_LAYER", "seed")


def listing_rows():
    for size in [-1, -2**31]:
        yield Row(f"page_size {size}", "ListSessions", pb.ListSessionsRequest(page_size=size),
                  "INVALID_REQUEST", f"page_size: {size}")
    for token in ["x", "main", "after:", "AFTER:main", " after:main", "x" * HUGE, "\0"]:
        yield Row(f"page_token {token[:12]!r}", "ListSessions",
                  pb.ListSessionsRequest(page_token=token), "INVALID_REQUEST", "page_token")


def session_requests(session_id):
    """(rpc, a request that is good but for its session)"""
    step = {"session_id": session_id, "layer_id": DROP, "step": STEP}
    yield "GetSession", pb.GetSessionRequest(session_id=session_id)
    yield "DeleteSession", pb.DeleteSessionRequest(session_id=session_id)
    yield "ExportSession", pb.ExportSessionRequest(session_id=session_id)
    yield "ForkSession", pb.ForkSessionRequest(session_id=session_id, new_session_id="fork")
    yield "CreateLayer", pb.CreateLayerRequest(session_id=session_id, layer=dropout_layer("n"))
    yield "UpdateLayer", pb.UpdateLayerRequest(session_id=session_id, layer=dropout_layer(DROP))
    yield "DeleteLayer", pb.DeleteLayerRequest(session_id=session_id, layer_id=DROP)
    yield "SetMode", pb.SetModeRequest(session_id=session_id, mode=EVAL)
    yield "Forward", pb.ForwardRequest(**step, input=to_tensor(X))
    yield "Backward", pb.BackwardRequest(**step, output_gradient=to_tensor(X))
    yield "GetMask", pb.GetMaskRequest(**step, shape=[2])
    yield "ReleaseSteps", pb.ReleaseStepsRequest(session_id=session_id, through_step=MAX_UINT64)


def unknown_session_rows():
    for name, session_id in [("unknown", "nobody"), ("empty", ""), ("deleted", "deleted"),
                             ("expired", "expired"), ("huge", "x" * HUGE), ("prefix", "mai"),
                             ("other case", "MAIN"), ("control characters", "\n\x01\x7f" * 99),
                             ("not ASCII", "日本" * 50)]:
        for rpc, request in session_requests(session_id):
            word = session_id[:4] if session_id.isascii() and session_id.isprintable() else ""
            yield Row(f"session {name}", rpc, request, "SESSION_NOT_FOUND", word)


def unknown_layer_rows():
    for name, layer_id in [("unknown", "unknown"), ("empty", ""), ("deleted", "deleted"),
                           ("huge", "x" * HUGE), ("prefix", DROP[:-1]), ("newlines", "\n" * 300),
                           ("another session's", "theirs")]:
        step = {"session_id": SESSION, "layer_id": layer_id, "step": STEP}
        word = layer_id[:3] if layer_id.isprintable() else ""
        requests = [
            ("DeleteLayer", pb.DeleteLayerRequest(session_id=SESSION, layer_id=layer_id)),
            ("SetMode", pb.SetModeRequest(session_id=SESSION, mode=EVAL,
                                          layer_ids=[DROP, layer_id])),
            ("Forward", pb.ForwardRequest(**step, input=to_tensor(X))),
            ("Backward", pb.BackwardRequest(**step, output_gradient=to_tensor(X))),
            ("GetMask", pb.GetMaskRequest(**step, shape=[2]))]
        if layer_id:  # Empty means all.
            requests.append(("ReleaseSteps", pb.ReleaseStepsRequest(
                session_id=SESSION, layer_id=layer_id, through_step=MAX_UINT64)))
        for rpc, request in requests:
            yield Row(f"layer {name}", rpc, request, "LAYER_NOT_FOUND", word)


def tensor(shape, byte_size=0, dtype=FLOAT32):
    return pb.Tensor(dtype=dtype, shape=shape, data=bytes(byte_size))


def bad_tensors(field):
    """(name, tensor, word)"""
    yield "missing", None, f"{field}.dtype"
    for dtype in [0, 5, 99, -1, 2**31 - 1]:
        yield f"dtype {dtype}", tensor([4, 5], 80, dtype), f"{field}.dtype: {dtype}"
    for size in [-1, -2**63]:
        yield f"shape [{size}]", tensor([size]), "shape"
        yield f"shape [{size}, 0]", tensor([size, 0]), "shape"
    yield "two negative sizes", tensor([-4, -5], 80), "shape"
    yield "rank 9", tensor([1] * 9, 4), "rank 9"
    yield "rank 9, empty", tensor([0] * 9), "rank 9"
    yield "rank 100000", tensor([1] * 100000, 4), "rank 100000"
    yield "2^63 elements", tensor([2**32, 2**31]), "shape"
    yield "2^64 elements, 0 when it wraps", tensor([2**32, 2**32]), "shape"
    yield "2^64 + 4 elements, 4 when it wraps", tensor([2**62 + 1, 4], 16), "shape"
    yield "empty, and the other axes overflow", tensor([2**40, 0, 2**40]), "shape"
    yield "huge and no data", tensor([2**40]), f"{field}.data"
    yield "bytes overflow", tensor([MAX_INT64]), f"{field}: shape"
    yield "bytes wrap to 0", tensor([2**62]), f"{field}: shape"
    for byte_size in [0, 1, 79, 81, 160]:
        yield f"{byte_size} bytes for 80", tensor([4, 5], byte_size), f"{field}.data: {byte_size}"
    yield "float64 of float32's size", tensor([4, 5], 80, FLOAT64), f"{field}.data"
    yield "rank 0 without data", tensor([]), f"{field}.data"
    yield "data for an empty tensor", tensor([0, 5], 4), f"{field}.data"


IN_SHARED_MEMORY = pb.Tensor(dtype=FLOAT32, shape=[4, 5],
                             shared_memory=pb.SharedMemoryRef(region_id="r", offset=-1))


def forward(layer_id=DROP, **fields):
    fields = {"session_id": SESSION, "layer_id": layer_id, "step": 5, "input": to_tensor(X),
              **fields}
    return pb.ForwardRequest(**fields)


def backward(layer_id=DROP, **fields):
    fields = {"session_id": SESSION, "layer_id": layer_id, "step": STEP,
              "output_gradient": to_tensor(X), **fields}
    return pb.BackwardRequest(**fields)


def mask_of(layer_id=DROP, **fields):
    fields = {"session_id": SESSION, "layer_id": layer_id, "step": 5, **fields}
    return pb.GetMaskRequest(**fields)


def tensor_rows():
    for name, bad, word in bad_tensors("input"):
        for layer_id in [DROP, EVALUATED, LEGACY]:
            yield Row(f"{layer_id}: input {name}", "Forward", forward(layer_id, input=bad),
                      "INVALID_TENSOR", word)
    for name, bad, word in bad_tensors("output_gradient"):
        yield Row(f"gradient {name}", "Backward", backward(output_gradient=bad),
                  "INVALID_TENSOR", word)
    for size in [-1, -2**63]:
        yield Row(f"shape [{size}]", "GetMask", mask_of(shape=[size]), "INVALID_TENSOR", "shape")
    for name, shape in [("overflows", [2**32, 2**31]), ("rank 9", [1] * 9),
                        ("empty, and the other axes overflow", [0, 2**40, 2**40]),
                        ("negative and 0", [0, -1])]:
        yield Row(f"shape {name}", "GetMask", mask_of(shape=shape), "INVALID_TENSOR", "shape")
    yield Row("input in shared memory", "Forward", forward(input=IN_SHARED_MEMORY),
              "RPC_UNSUPPORTED", "shared memory")
    yield Row("gradient in shared memory", "Backward", backward(output_gradient=IN_SHARED_MEMORY),
              "RPC_UNSUPPORTED", "shared memory")
    place = pb.SharedMemoryRef(region_id="r")
    yield Row("output in shared memory", "Forward", forward(output=place), "RPC_UNSUPPORTED",
              "shared memory")
    yield Row("output in shared memory", "Backward", backward(output=place, release=True),
              "RPC_UNSUPPORTED", "shared memory")
    for axis in ["[2]", "[-3]", "[7]", "[-8]"]:
        layer_id = f"axis {axis}"
        yield Row(f"{layer_id} of rank 2", "Forward", forward(layer_id), "INVALID_LAYER",
                  "broadcast_axes")
        yield Row(f"{layer_id} of rank 0", "Forward", forward(layer_id, input=tensor([], 4)),
                  "INVALID_LAYER", "broadcast_axes")
        yield Row(f"{layer_id} of rank 1", "GetMask", mask_of(layer_id, shape=[4]),
                  "INVALID_LAYER", "broadcast_axes")
    for layer_id in ["first axis twice", "first axis twice legacy", "first axis twice evaluated"]:
        yield Row(f"{layer_id}, as 0 and -2", "Forward", forward(layer_id), "INVALID_LAYER",
                  "broadcast_axes: -2")
        yield Row(f"{layer_id}, as 0 and -2", "GetMask", mask_of(layer_id, shape=[4, 5]),
                  "INVALID_LAYER", "broadcast_axes: -2")


def offset_rows():
    for offset in [-1, -2**63]:
        yield Row(f"sample_offset {offset}", "Forward", forward(sample_offset=offset),
                  "INVALID_TENSOR", f"sample_offset: {offset}")
        yield Row(f"legacy sample_offset {offset}", "Forward",
                  forward(LEGACY, sample_offset=offset), "INVALID_TENSOR", "sample_offset")
        yield Row(f"eval sample_offset {offset}", "Forward",
                  forward(EVALUATED, sample_offset=offset), "INVALID_TENSOR", "sample_offset")
        yield Row(f"sample_offset {offset}", "GetMask", mask_of(shape=[4], sample_offset=offset),
                  "INVALID_TENSOR", "sample_offset")
        yield Row(f"sample_offset {offset}", "Backward", backward(sample_offset=offset),
                  "STEP_NOT_FOUND", str(offset))
    for name, offset in [("MAX", MAX_INT64), ("one too many", 2**63 // 5 - 3),
                         ("wraps to 0", 2**62)]:
        yield Row(f"last index passes 2^63: {name}", "Forward", forward(sample_offset=offset),
                  "INVALID_TENSOR", "sample_offset")
        yield Row(f"last index passes 2^63: {name}", "GetMask",
                  mask_of(shape=[4, 5], sample_offset=offset), "INVALID_TENSOR", "sample_offset")
    yield Row("rank 0 past 2^63", "GetMask", mask_of(shape=[2], sample_offset=MAX_INT64),
              "INVALID_TENSOR", "sample_offset")


def step_rows():
    for layer_id in [DROP, SHARED, LEGACY]:
        yield Row(f"{layer_id}: no step", "Forward", forward(layer_id, step=None),
                  "STEP_REQUIRED", "step")
        yield Row(f"{layer_id}: no step", "Backward", backward(layer_id, step=None),
                  "STEP_REQUIRED", "step")
        yield Row(f"{layer_id}: no step", "GetMask", mask_of(layer_id, step=None, shape=[4]),
                  "STEP_REQUIRED", "step")
    yield Row("train with p = 0: no step", "Forward", forward("p 0", step=None), "STEP_REQUIRED",
              "step")
    for layer_id in ["", DROP]:
        yield Row(f"no through_step for {layer_id!r}", "ReleaseSteps",
                  pb.ReleaseStepsRequest(session_id=SESSION, layer_id=layer_id), "STEP_REQUIRED",
                  "through_step")
    unrecorded = [("never ran", DROP, {"step": 77}), ("largest", DROP, {"step": MAX_UINT64}),
                  ("released", DROP, {"step": RELEASED_STEP}),
                  ("at another offset", DROP, {"step": STEP, "sample_offset": 31}),
                  ("of another layer", SHARED, {"step": STEP}),
                  ("of a layer that was made again", "again", {"step": STEP})]
    for name, layer_id, at in unrecorded:
        yield Row(f"step {name}", "Backward", backward(layer_id, **at), "STEP_NOT_FOUND",
                  str(at["step"]))
        yield Row(f"step {name}, release", "Backward", backward(layer_id, **at, release=True),
                  "STEP_NOT_FOUND", str(at["step"]))
        yield Row(f"step {name}", "GetMask", mask_of(layer_id, **at), "STEP_NOT_FOUND",
                  str(at["step"]))
    yield Row("eval without step or shape", "GetMask", mask_of(EVALUATED, step=None),
              "STEP_REQUIRED", "shape")
    yield Row("eval step that never ran, without shape", "GetMask", mask_of(EVALUATED),
              "STEP_NOT_FOUND", "shape")
    yield Row("sequential generator before its Forward", "GetMask",
              mask_of(LEGACY, step=5, shape=[4, 5]), "STEP_NOT_FOUND", "sequential")
    yield Row("sequential generator with another shape", "GetMask",
              mask_of(LEGACY, step=STEP, shape=[5, 4]), "STEP_NOT_FOUND", "sequential")
    for shape in [[5, 4], [20], [4, 5, 1], [1, 4, 5], [4, 4], []]:
        size = int(np.prod(shape, dtype=int))
        for layer_id in [DROP, LEGACY]:
            yield Row(f"{layer_id}: gradient of shape {shape}", "Backward",
                      backward(layer_id, output_gradient=tensor(shape, 4 * size), release=True),
                      "SHAPE_MISMATCH", "[4, 5]")


def mode_rows():
    for mode in [0, 3, -1, 2**31 - 1]:
        for layer_ids in [[], [DROP]]:
            yield Row(f"mode {mode} of {layer_ids}", "SetMode",
                      pb.SetModeRequest(session_id=SESSION, mode=mode, layer_ids=layer_ids),
                      "INVALID_REQUEST", f"mode: {mode}")


def unbuilt_rows():
    for rpc, request in UNBUILT_RPCS.items():
        yield Row("empty", rpc, request(), "RPC_UNSUPPORTED", "shared memory")
    yield Row("not built", "CreateSharedMemory",
              pb.CreateSharedMemoryRequest(session_id=SESSION, byte_size=-1), "RPC_UNSUPPORTED", "")
    yield Row("no such RPC", "Dance", b"", grpc.StatusCode.UNIMPLEMENTED)


def parameter_rows():
    for rpc, request in PARAMETER_RPCS.items():
        yield Row("empty", rpc, request(), "SESSION_NOT_FOUND", "session_id")
        yield Row("no such layer", rpc, request(session_id=SESSION, layer_id="none"),
                  "LAYER_NOT_FOUND", "layer_id")
    for name in ["weight", "", "x" * HUGE]:
        yield Row(f"parameter {name[:6]}", "SetParameters",
                  pb.SetParametersRequest(session_id=SESSION, layer_id=DROP, parameters=[
                      pb.Parameter(name=name, value=to_tensor(X))]), "INVALID_REQUEST",
                  "parameters.name")
    yield Row("parameter without a value", "SetParameters",
              pb.SetParametersRequest(session_id=SESSION, layer_id=DROP,
                                      parameters=[pb.Parameter(name="weight")]),
              "INVALID_TENSOR", "parameters.value")


def good_request(rpc):
    requests = {"CreateSession": pb.CreateSessionRequest(session_id="new", seed=1,
                                                         layers=[dropout_layer("a")]),
                "ImportSession": pb.ImportSessionRequest(session_id="new", snapshot=b"none"),
                "ListSessions": pb.ListSessionsRequest(page_size=5, page_token="after:a"),
                **dict(session_requests(SESSION)),
                "GetServerInfo": pb.GetServerInfoRequest(),
                **{rpc: make() for rpc, make in {**PARAMETER_RPCS, **UNBUILT_RPCS}.items()}}
    return requests[rpc].SerializeToString()


def message_rows():
    """Bytes that do not parse. Field 1 is the session's id in nearly every request."""
    broken = [("invalid UTF-8", b"\x0a\x02\xc3\x28"), ("lone surrogate", b"\x0a\x03\xed\xa0\x80"),
              ("length past the end", b"\x0a\x7f\x61"),
              ("huge length", b"\x0a\xff\xff\xff\xff\x0f"),
              ("tag alone", b"\x0a"), ("field 0", b"\x02\x00"), ("wire type 6", b"\x0e"),
              ("end of a group that never began", b"\x0c"), ("varint without an end", b"\x80" * 11),
              ("varint of 11 bytes", b"\xf8\x01" + b"\xff" * 10 + b"\x01"),
              ("garbage", bytes(range(255, 0, -1)))]
    calls = {rpc: good_request(rpc) for rpc in ["CreateSession", "GetSession", "DeleteSession",
                                                "CreateLayer", "UpdateLayer", "DeleteLayer",
                                                "SetMode", "Forward", "Backward", "GetMask",
                                                "ReleaseSteps"]}
    for rpc, good in calls.items():
        for name, body in broken:
            yield Row(f"message: {name}", rpc, body, "INVALID_REQUEST", "parse")
            yield Row(f"message: good and then {name}", rpc, good + body, "INVALID_REQUEST",
                      "parse")
        yield Row("message: cut", rpc, good[:-1], "INVALID_REQUEST", "parse")
    for rpc in ["ListSessions", "ExportSession", "ImportSession", "ForkSession", "GetServerInfo",
                "SetParameters", "GetParameters", "CreateSharedMemory", "DeleteSharedMemory"]:
        yield Row("message: wire type 6", rpc, b"\x0e", "INVALID_REQUEST", "parse")
        yield Row("message: tag alone", rpc, good_request(rpc) + b"\x0a", "INVALID_REQUEST",
                  "parse")
    yield Row("page_token not UTF-8", "ListSessions", b"\x12\x01\xff", "INVALID_REQUEST", "parse")
    # A field of another wire type is an unknown field, and so the field is not set.
    yield Row("message: session_id as a number", "GetSession", b"\x08\x01", "SESSION_NOT_FOUND",
              "session_id")
    yield Row("message: layer as a number", "CreateLayer", b"\x0a\x04main\x10\x01",
              "INVALID_LAYER", "variant")
    whole = forward(step=6).SerializeToString()
    for cut in range(1, len(whole), 7):
        body = whole[:cut]
        try:
            pb.ForwardRequest.FromString(body)
        except Exception:  # Cut inside a field: does not parse.
            yield Row(f"Forward cut after {cut} bytes", "Forward", body, "INVALID_REQUEST", "parse")
    # Without a body a request is one with every field unset.
    for rpc, reason in {"GetSession": "SESSION_NOT_FOUND", "DeleteSession": "SESSION_NOT_FOUND",
                        "DeleteLayer": "SESSION_NOT_FOUND", "CreateLayer": "INVALID_LAYER",
                        "UpdateLayer": "INVALID_LAYER", "SetMode": "INVALID_REQUEST",
                        "Forward": "INVALID_TENSOR", "Backward": "INVALID_TENSOR",
                        "ExportSession": "SESSION_NOT_FOUND", "ForkSession": "SESSION_NOT_FOUND",
                        "ImportSession": "INVALID_SESSION",
                        "GetMask": "SESSION_NOT_FOUND", "ReleaseSteps": "STEP_REQUIRED"}.items():
        yield Row("empty body", rpc, b"", reason)


def large_mask_rows():
    for name, shape in [("one bit more", [64 * MIB * 8 + 8]), ("huge", [2**40]),
                        ("largest", [MAX_INT64]), ("of two axes", [2**31, 2**31])]:
        yield Row(f"mask {name}", "GetMask", mask_of(shape=shape), "QUOTA_MESSAGE_BYTES", "shape")
    yield Row("eval mask huge", "GetMask", mask_of(EVALUATED, shape=[2**40]),
              "QUOTA_MESSAGE_BYTES", "shape")
    # No element, so no bytes are sent; but the noise of a shared axis has its own size.
    for layer_id in ["first axis", "first axis legacy"]:
        yield Row(f"{layer_id}: no data and a huge mask", "Forward",
                  forward(layer_id, input=tensor([0, 2**46])), "QUOTA_MESSAGE_BYTES", "shape")
    yield Row("no data and a huge mask", "GetMask", mask_of("first axis", shape=[0, 2**46]),
              "QUOTA_MESSAGE_BYTES", "shape")


def main_rows():
    for rows in [layer_rows, session_rows, listing_rows, unknown_session_rows, unknown_layer_rows,
                 tensor_rows, offset_rows, step_rows, mode_rows, parameter_rows, unbuilt_rows,
                 message_rows,
                 large_mask_rows]:
        yield from rows()


def few_rows():
    for session_id in ["third", ""]:
        yield Row(f"third session {session_id!r}", "CreateSession",
                  pb.CreateSessionRequest(session_id=session_id), "QUOTA_SESSIONS", "2")
    yield Row("third layer", "CreateLayer",
              pb.CreateLayerRequest(session_id=SESSION, layer=dropout_layer("third")),
              "QUOTA_LAYERS", "2")
    yield Row("session of three layers", "CreateSession",
              pb.CreateSessionRequest(layers=[dropout_layer(name) for name in "abc"]),
              "QUOTA_LAYERS", "2")
    yield Row("third sequential step", "Forward", forward(LEGACY, step=9), "QUOTA_STEPS", "2")
    yield Row("third sequential step, at an offset", "Forward",
              forward(LEGACY, step=STEP, sample_offset=4), "QUOTA_STEPS", "2")
    for layer_id, step in [(LEGACY, STEP), (DROP, 9)]:
        yield Row(f"{layer_id}: mask over the cache", "Forward",
                  forward(layer_id, step=step, input=tensor([MIB], 4 * MIB)), "QUOTA_MASK_CACHE",
                  "--mask_cache_bytes allows 16384")


def narrow_rows():
    yield Row("request over the bytes in flight", "Forward",
              forward(input=tensor([10000], 40000)), "QUOTA_BYTES_IN_FLIGHT", "20480")
    yield Row("gradient over the bytes in flight", "Backward",
              backward(output_gradient=tensor([10000], 40000)), "QUOTA_BYTES_IN_FLIGHT", "20480")
    yield Row("id over the bytes in flight", "GetSession",
              pb.GetSessionRequest(session_id="x" * 30000), "QUOTA_BYTES_IN_FLIGHT", "20480")
    yield Row("garbage over the bytes in flight", "GetMask", b"\x0e" * 30000,
              "QUOTA_BYTES_IN_FLIGHT", "20480")
    for rpc, request in [("Forward", forward(input=tensor([50000], 200000))),
                         ("Backward", backward(output_gradient=tensor([50000], 200000))),
                         ("GetSession", pb.GetSessionRequest(session_id="x" * 200000)),
                         ("CreateLayer", b"\x0e" * 200000)]:
        yield Row("message over gRPC's limit", rpc, request, grpc.StatusCode.RESOURCE_EXHAUSTED)
    yield Row("mask over the message limit", "GetMask", mask_of(shape=[4096 * 8 + 8]),
              "QUOTA_MESSAGE_BYTES", "shape")


# --- Servers ------------------------------------------------------------------------------


def main_layers():
    return [dropout_layer(DROP), dropout_layer(SHARED, broadcast_axes=[1]),
            dropout_layer(EVALUATED, mode=EVAL),
            dropout_layer(LEGACY, generator=pb.GENERATOR_NUMPY_LEGACY)]


def record_steps(client):
    """The steps that every server has before its bad calls."""
    client.forward(SESSION, LEGACY, X, step=STEP)
    for offset in [0, OFFSET]:
        client.forward(SESSION, DROP, X, step=STEP, sample_offset=offset)


def fill_main(client):
    client.create_session(SESSION, main_layers(), seed=SEED)
    record_steps(client)
    client.forward(SESSION, DROP, X, step=RELEASED_STEP)
    if client.release_steps(SESSION, DROP, RELEASED_STEP) != 1:
        raise AssertionError("the step to release was not there")
    for axis in [2, -3, 7, -8]:
        client.create_layer(SESSION, dropout_layer(f"axis [{axis}]", broadcast_axes=[axis]))
    client.create_layer(SESSION, dropout_layer("first axis", broadcast_axes=[0]))
    client.create_layer(SESSION, dropout_layer("first axis legacy", broadcast_axes=[0],
                                               generator=pb.GENERATOR_NUMPY_LEGACY))
    for name, fields in [("", {}), (" legacy", {"generator": pb.GENERATOR_NUMPY_LEGACY}),
                         (" evaluated", {"mode": EVAL})]:
        client.create_layer(SESSION, dropout_layer(f"first axis twice{name}",
                                                   broadcast_axes=[0, -2], **fields))
    client.create_layer(SESSION, dropout_layer("p 0", 0))
    client.create_layer(SESSION, dropout_layer("deleted"))
    client.delete_layer(SESSION, "deleted")
    client.create_layer(SESSION, dropout_layer("again"))
    client.forward(SESSION, "again", X, step=STEP)
    client.delete_layer(SESSION, "again")
    client.create_layer(SESSION, dropout_layer("again"))
    client.create_session("large-seed", [dropout_layer("d")], seed=MAX_UINT64)
    client.create_session("secret-tenant", [dropout_layer("theirs"), dropout_layer(DROP)])
    client.create_session("deleted", [dropout_layer(DROP)])
    client.delete_session("deleted")
    expire_session(client)


def expire_session(client):
    """Makes a session and waits until it is gone, without a call on it that would renew it."""
    client.create_session("expired", [dropout_layer(DROP)], ttl=Duration(nanos=50_000_000))
    deadline = time.monotonic() + EXPIRY_SECONDS
    while any(session.session_id == "expired" for session in client.list_sessions()):
        if time.monotonic() > deadline:
            raise AssertionError("the session does not expire")


def fill_few(client):
    """As many sessions, layers and sequential steps as there may be."""
    client.create_session(SESSION, [dropout_layer(DROP), dropout_layer(
        LEGACY, generator=pb.GENERATOR_NUMPY_LEGACY)], seed=SEED)
    client.create_session("secret-tenant")
    record_steps(client)
    client.forward(SESSION, LEGACY, X, step=STEP + 1)
    # Its two steps could be made again, and so could make room for a third.
    client.update_layer(SESSION, dropout_layer(DROP, generator=pb.GENERATOR_NUMPY_LEGACY))


def fill_narrow(client):
    client.create_session(SESSION, main_layers(), seed=SEED)
    record_steps(client)


@dataclasses.dataclass(frozen=True)
class Table:
    """Bad calls to one server. fill makes the state that they must not change; draws is how
    often that drew from the NUMPY_LEGACY stream."""
    flags: typing.Sequence[str]
    fill: typing.Callable
    rows: typing.Callable
    draws: int = 1


TABLES = {
    "main": Table([], fill_main, main_rows),
    "few": Table(["--max_sessions=2", "--max_layers_per_session=2", "--max_steps_per_layer=2",
                  "--mask_cache_bytes=16KiB"], fill_few, few_rows, draws=2),
    "narrow": Table(["--max_message_bytes=4KiB", "--max_bytes_in_flight=20480"], fill_narrow,
                    narrow_rows),
}


def snapshot(client):
    """All of the state that a client can see, but for the times of expiry."""
    sessions = client.list_sessions(page_size=1000)
    for session in sessions:
        session.ClearField("expire_time")
    steps = []
    for layer_id, offset in [(DROP, 0), (DROP, OFFSET), (LEGACY, 0)]:
        at = {"step": STEP, "sample_offset": offset}
        steps.append(client.get_mask(SESSION, layer_id, **at).SerializeToString())
        steps.append(client.backward(SESSION, layer_id, X, **at).tobytes())
    return [session.SerializeToString(deterministic=True) for session in sessions], steps


class BadCallsTest(unittest.TestCase):
    maxDiff = 2000

    def check_error(self, row, error):
        code, message, reason = error.code(), error.details(), reason_of(error)
        if isinstance(row.reason, grpc.StatusCode):  # gRPC's own answer.
            self.assertEqual((code, reason), (row.reason, None), message)
            return
        self.assertTrue(message)
        self.assertLessEqual(len(message), MAX_MESSAGE)
        self.assertEqual((code, reason), (CODES[row.reason], row.reason), message)
        self.assertIn(row.word, message)
        self.assertIsNone(FORBIDDEN.search(message), message)

    def check_row(self, client, row, before):
        body = row.request if isinstance(row.request, bytes) else row.request.SerializeToString()
        with self.assertRaises(grpc.RpcError) as raised:
            client.call_raw(row.rpc, body)
        self.check_error(row, raised.exception)
        self.assertEqual(snapshot(client), before)

    def check_stream_stands(self, client, table):
        """No bad call drew from the session's stream: the next draw follows the good ones."""
        client.release_steps(SESSION, LEGACY, MAX_UINT64)
        numpy_random = np.random.RandomState(SEED)
        numpy_random.rand(table.draws, *X.shape)
        kept = numpy_random.rand(*X.shape) > 0.5
        output = to_array(client.forward(SESSION, LEGACY, X, step=STEP).output)
        np.testing.assert_array_equal(output, np.where(kept, X * 2, 0))

    def check_table(self, table, rows):
        with harness.Server(*table.flags) as server, Client(server.address) as client:
            table.fill(client)
            before = snapshot(client)
            for row in rows:
                with self.subTest(rpc=row.rpc, row=row.name):
                    self.check_row(client, row, before)
            self.check_stream_stands(client, table)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_bad_calls_get_their_reason_and_change_nothing(self):
        rows = {name: list(table.rows()) for name, table in TABLES.items()}
        every = [row for part in rows.values() for row in part]
        self.assertGreaterEqual(len(every), MIN_ROWS)
        self.assertEqual(len({(row.rpc, row.name) for row in every}), len(every),
                         "two rows have one name")
        self.assertEqual({row.reason for row in every if isinstance(row.reason, str)},
                         CODES.keys() - ELSEWHERE)
        for name, table in TABLES.items():
            with self.subTest(server=name):
                self.check_table(table, rows[name])


if __name__ == "__main__":
    unittest.main()
