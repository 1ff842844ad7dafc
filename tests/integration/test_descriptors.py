"""What becomes of a server that runs out of descriptors, and of one that is stormed.

DROPOUTD_STORM_SECONDS sets for how long connections come one after another.
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

import harness
from client_helpers import Client
from pages import await_page, fetch
from test_server_lifecycle import check_health

STORM_SECONDS = float(os.environ.get("DROPOUTD_STORM_SECONDS", "12"))
ANSWER_SECONDS = 30
# Ten seconds without a descriptor; the machine may be slow.
STALL_SECONDS = 90
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

    def first_bytes(self):
        """What the server sends first to each, or nothing where it closes."""
        return [first_byte(each) for each in self._sockets]


def first_byte(client):
    try:
        return client.recv(1)
    except ConnectionResetError:
        return b""


def await_log(server, name, seconds):
    end = time.monotonic() + seconds
    while not events(server, name):
        if time.monotonic() > end:
            raise AssertionError(f"no {name} in {server.stderr}")
        time.sleep(0.05)


def await_metric(server, name, value):
    end = time.monotonic() + ANSWER_SECONDS
    while server.metric(name) != value:
        if time.monotonic() > end:
            raise AssertionError(f"{name} is {server.metric(name)}")
        time.sleep(0.05)


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

    def test_connections_above_the_limit_are_closed_at_once(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for listen in ("127.0.0.1:0", f"unix:{folder}/socket"):
            with harness.Server(f"--listen={listen}", "--metrics_listen=127.0.0.1:0",
                                max_files=(FEW, FEW)) as server:
                most = int(server.metric("dropoutd_max_connections"))
                self.assertLess(most, FEW)
                with Client(server.address) as client:
                    client.info()
                    connections = Connections(self, server.address, 2 * FEW)
                    # Each gets the server's SETTINGS or its end; none is left waiting.
                    answers = connections.first_bytes()
                    self.assertEqual(answers.count(b""), 2 * FEW - (most - 1))
                    self.assertEqual(fetch(server, "/readyz")[0], 200)
                    client.info()
                    self.assertGreaterEqual(
                        server.metric("dropoutd_connections_refused_total"), answers.count(b""))
                    connections.close()
                    await_metric(server, "dropoutd_connections", 1)
                with Client(server.address) as client:
                    client.info()
                self.assertEqual(server.terminate(), 0, server.stderr)
            lines = events(server, "connections_refused")
            self.assertEqual(lines[0]["max_connections"], most)
            self.assertIn("LimitNOFILE", lines[0]["advice"])
            self.assertLess(len(lines), 5)

    def test_a_server_without_descriptors_comes_back(self):
        with harness.Server("--metrics_listen=127.0.0.1:0") as server:
            # As if the program itself held them all; connections are far from their limit.
            few = len(os.listdir(f"/proc/{server.pid}/fd"))
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (few, self.hard))
            connections = Connections(self, server.address, 4)
            self.assertEqual(connections.first_bytes(), [b""] * 4)
            # Clients that come again and again: the shortage lasts.
            stop = threading.Event()

            def come():
                while not stop.wait(0.05):
                    connect(server.address).close()

            coming = threading.Thread(target=come)
            coming.start()
            try:
                await_log(server, "listener_stalled", STALL_SECONDS)
            finally:
                stop.set()
                coming.join()
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (self.hard, self.hard))
            with Client(server.address) as client:
                client.info()
            await_page(server, "/readyz", 200, STALL_SECONDS)
            self.assertEqual(check_health(server.address, ""), 1)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_ten_thousand_connections_one_after_another(self):
        with harness.Server(max_files=(1024, 1024)) as server:
            for _ in range(10_000):
                connect(server.address).close()
            begin = time.monotonic()
            with Client(server.address) as client:
                client.info()
            self.assertLess(time.monotonic() - begin, ANSWER_SECONDS)

    def test_no_false_alarm(self):
        """Under connections as fast as they come, and when the process stands still."""
        with harness.Server("--metrics_listen=127.0.0.1:0") as server:
            stop = threading.Event()
            failures = []

            def storm():
                while not stop.is_set():
                    try:
                        connect(server.address).close()
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
