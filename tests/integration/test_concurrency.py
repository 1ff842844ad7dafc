"""Many clients at once, on shared and on separate sessions, with every result checked that is
determined."""

import concurrent.futures
import pathlib
import random
import sys
import unittest

import grpc
import harness
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))
import mask_reference  # noqa: E402 (needs the path above)

THREADS = 32
ROUNDS = 30  # Of each thread; a round is one to seven calls.
CALL_SECONDS = 120

SEED = 20140615
STEPS = 6
PS = (0.25, 0.5)
LAYERS = ("a", "b")
SHARED = ("shared-0", "shared-1", "shared-2")
SHAPE = (12, 25)
X = numpy.arange(1, 301, dtype="<f4").reshape(SHAPE)

# Room for a few masks only, so that most are evicted and made again.
CACHE_BYTES = 2048


def masked(bits, p):
    """X under a mask of packed bits."""
    kept = numpy.unpackbits(numpy.frombuffer(bits, numpy.uint8), count=X.size, bitorder="little")
    scale = numpy.float32(1.0 / (1.0 - p))
    return numpy.where(kept.reshape(SHAPE) == 1, X * scale, numpy.float32(0))


def expected_bits():
    """(layer, p, step) -> packed bits, by the mask format's reference."""
    return {(layer, p, step): bytes(mask_reference.mask(SEED, layer, step, SHAPE, p)[1])
            for layer in LAYERS for p in PS for step in range(STEPS)}


def reason(error):
    return dict(error.trailing_metadata()).get("dropout-error-reason")


