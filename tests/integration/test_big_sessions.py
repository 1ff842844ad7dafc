"""A session of many steps over Redis is copied and removed while it trains, and stalls nobody.

DROPOUTD_BIG_STEPS=1000000: with so many.
"""

import itertools
import multiprocessing
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
LAYERS = [f"l{i}" for i in range(16)]
PAIR = ("training", "training too")
COPIES = int(os.environ.get("DROPOUTD_BIG_COPIES", "4"))
STREAMS = 4
# 20 and 100 on a machine that has nothing else to do.
MOST_SCRIPT_MS = int(os.environ.get("DROPOUTD_SCRIPT_MS", "100"))
MOST_CALL_MS = int(os.environ.get("DROPOUTD_CALL_MS", "3000"))
X = to_tensor(np.ones(8, np.float32))
# In milliseconds. Its arguments are no text.
SLOW = """
local found = {}
for i, each in ipairs(redis.call('SLOWLOG', 'GET', 100)) do
  found[i] = math.floor(each[3] / 1000)
end
return table.concat(found, ' ')
"""
FLAGS = ("--metrics_listen=127.0.0.1:0", "--max_message_bytes=512MiB")


def train(address, session_id, layers, begun, over, results):
    """Forward and Backward of some layers, step after step, until `over`; `begun` after some. Sends
    the seconds of each Forward, and the error that ended it or None."""
    seconds, failure = [], None
    with Client(address) as client:
        for step in itertools.count():
            if over.is_set() or failure is not None:
                break
            if step == 1:
                begun.set()
            for layer_id in layers:
                at = {"session_id": session_id, "layer_id": layer_id, "step": step}
                try:
                    begin = time.monotonic()
                    y = client.call("Forward", pb.ForwardRequest(**at, input=X)).output
                    seconds.append(time.monotonic() - begin)
                    dx = client.call("Backward", pb.BackwardRequest(
                        **at, output_gradient=X)).input_gradient
                    assert dx == y, at
                except Exception as error:  # pylint: disable=broad-except
                    failure = repr(error)
                    break
    begun.set()
    results.put((session_id, seconds, failure))


class Load:
    """`train` in a process of its own: this one reads messages of hundreds of megabytes."""

    def __init__(self, *args):
        spawn = multiprocessing.get_context("spawn")
        self._begun, self._over, self._results = spawn.Event(), spawn.Event(), spawn.Queue()
        self._process = spawn.Process(
            target=train, args=(*args, self._begun, self._over, self._results))

    def __enter__(self):
        self._process.start()
        self._begun.wait()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.session_id, self.seconds, self.failure = self._results.get(timeout=120)
        self._process.join()


@unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
class BigSessionsTest(unittest.TestCase):

    def setUp(self):
        self.redis = RedisServer(self, "--appendonly", "no")
        self.redis.run_first()
        servers = [self.enterContext(harness.Server(self.redis.flag, *FLAGS)) for _ in range(2)]
        self.addresses = [each.address for each in servers]
        self.client, self.other = [self.enterContext(Client(each)) for each in self.addresses]
        self.client.create_session("big", [dropout_layer(name) for name in (*LAYERS, *PAIR)],
                                   seed=1)
        self.other.create_session("small", [dropout_layer("l")], seed=1)
        begin = time.monotonic()
        threads = [threading.Thread(target=self.make_steps, args=(LAYERS[i::STREAMS],))
                   for i in range(STREAMS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{STEPS} steps made in {time.monotonic() - begin:.1f} s")

    def make_steps(self, layers):
        def steps():
            for layer_id in layers:
                for step in range(STEPS // len(LAYERS)):
                    yield pb.ExchangeRequest(forward=pb.ForwardRequest(
                        session_id="big", layer_id=layer_id, step=step, input=X))

        for answer in self.client.service.Exchange(steps(), timeout=1200):
            assert not answer.HasField("error"), answer

    def timed(self, what, call):
        begin = time.monotonic()
        result = call()
        print(f"{what}: {time.monotonic() - begin:.2f} s")
        return result

    def test_it_is_copied_and_removed_while_it_trains(self):
        self.redis.run("config", "set", "slowlog-log-slower-than", str(MOST_SCRIPT_MS * 1000))
        with Load(self.addresses[0], "big", PAIR) as big, \
                Load(self.addresses[1], "small", ("l",)) as small:
            slow = [self.copy_and_remove(i) for i in range(COPIES)]
        for load in (big, small):
            self.assertIsNone(load.failure)
            times = np.sort(load.seconds) * 1000
            print(f"{load.session_id}: {len(times)} Forwards, p50 {np.quantile(times, .5):.1f} ms, "
                  f"p99.9 {np.quantile(times, .999):.1f} ms, most {times[-1]:.1f} ms")
            self.assertLess(np.quantile(times, .999), MOST_CALL_MS)
        print(f"scripts over {MOST_SCRIPT_MS} ms: {slow}")
        # The machine's other work makes some scripts slow, but not in each round.
        self.assertIn([], slow)

    def copy_and_remove(self, number):
        """How long scripts took that took long meanwhile."""
        self.redis.run("slowlog", "reset")
        snapshot = self.timed("export", lambda: self.client.call(
            "ExportSession", pb.ExportSessionRequest(session_id="big")).snapshot)
        fork, imported = f"fork-{number}", f"imported-{number}"
        self.timed("import", lambda: self.client.call("ImportSession", pb.ImportSessionRequest(
            session_id=imported, snapshot=snapshot)))
        self.timed("fork", lambda: self.client.call("ForkSession", pb.ForkSessionRequest(
            session_id="big", new_session_id=fork)))
        for name in (fork, imported):
            self.check_copy(name)
        self.timed("release", lambda: self.assertEqual(
            self.client.release_steps(fork, "", STEPS), STEPS // len(LAYERS) * len(LAYERS)))
        self.timed("delete", lambda: self.client.delete_session(imported))
        self.client.delete_session(fork)
        return self.redis.run("eval", SLOW, "0").split()

    def check_copy(self, name):
        """It is the session at one moment."""
        gradients = [self.other.call("Backward", pb.BackwardRequest(
            session_id=session, layer_id=LAYERS[-1], step=7, output_gradient=X))
                     for session in ("big", name)]
        self.assertEqual(*gradients)
        # They were trained in turn.
        counts = [self.other.release_steps(name, layer_id, 2 ** 64 - 1) for layer_id in PAIR]
        self.assertIn(counts[0] - counts[1], (0, 1))
        self.assertGreater(counts[1], 0)


if __name__ == "__main__":
    unittest.main()
