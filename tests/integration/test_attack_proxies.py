"""Attacks through the proxies that docker/ configures: the victim's calls go through them too.

The attacker has an address of its own, because the proxies' limits are by address.
"""

import contextlib
import re
import tempfile
import time
import unittest

import attack
import grpc
import raw_call
from client_helpers import Client, pb, reason_of
from http2_wire import Connection, call_headers
from pages import fetch
from proxies import RATE, REPLICAS, run_proxy, skip_without
from test_attack_streams import continue_headers, flood

ATTACKER = "127.0.0.2"
CONNECTIONS = 2000 if attack.LONG else 500
CALLS_AT_ONCE = 20
FEW_CALLS, MANY_CALLS = 50, 400
# nginx keeps 64 connections of each of its workers, haproxy as many as were used, for ten seconds.
MOST_DESCRIPTORS = 1000
BURST = 2000  # Calls of one address at once.
SLACK = 4000  # The proxies' clocks are coarse.


def hold_connections(address, token, seconds, source):
    """Many connections that say nothing after HTTP/2's beginning; counts those that were left."""
    end, opened = time.monotonic() + seconds, []
    for _ in range(CONNECTIONS):
        with contextlib.suppress(OSError):
            opened.append(Connection(address, source=source))
    while time.monotonic() < end:
        time.sleep(0.1)
    left = sum(not connection.ended.is_set() for connection in opened)
    for connection in opened:
        connection.close()
    return {"connections": CONNECTIONS, "left": left}


def send_headers(address, token, seconds, source, headers):
    """Calls with headers, (name, value, how often) each, at which gRPC takes offence, a few at a
    time; counts the calls."""
    block = call_headers("GetServerInfo", [(name, value * times) for name, value, times in headers])
    end, calls = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with contextlib.suppress(OSError), Connection(address, source=source) as connection:
            while time.monotonic() < end and not connection.ended.is_set():
                connection.calls(CALLS_AT_ONCE, block, b"")
                calls += CALLS_AT_ONCE
                time.sleep(0.02)
    return {"calls": calls}


def refused_calls(server):
    """Calls that reached the server and showed no token."""
    return sum(int(count) for count in re.findall(
        r'^dropoutd_errors_total\{.*reason="UNAUTHENTICATED".*\} (\d+)$',
        fetch(server, "/metrics")[1], re.MULTILINE))


class Attacks:
    """Tests of each proxy, `program`."""

    program = None
    rate = None  # The file's.

    def front(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="dropout-proxy-"))
        return run_proxy(self, self.program, folder, [self.server.address] * REPLICAS, self.rate)

    def run_attack(self, function, **arguments):
        self.serve()
        return self.attack(function, source=ATTACKER, most_descriptors=MOST_DESCRIPTORS,
                           **arguments)

    def run_flood(self, **arguments):
        seen = []  # (when, calls that reached the server)
        self.run_attack(flood, seconds=attack.FLOOD_SECONDS, **arguments, during=lambda: (
            seen.append((time.monotonic(), refused_calls(self.server)))))
        (begin, _), (end, calls) = seen[0], seen[-1]
        # It may be none: nginx closes the connection of calls that it still holds back.
        self.assertLess(calls, int(RATE) * (end - begin) + BURST + SLACK)

    def test_calls_without_a_token(self):
        self.run_flood(reset=False)

    def test_calls_without_a_token_by_one_who_ignores_settings(self):
        self.run_flood(reset=False, acknowledge=False)

    def test_rapid_resets(self):
        self.run_flood(reset=True)

    def test_rapid_resets_by_one_who_ignores_settings(self):
        self.run_flood(reset=True, acknowledge=False)

    def test_headers_without_an_end(self):
        self.run_attack(continue_headers, blocks=2000, names=False)

    def test_many_connections(self):
        self.run_attack(hold_connections, seconds=attack.FLOOD_SECONDS)

    def test_headers_that_are_no_base64(self):
        """gRPC 1.51 closes the connection that they come on (CVE-2023-32732)."""
        self.run_attack(send_headers, seconds=attack.FLOOD_SECONDS,
                        headers=[("x-wrong-bin", "!", 5)])

    def test_headers_that_are_too_large(self):
        """gRPC 1.51 then takes the next calls' headers for others (CVE-2023-32731)."""
        self.run_attack(send_headers, seconds=attack.FLOOD_SECONDS,
                        headers=[("x-large", "x", 5000), ("x-larger", "y", 5000)])

    def test_calls_above_the_rate(self):
        """nginx holds them back, haproxy has clients come again."""
        self.rate = FEW_CALLS
        self.serve()
        begin = time.monotonic()
        with Client(self.address) as client:
            calls = [client.service.GetServerInfo.future(
                pb.GetServerInfoRequest(), metadata=self.metadata, timeout=60)
                for _ in range(MANY_CALLS)]
            failed = [call.exception() for call in calls if call.exception()]
        self.assertGreaterEqual(MANY_CALLS - len(failed), FEW_CALLS // 2)
        self.assertLess(MANY_CALLS - len(failed), 2 * FEW_CALLS * (1 + time.monotonic() - begin))
        self.assertLessEqual({error.code() for error in failed}, {grpc.StatusCode.UNAVAILABLE})

    def test_encodings(self):
        self.serve()
        with Client(self.address) as client:
            for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                client.call("GetServerInfo", pb.GetServerInfoRequest(), metadata=self.metadata,
                            compression=compression)
            with self.assertRaises(grpc.RpcError) as raised:
                client.call("GetServerInfo", pb.GetServerInfoRequest(), metadata=self.metadata,
                            compression=grpc.Compression.Deflate)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        self.assertEqual(reason_of(raised.exception), "COMPRESSION_UNSUPPORTED")


@skip_without("nginx")
class NginxTest(Attacks, attack.AttackTest):

    program = "nginx"


@skip_without("haproxy")
class HaproxyTest(Attacks, attack.AttackTest):

    program = "haproxy"

    def test_headers_at_which_grpc_takes_offence_do_not_reach_it(self):
        self.serve()
        with raw_call.RawCall(self.address, "GetServerInfo", (
                *self.metadata, ("x-wrong-bin", "!!!!!"))) as one:
            one.send(b"")
            self.assertEqual(one.finish().code, 0)
        with Client(self.address) as client, self.assertRaises(grpc.RpcError) as raised:
            client.call("GetServerInfo", pb.GetServerInfoRequest(),
                        metadata=(*self.metadata, ("x-large", "x" * 6500)))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(raised.exception.details(), "headers are too large")


if __name__ == "__main__":
    unittest.main()