class Client:
    """One thread's calls; raises AssertionError for a wrong result."""

    def __init__(self, index, service, bits):
        self.own_session = f"own-{index}"
        self.service = service
        self.messages = harness.stubs().messages
        self.bits = bits
        self.random = random.Random(index)

    def run(self):
        rounds = [self.shared_forward, self.shared_forward, self.shared_backward,
                  self.shared_mask, self.change_shared, self.stream, self.churn_layer,
                  self.own, self.own, self.list_sessions]
        for _ in range(ROUNDS):
            self.random.choice(rounds)()

    def call(self, name, allowed=(), **fields):
        """The answer, or None if the call failed for one of the reasons allowed."""
        request = getattr(self.messages, f"{name}Request")(**fields)
        try:
            return getattr(self.service, name)(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if reason(error) in allowed:
                return None
            raise AssertionError(f"{name}: {error.code()} {reason(error)}: {error.details()}")

    def layer(self, layer_id, p, **fields):
        return self.messages.Layer(layer_id=layer_id, p=p, dropout=self.messages.Dropout(),
                                   **fields)

    def tensor(self):
        return self.messages.Tensor(dtype=self.messages.DATA_TYPE_FLOAT32, shape=SHAPE,
                                    data=X.tobytes())

    def values(self, tensor):
        check(tuple(tensor.shape) == SHAPE, f"shape {tensor.shape}")
        return numpy.frombuffer(tensor.data, "<f4").reshape(SHAPE)

    def place(self):
        """A random step of a random layer that all threads use."""
        return {"session_id": self.random.choice(SHARED),
                "layer_id": self.random.choice(LAYERS),
                "step": self.random.randrange(STEPS)}

    def shared_forward(self):
        at = self.place()
        answer = self.call("Forward", **at, input=self.tensor(), return_mask=True)
        y = self.values(answer.output)
        if answer.mode == self.messages.MODE_EVAL:
            check_equal(y, X)
            return
        bits = self.bits[at["layer_id"], answer.p, at["step"]]
        check(answer.mask.bits == bits, f"mask of {at} with p = {answer.p}")
        check_equal(y, masked(bits, answer.p))

    def shared_backward(self):
        at = self.place()
        answer = self.call("Backward", ["STEP_NOT_FOUND"], **at, output_gradient=self.tensor(),
                           release=self.random.random() < 0.25)
        if answer is None:
            return
        dx = self.values(answer.input_gradient)
        possible = [X] + [masked(self.bits[at["layer_id"], p, at["step"]], p) for p in PS]
        check(any(numpy.array_equal(dx, y) for y in possible), f"gradient of {at}")

    def shared_mask(self):
        at = self.place()
        mask = self.call("GetMask", **at, shape=SHAPE)
        if mask.scale == 1.0:
            check_equal(masked(mask.bits, 0.0), X)
        else:
            p = min(PS, key=lambda p: abs(1 / (1 - p) - mask.scale))
            check(mask.bits == self.bits[at["layer_id"], p, at["step"]], f"mask of {at}, p = {p}")

    def change_shared(self):
        at = self.place()
        session_id, layer_id = at["session_id"], at["layer_id"]
        kind = self.random.randrange(4)
        if kind == 0:
            mode = self.random.choice([self.messages.MODE_TRAIN, self.messages.MODE_TRAIN,
                                       self.messages.MODE_EVAL])
            answer = self.call("SetMode", session_id=session_id, mode=mode, layer_ids=[layer_id])
            check(list(answer.layer_ids) == [layer_id], "layers set")
        elif kind == 1:
            p = self.random.choice(PS)
            answer = self.call("UpdateLayer", session_id=session_id, layer=self.layer(layer_id, p))
            check(answer.p == p, "p after UpdateLayer")
        elif kind == 2:
            self.call("ReleaseSteps", session_id=session_id, layer_id=layer_id,
                      through_step=at["step"])
        else:
            check(self.call("GetSession", session_id=session_id).seed == SEED, "seed")

    def stream(self):
        """The stream's masks depend on the order of the calls, but one is what it says it is."""
        answer = self.call("Forward", ["QUOTA_MASK_CACHE"], session_id=self.random.choice(SHARED),
                           layer_id="stream", step=self.random.randrange(STEPS),
                           input=self.tensor(), return_mask=True)
        if answer is not None:
            check_equal(self.values(answer.output), masked(answer.mask.bits, 0.5))

    def churn_layer(self):
        """A layer that other threads make and delete too."""
        at = {"session_id": self.random.choice(SHARED), "layer_id": "churn"}
        if self.random.random() < 0.4:
            self.call("DeleteLayer", ["LAYER_NOT_FOUND"], **at)
            return
        self.call("CreateLayer", session_id=at["session_id"], layer=self.layer("churn", 0.5))
        self.call("Forward", ["LAYER_NOT_FOUND"], **at, step=1, input=self.tensor())

    def own(self):
        """A session of this thread's own, where everything is determined."""
        step = self.random.randrange(STEPS)
        p = self.random.choice(PS)
        at = {"session_id": self.own_session, "layer_id": "a", "step": step}
        self.call("CreateSession", session_id=self.own_session, seed=SEED,
                  layers=[self.layer("a", p)])
        y = masked(self.bits["a", p, step], p)
        check_equal(self.values(self.call("Forward", **at, input=self.tensor()).output), y)
        self.call("SetMode", session_id=self.own_session, mode=self.messages.MODE_EVAL)
        check_equal(self.values(self.call("Forward", **at, input=self.tensor()).output), X)
        answer = self.call("Backward", **at, output_gradient=self.tensor())
        check_equal(self.values(answer.input_gradient), y)
        released = self.call("ReleaseSteps", session_id=self.own_session, through_step=step)
        check(released.released_count == 1, "steps released")
        self.call("DeleteSession", session_id=self.own_session)

    def list_sessions(self):
        ids = []
        token = None
        while token != "":
            page = self.call("ListSessions", page_size=7, page_token=token or "")
            ids += [session.session_id for session in page.sessions]
            token = page.next_page_token
        check(ids == sorted(set(ids)), f"not sorted, or twice: {ids}")
        check(set(SHARED) <= set(ids), f"not all shared sessions: {ids}")


def check(condition, what):
    if not condition:
        raise AssertionError(f"wrong {what}")


def check_equal(actual, expected):
    check(numpy.array_equal(actual, expected), f"values: {actual}, expected {expected}")


class ConcurrencyTest(unittest.TestCase):

    def test_many_clients(self):
        bits = expected_bits()
        with harness.Server(f"--mask_cache_bytes={CACHE_BYTES}") as server:
            channels = [self.enterContext(harness.channel(server.address, channel_id=i,
                                                          use_local_subchannel_pool=1))
                        for i in range(4)]
            services = [harness.stubs().service.DropoutServiceStub(channel)
                        for channel in channels]
            admin = Client("admin", services[0], bits)
            for session_id in SHARED:
                admin.call("CreateSession", session_id=session_id, seed=SEED, layers=[
                    admin.layer("a", 0.5), admin.layer("b", 0.25),
                    admin.layer("stream", 0.5,
                                generator=admin.messages.GENERATOR_NUMPY_LEGACY)])
            clients = [Client(i, services[i % len(services)], bits) for i in range(THREADS)]
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                for done in [pool.submit(client.run) for client in clients]:
                    done.result()

            self.assertEqual(
                [session.session_id for session in admin.call("ListSessions").sessions],
                list(SHARED))
            for session_id in SHARED:
                admin.call("DeleteSession", session_id=session_id)
            self.assertEqual(len(admin.call("ListSessions").sessions), 0)
            for channel in channels:
                channel.close()
            self.assertEqual(server.terminate(), 0, server.stderr)


if __name__ == "__main__":
    unittest.main()
