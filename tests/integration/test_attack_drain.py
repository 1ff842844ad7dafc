"""What begins while the server drains: refused with a name and a duration, and held by nobody."""

import json
import time
import unittest

import attack
import grpc
import harness
import numpy as np
import raw_call
from client_helpers import Client, dropout_layer, pb, reason_of, to_tensor
from pages import await_page
from security_helpers import bearer

LATE_CALLS = 20
CALL_SECONDS = 60


class AttackDrainTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server(
            *(flag for flag in attack.SMALL if not flag.startswith("--drain_timeout")),
            "--drain_timeout=60s", "--metrics_listen=127.0.0.1:0"))
        self.client = self.enterContext(Client(self.server.address, use_local_subchannel_pool=1))
        self.client.create_session("s", [dropout_layer("l")])

    def drain(self, held):
        """SIGTERM, while the raw call `held` keeps the server."""
        held.send(b"", announced=10)
        deadline = time.monotonic() + CALL_SECONDS
        while self.server.metric("dropoutd_calls_in_flight") < 1:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.server.signal()
        await_page(self.server, "/readyz", 503)

    def late_exchange(self, name):
        """(code, reason, trailing metadata) of a stream that begins now."""
        request = pb.ExchangeRequest(forward=pb.ForwardRequest(
            session_id="s", layer_id="l", step=1, input=to_tensor(np.ones(4, np.float32))))
        stream = self.client.service.Exchange(iter([request]), timeout=CALL_SECONDS,
                                              metadata=(("x-request-id", name),))
        with self.assertRaises(grpc.RpcError) as raised:
            list(stream)
        error = raised.exception
        return error.code(), reason_of(error), dict(error.trailing_metadata())

    def test_a_late_exchange_has_a_name_and_a_duration(self):
        names = [f"late-{number}" for number in range(LATE_CALLS)]
        begin = time.monotonic()
        with raw_call.RawCall(self.server.address, "Forward") as held:
            self.drain(held)
            for name in names:
                code, reason, trailing = self.late_exchange(name)
                self.assertEqual((code, reason), (grpc.StatusCode.UNAVAILABLE, "DRAINING"))
                self.assertEqual(trailing.get("x-request-id"), name)
        self.assertEqual(self.server.wait(), 0)
        took = time.monotonic() - begin
        self.server.__exit__()  # Reads its log to the end.
        lines = [json.loads(line) for line in self.server.stderr.splitlines()]
        late = [line for line in lines if line.get("request_id") in names]
        self.assertEqual(len(late), LATE_CALLS)
        for line in late:
            self.assertEqual((line["method"], line["reason"]), ("Exchange", "DRAINING"))
            self.assertGreaterEqual(line["seconds"], 0)
            self.assertLess(line["seconds"], took)


class UnendingCallsTest(attack.AttackTest):
    """A server that drains ends in time, whatever its clients hold open."""

    def end_with(self, *calls):
        begin = time.monotonic()
        code = self.server.terminate(attack.DRAIN_SECONDS + attack.EXIT_GRACE_SECONDS)
        self.assertEqual(code, 0, self.server.stderr)
        for call in calls:
            call.__exit__(None, None, None)
        return time.monotonic() - begin

    def test_half_messages(self):
        self.serve()
        calls = [raw_call.RawCall(self.server.address, rpc, bearer(self.token))
                 for rpc in ("Forward", "Exchange", "CreateSession", "ImportSession") * 10]
        for call in calls:
            call.send(bytes(30_000), announced=1 << 20)
        self.end_with(*calls)


if __name__ == "__main__":
    unittest.main()
