"""Every operation of an Exchange is admitted once and answered once, whatever its messages are."""

import itertools
import os
import queue
import re
import time
import unittest
import urllib.request

import client_helpers as helpers
import grpc
import harness
import numpy as np

pb = helpers.pb
SECONDS = 120
# Every sequence of at most so many messages is sent, and so many longer ones.
LENGTH = int(os.environ.get("DROPOUTD_EXCHANGE_LENGTH", "3"))
LONGER = int(os.environ.get("DROPOUTD_EXCHANGE_LONGER", "300"))
IN_FLIGHT = 64 << 10

COUNT = 256  # Elements of a tensor that comes in pieces,
PART = 384  # and bytes of each of its pieces but the last. No multiple of an element.
SIZE = 4 * COUNT

WHOLE, BEGIN, DATA, LAST, BAD, BAD_BEGIN, TOO_MANY, TOO_LARGE = (
    "whole", "begin", "data", "last", "bad", "bad begin", "too many", "too large")
KINDS = (WHOLE, BEGIN, DATA, LAST, BAD, BAD_BEGIN, TOO_MANY, TOO_LARGE)


def tensor_of(operation, count):
    """A tensor that names its operation in every element."""
    return np.full(count, operation + 1, np.float32)


class Model:
    """What the messages of a stream are, and what they are answered with."""

    def __init__(self):
        self.answers = []  # Of each operation that has ended: its reason, or its output's bytes.
        self._operations = 0
        self._sent = None  # Bytes of the tensor that is being sent; None: none is.
        self._name = None
        self._is_discarding = False

    def _step(self, layer, count, data):
        self._operations += 1
        return pb.ForwardRequest(session_id="s", layer_id=layer, step=1, input=pb.Tensor(
            dtype=helpers.FLOAT32, shape=[count], data=data))

    def _cut_off(self):
        if self._sent is not None:
            self.answers.append("INVALID_REQUEST")
        self._sent = None
        self._is_discarding = False

    def _fail(self, reason, has_more):
        """A piece that is not taken: of an operation that goes on, has failed, or never began."""
        if not self._is_discarding:
            self.answers.append(reason if self._sent is not None or reason.startswith("QUOTA")
                                else "INVALID_REQUEST")
        self._sent = None
        self._is_discarding = has_more

    def message(self, kind):
        """The next message, of a kind."""
        if kind in (WHOLE, BEGIN, BAD, BAD_BEGIN):
            self._cut_off()
            self._name = self._operations
        if kind == WHOLE:
            data = tensor_of(self._name, 16).tobytes()
            self.answers.append(data)
            return pb.ExchangeRequest(forward=self._step("l", 16, data))
        if kind == BEGIN:
            self._sent = PART
            data = tensor_of(self._name, COUNT).tobytes()
            return pb.ExchangeRequest(forward=self._step("l", COUNT, data[:PART]), has_more=True)
        if kind in (BAD, BAD_BEGIN):
            self.answers.append("LAYER_NOT_FOUND")
            self._is_discarding = kind == BAD_BEGIN
            return pb.ExchangeRequest(forward=self._step("none", 16, bytes(64)),
                                      has_more=kind == BAD_BEGIN)
        whole = tensor_of(self._name or 0, COUNT).tobytes()
        at = self._sent or 0
        if kind == DATA:
            data = whole[at:at + PART]
            if self._sent is None:
                self._fail("INVALID_REQUEST", True)
            else:
                self._sent += len(data)
            return pb.ExchangeRequest(data=data, has_more=True)
        if kind == LAST:
            if self._sent is None:
                self._fail("INVALID_REQUEST", False)
            else:
                self.answers.append(whole)
                self._sent = None
            return pb.ExchangeRequest(data=whole[at:])
        if kind == TOO_MANY:
            self._fail("INVALID_TENSOR", True)
            return pb.ExchangeRequest(data=bytes(SIZE + 1), has_more=True)
        # More than may be in flight.
        self._fail("QUOTA_BYTES_IN_FLIGHT", True)
        return pb.ExchangeRequest(data=bytes(IN_FLIGHT + 1), has_more=True)

    def end(self):
        """The client ends its side."""
        self._cut_off()
        return self.answers


def operations_of(responses):
    """What each operation was answered: its reason, or its output's bytes."""
    answers, data = [], b""
    for response in responses:
        data += response.forward.output.data + response.data
        if response.has_more:
            continue
        answers.append(response.error.reason if response.HasField("error") else data)
        data = b""
    return answers


