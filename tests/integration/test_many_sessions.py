"""A store with far more sessions than are in use: what a start and the server's memory cost."""

import os
import pathlib
import shutil
import tempfile
import threading
import time
import unittest

import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb, to_tensor
from redis_server import Redis

SESSIONS = int(os.environ.get("DROPOUTD_MANY_SESSIONS", "20000"))
ACTIVE = 1000
IN_FLIGHT = 200
CALL_SECONDS = 120
START_SECONDS = 5
MEMORY_SLACK = 8 << 20  # Of the allocator, and of pages that are touched by chance.


class ManySessionsTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def server(self, store):
        return harness.Server(f"--store={store}", f"--max_sessions={2 * SESSIONS}")

    def create(self, address):
        request = pb.CreateSessionRequest(layers=[dropout_layer("l")])
        free = threading.Semaphore(IN_FLIGHT)
        failures = []

        def finished(call):
            if call.exception() is not None:
                failures.append(call.exception())
            free.release()

        with harness.channel(address) as channel:
            create = channel.unary_unary("/dropout.v1.DropoutService/CreateSession")
            for i in range(SESSIONS):
                free.acquire()
                request.session_id = f"s{i}"
                create.future(request.SerializeToString(),
                              timeout=CALL_SECONDS).add_done_callback(finished)
            for _ in range(IN_FLIGHT):
                free.acquire()
        self.assertEqual(failures, [])

    def use_some(self, server):
        """Runs a step of ACTIVE sessions, of all over the store; the growth of resident memory."""
        before = server.memory()
        x = to_tensor(np.ones(64, np.float32))
        with Client(server.address) as client:
            for i in range(0, SESSIONS, SESSIONS // ACTIVE):
                client.call("Forward", pb.ForwardRequest(
                    session_id=f"s{i}", layer_id="l", step=1, input=x))
        return server.memory() - before

    def measure(self, kind, store, small_store):
        with self.server(store) as server:
            begin = time.monotonic()
            self.create(server.address)
            created = time.monotonic() - begin
        begin = time.monotonic()
        with self.server(store) as server:
            started = time.monotonic() - begin
            at_start = server.memory()
            if server.has_sanitizer():
                self.skipTest("a sanitizer's memory is not the server's")
            growth = self.use_some(server)
        with self.server(small_store) as server:
            empty = server.memory()
        print(f"{kind}: {SESSIONS} sessions made in {created:.1f} s; started in {started:.2f} s with "
              f"{at_start >> 10} KiB resident (an empty store: {empty >> 10} KiB); "
              f"{ACTIVE} sessions in use: {growth >> 10} KiB more")
        self.assertLess(started, START_SECONDS)
        self.assertLess(at_start, empty + MEMORY_SLACK)
        self.assertLess(growth, MEMORY_SLACK)

    def test_sqlite(self):
        self.measure("SQLite", f"sqlite:{self.folder}/many", f"sqlite:{self.folder}/none")

    @unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
    def test_redis(self):
        redis = Redis(self.folder)
        redis.start()
        self.addCleanup(redis.kill)
        address = f"redis://127.0.0.1:{redis.port}"
        self.measure("Redis", address, f"{address}/1")


if __name__ == "__main__":
    unittest.main()
