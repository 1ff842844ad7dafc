"""More streams than anybody needs: calls without a token, rapid resets, headers without an end.

gRPC 1.51 alone does not hold all of these within 100 ms; docs/SECURITY.md says what a proxy adds.
"""

import time
import unittest

import attack
import grpc
from client_helpers import Client, dropout_layer, pb
from http2_wire import (CONTINUATION, END_HEADERS, HEADERS, Connection, call_headers, frame, header,
                        number)
from security_helpers import bearer

BATCH = 500  # Streams in one write.
FLOOD_DESCRIPTORS = 200
CONNECT_SECONDS = 10
PATIENCE_SECONDS = 1
# Headers named "a": a text of a GiB, and the size of a text in bytes that mean nothing and go on.
ENDLESS_TEXT = b"\0\1a" + number(1 << 30, 7)
ENDLESS_NUMBER = b"\0\1a\x7f"


def flood(address, token, seconds, reset, with_token=False, acknowledge=True, rpc="GetServerInfo",
          source=None):
    """Calls as fast as one connection at a time can; counts them, and the connections."""
    headers = call_headers(rpc, bearer(token) if with_token else ())
    end, sent, connections = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        try:
            connection = Connection(address, acknowledge=acknowledge, source=source,
                                    patience=PATIENCE_SECONDS)
        except OSError:
            continue  # Turned away.
        connections += 1
        if acknowledge:  # From then on the limit holds.
            wait = time.monotonic() + CONNECT_SECONDS
            while not (connection.acknowledged.wait(0.01) or connection.ended.is_set()
                       or time.monotonic() > wait):
                pass
        try:
            while time.monotonic() < end and not connection.ended.is_set():
                connection.calls(BATCH, headers, b"", reset)
                sent += BATCH
        except OSError:
            pass  # It is closed: on with another.
        connection.close()
    return {"streams": sent, "connections": connections}


def continue_headers(address, token, blocks, names, source=None):
    """One call's headers, in frames that do not end: fields without a name, or with one each."""
    field = header("a", "")
    sent = 0
    for _ in range(4):
        with Connection(address, source=source, patience=PATIENCE_SECONDS) as connection:
            try:
                connection.socket.sendall(frame(HEADERS, 0, 1, call_headers("GetServerInfo")))
                for block in range(blocks):
                    fields = b"".join(header(f"n{block}-{at}", "") for at in range(1000)) if (
                        names) else field * 4000
                    connection.socket.sendall(frame(CONTINUATION, 0, 1, fields[:16384]))
                    sent += 16384
            except OSError:
                pass  # Refused, as it should be.
    return {"sent": sent}


def long_string(address, token, start):
    """A header that does not end: `start` is what the frames that follow go on with."""
    start, sent = start.encode("latin1"), 0
    rest = (b"x" if start == ENDLESS_TEXT else b"\x80") * 16384
    with Connection(address, patience=PATIENCE_SECONDS) as connection:
        try:
            connection.socket.sendall(frame(HEADERS, 0, 1, call_headers("GetServerInfo") + start))
            for _ in range(4000):
                connection.socket.sendall(frame(CONTINUATION, 0, 1, rest))
                sent += len(rest)
        except OSError:
            pass  # Refused, as it should be.
    return {"sent": sent}


def churn(address, token, seconds):
    """Headers that fill the table of HPACK again and again, on streams that stay open."""
    end, sent = time.monotonic() + seconds, 0
    large = "v" * 4000
    while time.monotonic() < end:
        with Connection(address) as connection:
            try:
                for stream in range(1, 2000, 2):
                    block = call_headers("GetServerInfo") + b"".join(
                        # A literal that is indexed (RFC 7541, section 6.2.1).
                        b"\x40" + number(4, 7) + b"n%03d" % at + number(len(large), 7)
                        + large.encode() for at in range(3))
                    # Fields of the table, one byte each: 4,000 bytes of memory.
                    block += b"\xbe" * 1000
                    connection.socket.sendall(frame(HEADERS, END_HEADERS, stream, block))
                    sent += len(block)
                    if connection.ended.is_set() or time.monotonic() > end:
                        break
            except OSError:
                pass
    return {"sent": sent}