def counted(server):
    """Operations that the server has counted, and bytes that are in flight."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{server.metrics_address}/metrics", timeout=SECONDS) as page:
        text = page.read().decode()
    calls = re.findall(r'^dropoutd_calls_total\{(.*)\} (\S+)$', text, re.MULTILINE)
    operations = sum(float(value) for labels, value in calls if 'method="Exchange' in labels)
    streams = re.search(r'^dropoutd_streams (\S+)$', text, re.MULTILINE)
    in_flight = re.search(r'^dropoutd_bytes_in_flight (\S+)$', text, re.MULTILINE)
    return operations, float(streams[1]), float(in_flight[1])


def sequences():
    for length in range(LENGTH + 1):
        yield from itertools.product(KINDS, repeat=length)
    random = np.random.default_rng(1)
    for _ in range(LONGER):
        yield tuple(random.choice(KINDS, random.integers(LENGTH + 1, 12)))


class AnswersTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server(
            f"--max_bytes_in_flight={IN_FLIGHT}", "--metrics_listen=127.0.0.1:0"))
        self.client = self.enterContext(helpers.Client(self.server.address))
        self.client.create_session("s", [helpers.dropout_layer("l", mode=helpers.EVAL)])

    def exchange(self, requests):
        return list(self.client.service.Exchange(iter(requests), timeout=SECONDS))

    def test_every_sequence_of_messages(self):
        calls = 0
        for kinds in sequences():
            model = Model()
            requests = [model.message(kind) for kind in kinds]
            expected = model.end()
            self.assertEqual(operations_of(self.exchange(requests)), expected, kinds)
            calls += 1 + len(expected)
        # Once a stream, and once an operation. All that was charged is given back.
        deadline = time.monotonic() + SECONDS
        while counted(self.server) != (calls, 0, 0):
            self.assertLess(time.monotonic(), deadline, (calls, counted(self.server)))

    def test_a_number_is_echoed_in_every_answer(self):
        model = Model()
        requests = []
        number = 0
        for kind in (WHOLE, BEGIN, DATA, LAST, BEGIN, BEGIN, TOO_MANY, DATA, LAST, BAD, BEGIN):
            number += kind in (WHOLE, BEGIN, BAD)
            requests.append(model.message(kind))
            if requests[-1].HasField("forward"):
                requests[-1].operation = 1000 + number
        numbers = [each.operation for each in self.exchange(requests)]
        self.assertEqual([number for number, _ in itertools.groupby(numbers)],
                         [1000 + i for i in range(1, 7)])

    def test_a_piece_of_another_operation_fails_its_own(self):
        model = Model()
        requests = [model.message(kind) for kind in (BEGIN, DATA, LAST, WHOLE)]
        for number, request in zip((7, 7, 8, 9), requests):
            request.operation = number
        responses = self.exchange(requests)
        self.assertEqual(operations_of(responses), ["INVALID_REQUEST", model.answers[-1]])
        self.assertEqual([each.operation for each in responses if not each.has_more], [7, 9])


class RateTest(unittest.TestCase):

    def test_pieces_are_no_calls(self):
        """A limit on calls counts operations: one in many pieces is one."""
        with harness.Server("--max_calls_per_second=20") as server, (
                helpers.Client(server.address)) as client:
            client.create_session("s", [helpers.dropout_layer("l", mode=helpers.EVAL)])
            data = tensor_of(1, 16_000).tobytes()
            request = pb.ForwardRequest(session_id="s", layer_id="l", step=1, input=pb.Tensor(
                dtype=helpers.FLOAT32, shape=[16_000], data=data[:400]))
            requests = [pb.ExchangeRequest(forward=request, has_more=True)]
            requests += [pb.ExchangeRequest(data=data[at:at + 400], has_more=at + 400 < len(data))
                         for at in range(400, len(data), 400)]
            answers = operations_of(client.service.Exchange(iter(requests), timeout=SECONDS))
        self.assertEqual(answers, [data])


class DrainTest(unittest.TestCase):

    def test_an_operation_that_has_begun_is_finished(self):
        with harness.Server("--drain_timeout=60s") as server, (
                helpers.Client(server.address)) as client:
            client.create_session("s", [helpers.dropout_layer("l", mode=helpers.EVAL)])
            model = Model()
            first, second = [model.message(kind) for kind in (BEGIN, LAST)]
            idle, busy = queue.SimpleQueue(), queue.SimpleQueue()
            idle_call = client.service.Exchange(iter(idle.get, None), timeout=SECONDS)
            call = client.service.Exchange(iter(busy.get, None), timeout=SECONDS)
            idle.put(Model().message(WHOLE))
            next(idle_call)
            busy.put(first)
            responses = [next(call)]
            server.signal()
            # The idle stream ends when the server has begun to drain.
            with self.assertRaises(grpc.RpcError) as raised:
                next(idle_call)
            self.assertEqual(helpers.reason_of(raised.exception), "DRAINING")
            busy.put(second)
            responses.append(next(call))
            self.assertEqual(operations_of(responses), model.end())
            with self.assertRaises(grpc.RpcError) as raised:
                next(call)
            self.assertEqual(helpers.reason_of(raised.exception), "DRAINING")
            for requests in (idle, busy):
                requests.put(None)
            self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main()
