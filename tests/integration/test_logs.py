"""The log: lines of JSON, names of calls and traces; no tensors, no tokens."""

import base64
import json
import pathlib
import tempfile
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import pb, to_tensor
from security_helpers import bearer, make_token

CALL_SECONDS = 120
LOG_SECONDS = 120
TRACE = "0af7651916cd43dd8448eb211c80319c"
LAYER = pb.Layer(layer_id="l", p=0.5, dropout=pb.Dropout())


def lines(server):
    return [json.loads(line) for line in server.stderr.splitlines()]


def await_line(test, server, **fields):
    """The first line of the log that has these fields."""
    deadline = time.monotonic() + LOG_SECONDS
    while time.monotonic() < deadline:
        for line in lines(server):
            if fields.items() <= line.items():
                return line
    test.fail(f"no line with {fields} in\n{server.stderr}")


def call(channel, rpc, request, metadata=()):
    """Code and trailing metadata."""
    stub = harness.stubs().service.DropoutServiceStub(channel)
    try:
        _, done = getattr(stub, rpc).with_call(request, metadata=metadata, timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        done = error
    return done.code(), dict(done.trailing_metadata())


class LogsTest(unittest.TestCase):

    def test_each_line_is_an_object(self):
        with harness.Server() as server:
            with harness.channel(server.address) as channel:
                call(channel, "CreateSession", pb.CreateSessionRequest(session_id="s"))
            self.assertEqual(server.terminate(), 0)
            events = [line["event"] for line in lines(server)]
            self.assertEqual(events, ["started", "call", "draining", "stopped"])
            for line in lines(server):
                self.assertRegex(line["time"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
                self.assertIn(line["level"], ("debug", "info", "warning", "error"))

    def test_the_request_id_joins_client_and_log(self):
        with harness.Server() as server, harness.channel(server.address) as channel:
            code, trailing = call(channel, "CreateSession", pb.CreateSessionRequest())
            line = await_line(self, server, request_id=trailing["x-request-id"])
            self.assertEqual((line["method"], line["code"]), ("CreateSession", "OK"))
            code, trailing = call(channel, "GetSession", pb.GetSessionRequest(session_id="x"),
                                  (("x-request-id", "mine-1"),))
            self.assertEqual(trailing["x-request-id"], "mine-1")
            line = await_line(self, server, request_id="mine-1")
            self.assertEqual((line["code"], line["reason"]), ("NOT_FOUND", "SESSION_NOT_FOUND"))
            _, trailing = call(channel, "CreateSession", pb.CreateSessionRequest(),
                               (("x-request-id", 'a"},{"level":"error'),))
            self.assertRegex(trailing["x-request-id"], r"\A[0-9a-f]{32}\Z")

    def test_the_trace_is_carried_into_the_log(self):
        with harness.Server() as server, harness.channel(server.address) as channel:
            call(channel, "CreateSession", pb.CreateSessionRequest(),
                 (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),))
            self.assertEqual(await_line(self, server, trace_id=TRACE)["method"], "CreateSession")

    def test_tensor_calls_are_for_debugging_unless_they_fail(self):
        request = pb.ForwardRequest(session_id="s", layer_id="l", step=1,
                                    input=to_tensor(np.ones(4, np.float32)))
        for level, logged in [("info", False), ("debug", True)]:
            with harness.Server(f"--log_level={level}") as server, \
                    harness.channel(server.address) as channel:
                call(channel, "CreateSession",
                     pb.CreateSessionRequest(session_id="s", layers=[LAYER]))
                _, trailing = call(channel, "Forward", request)
                request.session_id = "other"
                _, failed = call(channel, "Forward", request)
                request.session_id = "s"
                await_line(self, server, request_id=failed["x-request-id"])
                ids = [line.get("request_id") for line in lines(server)]
                self.assertEqual(trailing["x-request-id"] in ids, logged)

    def test_what_clients_send_cannot_break_a_line(self):
        with harness.Server() as server, harness.channel(server.address) as channel:
            for session_id in ('"}\n{"event":"forged"', "\x1b[31m", "\u2028\x7f", "\0"):
                call(channel, "GetSession", pb.GetSessionRequest(session_id=session_id),
                     (("x-request-id", "last"),))
            await_line(self, server, request_id="last")
            self.assertEqual({line["event"] for line in lines(server)}, {"started", "call"})

    def test_no_tensor_and_no_token_is_ever_logged(self):
        values = np.frombuffer(b"TENSOR-CONTENTS!" * 16, np.float32)
        with tempfile.TemporaryDirectory() as folder:
            tokens = pathlib.Path(folder) / "tokens"
            token = make_token("red", tokens)
            with harness.Server(f"--auth_tokens={tokens}", "--log_level=debug") as server:
                with harness.channel(server.address) as channel:
                    metadata = bearer(token)
                    call(channel, "CreateSession",
                         pb.CreateSessionRequest(session_id="s", layers=[LAYER]), metadata)
                    tensor = to_tensor(values)
                    at = {"session_id": "s", "layer_id": "l", "step": 1}
                    short = pb.Tensor(dtype=tensor.dtype, shape=[7], data=tensor.data)
                    wrong = pb.Tensor(dtype=99, shape=tensor.shape, data=tensor.data)
                    for part in (tensor, short, wrong):
                        call(channel, "Forward", pb.ForwardRequest(input=part, **at), metadata)
                        call(channel, "Backward", pb.BackwardRequest(output_gradient=part, **at),
                             metadata)
                    call(channel, "Forward", pb.ForwardRequest(input=tensor, **at),
                         bearer(token[:-1]))
                    call(channel, "Forward", pb.ForwardRequest(input=tensor, **at),
                         (("authorization", f"Token {token}"),))
                    raw = channel.unary_unary("/dropout.v1.DropoutService/Forward")
                    with self.assertRaises(grpc.RpcError):
                        raw(b"\xff" + tensor.data, metadata=metadata, timeout=CALL_SECONDS)
                self.assertEqual(server.terminate(), 0)
                log = server.stderr
        self.assertGreaterEqual(log.count('"method":"Forward"'), 6)
        for secret in ("TENSOR-CONTENTS", token, token[8:-1],
                       base64.b64encode(tensor.data).decode()[:16], repr(float(values[0]))[:8],
                       f"{values[0]:g}"):
            self.assertNotIn(secret, log)


if __name__ == "__main__":
    unittest.main()
