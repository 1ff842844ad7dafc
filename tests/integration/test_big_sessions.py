"""A session of many steps over Redis is copied and removed while it trains, and stalls nobody."""

import itertools
import os
import shutil
import threading
import time
import unittest

import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb, to_tensor
from store_helpers import RedisServer

STEPS = int(os.environ.get("DROPOUTD_BIG_STEPS", "50000"))
STEPS_OF_A_LAYER = 25000
COPIES = 4
# 20 and 100 on a machine that has nothing else to do.
MOST_SCRIPT_MS = int(os.environ.get("DROPOUTD_SCRIPT_MS", "100"))
MOST_CALL_MS = int(os.environ.get("DROPOUTD_CALL_MS", "3000"))
X = to_tensor(np.ones(8, np.float32))
FLAGS = ("--metrics_listen=127.0.0.1:0", "--max_message_bytes=512MiB")


class Load:
    """Forward and Backward of a session's layer, step after step, in a thread of its own."""

    def __init__(self, client, session_id, layer_id):
        self._call = client.call
        self._at = {"session_id": session_id, "layer_id": layer_id}
        self.seconds, self.failures = [], []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        for step in itertools.count():
            if self._over.is_set():
                return
            try:
                begin = time.monotonic()
                y = self._call("Forward", pb.ForwardRequest(**self._at, step=step, input=X)).output
                self.seconds.append(time.monotonic() - begin)
                dx = self._call("Backward", pb.BackwardRequest(
                    **self._at, step=step, output_gradient=X)).input_gradient
                assert dx == y, step
            except Exception as error:  # pylint: disable=broad-except
                self.failures.append(error)
                return


@unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
class BigSessionsTest(unittest.TestCase):

    def setUp(self):
        self.redis = RedisServer(self, "--appendonly", "no")
        servers = [self.enterContext(harness.Server(self.redis.flag, *FLAGS)) for _ in range(2)]
        self.client, self.other = [self.enterContext(Client(each.address)) for each in servers]
        self.layers = [f"l{i}" for i in range(-(-STEPS // STEPS_OF_A_LAYER))]
        self.client.create_session("big", [dropout_layer(name) for name in (
            *self.layers, "training")], seed=1)
        self.other.create_session("small", [dropout_layer("l")], seed=1)
        begin = time.monotonic()
        answers = self.client.service.Exchange(self.steps(), timeout=600)
        self.assertFalse(any(each.HasField("error") for each in answers))
        print(f"{STEPS} steps made in {time.monotonic() - begin:.1f} s")

    def steps(self):
        for step in range(STEPS):
            yield pb.ExchangeRequest(forward=pb.ForwardRequest(
                session_id="big", layer_id=self.layers[step // STEPS_OF_A_LAYER],
                step=step % STEPS_OF_A_LAYER, input=X))

    def timed(self, what, call):
        begin = time.monotonic()
        result = call()
        print(f"{what}: {time.monotonic() - begin:.2f} s")
        return result

    def test_it_is_copied_and_removed_while_it_trains(self):
        self.redis.run("config", "set", "slowlog-log-slower-than", str(MOST_SCRIPT_MS * 1000))
        with Load(self.client, "big", "training") as training, \
                Load(self.other, "small", "l") as small:
            slow = [self.copy_and_remove(i) for i in range(COPIES)]
        self.assertEqual(training.failures + small.failures, [])
        for name, load in (("big", training), ("small", small)):
            times = np.sort(load.seconds) * 1000
            print(f"{name}: {len(times)} Forwards, p50 {np.quantile(times, .5):.1f} ms, p99.9 "
                  f"{np.quantile(times, .999):.1f} ms, most {times[-1]:.1f} ms")
            self.assertLess(times[-1], MOST_CALL_MS)
        print(f"scripts over {MOST_SCRIPT_MS} ms: {slow}")
        # Other processes of the machine make some scripts slow, but not in each round.
        self.assertEqual(min(slow), 0)

    def copy_and_remove(self, number):
        """How many scripts took long meanwhile."""
        self.redis.run("slowlog", "reset")
        snapshot = self.timed("export", lambda: self.client.call(
            "ExportSession", pb.ExportSessionRequest(session_id="big")).snapshot)
        fork, imported = f"fork-{number}", f"imported-{number}"
        self.timed("import", lambda: self.client.call("ImportSession", pb.ImportSessionRequest(
            session_id=imported, snapshot=snapshot)))
        self.timed("fork", lambda: self.client.call("ForkSession", pb.ForkSessionRequest(
            session_id="big", new_session_id=fork)))
        for name in (fork, imported):
            # A step of the copy is that of the session.
            gradients = [self.other.call("Backward", pb.BackwardRequest(
                session_id=session, layer_id=self.layers[-1], step=7, output_gradient=X))
                         for session in ("big", name)]
            self.assertEqual(*gradients)
        self.timed("release", lambda: self.assertGreaterEqual(
            self.client.release_steps(fork, "", STEPS), STEPS))
        self.timed("delete", lambda: self.client.delete_session(imported))
        self.client.delete_session(fork)
        return int(self.redis.run("slowlog", "len"))


if __name__ == "__main__":
    unittest.main()
