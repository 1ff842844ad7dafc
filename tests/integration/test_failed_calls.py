"""A Forward, Backward or Exchange that fails changes nothing, whatever the store."""

import itertools
import math
import pathlib
import shutil
import tempfile
import unittest

import client_helpers as helpers
import grpc
import harness
import numpy as np
from redis_server import Redis
from test_exchange_answers import operations_of

pb = helpers.pb
CALL_SECONDS = helpers.CALL_SECONDS
SEED = 7
STEP = 1
SHAPE = (4, 6)
X = np.arange(1, 25, dtype=np.float32).reshape(SHAPE)
REGION = 4096
REGION_SMALL = 16

LAYERS = [
    pb.Layer(layer_id="plain", p=0.5, dropout=pb.Dropout()),
    pb.Layer(layer_id="eval", p=0.5, mode=helpers.EVAL, dropout=pb.Dropout()),
    pb.Layer(layer_id="zero", p=0.0, dropout=pb.Dropout()),
    pb.Layer(layer_id="numpy", p=0.5, dropout=pb.Dropout(),
             generator=pb.GENERATOR_NUMPY_LEGACY),
    pb.Layer(layer_id="gaussian", p=0.5, gaussian=pb.Gaussian()),
    pb.Layer(layer_id="block", p=0.1, drop_block=pb.DropBlock(block_size=[3])),
    pb.Layer(layer_id="concrete", p=0.5, concrete=pb.Concrete()),
    pb.Layer(layer_id="linear", p=0.5, drop_connect=pb.DropConnect(
        in_features=6, out_features=5)),
]
KINDS = [layer.layer_id for layer in LAYERS]


def shape_of(layer):
    return (1, 2, 3, 4) if layer == "block" else SHAPE


def gradient_shape(layer):
    return (4, 5) if layer == "linear" else shape_of(layer)


def tensor(shape, data=None, **fields):
    if not fields:
        values = np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32)
        fields["data"] = values.tobytes() if data is None else data
    return pb.Tensor(dtype=helpers.FLOAT32, shape=shape, **fields)


PARAMETERS = [pb.Parameter(name="weight", value=tensor((5, 6))),
              pb.Parameter(name="bias", value=tensor((5,)))]


class Refusals:
    """Named requests that the server must refuse, for one layer."""

    def __init__(self, layer, region, small):
        self._layer = layer  # Its id.
        self._region = region
        self._small = small

    def forward(self, step=STEP, **fields):
        return pb.ForwardRequest(session_id="s", layer_id=self._layer, step=step, **fields)

    def backward(self, **fields):
        return pb.BackwardRequest(session_id="s", layer_id=self._layer, step=STEP, release=True,
                                  **fields)

    def places(self, shape):
        """Names and fields of tensors and outputs that are refused."""
        def place(region, offset=0):
            return pb.SharedMemoryRef(region_id=region, offset=offset)

        good = tensor(shape)
        shared = tensor(shape, shared_memory=place(self._region))
        return [
            ("unknown output", good, place("none")),
            ("output past the region's end", good, place(self._region, REGION - 8)),
            ("output before it", good, place(self._region, -8)),
            ("small output", good, place(self._small)),
            ("output over the input", shared, place(self._region, 8)),
            ("unknown input", tensor(shape, shared_memory=place("none")), None),
            ("input past the region's end",
             tensor(shape, shared_memory=place(self._region, REGION - 8)), None),
            ("short data", tensor(shape, data=bytes(12)), None),
            ("long data", tensor(shape, data=bytes(1000)), None),
            ("no tensor", None, None),
            ("other type", pb.Tensor(dtype=9, shape=shape, data=bytes(96)), None),
        ]

    def unary(self):
        for name, value, output in self.places(shape_of(self._layer)):
            yield f"Forward, {name}", "Forward", self.forward(input=value, output=output)
        for name, value, output in self.places(gradient_shape(self._layer)):
            yield f"Backward, {name}", "Backward", self.backward(
                output_gradient=value, output=output)
        yield "Backward, other shape", "Backward", self.backward(output_gradient=tensor((2, 2, 2)))
        for norm in (math.nan, math.inf, -1.0):
            yield f"Backward, norm {norm}", "Backward", self.backward(
                output_gradient=tensor(gradient_shape(self._layer)), weight_squared_norm=norm)

    def streams(self):
        """Exchanges whose operation fails, or is never finished."""
        for kind, shape in (("forward", shape_of(self._layer)),
                            ("backward", gradient_shape(self._layer))):
            whole = tensor(shape)
            data = whole.data

            def first(size):
                part = tensor(shape, data=data[:size])
                request = (self.forward(input=part) if kind == "forward" else
                           self.backward(output_gradient=part))
                return pb.ExchangeRequest(**{kind: request}, has_more=True)

            def rest(piece, has_more=False):
                return pb.ExchangeRequest(data=piece, has_more=has_more)

            yield f"{kind}, half closed", [first(12)]
            yield f"{kind}, half closed with all bytes", [first(len(data))]
            yield f"{kind}, short", [first(12), rest(data[12:-4])]
            yield f"{kind}, long", [first(12), rest(data[12:] + b"four", True), rest(b"")]
            yield f"{kind}, cut short by another", [first(12), pb.ExchangeRequest(
                forward=pb.ForwardRequest(session_id="none"))]
            yield f"{kind}, another's piece", [first(12), pb.ExchangeRequest(
                data=data[12:], operation=9)]


class FailedCallsTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "shm").mkdir()

    def stores(self):
        yield "memory"
        yield f"sqlite:{self.folder / 'state.db'}"
        if shutil.which("redis-server"):
            redis = Redis(self.folder)
            redis.start()
            self.addCleanup(redis.kill)
            yield f"redis://127.0.0.1:{redis.port}"

    def test_nothing_is_left(self):
        for store in self.stores():
            with self.subTest(store=store.partition(":")[0]):
                self.check_store(store)

    def check_store(self, store):
        with harness.Server(f"--store={store}", "--shared_memory",
                            f"--shared_memory_dir={self.folder / 'shm'}",
                            "--max_message_bytes=64KiB") as server, (
                helpers.Client(server.address)) as client:
            # Two sessions with the same calls, of which one has failures in between.
            for name in ("s", "twin"):
                client.create_session(name, LAYERS, seed=SEED)
                client.call("SetParameters", pb.SetParametersRequest(
                    session_id=name, layer_id="linear", parameters=PARAMETERS))
            region, small, big = [client.call("CreateSharedMemory", pb.CreateSharedMemoryRequest(
                session_id="s", byte_size=size)) for size in (REGION, REGION_SMALL, 1 << 20)]
            for layer in KINDS:
                self.both(client, layer, STEP)
            for layer in KINDS:
                refusals = Refusals(layer, region.region_id, small.region_id)
                self.check_layer(client, layer, refusals, big.region_id)
            # The next masks are those of a session without failures; NUMPY_LEGACY's is its stream's.
            for layer in KINDS:
                self.both(client, layer, STEP + 1)
            self.check_cut_regions(client)

    def both(self, client, layer, step):
        """A Forward and a Backward in both sessions, which answer alike."""
        outputs, gradients = [], []
        for session in ("s", "twin"):
            outputs.append(client.call("Forward", pb.ForwardRequest(
                session_id=session, layer_id=layer, step=step, input=tensor(shape_of(layer)),
                return_mask=True)))
            gradients.append(client.call("Backward", pb.BackwardRequest(
                session_id=session, layer_id=layer, step=step,
                output_gradient=tensor(gradient_shape(layer)))))
        self.assertEqual(outputs[0], outputs[1], layer)
        self.assertEqual(gradients[0], gradients[1], layer)

    def snapshot(self, client):
        """All that is kept of the session."""
        return helpers.exported_contents(client, "s")

    def gradient(self, client, layer):
        return client.call("Backward", pb.BackwardRequest(
            session_id="s", layer_id=layer, step=STEP,
            output_gradient=tensor(gradient_shape(layer))))

    def check_layer(self, client, layer, refusals, big):
        before = self.snapshot(client)
        gradient = self.gradient(client, layer)

        def check(name):
            self.assertEqual(self.snapshot(client), before, f"{layer}: {name}")
            self.assertEqual(self.gradient(client, layer), gradient, f"{layer}: {name}")

        for name, rpc, request in refusals.unary():
            with self.assertRaises(grpc.RpcError, msg=f"{layer}: {name}"):
                client.call(rpc, request)
            check(name)
        # The same of a step that never ran.
        for name, value, output in refusals.places(shape_of(layer)):
            with self.assertRaises(grpc.RpcError, msg=f"{layer}: {name}"):
                client.call("Forward", refusals.forward(step=50, input=value, output=output))
            check(f"{name}, new step")
        for name, requests in refusals.streams():
            responses = list(client.service.Exchange(iter(requests), timeout=CALL_SECONDS))
            self.assertTrue(responses and responses[-1].HasField("error"), f"{layer}: {name}")
            check(name)
        long_answer = refusals.forward(step=51, input=tensor(
            (1 << 13, 6), shared_memory=pb.SharedMemoryRef(region_id=big)))
        if layer != "block":
            with self.assertRaises(grpc.RpcError, msg=f"{layer}: a long answer"):
                client.call("Forward", long_answer)
            check("a long answer")

    def check_cut_regions(self, client):
        """A region whose file its client has cut is refused before anything is done."""
        for layer, (cut_input, cut_output) in itertools.product(
                KINDS, ((True, False), (False, True))):
            region = client.call("CreateSharedMemory", pb.CreateSharedMemoryRequest(
                session_id="s", byte_size=REGION))
            before = self.snapshot(client)
            with open(region.path, "r+b") as file:
                file.truncate(0)
            place = pb.SharedMemoryRef(region_id=region.region_id)
            shape = shape_of(layer)
            with self.assertRaises(grpc.RpcError) as raised:
                client.call("Forward", pb.ForwardRequest(
                    session_id="s", layer_id=layer, step=60,
                    input=tensor(shape, shared_memory=place) if cut_input else tensor(shape),
                    output=place if cut_output else None))
            self.assertEqual(helpers.reason_of(raised.exception), "REGION_BROKEN", layer)
            self.assertEqual(self.snapshot(client), before, layer)
            client.call("DeleteSharedMemory", pb.DeleteSharedMemoryRequest(
                session_id="s", region_id=region.region_id))