class AttackStreamsTest(attack.AttackTest):

    def flood(self, **arguments):
        self.serve()
        self.attack(flood, seconds=attack.FLOOD_SECONDS, most_descriptors=FLOOD_DESCRIPTORS,
                    **arguments)

    def test_calls_without_a_token(self):
        self.flood(reset=False)

    def test_calls_without_a_token_by_one_who_ignores_settings(self):
        self.flood(reset=False, acknowledge=False)

    def test_calls_with_a_token(self):
        self.flood(reset=False, with_token=True)

    def test_rapid_resets(self):
        self.flood(reset=True)

    def test_rapid_resets_by_one_who_ignores_settings(self):
        self.flood(reset=True, acknowledge=False)

    def test_rapid_resets_with_a_token(self):
        self.flood(reset=True, with_token=True)

    def test_rapid_resets_of_streams(self):
        self.flood(reset=True, with_token=True, rpc="Exchange")

    def test_headers_without_an_end(self):
        self.serve()
        self.attack(continue_headers, blocks=2000, names=False)

    def test_names_of_headers_without_an_end(self):
        self.serve()
        self.attack(continue_headers, blocks=200, names=True)

    def test_a_header_without_an_end(self):
        self.serve()
        self.attack(long_string, start=ENDLESS_TEXT.decode("latin1"))

    def test_a_size_without_an_end(self):
        self.serve()
        self.attack(long_string, start=ENDLESS_NUMBER.decode("latin1"))

    def test_tables_of_headers(self):
        self.serve()
        self.attack(churn, seconds=attack.FLOOD_SECONDS)


class HeadersTest(attack.AttackTest):

    def test_headers_at_which_later_versions_abort(self):
        """CVE-2023-1428: one of these, and then more than the limit."""
        self.serve()
        info = pb.GetServerInfoRequest()
        with Client(self.server.address) as client:
            for wrong in (("te", "x"), (":scheme", "x"), ("grpclb_client_stats", "x")):
                fields = dict([(":method", "POST"), (":scheme", "http"),
                               (":path", "/dropout.v1.DropoutService/GetServerInfo"),
                               (":authority", "test"), wrong])
                block = b"".join(header(*field) for field in fields.items())
                for size in (6000, 8192, 15_000):
                    with Connection(self.server.address) as connection:
                        connection.call(block + header("x-large", "x" * size), b"")
                        client.call("GetServerInfo", info, metadata=self.metadata)
        self.assertEqual(self.server.terminate(), 0, self.server.stderr)

    def test_headers_over_the_limit_are_refused(self):
        self.serve("--max_header_bytes=8192")
        with Client(self.server.address) as client:
            info = pb.GetServerInfoRequest()
            client.call("GetServerInfo", info, metadata=(*self.metadata, ("x-large", "x" * 7000)))
            for size in (9000, 60_000, 1_000_000):
                with self.assertRaises(grpc.RpcError) as raised:
                    client.call("GetServerInfo", info,
                                metadata=(*self.metadata, ("x-large", "x" * size)))
                self.assertIn(raised.exception.code(), (
                    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.INTERNAL))
        # The last may have cost it its connection.
        with Client(self.server.address) as client:
            client.call("GetServerInfo", info, metadata=self.metadata)


class LimitTest(attack.AttackTest):

    def test_streams_over_the_limit_wait(self):
        """gRPC's own client keeps to the limit: calls past it wait, and are answered."""
        self.serve("--max_concurrent_streams=10")
        with Client(self.server.address) as client:
            client.call("CreateSession", pb.CreateSessionRequest(
                session_id="s", layers=[dropout_layer("l")]), metadata=self.metadata)
            calls = [client.service.GetServerInfo.future(
                pb.GetServerInfoRequest(), metadata=self.metadata, timeout=60) for _ in range(150)]
            self.assertEqual([call.exception() for call in calls], [None] * 150)

    def test_streams_over_the_limit_end_the_connection(self):
        """Of a client that does not keep to it, once it has acknowledged it."""
        self.serve("--max_concurrent_streams=10")
        headers = call_headers("Exchange", self.metadata)
        with Connection(self.server.address) as connection:
            self.assertTrue(connection.acknowledged.wait(60))
            for count in range(1, 11):
                connection.call(headers, end=False)
                self.await_streams(count)
            self.assertFalse(connection.ended.is_set())
            connection.call(headers, end=False)
            self.assertTrue(connection.ended.wait(60))
            self.await_streams(0)

    def await_streams(self, count):
        deadline = time.monotonic() + 60
        while self.server.metric("dropoutd_streams") != count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
