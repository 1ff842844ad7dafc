"""A training loop over every variant, whose answers are known from a server that nobody disturbs."""

import hashlib
import threading
import time

import client_library
import grpc
import harness
import numpy as np
from client_helpers import CALL_SECONDS, pb, to_tensor

RETRY_SECONDS = 240
RETRY_PAUSE_SECONDS = 0.02
# A server that is going, gone or not there yet, or whose store is.
RETRIED = (grpc.StatusCode.UNAVAILABLE,)

SHAPE = (8, 16, 6)


def layers():
    def layer(layer_id, p=0.3, **fields):
        return pb.Layer(layer_id=layer_id, p=p, **fields)

    return [
        layer("dropout", dropout=pb.Dropout()),
        layer("legacy", dropout=pb.Dropout(), generator=pb.GENERATOR_NUMPY_LEGACY),
        layer("gaussian", gaussian=pb.Gaussian()),
        layer("alpha", alpha=pb.Alpha()),
        layer("feature_alpha", feature_alpha=pb.FeatureAlpha()),
        layer("spatial", spatial=pb.Spatial()),
        layer("drop_block", p=0.1, drop_block=pb.DropBlock(block_size=[3])),
        layer("concrete", concrete=pb.Concrete()),
        layer("drop_connect", drop_connect=pb.DropConnect(in_features=6, out_features=5)),
        layer("variational", variational=pb.Variational()),
        layer("recurrent", recurrent=pb.Recurrent()),
        layer("stochastic_depth", stochastic_depth=pb.StochasticDepth()),
        layer("scheduled", dropout=pb.Dropout(), schedule=pb.Schedule(
            linear=pb.LinearSchedule(start_p=0.0, end_p=0.5, start_step=0, end_step=100))),
    ]


class Trainer:
    """One client, which calls until it is answered. `addresses()`: where servers are now."""

    def __init__(self, session_id, addresses):
        self.session_id = session_id
        self.digest = hashlib.sha256()
        self.calls = self.retries = 0
        self.steps = 0  # That run_while has run.
        self._addresses = addresses
        self._channels = {}
        self._turn = hash(session_id) % 3
        self._random = np.random.default_rng(sum(session_id.encode()))
        self._ids = [each.layer_id for each in layers()]

    def close(self):
        for channel in self._channels.values():
            channel.close()

    def _stub(self):
        addresses = self._addresses()
        self._turn += 1
        address = addresses[self._turn % len(addresses)]
        if address not in self._channels:
            # Connects again at once when its server is back.
            self._channels[address] = harness.channel(
                address, initial_reconnect_backoff_ms=20, min_reconnect_backoff_ms=20,
                max_reconnect_backoff_ms=50)
        return harness.stubs().service.DropoutServiceStub(self._channels[address])

    def call(self, rpc, request):
        deadline = time.monotonic() + RETRY_SECONDS
        self.calls += 1
        while True:
            try:
                return getattr(self._stub(), rpc)(
                    request, timeout=CALL_SECONDS,
                    metadata=(("x-session-id", self.session_id),))
            except grpc.RpcError as error:
                if error.code() not in RETRIED or time.monotonic() > deadline:
                    raise
                self.retries += 1
                time.sleep(RETRY_PAUSE_SECONDS)

    def create(self):
        self.call("CreateSession", pb.CreateSessionRequest(
            session_id=self.session_id, seed=7, layers=layers()))
        self.set_weights(0)

    def set_weights(self, step):
        weight = np.full((5, 6), 1 + step % 5, np.float32)
        self.call("SetParameters", pb.SetParametersRequest(
            session_id=self.session_id, layer_id="drop_connect",
            parameters=[pb.Parameter(name="weight", value=to_tensor(weight)),
                        pb.Parameter(name="bias", value=to_tensor(np.zeros(5, np.float32)))]))

    def step(self, step):
        """Forward through all layers, changes of some, and Backward through all."""
        inputs = {layer_id: self._random.standard_normal(SHAPE, np.float32)
                  for layer_id in self._ids}
        for layer_id in self._ids:
            answer = self.call("Forward", pb.ForwardRequest(
                session_id=self.session_id, layer_id=layer_id, step=step, sequence_id=step // 3,
                input=to_tensor(inputs[layer_id])))
            self.digest.update(answer.output.data)
            self.digest.update(f"{answer.mode} {answer.p}".encode())
        # None of which is the business of steps that have run.
        if step % 4 == 1:
            self.call("UpdateLayer", pb.UpdateLayerRequest(
                session_id=self.session_id,
                layer=pb.Layer(layer_id="dropout", p=0.1 + step % 7 / 10, dropout=pb.Dropout())))
        if step % 5 == 2:
            mode = pb.MODE_EVAL if step % 2 else pb.MODE_TRAIN
            self.call("SetMode", pb.SetModeRequest(session_id=self.session_id, mode=mode,
                                                   layer_ids=["gaussian", "spatial"]))
        if step % 3 == 0:
            self.set_weights(step)
        for layer_id in reversed(self._ids):
            dy = self._random.standard_normal(
                SHAPE[:-1] + (5,) if layer_id == "drop_connect" else SHAPE, np.float32)
            answer = self.call("Backward", pb.BackwardRequest(
                session_id=self.session_id, layer_id=layer_id, step=step, sequence_id=step // 3,
                output_gradient=to_tensor(dy)))
            self.digest.update(answer.input_gradient.data)
            for gradient in answer.parameter_gradients:
                self.digest.update(gradient.value.data)
        if step % 6 == 5:
            self.call("ReleaseSteps", pb.ReleaseStepsRequest(
                session_id=self.session_id, through_step=step - 2))


def undisturbed(session_id, steps):
    """The digest after so many steps, from a server of its own that keeps all in memory."""
    with harness.Server() as server:
        trainer = Trainer(session_id, lambda: [server.address])
        trainer.create()
        for step in range(steps):
            trainer.step(step)
        trainer.close()
        return trainer.digest.hexdigest()


class LibraryTrainer(Trainer):
    """One that leaves it to the client library to repeat calls."""

    def __init__(self, session_id, fronts):
        super().__init__(session_id, lambda: fronts)
        self.caller = client_library.Caller(fronts)

    def close(self):
        self.caller.close()

    def call(self, rpc, request):
        return self.caller.call(rpc, request)


def run_while(test, trainers, disturb):
    """Each trains in a thread of its own, as long as disturb(running) runs, and counts its `steps`;
    none fails. running(seconds) waits; it is false once one has failed."""
    over = threading.Event()
    failures = []

    def train(trainer):
        try:
            trainer.create()
            while not over.is_set():
                trainer.step(trainer.steps)
                trainer.steps += 1
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)
            over.set()

    threads = [threading.Thread(target=train, args=(each,)) for each in trainers]
    for thread in threads:
        thread.start()
    try:
        disturb(lambda seconds: not over.wait(seconds))
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for trainer in trainers:
            trainer.close()
    test.assertEqual(failures, [])
    print(client_library.summary([each.caller for each in trainers]))


def train_while(test, clients, fronts, disturb):
    """Clients train through `fronts`, as run_while says, and all get what a server gives that
    nobody disturbs."""
    trainers = [LibraryTrainer(f"client-{i}", fronts) for i in range(clients)]
    run_while(test, trainers, disturb)
    print(f"{sum(each.steps for each in trainers)} steps")
    for trainer in trainers:
        test.assertGreater(trainer.steps, 0)
        test.assertEqual(trainer.digest.hexdigest(),
                         undisturbed(trainer.session_id, trainer.steps))