class NumpyTest(unittest.TestCase):

    def test_the_next_mask_is_numpys(self):
        """Also in pieces, and after failures of every kind."""
        x = np.ones(1000, np.float32)
        with harness.Server() as server, helpers.Client(server.address) as client:
            client.create_session("s", [pb.Layer(
                layer_id="l", p=0.3, dropout=pb.Dropout(),
                generator=pb.GENERATOR_NUMPY_LEGACY)], seed=SEED)
            random = np.random.RandomState(SEED)

            def request(step, data):
                return pb.ForwardRequest(session_id="s", layer_id="l", step=step, input=pb.Tensor(
                    dtype=helpers.FLOAT32, shape=x.shape, data=data))

            for step in range(5):
                kept = random.rand(1000) >= 0.3
                data = x.tobytes()
                first = pb.ExchangeRequest(forward=request(step, data[:777]), has_more=True)
                last = pb.ExchangeRequest(data=data[777:])
                # Cut short, too long, and half closed; then without a fault.
                answers = list(client.service.Exchange(iter([
                    first, pb.ExchangeRequest(forward=request(step, data[:8])), first,
                    pb.ExchangeRequest(data=data), first, last]), timeout=CALL_SECONDS))
                answers = operations_of(answers)
                self.assertEqual(answers[:-1], [
                    "INVALID_REQUEST", "INVALID_TENSOR", "INVALID_TENSOR"])
                list(client.service.Exchange(iter([first]), timeout=CALL_SECONDS))
                y = np.frombuffer(answers[-1], np.float32)
                self.assertEqual((y != 0).tolist(), kept.tolist(), step)


if __name__ == "__main__":
    unittest.main()
