"""A server that ends and the next one on its port, under uploads of clients that are grpc's own.

They try again after UNAVAILABLE alone, within a deadline. DROPOUTD_RESTARTS says how many servers
end so.
"""

import collections
import os
import sys
import tempfile
import threading
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import EVAL, Client, dropout_layer, pb, reason_of, to_tensor

MIB = 1 << 20
UPLOAD_MIB = 32
UPLOADERS = 3
RESTARTS = int(os.environ.get("DROPOUTD_RESTARTS", "4"))
# A busy machine, or a server with sanitizers, takes longer than the figure to be held elsewhere.
DEADLINE_SECONDS = float(os.environ.get("DROPOUTD_RESTART_DEADLINE", "120"))
PAUSE_SECONDS = 0.02  # Between attempts.
FORWARD = "/dropout.v1.DropoutService/Forward"


class Uploader(threading.Thread):
    """Uploads until it is told to stop; each upload has a deadline, within which it is tried again
    after UNAVAILABLE, and after nothing else."""

    def __init__(self, address, body, expected):
        super().__init__(daemon=True)
        self.served, self.longest, self.failures = 0, 0.0, []
        self.retried = collections.Counter()  # By reason.
        self._address, self._body, self._expected = address, body, expected
        self._ended = threading.Event()

    def stop(self):
        self._ended.set()
        self.join()

    def run(self):
        with harness.channel(self._address, use_local_subchannel_pool=1) as channel:
            forward = channel.unary_unary(FORWARD)
            while not self._ended.is_set():
                self._upload(forward)

    def _upload(self, forward):
        begun = time.monotonic()
        while True:
            left = begun + DEADLINE_SECONDS - time.monotonic()
            if left <= 0:
                self.failures.append("the deadline has passed")
                return
            try:
                answer = pb.ForwardResponse.FromString(forward(self._body, timeout=left))
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    self.failures.append((error.code(), reason_of(error), error.details()))
                    return
                self.retried[reason_of(error)] += 1
            time.sleep(PAUSE_SECONDS)
        self.longest = max(self.longest, time.monotonic() - begun)
        if answer.output.data != self._expected:
            self.failures.append("a wrong answer")
        self.served += 1


class RestartsTest(unittest.TestCase):

    def test_no_upload_fails(self):
        request = pb.ForwardRequest(session_id="s", layer_id="l", input=to_tensor(
            np.arange(UPLOAD_MIB * MIB // 4, dtype=np.float32)))
        body, expected = request.SerializeToString(), request.input.data
        folder = self.enterContext(tempfile.TemporaryDirectory())
        flags = [f"--store=sqlite:{folder}/store", f"--max_message_bytes={2 * UPLOAD_MIB}MiB",
                 "--drain_timeout=120s"]
        address = "127.0.0.1:0"
        uploaders = []
        for restart in range(RESTARTS + 1):
            with harness.Server(f"--listen={address}", *flags) as server:
                if restart == 0:
                    address = server.address
                    with Client(address, use_local_subchannel_pool=1) as client:
                        client.create_session("s", [dropout_layer("l")], mode=EVAL)
                    uploaders = [Uploader(address, body, expected) for _ in range(UPLOADERS)]
                    for each in uploaders:
                        each.start()
                self.await_uploads(uploaders)
                if restart == RESTARTS:
                    for each in uploaders:
                        each.stop()
                self.assertEqual(server.terminate(), 0, server.stderr)
        served = sum(each.served for each in uploaders)
        retried = sum((each.retried for each in uploaders), collections.Counter())
        failures = [failure for each in uploaders for failure in each.failures]
        print(f"{served} uploads of {UPLOAD_MIB} MiB across {RESTARTS} restarts, longest "
              f"{max(each.longest for each in uploaders):.2f} s, tried again: {dict(retried)}, "
              f"failed: {failures}", file=sys.stderr)
        self.assertEqual(failures, [])

    def await_uploads(self, uploaders):
        """Returns when this server has served one of each, so that all have others under way."""
        before = [each.served + len(each.failures) for each in uploaders]
        deadline = time.monotonic() + 2 * DEADLINE_SECONDS
        while any(each.served + len(each.failures) == old
                  for each, old in zip(uploaders, before)):
            self.assertLess(time.monotonic(), deadline, "the clients do not get through")
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
