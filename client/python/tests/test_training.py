"""Real training runs with PyTorch: the examples, and one whose server dies."""

import math
import os
import pathlib
import sys
import tempfile
import threading
import unittest

import torch

import support
from dropout_client import Client, RetryPolicy
from dropout_client.torch import RemoteDropout

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
import data_parallel  # noqa: E402
import digits  # noqa: E402
import train_digits  # noqa: E402

SEEDS = int(os.environ.get("DROPOUTD_TRAINING_SEEDS", "5"))
EPOCHS = int(os.environ.get("DROPOUTD_TRAINING_EPOCHS", "40"))
STEPS = 100
KILLED_AT = (12, 37, 61)


class DigitsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(support.harness.Server())

    def test_remote_dropout_is_as_good_as_the_local_one(self):
        with Client(self.server.address) as client:
            curves = train_digits.run(client, SEEDS, EPOCHS)
        results = {kind: train_digits.summary(runs) for kind, runs in curves.items()}
        print(results)
        (local, local_sd), (remote, remote_sd) = results["nn.Dropout"], results["RemoteDropout"]
        noise = math.hypot(local_sd, remote_sd) / math.sqrt(SEEDS)
        self.assertLess(abs(local - remote), 3 * noise + 0.002)
        none, _ = results["no dropout"]
        self.assertGreater(local, none)
        self.assertGreater(remote, none)

    def test_the_number_of_workers_does_not_matter(self):
        first = data_parallel.train(self.server.address, 1, STEPS)
        for workers in (2, 4):
            weights = data_parallel.train(self.server.address, workers, STEPS)
            self.assertLess((weights - first).abs().max().item(), 1e-5, workers)


class KilledServerTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def server(self, name, *flags):
        server = support.harness.Server(f"--store=sqlite:{self.folder}/{name}.db", *flags)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def train(self, address, before_step):
        """The weights, after before_step(step) before each step."""
        torch.manual_seed(3)
        train_x, train_y, _, _ = digits.load(seed=3)
        order = torch.Generator().manual_seed(3)
        # As often as a minute allows: a server may take long to start.
        with Client(address, retry=RetryPolicy()) as client:
            session = client.create_session(seed=3)
            model = digits.make_model(lambda: RemoteDropout(digits.P, session=session))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for step in range(STEPS):
                before_step(step)
                rows = torch.randint(len(train_x), (digits.BATCH,), generator=order)
                digits.train_step(model, optimizer, train_x[rows], train_y[rows])
            return torch.nn.utils.parameters_to_vector(model.parameters()).detach()

    def test_training_goes_on_with_the_same_weights(self):
        undisturbed = self.train(self.server("calm").address, lambda step: None)
        server = self.server("rough")
        address = server.address
        running = [server]
        threads = []

        def replace():
            running[-1].kill()
            running.append(self.server("rough", f"--listen={address}"))

        def before_step(step):
            if step in KILLED_AT:
                threads.append(threading.Thread(target=replace))
                threads[-1].start()

        weights = self.train(address, before_step)
        for thread in threads:
            thread.join()
        self.assertEqual(len(running), 1 + len(KILLED_AT))
        self.assertTrue(torch.equal(weights, undisturbed))


if __name__ == "__main__":
    unittest.main()
