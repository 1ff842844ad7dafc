"""What becomes of a server that runs out of descriptors.

gRPC accepts no more once one accept has failed. DROPOUTD_STORM_SECONDS sets for how long
connections come one after another in the test that nothing of that is seen where all is well.
"""

import json
import os
import resource
import signal
import socket
import tempfile
import threading
import time
import unittest

import grpc
import harness
from client_helpers import Client
from pages import await_page, fetch
from test_server_lifecycle import SERVICE, check_health, field

STORM_SECONDS = float(os.environ.get("DROPOUTD_STORM_SECONDS", "12"))
ANSWER_SECONDS = 30
# Ten seconds without an accept, ten more, and the drain; the machine may be slow.
STALL_SECONDS = 90
EXIT_SECONDS = 120
FEW = 64


def events(server, name):
    """Lines of the server's log."""
    lines = [json.loads(line) for line in server.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


class Connections:
    """Open connections to an address, on which nothing is sent."""

    def __init__(self, test, address, count):
        self._sockets = []
        test.addCleanup(self.close)
        for _ in range(count):
            self._sockets.append(connect(address))

    def close(self):
        for each in self._sockets:
            each.close()


def connect(address):
    if address.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(ANSWER_SECONDS)
        client.connect(address.removeprefix("unix:"))
        return client
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), ANSWER_SECONDS)


class DescriptorsTest(unittest.TestCase):

    def setUp(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
        self.hard = limits[1]

    def test_the_soft_limit_is_raised_at_every_start(self):
        if 0 <= self.hard < 4096:
            self.skipTest(f"the hard limit is {self.hard}")
        with harness.Server(max_files=(1024, self.hard)) as server:
            connections = Connections(self, server.address, 1100)
            with Client(server.address) as client:
                client.info()
            connections.close()
            begin = time.monotonic()
            with Client(server.address) as client:
                client.info()
            self.assertLess(time.monotonic() - begin, ANSWER_SECONDS)
            self.assertEqual(resource.prlimit(server.pid, resource.RLIMIT_NOFILE),
                             (self.hard, self.hard))

    def test_a_server_that_accepts_no_more_says_so_and_ends(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        flags = ("--metrics_listen=127.0.0.1:0", "--drain_timeout=2s")
        held = self.enterContext(harness.Server(*flags, max_files=(FEW, FEW)))
        passing = self.enterContext(harness.Server(
            f"--listen=unix:{folder}/socket", *flags, max_files=(FEW, FEW)))
        with harness.channel(held.address) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            self.assertEqual(check(b"", timeout=ANSWER_SECONDS), b"\x08\x01")
            # Those of one server stay, and those of the other go at once: it is dead all the same.
            Connections(self, held.address, 2 * FEW)
            Connections(self, passing.address, 2 * FEW).close()
            for server in (held, passing):
                self.assertEqual(fetch(server, "/healthz")[0], 200)
                await_page(server, "/readyz", 503, STALL_SECONDS)
                self.assertIn("\ndropoutd_ready 0", fetch(server, "/metrics")[1])
            # Calls on connections of before are answered still.
            for name in (b"", field(1, SERVICE)):
                self.assertEqual(check(name, timeout=ANSWER_SECONDS), b"\x08\x02")
            for server in (held, passing):
                self.assertEqual(server.wait(EXIT_SECONDS), 1, server.stderr)
        for server in (held, passing):
            server.__exit__()  # Reads its log to the end.
            self.assertEqual(len(events(server, "listener_stalled")), 1, server.stderr)
            line, = events(server, "listener_dead")
            self.assertEqual(line["level"], "error")
            self.assertEqual(line["address"], server.address)
            self.assertEqual(line["max_files"], FEW)
            self.assertIn("LimitNOFILE", line["advice"])

    def test_no_false_alarm(self):
        """Under connections as fast as they are served, and when the process stands still."""
        with harness.Server("--metrics_listen=127.0.0.1:0") as server:
            stop = threading.Event()
            failures = []

            def storm():
                while not stop.is_set():
                    try:
                        with connect(server.address) as client:
                            client.recv(1)  # Its SETTINGS: no more wait than there are threads.
                    except OSError as error:
                        failures.append(error)

            threads = [threading.Thread(target=storm) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                end = time.monotonic() + STORM_SECONDS
                while time.monotonic() < end:
                    self.assertEqual(fetch(server, "/readyz")[0], 200)
                    time.sleep(0.1)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            self.assertEqual(failures, [])
            # Connections wait meanwhile; nobody looks.
            server.signal(signal.SIGSTOP)
            Connections(self, server.address, 10)
            time.sleep(STORM_SECONDS)
            server.signal(signal.SIGCONT)
            self.assertEqual(fetch(server, "/readyz")[0], 200)
            self.assertEqual(check_health(server.address, ""), 1)
            self.assertEqual(server.terminate(), 0, server.stderr)
        self.assertEqual(events(server, "listener_stalled"), [])


if __name__ == "__main__":
    unittest.main()
