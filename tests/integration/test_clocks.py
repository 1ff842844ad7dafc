"""Wall clocks that step end no session, and neither does a server that holds many."""

import os
import pathlib
import re
import tempfile
import threading
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb
from google.protobuf.duration_pb2 import Duration
from store_helpers import SqliteFile, each_store

HOURS = 2
TTL = Duration(seconds=3600)
X = np.ones((1, 64), np.float32)

# Copies of sessions that were idle for a minute are dropped where there are over 1,000 of them.
SESSIONS = int(os.environ.get("DROPOUTD_IDLE_SESSIONS", "2000"))
IDLE_SECONDS = 60
SHORT_TTL = Duration(seconds=75)
ROUNDS = 2
IN_FLIGHT = 100
CALL_SECONDS = 120


class SteppingClock:
    """The environment of a server whose wall clock the test sets."""

    def __init__(self, test):
        folder = pathlib.Path(test.enterContext(tempfile.TemporaryDirectory()))
        self._file = folder / "shift"
        self.env = {"LD_PRELOAD": os.environ["CLOCK_SHIFT_LIBRARY"],
                    "CLOCK_SHIFT_FILE": str(self._file)}
        self.shift(0)

    def shift(self, hours):
        with open(self._file, "r+b" if self._file.exists() else "wb") as file:
            file.write((hours * 3600).to_bytes(8, "little", signed=True))


class ClocksTest(unittest.TestCase):

    def server(self, *flags, **options):
        return harness.Server("--metrics_listen=127.0.0.1:0", *flags, **options)

    def await_sweeps(self, server, name='dropoutd_store_seconds_count{operation="other"}'):
        """Waits until the server has removed what it takes for expired."""
        first = server.metric(re.escape(name))
        deadline = time.monotonic() + CALL_SECONDS
        while server.metric(re.escape(name)) < first + 2:
            self.assertLess(time.monotonic(), deadline, "the server does not sweep")
            time.sleep(0.05)

    def test_a_clock_that_steps_ends_no_session(self):
        for store in each_store(self):
            with self.subTest(store.kind):
                self.check_steps(store)

    def check_steps(self, store):
        clock = SteppingClock(self)
        with self.server(store.flag, env=clock.env) as server, Client(server.address) as client:
            made = client.create_session("s", [dropout_layer("l")], ttl=TTL)
            y = client.forward("s", "l", X, step=1).output.data
            for hours in (HOURS, -HOURS, 0, HOURS):
                clock.shift(hours)
                self.await_sweeps(server)
                self.assertEqual([each.session_id for each in client.list_sessions()], ["s"])
                left = (client.get_session("s").expire_time.ToSeconds() - hours * 3600
                        - made.create_time.ToSeconds())
                self.assertAlmostEqual(left, TTL.seconds, delta=600)
        # The next server's clock is right, and then wrong again.
        for hours in (0, HOURS):
            clock.shift(hours)
            with self.server(store.flag, env=clock.env) as server, \
                    Client(server.address) as client:
                self.await_sweeps(server)
                self.assertEqual(client.backward("s", "l", X, step=1).tobytes(), y)


class ManySessionsTest(unittest.TestCase):

    def test_sessions_in_use_do_not_end(self):
        """Each is called once a minute, when copies that were idle for so long are dropped."""
        store = SqliteFile(self)
        names = [f"s{i}" for i in range(SESSIONS)]
        with harness.Server(store.flag) as server, Client(server.address) as client:
            begin = time.monotonic()
            self.call_all(client.service.CreateSession, [
                pb.CreateSessionRequest(session_id=name, ttl=SHORT_TTL) for name in names])
            took = time.monotonic() - begin
            self.assertLess(took, SHORT_TTL.seconds - IDLE_SECONDS - 1, "too slow a machine")
            gets = [pb.GetSessionRequest(session_id=name) for name in names]
            for i in range(1, ROUNDS + 1):
                # The store's sweep goes on meanwhile.
                time.sleep(max(0, begin + i * (IDLE_SECONDS + 0.5) - time.monotonic()))
                self.call_all(client.service.GetSession, gets)
            server.terminate()
        # Of each the store knows that it is in use.
        with harness.Server(store.flag) as server, Client(server.address) as client:
            self.assertEqual(len(client.list_sessions()), SESSIONS)

    def call_all(self, method, requests):
        """Calls in the order of the requests, of which so many are under way at once."""
        free = threading.Semaphore(IN_FLIGHT)
        failures = []

        def finished(call):
            if call.code() != grpc.StatusCode.OK:
                failures.append(call.details())
            free.release()

        for request in requests:
            free.acquire()
            method.future(request, timeout=CALL_SECONDS).add_done_callback(finished)
        for _ in range(IN_FLIGHT):
            free.acquire()
        self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()
