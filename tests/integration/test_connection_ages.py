"""--max_connection_idle and --max_connection_age: who is idle is told to go, and who is old too, after
what was begun has been answered."""

import queue
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import EVAL, Client, dropout_layer, pb, reason_of, to_tensor
from http2_wire import GOAWAY, Connection, call_headers

CALL_SECONDS = 120
INFO = call_headers("GetServerInfo")
DRAINING = (grpc.StatusCode.UNAVAILABLE, "DRAINING")


class ConnectionAgesTest(unittest.TestCase):

    def test_an_idle_connection_is_told_to_go(self):
        with harness.Server("--max_connection_idle=1s") as server:
            with Connection(server.address) as connection:
                connection.call(INFO, b"")
                begun = time.monotonic()
                self.assertTrue(connection.ended.wait(CALL_SECONDS))
                self.assertGreaterEqual(time.monotonic() - begun, 0.5)
                self.assertGreaterEqual(connection.frames[GOAWAY], 1)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_a_connection_with_a_call_is_not_idle(self):
        with harness.Server("--max_connection_idle=1s") as server:
            with Connection(server.address) as idle, Connection(server.address) as busy:
                busy.call(call_headers("Exchange"), b"", end=False)
                idle.call(INFO, b"")
                self.assertTrue(idle.ended.wait(CALL_SECONDS))
                self.assertFalse(busy.ended.is_set())
                self.assertEqual(busy.frames[GOAWAY], 0)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_an_old_connection_is_told_to_go(self):
        with harness.Server("--max_connection_age=1s") as server:
            with Connection(server.address) as connection:
                # Never idle for long.
                while not connection.ended.wait(0.1):
                    try:
                        connection.call(INFO, b"")
                    except OSError:
                        break
                self.assertTrue(connection.ended.wait(CALL_SECONDS))
                self.assertGreaterEqual(connection.frames[GOAWAY], 1)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_a_client_does_not_notice(self):
        """Calls one after the other, through several lives of their connection."""
        with harness.Server("--max_connection_age=500ms") as server:
            with Client(server.address, use_local_subchannel_pool=1) as client:
                end = time.monotonic() + 4
                while time.monotonic() < end:
                    client.info()
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_an_old_stream_ends_when_its_operation_is_answered(self):
        x = np.arange(1 << 20, dtype=np.float32)
        whole = to_tensor(x)
        half = len(whole.data) // 2
        request = pb.ForwardRequest(session_id="s", layer_id="l", step=1, input=whole)
        request.input.data = whole.data[:half]
        with harness.Server("--max_connection_age=1s", "--drain_timeout=120s") as server:
            with Client(server.address, use_local_subchannel_pool=1) as client:
                client.create_session("s", [dropout_layer("l")], mode=EVAL)
            with Client(server.address, use_local_subchannel_pool=1) as client:
                messages = queue.SimpleQueue()
                stream = client.service.Exchange(iter(messages.get, None), timeout=CALL_SECONDS)
                messages.put(pb.ExchangeRequest(forward=request, has_more=True))
                data = next(stream).forward.output.data
                time.sleep(2)  # The stream is older than it may be: nothing else is to be seen.
                messages.put(pb.ExchangeRequest(data=whole.data[half:]))
                with self.assertRaises(grpc.RpcError) as raised:
                    for answer in stream:
                        self.assertFalse(answer.HasField("error"), answer.error)
                        data += answer.data
                self.assertEqual((raised.exception.code(), reason_of(raised.exception)), DRAINING)
                self.assertEqual(data, whole.data)
                messages.put(None)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_a_stream_that_does_nothing_ends_too(self):
        with harness.Server("--max_connection_age=1s") as server:
            with Client(server.address, use_local_subchannel_pool=1) as client:
                messages = queue.SimpleQueue()
                stream = client.service.Exchange(iter(messages.get, None), timeout=CALL_SECONDS)
                with self.assertRaises(grpc.RpcError) as raised:
                    next(stream)
                self.assertEqual((raised.exception.code(), reason_of(raised.exception)), DRAINING)
                messages.put(None)
            self.assertEqual(server.terminate(), 0, server.stderr)


if __name__ == "__main__":
    unittest.main()
