"""The stream of operations, through a real server."""

import queue
import threading
import time
import unittest

import client_helpers as helpers
import grpc
import harness
import numpy as np

pb = helpers.pb
SECONDS = 60


class Stream:
    """One Exchange; requests are sent as they are given, answers wait to be taken."""

    def __init__(self, client):
        self._requests = queue.SimpleQueue()
        self.call = client.service.Exchange(iter(self._requests.get, None), timeout=SECONDS)

    def send(self, **fields):
        self._requests.put(pb.ExchangeRequest(**fields))

    def end(self):
        self._requests.put(None)

    def next(self):
        return next(self.call)

    def answer(self):
        """All messages of an operation's answer."""
        messages = [self.next()]
        while messages[-1].has_more:
            messages.append(self.next())
        return messages


def joined(messages):
    """The output's bytes."""
    return b"".join(m.forward.output.data + m.backward.input_gradient.data + m.data
                    for m in messages)


def send_in_pieces(stream, request, kind, piece):
    """Sends a request whose tensor is longer than `piece` bytes."""
    tensor = request.input if kind == "forward" else request.output_gradient
    data = tensor.data
    tensor.data = data[:piece]
    stream.send(**{kind: request}, has_more=piece < len(data))
    for at in range(piece, len(data), piece):
        stream.send(data=data[at:at + piece], has_more=at + piece < len(data))


def settle(count, most):
    """Waits until a count stands still, or is `most`."""
    seen, still = count(), 0
    while still < 20 and seen < most:
        time.sleep(0.05)
        still = still + 1 if count() == seen else 0
        seen = count()


class ExchangeTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server())
        self.client = self.enterContext(helpers.Client(self.server.address))
        self.client.create_session("s", [helpers.dropout_layer("drop", p=0.4),
                                         helpers.dropout_layer("other", p=0.2)], seed=3)
        self.x = np.arange(200_000, dtype=np.float32).reshape(200, 1000)

    def request(self, step, x=None, layer="drop", **fields):
        return pb.ForwardRequest(session_id="s", layer_id=layer, step=step,
                                 input=helpers.to_tensor(self.x if x is None else x), **fields)

    def test_operations_are_answered_in_their_order(self):
        stream = Stream(self.client)
        for step in range(200):
            stream.send(forward=self.request(step, self.x[:1, :64]))
        for step in range(200):
            expected = self.client.forward("s", "drop", self.x[:1, :64], step)
            self.assertEqual(stream.next().forward, expected)
        stream.end()
        self.assertEqual(list(stream.call), [])
        self.assertEqual(stream.call.code(), grpc.StatusCode.OK)

    def test_a_tensor_in_pieces_is_the_whole_tensor(self):
        whole = self.client.forward("s", "drop", self.x, 5, return_mask=True)
        stream = Stream(self.client)
        for piece in (1001, 65_536, 300_000, 10_000_000):
            send_in_pieces(stream, self.request(5, return_mask=True), "forward", piece)
            messages = stream.answer()
            self.assertEqual(joined(messages), whole.output.data)
            self.assertEqual(messages[0].forward.output.shape, whole.output.shape)
            self.assertEqual(messages[0].forward.p, 0.4)
            self.assertEqual(messages[-1].forward.mask, whole.mask)
        gradient = self.client.backward("s", "drop", self.x, 5)
        send_in_pieces(stream, pb.BackwardRequest(
            session_id="s", layer_id="drop", step=5,
            output_gradient=helpers.to_tensor(self.x)), "backward", 70_000)
        self.assertEqual(joined(stream.answer()), gradient.tobytes())
        stream.end()

    def test_answers_come_while_the_tensor_is_still_being_sent(self):
        stream = Stream(self.client)
        request = self.request(1)
        data = request.input.data
        request.input.data = data[:1024]
        stream.send(forward=request, has_more=True)
        self.assertEqual(len(stream.next().forward.output.data), 1024)
        stream.send(data=data[1024:], has_more=False)
        self.assertEqual(len(stream.next().data), len(data) - 1024)
        stream.end()

    def test_an_error_ends_its_operation_and_not_the_stream(self):
        stream = Stream(self.client)
        stream.send(forward=self.request(1, self.x[:1], layer="none"))
        error = stream.next().error
        self.assertEqual((error.code, error.reason), (5, "LAYER_NOT_FOUND"))
        send_in_pieces(stream, self.request(None), "forward", 4096)
        error = stream.next().error
        self.assertEqual((error.code, error.reason), (3, "STEP_REQUIRED"))
        stream.send(forward=self.request(2, self.x[:1]))
        self.assertEqual(len(stream.next().forward.output.data), 4000)
        stream.end()
        self.assertEqual(list(stream.call), [])

    def test_garbage_ends_the_stream_with_a_reason(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.client.call_raw("Exchange", b"\xff")
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(helpers.reason_of(raised.exception), "INVALID_REQUEST")

    def test_a_client_that_does_not_read_is_not_read_either(self):
        """Back-pressure: the client's thread stops sending, and memory stays where it was."""
        with helpers.Client(self.server.address) as slow:
            before = self.server.memory()
            sent = []

            def requests():
                request = self.request(1)
                data = request.input.data * 4
                request.input.shape[0] = 10 ** 9
                request.input.data = data
                yield pb.ExchangeRequest(forward=request, has_more=True)
                for _ in range(1000):
                    sent.append(1)
                    yield pb.ExchangeRequest(data=data, has_more=True)

            call = slow.service.Exchange(requests(), timeout=SECONDS)
            next(call)
            # 3.2 GB would pass by in no time if nothing held them back.
            settle(lambda: len(sent), most=1000)
            self.assertLess(len(sent), 1000)
            self.assertLess(self.server.memory() - before, 200 << 20)
            call.cancel()
        self.client.info()

    def test_many_streams_at_once(self):
        expected = self.client.forward("s", "drop", self.x, 9).output.data
        failures = []

        def run():
            try:
                stream = Stream(self.client)
                for piece in (50_000, 123_456):
                    send_in_pieces(stream, self.request(9), "forward", piece)
                    if joined(stream.answer()) != expected:
                        failures.append("another answer")
                stream.end()
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_an_idle_stream_does_not_hold_up_the_end(self):
        stream = Stream(self.client)
        stream.send(forward=self.request(1, self.x[:1]))
        stream.next()
        self.server.signal()
        with self.assertRaises(grpc.RpcError) as raised:
            stream.next()
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(helpers.reason_of(raised.exception), "DRAINING")
        self.assertEqual(self.server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
