"""What a client cannot make the server hold: messages over the limit, answers nobody reads."""

import concurrent.futures
import sys
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import EVAL, Client, dropout_layer, pb, reason_of, to_array, to_tensor

MIB = 1 << 20
IN_FLIGHT_MIB = 32
SENDERS = 4
MESSAGE_MIB = 128
ANSWER_MIB = 12
ALLOWANCE_MIB = 96  # Of the server's own, and what it takes until it has ended the calls.
CALL_SECONDS = 120


class MemoryBoundsTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server(
            "--max_message_bytes=16MiB", f"--max_bytes_in_flight={IN_FLIGHT_MIB}MiB"))

    def connect(self, number, **options):
        """A client with a connection of its own."""
        return self.enterContext(Client(self.server.address, use_local_subchannel_pool=1,
                                        channel_id=number, **options))

    def test_messages_over_the_limit_are_not_gathered(self):
        """gRPC 1.51 looks at a message's size when all of it is there: its quota must end it."""
        if self.server.has_sanitizer():
            self.skipTest("a sanitizer's memory is not the server's")
        body = bytes(MESSAGE_MIB * MIB)

        def send(client):
            with self.assertRaises(grpc.RpcError) as raised:
                client.call_raw("GetSession", body)
            return raised.exception.code()

        clients = [self.connect(number) for number in range(SENDERS)]
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
            codes = set(pool.map(send, clients))
        peak = self.server.memory("VmHWM")
        print(f"{SENDERS} messages of {MESSAGE_MIB} MiB, 16 MiB allowed: at most "
              f"{peak / MIB:.0f} MiB resident", file=sys.stderr)
        self.assertLessEqual(codes, {grpc.StatusCode.RESOURCE_EXHAUSTED,
                                     grpc.StatusCode.UNAVAILABLE})
        self.assertLess(peak, (2 * IN_FLIGHT_MIB + ALLOWANCE_MIB) * MIB)
        # The server goes on.
        self.assertTrue(self.connect(SENDERS).info().version)

    def test_answers_that_nobody_reads_keep_their_place(self):
        x = np.random.default_rng(1).standard_normal(ANSWER_MIB * MIB // 8)
        request = pb.ForwardRequest(session_id="s", layer_id="l", input=to_tensor(x))
        # A window that does not grow, so that an answer does not fit in it.
        slow = self.connect(0, **{"http2.bdp_probe": 0})
        other = self.connect(1)
        other.create_session("s", [dropout_layer("l")], mode=EVAL)
        # Read as a stream, an answer stays behind flow control until it is asked for.
        forward = slow.channel.unary_stream(
            "/dropout.v1.DropoutService/Forward",
            request_serializer=pb.ForwardRequest.SerializeToString,
            response_deserializer=pb.ForwardResponse.FromString)
        unread = [forward(request, timeout=CALL_SECONDS) for _ in range(2)]
        for call in unread:
            call.initial_metadata()  # Its answer is made.

        with self.assertRaises(grpc.RpcError) as raised:
            other.call("Forward", request)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(reason_of(raised.exception), "QUOTA_BYTES_IN_FLIGHT")

        for call in unread:
            (answer,) = call
            self.assertEqual(answer.output.data, request.input.data)
        np.testing.assert_array_equal(to_array(self.forward_soon(other, request).output), x)

    def forward_soon(self, client, request):
        """The answer, once the server knows that those before have been sent."""
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            try:
                return client.call("Forward", request)
            except grpc.RpcError as error:
                if reason_of(error) != "QUOTA_BYTES_IN_FLIGHT" or time.monotonic() > deadline:
                    raise


if __name__ == "__main__":
    unittest.main()
