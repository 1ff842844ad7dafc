"""SIGTERM loses no call: what has begun is served, what comes is refused so that clients try again.

The clients are grpc's own, without retries. DROPOUTD_RESTARTS says how many servers end under load.
"""

import collections
import contextlib
import json
import os
import queue
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import grpc
import harness
import numpy as np
import raw_call
from client_helpers import EVAL, Client, dropout_layer, pb, reason_of, to_tensor
from security_helpers import Authority, secure_channel

UPLOADS = 40  # Each over a connection of its own: grpc sends one message after the other.
UPLOAD_MIB = 16
MIB = 1 << 20
RESTARTS = int(os.environ.get("DROPOUTD_RESTARTS", "4"))
CALLERS = 8  # Of small calls, on each listener.
CALL_SECONDS = 300
STEP_SECONDS = 120  # For what needs a moment, on a machine that is busy.
OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
DRAINING = (UNAVAILABLE, "DRAINING")


def outcome(call):
    """(code, reason) of a call that has ended or will."""
    error = call.exception()
    return (OK, None) if error is None else (error.code(), reason_of(error))


def await_not_ready(server):
    """Returns when /readyz has turned."""
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://{server.metrics_address}/readyz", timeout=60).close()
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return
            raise
        time.sleep(0.01)
    raise AssertionError("the server is ready after SIGTERM")


