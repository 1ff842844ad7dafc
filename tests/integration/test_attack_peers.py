"""Peers that vanish, that are slow, and that speak no TLS."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import attack
import grpc
from client_helpers import Client, pb
from http2_wire import Connection, call_headers
from pages import fetch
from security_helpers import Authority, bearer, secure_channel

STREAMS = 20
KEEPALIVE = ("--keepalive_time=2s", "--keepalive_timeout=2s")
GONE_SECONDS = 15  # By which gRPC has asked, waited and closed.
SLOW_CONNECTIONS = 30
SLOW_SECONDS = 8
PROBE_SECONDS = 2  # An orchestrator's patience is of this order.
GARBAGE_CONNECTIONS = 1000
SILENT_CONNECTIONS = 100
# Lines of others in the log, of which 200 a second are written at most.
MOST_GARBAGE_LINES = 100


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), 60)


def is_closed(one):
    """Whether the server has closed the socket, whatever it had sent before."""
    one.settimeout(0)
    try:
        while one.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def vanish(address, token):
    """Streams of peers that neither read nor answer a PING; counts those that the server closed."""
    opened = [Connection(address, acknowledge=False, reads=False) for _ in range(STREAMS)]
    for connection in opened:
        connection.call(call_headers("Exchange", bearer(token)), end=False)
    end = time.monotonic() + GONE_SECONDS
    open_still = [connection.socket for connection in opened]
    while open_still and time.monotonic() < end:
        time.sleep(0.2)
        open_still = [one for one in open_still if not is_closed(one)]
    return {"closed": STREAMS - len(open_still)}


def freeze(address, token):
    """A client of gRPC with an open stream, which stands still for a while."""
    with Client(address) as client:
        stream = client.service.Exchange(iter(lambda: time.sleep(600), None),
                                         metadata=bearer(token), timeout=GONE_SECONDS + 20)
        client.call("GetServerInfo", pb.GetServerInfoRequest(), metadata=bearer(token))
        waker = subprocess.Popen(
            ["sh", "-c", f"sleep {GONE_SECONDS}; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP)
        waker.wait()
        try:
            code = "none" if next(stream) else "an answer"
        except grpc.RpcError as error:
            code = error.code().name
    print(json.dumps({"code": code}), flush=True)
    os._exit(0)  # The stream's own thread sleeps.


def trickle(address, token):
    """Requests for a page that come a byte a second."""
    opened = [connect(address) for _ in range(SLOW_CONNECTIONS)]
    for byte in b"GET /metrics HTTP/1.1\r\n"[:SLOW_SECONDS]:
        for one in opened:
            with contextlib.suppress(OSError):
                one.sendall(bytes([byte]))
        time.sleep(1)
    return {"connections": len(opened)}


def garbage(address, token):
    """Bytes that are no TLS, on connection after connection."""
    for _ in range(GARBAGE_CONNECTIONS):
        with contextlib.suppress(OSError), connect(address) as one:
            one.sendall(b"GET / HTTP/1.1\r\n\r\n" * 4)
            one.recv(1)
    return {"connections": GARBAGE_CONNECTIONS}


def say_nothing(address, token):
    """Connections on which nothing comes; counts the ones that the server closed."""
    opened = [connect(address) for _ in range(SILENT_CONNECTIONS)]
    end = time.monotonic() + GONE_SECONDS
    open_still = opened
    while open_still and time.monotonic() < end:
        time.sleep(0.2)
        open_still = [one for one in open_still if not is_closed(one)]
    return {"closed": len(opened) - len(open_still)}


class AttackPeersTest(attack.AttackTest):

    def serve_tls(self, *flags):
        authority = Authority(self.enterContext(tempfile.TemporaryDirectory()))
        certificate, key = authority.issue("localhost")
        self.ca = authority.certificate
        self.serve(f"--tls_cert={certificate}", f"--tls_key={key}", *flags, ca=self.ca)

    def test_peers_that_vanish(self):
        self.serve(*KEEPALIVE)
        self.assertEqual(self.attack(vanish)["closed"], STREAMS)

    def test_a_client_that_stands_still(self):
        self.serve(*KEEPALIVE)
        streams = []
        self.attack(freeze, during=lambda: streams.append(self.server.metric("dropoutd_streams")))
        self.assertEqual(max(streams), 1)
        seen = streams.index(1)
        self.assertEqual(streams[-1], 0)
        self.assertGreater(streams[seen:].count(0) * attack.SAMPLE_SECONDS, 0.5)

    def test_slow_connections_to_the_metrics(self):
        self.serve()
        slowest = 0.0

        def probe():
            nonlocal slowest
            begin = time.monotonic()
            try:
                status = fetch(self.server, "/healthz", timeout=30)[0]
            except OSError as error:
                status = error
            slowest = max(slowest, time.monotonic() - begin)
            with self.subTest("/healthz"):
                self.assertEqual(status, 200)

        # Connections that are slow cost one descriptor each.
        self.attack(trickle, address=self.server.metrics_address, during=probe)
        self.assertLess(slowest, PROBE_SECONDS)

    def test_garbage_instead_of_tls(self):
        self.serve_tls()
        channel = self.enterContext(secure_channel(self.server.address, self.ca))
        get_session = channel.unary_unary("/dropout.v1.DropoutService/GetSession")
        names = []

        def fail():
            names.append(f"mine-{len(names)}")
            call = get_session.future(
                pb.GetSessionRequest(session_id="none").SerializeToString(), timeout=60,
                metadata=(*self.metadata, ("x-request-id", names[-1])))
            self.assertEqual(call.exception().code(), grpc.StatusCode.NOT_FOUND)
            time.sleep(0.1)

        self.attack(garbage, during=fail)
        self.server.__exit__()  # Reads its log to the end.
        lines = [json.loads(line) for line in self.server.stderr.splitlines()]
        ours = {line.get("request_id") for line in lines} & set(names)
        others = [line for line in lines if line["event"] not in ("started", "call", "draining",
                                                                  "stopped")]
        self.assertEqual(len(ours), len(names))
        self.assertLess(len(others), MOST_GARBAGE_LINES, others[:3])
        self.assertGreater(len(others), 0)  # The operator learns of it.

    def test_silence_instead_of_tls(self):
        self.serve_tls("--handshake_timeout=2s")
        self.assertEqual(self.attack(say_nothing)["closed"], SILENT_CONNECTIONS)

    def test_silence_instead_of_http(self):
        self.serve("--handshake_timeout=2s")
        self.assertEqual(self.attack(say_nothing)["closed"], SILENT_CONNECTIONS)


if __name__ == "__main__":
    unittest.main()
