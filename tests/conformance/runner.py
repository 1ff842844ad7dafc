"""Runs the conformance cases of README.md through a driver, for clients that are driven from
Python. A driver has call(rpc, request), which takes and returns protobuf's JSON form (request
names its session), and raises CallError."""

import base64
import hashlib
import itertools
import json
import math
import pathlib
import secrets

import answers

FOLDER = pathlib.Path(__file__).resolve().parent
WITHOUT_SESSION = ("GetServerInfo", "ListSessions")


class CallError(Exception):
    """The server refused a call."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Failure(Exception):
    """A case went other than it says."""


def load_cases():
    """All cases, in the order of the files' names."""
    return [case for path in sorted(FOLDER.glob("*.json"))
            for case in json.loads(path.read_text(encoding="ascii"))["cases"]]


def missing(case, info):
    """What the case needs and the server (GetServerInfo, in JSON form) lacks."""
    needs = case.get("needs", {})
    lacks = [name for name in needs.get("variants", ()) if name not in info.get("variants", ())]
    lacks += [name for name in needs.get("schedules", ()) if name not in info.get("schedules", ())]
    return lacks + [name for name in needs.get("rpcs", ())
                    if name in info.get("unsupported_rpcs", ())]


def run(case, driver):
    """Runs one case in a session of its own; raises Failure."""
    session_id = "conformance-" + secrets.token_hex(8)
    try:
        driver.call("CreateSession", {**case["session"], "session_id": session_id})
        for number, call in enumerate(case["calls"]):
            _run_call(call, driver, session_id, f"call {number}, {call['rpc']}")
    finally:
        try:
            driver.call("DeleteSession", {"session_id": session_id})
        except CallError:
            pass  # The case may have deleted it.


def _run_call(call, driver, session_id, where):
    request = _expanded(call["request"])
    if call["rpc"] not in WITHOUT_SESSION:
        request["session_id"] = session_id
    expected = call.get("error")
    try:
        answer = driver.call(call["rpc"], request)
    except CallError as error:
        if expected is None:
            raise Failure(f"{where}: {error}") from error
        if (error.code, error.reason) != (expected["code"], expected["reason"]):
            raise Failure(f"{where}: {error}, not {expected['code']} {expected['reason']}") \
                from error
        return
    if expected is not None:
        raise Failure(f"{where}: succeeded, not {expected['code']} {expected['reason']}")
    for difference in differences(call.get("response", {}), answer):
        raise Failure(f"{where}: {difference}")


def _expanded(request):
    """The request with `repeat` written out."""
    request = dict(request)
    for name in ("input", "output_gradient"):
        tensor = request.get(name, {})
        if "repeat" in tensor:
            pattern = base64.b64decode(tensor["repeat"])
            size = math.prod(tensor["shape"]) * answers.ELEMENT_SIZES[tensor["dtype"]]
            data = bytes(itertools.islice(itertools.cycle(pattern), size))
            request[name] = {"dtype": tensor["dtype"], "shape": tensor["shape"],
                             "data": answers.base64_text(data)}
    return request


# --- Comparison ---------------------------------------------------------------------------


def differences(expected, actual, path="response"):
    """What is wrong with the fields that `expected` names, as texts."""
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            yield f"{path} is {actual!r}, not a message"
        elif "tolerance" in expected:
            yield from _tensor_differences(expected, actual, path)
        else:
            for name, value in expected.items():
                yield from _field_differences(name, value, actual, path)
    elif isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            yield f"{path} is {actual!r}, not {expected!r}"
        else:
            for i, value in enumerate(expected):
                yield from differences(value, actual[i], f"{path}[{i}]")
    elif not _equal(expected, actual):
        yield f"{path} is {actual!r}, not {expected!r}"


def _field_differences(name, value, actual, path):
    if name.endswith("_sha256"):
        name = name.removesuffix("_sha256")
        digest = hashlib.sha256(base64.b64decode(actual.get(name, ""))).hexdigest()
        if digest != value:
            yield f"{path}.{name} has the SHA-256 {digest}, not {value}"
    else:
        yield from differences(value, actual.get(name), f"{path}.{name}")


def _equal(expected, actual):
    """Numbers of 64 bits are strings in protobuf's JSON."""
    if isinstance(expected, (int, float)) and not isinstance(expected, bool) and (
            isinstance(actual, str)):
        return float(actual) == expected
    return type(expected) == type(actual) and expected == actual or (
        isinstance(expected, (int, float)) and isinstance(actual, (int, float))
        and expected == actual)


def _tensor_differences(expected, actual, path):
    for name in ("dtype", "shape"):
        yield from differences(expected[name], actual.get(name), f"{path}.{name}")
    wanted, got = (answers.unpack(expected["dtype"], base64.b64decode(tensor.get("data", "")))
                   for tensor in (expected, actual))
    if len(wanted) != len(got):
        yield f"{path} has {len(got)} elements, not {len(wanted)}"
    for i, (a, b) in enumerate(zip(wanted, got)):
        if not abs(a - b) <= expected["tolerance"] * max(1.0, abs(a)):
            yield f"{path}: element {i} is {b!r}, not {a!r}"