class Valve:
    """A proxy in front of a server that lets so many bytes of each client pass until it is opened."""

    def __init__(self, address, most):
        host, port = address.rsplit(":", 1)
        self._server, self._most = (host, int(port)), most
        self._open, self._full = threading.Event(), threading.Event()
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self._sockets[0].getsockname()[1]

    def await_full(self):
        if not self._full.wait(STEP_SECONDS):
            raise AssertionError("the client does not send enough")

    def open(self):
        self._open.set()

    def close(self):
        self.open()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        try:
            client, _ = self._sockets[0].accept()
        except OSError:
            return
        server = socket.create_connection(self._server)
        self._sockets += [client, server]
        threading.Thread(target=self._pass, args=(server, client, None), daemon=True).start()
        self._pass(client, server, self._most)

    def _pass(self, source, target, most):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
                if most is not None:
                    most -= len(data)
                    if most <= 0:
                        self._full.set()
                        self._open.wait()
                        most = None
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class DrainingTest(unittest.TestCase):

    def test_uploads_under_way_are_served(self):
        x = np.arange(UPLOAD_MIB * MIB // 4, dtype=np.float32)
        request = pb.ForwardRequest(session_id="s", layer_id="l", input=to_tensor(x))
        body = request.SerializeToString()
        with harness.Server(f"--max_message_bytes={UPLOAD_MIB}MiB", "--drain_timeout=120s",
                            "--metrics_listen=127.0.0.1:0") as server:
            with Client(server.address, use_local_subchannel_pool=1) as client:
                client.create_session("s", [dropout_layer("l")], mode=EVAL)
            valves = [Valve(server.address, len(body) // 2) for _ in range(UPLOADS)]
            for valve in valves:
                self.addCleanup(valve.close)
            channels = [self.enterContext(harness.channel(valve.address,
                                                          use_local_subchannel_pool=1))
                        for valve in valves]
            calls = [channel.unary_unary("/dropout.v1.DropoutService/Forward").future(
                body, timeout=CALL_SECONDS) for channel in channels]
            for valve in valves:
                valve.await_full()
            server.signal()
            await_not_ready(server)
            for valve in valves:
                valve.open()
            outcomes = collections.Counter(outcome(call) for call in calls)
            print(f"{UPLOADS} uploads of {UPLOAD_MIB} MiB at SIGTERM: {dict(outcomes)}",
                  file=sys.stderr)
            self.assertEqual(server.wait(), 0, server.stderr)
            self.assertEqual(outcomes, {(OK, None): UPLOADS})
            for call in calls:
                answer = pb.ForwardResponse.FromString(call.result())
                self.assertEqual(answer.output.data, request.input.data)

    def test_small_calls_are_served_or_unavailable(self):
        """Calls as fast as they go, right through the end of the server, on every listener."""
        info = pb.GetServerInfoRequest()
        forward = pb.ForwardRequest(session_id="s", layer_id="l", step=1,
                                    input=to_tensor(np.ones(64, np.float32)))
        outcomes = collections.Counter()
        certificates = self.enterContext(tempfile.TemporaryDirectory())
        authority = Authority(certificates)
        certificate, key = authority.issue("localhost")
        for restart in range(RESTARTS):
            tls = [f"--tls_cert={certificate}", f"--tls_key={key}"] if restart % 2 else []
            with tempfile.TemporaryDirectory() as folder, harness.Server(
                    "--listen=127.0.0.1:0", f"--listen=unix:{folder}/socket", *tls) as server:
                with Client(server.addresses[1], use_local_subchannel_pool=1) as client:
                    client.create_session("s", [dropout_layer("l")])

                def connect(address):
                    if tls and not address.startswith("unix:"):
                        return secure_channel(address, authority.certificate,
                                              use_local_subchannel_pool=1)
                    return harness.channel(address, use_local_subchannel_pool=1)
                ended, lock = threading.Event(), threading.Lock()
                busy = threading.Barrier(2 * CALLERS + 1)

                def call(service, number):
                    mine = collections.Counter()
                    for count in range(10**9):
                        if count == 20:
                            busy.wait(STEP_SECONDS)
                        if count > 20 and ended.is_set():
                            break
                        try:
                            if number % 2:
                                service.GetServerInfo(info, timeout=CALL_SECONDS)
                            else:
                                service.Forward(forward, timeout=CALL_SECONDS)
                            mine[OK, None] += 1
                        except grpc.RpcError as error:
                            mine[error.code(), reason_of(error)] += 1
                            if error.code() != UNAVAILABLE:
                                print(error.code(), error.details(), file=sys.stderr)
                    with lock:
                        outcomes.update(mine)

                threads, channels = [], []
                for number in range(2 * CALLERS):
                    # Two callers share a connection.
                    if number % 2 == 0:
                        channels.append(self.enterContext(
                            connect(server.addresses[number // 2 % 2])))
                    service = harness.stubs().service.DropoutServiceStub(channels[-1])
                    threads.append(threading.Thread(target=call, args=(service, number)))
                    threads[-1].start()
                busy.wait(STEP_SECONDS)
                self.assertEqual(server.terminate(), 0, server.stderr)
                ended.set()
                # gRPC's view of the sockets' end is nothing for an operator.
                events = {json.loads(line)["event"] for line in server.stderr.splitlines()}
                self.assertNotIn("grpc", events, server.stderr)
                for thread in threads:
                    thread.join()
        print(f"small calls while {RESTARTS} servers end: {dict(outcomes)}", file=sys.stderr)
        self.assertLessEqual({code for code, _ in outcomes}, {OK, UNAVAILABLE})
        self.assertGreater(outcomes[OK, None], 0)

    def test_peers_that_stall_do_not_hold_the_server(self):
        tensor = to_tensor(np.ones(1 << 20, np.float32))
        forward = pb.ForwardRequest(session_id="s", layer_id="l", step=1, input=tensor)
        first = pb.ExchangeRequest(forward=forward, has_more=True)
        first.forward.input.data = tensor.data[:1000]
        body = forward.SerializeToString()
        with harness.Server("--drain_timeout=1s", "--metrics_listen=127.0.0.1:0") as server:
            with Client(server.address, use_local_subchannel_pool=1) as client:
                client.create_session("s", [dropout_layer("l")])
            with raw_call.RawCall(server.address, "Forward") as unary, raw_call.RawCall(
                    server.address, "Exchange") as stream, raw_call.RawCall(
                    server.address, "Forward") as silent:
                unary.send(body[:30_000], announced=len(body))
                stream.send(first.SerializeToString())
                silent.send(b"", announced=10)
                self.await_calls(server, 3)
                server.signal()
                await_not_ready(server)
                for name, call in [("unary", unary), ("stream", stream), ("silent", silent)]:
                    with self.subTest(name):
                        answer = call.finish(half_close=False)
                        self.assertEqual(answer.code, UNAVAILABLE.value[0])
                        self.assertEqual(answer.trailers["dropout-error-reason"], "DRAINING")
                        self.assertIn("x-request-id", answer.trailers)
                self.assertEqual(server.wait(), 0, server.stderr)

    def await_calls(self, server, count):
        """Returns when the server knows of so many calls."""
        deadline = time.monotonic() + STEP_SECONDS
        while server.metric("dropoutd_calls_in_flight") < count:
            self.assertLess(time.monotonic(), deadline, "the calls do not arrive")
            time.sleep(0.01)

    def test_an_operation_of_a_stream_is_served_to_its_end(self):
        x = np.arange(1 << 20, dtype=np.float32)
        whole = to_tensor(x)
        half = len(whole.data) // 2
        request = pb.ForwardRequest(session_id="s", layer_id="l", step=1, input=whole)
        request.input.data = whole.data[:half]
        with harness.Server("--drain_timeout=120s", "--metrics_listen=127.0.0.1:0") as server:
            client = self.enterContext(Client(server.address, use_local_subchannel_pool=1))
            client.create_session("s", [dropout_layer("l")], mode=EVAL)
            messages = queue.SimpleQueue()
            stream = client.service.Exchange(iter(messages.get, None), timeout=CALL_SECONDS)
            messages.put(pb.ExchangeRequest(forward=request, has_more=True))
            data = next(stream).forward.output.data
            server.signal()
            await_not_ready(server)
            # A new call over the same connection is refused, with the reason.
            with self.assertRaises(grpc.RpcError) as raised:
                client.info()
            self.assertEqual((raised.exception.code(), reason_of(raised.exception)), DRAINING)
            messages.put(pb.ExchangeRequest(data=whole.data[half:]))
            with self.assertRaises(grpc.RpcError) as raised:
                for message in stream:
                    data += message.data
            self.assertEqual((raised.exception.code(), reason_of(raised.exception)), DRAINING)
            self.assertEqual(data, whole.data)
            messages.put(None)
            self.assertEqual(server.wait(), 0, server.stderr)

    def test_health_turns_and_its_watchers_do_not_hold_the_server(self):
        with harness.Server("--drain_timeout=120s", "--metrics_listen=127.0.0.1:0") as server:
            channel = self.enterContext(harness.channel(server.address,
                                                        use_local_subchannel_pool=1))
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=CALL_SECONDS)
            self.assertEqual(next(watch), b"\x08\x01")  # SERVING
            # A call that arrives holds the server until its client goes.
            with raw_call.RawCall(server.address, "Forward") as unary:
                unary.send(b"", announced=10)
                self.await_calls(server, 1)
                server.signal()
                self.assertEqual(next(watch), b"\x08\x02")  # NOT_SERVING
            with self.assertRaises(grpc.RpcError) as raised:
                next(watch)
            self.assertEqual(raised.exception.code(), UNAVAILABLE)
            begun = time.monotonic()
            self.assertEqual(server.wait(), 0, server.stderr)
            self.assertLess(time.monotonic() - begun, 60)


if __name__ == "__main__":
    unittest.main()
