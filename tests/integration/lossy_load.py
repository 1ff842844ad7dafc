"""A training loop over a store that may lose what it had acknowledged, but must never mix."""

import client_library
import numpy as np
from client_helpers import dropout_layer, pb, to_array, to_tensor
from training_load import run_while

SIZE = 4096
# What a loss may leave behind: nothing of a step, or of the session.
LOST = ("STEP_NOT_FOUND", "SESSION_NOT_FOUND")


class LossyTrainer:
    """One client: forward and backward of ones, whose answers show mask and p. Every step has
    another p, so that a Backward that takes a lost change or record for the real one shows it."""

    def __init__(self, session_id, fronts):
        self._session_id = session_id
        self.caller = client_library.Caller(fronts)
        self.steps = self.lost = 0

    def close(self):
        self.caller.close()

    def create(self):
        """Anew after each loss, and with other masks."""
        self.caller.call("CreateSession", pb.CreateSessionRequest(
            session_id=self._session_id, seed=self.lost, layers=[dropout_layer("l", p=0.5)]))

    def step(self, step):
        ones = to_tensor(np.ones(SIZE, np.float32))
        try:
            self.caller.call("UpdateLayer", pb.UpdateLayerRequest(
                session_id=self._session_id, layer=dropout_layer("l", p=0.1 + step % 8 / 10)))
            y = to_array(self.caller.call("Forward", pb.ForwardRequest(
                session_id=self._session_id, layer_id="l", step=step, input=ones)).output)
            dx = to_array(self.caller.call("Backward", pb.BackwardRequest(
                session_id=self._session_id, layer_id="l", step=step,
                output_gradient=ones)).input_gradient)
        except client_library.library().DropoutError as error:
            if error.reason not in LOST:
                raise
            self.lost += 1
            if error.reason == "SESSION_NOT_FOUND":
                self.create()
            return
        if not np.array_equal(y, dx):
            raise AssertionError(f"step {step} has another mask")


def lossy_train_while(test, clients, fronts, disturb):
    """As training_load.train_while, of clients that accept a loss."""
    trainers = [LossyTrainer(f"lossy-{i}", fronts) for i in range(clients)]
    run_while(test, trainers, disturb)
    print(f"{sum(each.steps for each in trainers)} steps, "
          f"{sum(each.lost for each in trainers)} lost")
    for trainer in trainers:
        test.assertGreater(trainer.steps, trainer.lost)
