"""A tenant that floods the server, beside a quiet one."""

import pathlib
import statistics
import tempfile
import threading
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import REASON_METADATA, pb, to_tensor
from security_helpers import bearer, make_token

CALL_SECONDS = 120
QUOTA = 50  # Calls a second.
FLOOD = 10 * QUOTA
ROUNDS = 3
PHASE_SECONDS = 3
QUIET_PAUSE_SECONDS = 0.025  # 40 calls a second: within the quota.
# The figure is 1.5, on a quiet machine; this bound only says that no queue forms.
MOST_RATIO = 8

FORWARD = pb.ForwardRequest(session_id="s", layer_id="l", step=1,
                            input=to_tensor(np.ones(1024, np.float32)))


class Flood:
    """Sends calls at a fixed rate, whatever becomes of them."""

    def __init__(self, address, metadata):
        self._channel = harness.channel(address)
        self._stub = harness.stubs().service.DropoutServiceStub(self._channel)
        self._metadata = metadata
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.reasons = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._channel.close()

    def _run(self):
        pending = []
        due = time.monotonic()
        while not self._stop.is_set():
            pending.append(self._stub.Forward.future(FORWARD, metadata=self._metadata,
                                                     timeout=CALL_SECONDS))
            due += 1 / FLOOD
            time.sleep(max(0.0, due - time.monotonic()))
        for call in pending:
            error = call.exception()
            trailing = dict(error.trailing_metadata() or ()) if error is not None else {}
            self.reasons.append(trailing.get(REASON_METADATA, "OK" if error is None else "?"))


class FairnessTest(unittest.TestCase):

    def measure(self, stub, metadata):
        """The quiet tenant's p99 in seconds, over a phase."""
        seconds = []
        end = time.monotonic() + PHASE_SECONDS
        while time.monotonic() < end:
            start = time.perf_counter()
            stub.Forward(FORWARD, metadata=metadata, timeout=CALL_SECONDS)  # Never refused.
            seconds.append(time.perf_counter() - start)
            time.sleep(QUIET_PAUSE_SECONDS)
        return statistics.quantiles(seconds, n=100)[98]

    def test_a_flood_does_not_reach_the_quiet_one(self):
        with tempfile.TemporaryDirectory(prefix="dropout-fairness-") as folder:
            tokens = pathlib.Path(folder) / "tokens"
            red, blue = (bearer(make_token(name, tokens)) for name in ("red", "blue"))
            with harness.Server(f"--auth_tokens={tokens}",
                                f"--tenant_max_calls_per_second={QUOTA}") as server, \
                    harness.channel(server.address) as channel:
                if server.has_sanitizer():
                    self.skipTest("a sanitizer's times are its own")
                stub = harness.stubs().service.DropoutServiceStub(channel)
                for tenant in (red, blue):
                    stub.CreateSession(pb.CreateSessionRequest(session_id="s", layers=[pb.Layer(
                        layer_id="l", p=0.5, dropout=pb.Dropout())]),
                        metadata=tenant, timeout=CALL_SECONDS)
                ratios, reasons = [], []
                for _ in range(ROUNDS):
                    alone = self.measure(stub, blue)
                    with Flood(server.address, red) as flood:
                        beside = self.measure(stub, blue)
                    ratios.append(beside / alone)
                    reasons += flood.reasons
        refused = reasons.count("QUOTA_CALL_RATE")
        print(f"quiet tenant's p99 beside a flood / alone: {statistics.median(ratios):.2f}; "
              f"refused {refused} of {len(reasons)} calls of the flood")
        self.assertEqual(set(reasons), {"OK", "QUOTA_CALL_RATE"})
        self.assertGreater(refused, len(reasons) / 2)
        self.assertLess(statistics.median(ratios), MOST_RATIO)


if __name__ == "__main__":
    unittest.main()
