"""A training loop over a store that may lose what it had acknowledged, but must never mix."""

import threading
import time

import grpc
import harness
import numpy as np
from client_helpers import CALL_SECONDS, dropout_layer, pb, reason_of, to_array, to_tensor

RETRY_SECONDS = 240
RETRY_PAUSE_SECONDS = 0.02
SIZE = 4096
# What a loss may leave behind: nothing of a step, or of the session.
LOST = ("STEP_NOT_FOUND", "SESSION_NOT_FOUND")


class LossyTrainer:
    """One client: forward and backward of ones, whose answers show mask and p. Every step has
    another p, so that a Backward that takes a lost change or record for the real one shows it."""

    def __init__(self, session_id, addresses):
        self._session_id = session_id
        self._channels = [harness.channel(address, initial_reconnect_backoff_ms=20,
                                          min_reconnect_backoff_ms=20,
                                          max_reconnect_backoff_ms=50) for address in addresses]
        self._turn = 0
        self.steps = self.lost = 0

    def close(self):
        for channel in self._channels:
            channel.close()

    def _call(self, rpc, request):
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            self._turn += 1
            channel = self._channels[self._turn % len(self._channels)]
            try:
                service = harness.stubs().service.DropoutServiceStub(channel)
                return getattr(service, rpc)(request, timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                if (error.code() != grpc.StatusCode.UNAVAILABLE
                        or time.monotonic() > deadline):
                    raise
                time.sleep(RETRY_PAUSE_SECONDS)

    def create(self):
        """Anew after each loss, and with other masks."""
        self._call("CreateSession", pb.CreateSessionRequest(
            session_id=self._session_id, seed=self.lost, layers=[dropout_layer("l", p=0.5)]))

    def step(self):
        self.steps += 1
        ones = to_tensor(np.ones(SIZE, np.float32))
        try:
            self._call("UpdateLayer", pb.UpdateLayerRequest(
                session_id=self._session_id,
                layer=dropout_layer("l", p=0.1 + self.steps % 8 / 10)))
            y = to_array(self._call("Forward", pb.ForwardRequest(
                session_id=self._session_id, layer_id="l", step=self.steps, input=ones)).output)
            dx = to_array(self._call("Backward", pb.BackwardRequest(
                session_id=self._session_id, layer_id="l", step=self.steps,
                output_gradient=ones)).input_gradient)
        except grpc.RpcError as error:
            if reason_of(error) not in LOST:
                raise
            self.lost += 1
            if reason_of(error) == "SESSION_NOT_FOUND":
                self.create()
            return
        if not np.array_equal(y, dx):
            raise AssertionError(f"step {self.steps} has another mask")


def lossy_train_while(test, clients, fronts, disturb):
    """As training_load.train_while, of clients that accept a loss."""
    trainers = [LossyTrainer(f"lossy-{i}", fronts) for i in range(clients)]
    over = threading.Event()
    failures = []

    def train(trainer):
        try:
            trainer.create()
            while not over.is_set():
                trainer.step()
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
    print(f"{sum(t.steps for t in trainers)} steps, {sum(t.lost for t in trainers)} lost")
    for trainer in trainers:
        test.assertGreater(trainer.steps, trainer.lost)
