"""Compressed messages: inflated behind the gate and within its limits, or refused."""

import concurrent.futures
import gzip
import os
import pathlib
import sys
import tempfile
import time
import unittest
import zlib

import grpc
import harness
import numpy as np
import raw_call
from client_helpers import Client, dropout_layer, pb, reason_of, to_tensor
from security_helpers import bearer, make_token

MIB = 1 << 20
BOMB_MIB = 600
BOMBS_AT_ONCE = 8
MESSAGE_MIB = 16
IN_FLIGHT_MIB = 64
REST_SECONDS = 60
CODES = {code.value[0]: code for code in grpc.StatusCode}
OK, INVALID_ARGUMENT = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
# Limits that leave little, so that what is taken besides them stands out.
SMALL = (f"--max_message_bytes={MESSAGE_MIB}MiB", f"--max_bytes_in_flight={IN_FLIGHT_MIB}MiB",
         "--mask_cache_bytes=1MiB", "--max_steps=1000", "--max_sessions=1000")


def outcome(answer):
    """(code, reason) of a raw answer."""
    return CODES.get(answer.code), answer.trailers.get("dropout-error-reason")


def bytes_in_flight_at_rest(server):
    """What is charged when the calls have left, which they do after their answers."""
    deadline = time.monotonic() + REST_SECONDS
    while (held := server.metric("dropoutd_bytes_in_flight")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held


def forward_request(x):
    return pb.ForwardRequest(session_id="s", layer_id="l", step=1, input=to_tensor(x))


class BombTest(unittest.TestCase):
    """Messages that are small on the wire and huge inflated."""

    @classmethod
    def setUpClass(cls):
        cls.bomb = raw_call.gzip_zeros(BOMB_MIB * MIB)

    def send_bombs(self, server, metadata=(), rpcs=("Forward", "CreateSession", "Exchange")):
        """(code, reason) of each of the bombs, which all are sent at once."""
        def send(number):
            return outcome(raw_call.call(server.address, rpcs[number % len(rpcs)], self.bomb,
                                         metadata=metadata))
        with concurrent.futures.ThreadPoolExecutor(BOMBS_AT_ONCE) as pool:
            return list(pool.map(send, range(BOMBS_AT_ONCE)))

    def check_memory(self, server, what):
        peak, bound = server.memory("VmHWM"), server.metric("dropoutd_memory_bound_bytes")
        print(f"{BOMBS_AT_ONCE} bombs of {BOMB_MIB} MiB in {len(self.bomb) / MIB:.1f} MiB {what}: "
              f"at most {peak / MIB:.0f} MiB resident, bound {bound / MIB:.0f} MiB", file=sys.stderr)
        if not server.has_sanitizer():
            self.assertLess(peak, bound)
        self.assertEqual(bytes_in_flight_at_rest(server), 0)

    def test_without_a_token(self):
        with tempfile.TemporaryDirectory() as folder:
            tokens = pathlib.Path(folder) / "tokens"
            make_token("acme", tokens)
            with harness.Server(*SMALL, f"--auth_tokens={tokens}",
                                "--metrics_listen=127.0.0.1:0") as server:
                before = server.memory("VmHWM")
                outcomes = self.send_bombs(server)
                self.check_memory(server, "without a token")
                self.assertEqual(set(outcomes),
                                 {(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")})
                if not server.has_sanitizer():
                    # Nothing of them is inflated.
                    self.assertLess(server.memory("VmHWM") - before, IN_FLIGHT_MIB * MIB)

    def test_with_a_token(self):
        with tempfile.TemporaryDirectory() as folder:
            tokens = pathlib.Path(folder) / "tokens"
            metadata = bearer(make_token("acme", tokens))
            with harness.Server(*SMALL, f"--auth_tokens={tokens}",
                                "--metrics_listen=127.0.0.1:0") as server:
                outcomes = self.send_bombs(server, metadata)
                self.check_memory(server, "with a token")
                self.assertLessEqual(set(outcomes), {
                    (RESOURCE_EXHAUSTED, "QUOTA_MESSAGE_BYTES"),
                    (RESOURCE_EXHAUSTED, "QUOTA_BYTES_IN_FLIGHT")})
                self.assertIn((RESOURCE_EXHAUSTED, "QUOTA_MESSAGE_BYTES"), outcomes)

    def test_the_bytes_in_flight_bound_them_too(self):
        with harness.Server("--max_message_bytes=64MiB", "--max_bytes_in_flight=8MiB",
                            "--metrics_listen=127.0.0.1:0") as server:
            for rpc in ("Forward", "Exchange"):
                answer = raw_call.call(server.address, rpc, self.bomb)
                self.assertEqual(outcome(answer), (RESOURCE_EXHAUSTED, "QUOTA_BYTES_IN_FLIGHT"))
            self.assertEqual(bytes_in_flight_at_rest(server), 0)

    def test_the_message_may_have_the_limit_and_no_more(self):
        """Size by size around --max_message_bytes and the 64 KiB that a message may have besides."""
        most = MESSAGE_MIB * MIB + (64 << 10)
        with harness.Server(*SMALL) as server:
            for size, expected in [(most, (INVALID_ARGUMENT, "INVALID_REQUEST")),
                                   (most + 1, (RESOURCE_EXHAUSTED, "QUOTA_MESSAGE_BYTES"))]:
                with self.subTest(size):
                    answer = raw_call.call(server.address, "ImportSession",
                                           raw_call.gzip_zeros(size))
                    # Zeros are no message.
                    self.assertEqual(outcome(answer), expected)


class ServedTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0"))
        self.plain = self.enterContext(Client(self.server.address, use_local_subchannel_pool=1))
        self.plain.create_session("s", [dropout_layer("l")], seed=1)

    def test_compressed_forward_is_the_plain_one(self):
        for count in (1, 64, 5000, 100_000, 1_500_000):
            request = forward_request(np.arange(count, dtype=np.float32) % 7)
            body = request.SerializeToString()
            with self.subTest(count):
                plain = self.plain.call("Forward", request)
                answer = raw_call.call(self.server.address, "Forward", gzip.compress(body, 1))
                self.assertEqual(outcome(answer), (OK, None))
                self.assertEqual(pb.ForwardResponse.FromString(answer.messages[0]), plain)

    def test_compressed_exchange_is_the_plain_one(self):
        x = np.arange(100_000, dtype=np.float32) % 7
        whole = forward_request(x)
        data = whole.input.data
        first = forward_request(x)
        first.input.data = data[:100_000]
        messages = [pb.ExchangeRequest(forward=whole),
                    pb.ExchangeRequest(forward=first, has_more=True),
                    pb.ExchangeRequest(data=data[100_000:300_000], has_more=True),
                    pb.ExchangeRequest(data=data[300_000:])]

        def answers(compressed):
            with raw_call.RawCall(self.server.address, "Exchange", encoding="gzip") as stream:
                for number, message in enumerate(messages):
                    body = message.SerializeToString()
                    # Of a stream that says gzip some messages may be plain.
                    zipped = compressed and number != 2
                    stream.send(gzip.compress(body, 1) if zipped else body, zipped)
                answer = stream.finish()
            self.assertEqual(outcome(answer), (OK, None))
            return answer.messages

        self.assertEqual(answers(compressed=True), answers(compressed=False))
        self.assertEqual(bytes_in_flight_at_rest(self.server), 0)

    def test_clients_of_grpc_that_compress(self):
        """grpc's own way: of all requests, or of one call."""
        request = forward_request(np.zeros(100_000, np.float32))
        plain = self.plain.call("Forward", request)
        with grpc.insecure_channel(self.server.address, options=[("grpc.enable_http_proxy", 0)],
                                   compression=grpc.Compression.Gzip) as channel:
            service = harness.stubs().service.DropoutServiceStub(channel)
            self.assertEqual(service.Forward(request, timeout=120), plain)
            answers = list(service.Exchange(iter([pb.ExchangeRequest(forward=request)] * 3),
                                            timeout=120))
            self.assertEqual([answer.forward for answer in answers], [plain] * 3)
            # The rest of the server's services.
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            self.assertEqual(check(b"", timeout=120), b"\x08\x01")

    def test_empty_messages(self):
        for body, compressed in [(b"", False), (gzip.compress(b""), True), (b"", True)]:
            answer = raw_call.call(self.server.address, "GetServerInfo", body, compressed)
            self.assertEqual(outcome(answer), (OK, None))

    def test_what_does_not_inflate(self):
        body = gzip.compress(forward_request(np.zeros(5000, np.float32)).SerializeToString())
        flipped = bytearray(body)
        flipped[-6] ^= 1  # The checksum.
        rows = {"garbage": os.urandom(5000), "no gzip": b"\x1f\x8bgarbage" * 9,
                "zlib's own format": zlib.compress(bytes(500)), "cut short": body[:-9],
                "without its end": body[:-1], "a wrong checksum": bytes(flipped),
                "bytes behind its end": body + b"\0", "two members": body + body, "one byte": b"\x1f"}
        for rpc in ("Forward", "GetSession", "Exchange"):
            for name, bad in rows.items():
                with self.subTest(rpc=rpc, message=name):
                    answer = raw_call.call(self.server.address, rpc, bad)
                    self.assertEqual(outcome(answer), (INVALID_ARGUMENT, "INVALID_REQUEST"))
                    self.assertIn("gzip", answer.trailers["grpc-message"])
        self.assertEqual(bytes_in_flight_at_rest(self.server), 0)

    def test_other_encodings_are_refused(self):
        body = zlib.compress(forward_request(np.zeros(5000, np.float32)).SerializeToString())
        for rpc in ("Forward", "GetSession", "Exchange"):
            answer = raw_call.call(self.server.address, rpc, body, encoding="deflate")
            self.assertEqual(outcome(answer),
                             (grpc.StatusCode.UNIMPLEMENTED, "COMPRESSION_UNSUPPORTED"))
            accepted = answer.trailers["grpc-accept-encoding"].replace(" ", "").split(",")
            self.assertEqual(sorted(accepted), ["gzip", "identity"])
            self.assertIn("deflate", answer.trailers["grpc-message"])
        # grpc's own client says the same.
        with self.assertRaises(grpc.RpcError) as raised:
            self.plain.call("Forward", forward_request(np.zeros(5000, np.float32)),
                            compression=grpc.Compression.Deflate)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        self.assertEqual(reason_of(raised.exception), "COMPRESSION_UNSUPPORTED")
        # A name that gRPC does not know, it takes for identity: then the bytes are no message.
        answer = raw_call.call(self.server.address, "Forward", b"\xff" + body, encoding="br")
        self.assertEqual(outcome(answer), (INVALID_ARGUMENT, "INVALID_REQUEST"))


class OtherServicesTest(unittest.TestCase):

    def test_compressed_requests_are_refused(self):
        with harness.Server() as server:
            health = gzip.compress(b"\x0a\x19dropout.v1.DropoutService")
            with raw_call.RawCall(server.address, "Check", encoding="gzip",
                                  service="grpc.health.v1.Health") as one:
                one.send(health, compressed=True)
                self.assertEqual(one.finish().code, INVALID_ARGUMENT.value[0])
            with raw_call.RawCall(server.address, "ServerReflectionInfo", encoding="gzip",
                                  service="grpc.reflection.v1alpha.ServerReflection") as one:
                one.send(gzip.compress(b"\x3a\x01*"), compressed=True)
                self.assertEqual(one.finish().messages, [])


class MessageCountTest(unittest.TestCase):
    """A unary call has one message."""

    def test_none(self):
        with harness.Server() as server:
            for rpc in ("GetServerInfo", "Forward"):
                with raw_call.RawCall(server.address, rpc) as one:
                    answer = one.finish()
                self.assertEqual(outcome(answer), (INVALID_ARGUMENT, "INVALID_REQUEST"))
                self.assertIn("no request", answer.trailers["grpc-message"])

    def test_what_follows_the_first_is_not_read(self):
        with harness.Server() as server:
            with raw_call.RawCall(server.address, "GetServerInfo") as one:
                for _ in range(3):
                    one.send(b"")
                answer = one.finish()
            self.assertEqual(outcome(answer), (OK, None))
            self.assertEqual(len(answer.messages), 1)


if __name__ == "__main__":
    unittest.main()
