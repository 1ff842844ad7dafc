"""/healthz and /readyz while the store hangs, and while clients of the metrics port are slow.

An orchestrator that gets no answer within a few seconds restarts the server.
"""

import contextlib
import socket
import tempfile
import threading
import time
import unittest

import harness
from pages import fetch
from redis_server import Redis

# What is delayed at all is delayed by the store's six seconds, or a slow client's five; the machine
# that runs the tests may be slow itself.
MOST_SECONDS = 4
CHANGE_SECONDS = 60
SLOW_CLIENTS = 30


def timed(server, path):
    """Status of a page, and how long it took."""
    begin = time.monotonic()
    code, _ = fetch(server, path)
    return code, time.monotonic() - begin


class StoreTest(unittest.TestCase):

    def setUp(self):
        self.redis = Redis(self.enterContext(tempfile.TemporaryDirectory()))
        self.redis.start()
        self.addCleanup(self.redis.kill)
        self.server = self.enterContext(harness.Server(
            "--metrics_listen=127.0.0.1:0", f"--store=redis://127.0.0.1:{self.redis.port}"))

    @contextlib.contextmanager
    def pollers(self):
        """Several that ask for every other page all the time, as balancers and Prometheus do."""
        stop = threading.Event()
        slowest = {}

        def poll(path):
            while not stop.is_set():
                _, seconds = timed(self.server, path)
                slowest[path] = max(seconds, slowest.get(path, 0))
                stop.wait(0.01)

        threads = [threading.Thread(target=poll, args=(path,))
                   for path in ("/readyz", "/metrics", "/statusz") for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            yield slowest
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def await_readiness(self, code):
        """Waits until /readyz is `code`; all the while /healthz is 200, and at once."""
        deadline = time.monotonic() + CHANGE_SECONDS
        while True:
            alive, seconds = timed(self.server, "/healthz")
            self.assertEqual(alive, 200)
            self.assertLess(seconds, MOST_SECONDS)
            if timed(self.server, "/readyz")[0] == code:
                return
            self.assertLess(time.monotonic(), deadline, f"/readyz is not {code}")

    def test_a_store_that_hangs_or_is_gone_turns_readiness_alone(self):
        self.assertEqual(timed(self.server, "/readyz")[0], 200)
        with self.pollers() as slowest:
            self.redis.pause()
            try:
                self.await_readiness(503)
            finally:
                self.redis.resume()
            self.await_readiness(200)
            self.redis.kill()
            self.await_readiness(503)
            self.assertIn("\ndropoutd_ready 0", fetch(self.server, "/metrics")[1])
            self.redis.start()
            self.await_readiness(200)
            self.assertIn("\ndropoutd_ready 1", fetch(self.server, "/metrics")[1])
        self.assertEqual(set(slowest), {"/readyz", "/metrics", "/statusz"})
        self.assertLess(slowest["/readyz"], MOST_SECONDS)


class SlowClientsTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0"))

    def connect(self, sent):
        """As many slow clients as there are, each of which has sent this and does no more."""
        host, port = self.server.metrics_address.rsplit(":", 1)
        clients = []
        for _ in range(SLOW_CLIENTS):
            client = self.enterContext(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.settimeout(CHANGE_SECONDS)
            client.connect((host, int(port)))
            client.sendall(sent)
            clients.append(client)
        return clients

    def assert_quick(self):
        for path in ("/healthz", "/readyz", "/metrics", "/statusz"):
            code, seconds = timed(self.server, path)
            self.assertEqual(code, 200, path)
            self.assertLess(seconds, MOST_SECONDS, path)

    def test_they_delay_nobody_and_are_cut_off(self):
        clients = []
        for sent in (b"", b"GET /hea", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
            with self.subTest(sent):
                clients += self.connect(sent)
                for _ in range(3):
                    self.assert_quick()
        for client in clients:
            self.assert_ends(client)

    def assert_ends(self, client):
        try:
            while client.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass  # Also an end.

    def test_a_client_that_is_slow_without_end_is_cut_off(self):
        client = self.connect(b"GET /healthz HTTP/1.1\r\n")[0]
        client.settimeout(0.1)
        deadline = time.monotonic() + CHANGE_SECONDS
        with self.assertRaises((BrokenPipeError, ConnectionResetError, EOFError)):
            while time.monotonic() < deadline:
                client.sendall(b"X: y\r\n")
                with contextlib.suppress(TimeoutError):
                    if not client.recv(1):
                        raise EOFError

    def test_a_crowd_makes_room_for_others(self):
        for _ in range(5):
            self.connect(b"")
        self.assert_quick()

    def test_wrong_requests_are_refused(self):
        for sent, code in ((b"nonsense\r\n\r\n", 400), (b"GET /healthz\r\n\r\n", 400),
                           (b"GET /healthz HTTP/2.0\r\n\r\n", 505), (b"GET  HTTP/1.1\r\n\r\n", 400),
                           (b"DELETE /healthz HTTP/1.1\r\n\r\n", 405),
                           (b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431),
                           (b"\0" * 8192, 431), (b"GET /healthz?x=1 HTTP/1.0\n\n", 200)):
            with self.subTest(sent[:40]):
                client = self.connect(sent)[0]
                client.settimeout(CHANGE_SECONDS)
                self.assertRegex(client.recv(1000).decode(), rf"^HTTP/1.1 {code} ")


if __name__ == "__main__":
    unittest.main()
