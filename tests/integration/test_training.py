"""A small network trained through the service: its loss curve is that of the same network with the
masks of GetMask applied here, in NumPy."""

import unittest

import client_helpers
import harness
import numpy as np
from client_helpers import kept_elements, pb

STEPS = 150
RATE = 0.3
HIDDEN = 32
SESSION = "spirals"


def spirals(random, turns=1.25, count=64):
    """Two spirals: points [2 * count, 2] and their labels 0 and 1."""
    t = np.linspace(0.15, 1, count)
    arms = [t[:, None] * np.stack([np.cos(a), np.sin(a)], 1)
            for a in (2 * np.pi * turns * t, 2 * np.pi * turns * t + np.pi)]
    points = np.concatenate(arms) + 0.01 * random.standard_normal((2 * count, 2))
    return points, np.repeat([0.0, 1.0], count)


class Remote:
    """Dropout by Forward and Backward."""

    def __init__(self, client, layer_id):
        self.client, self.layer_id = client, layer_id

    def forward(self, h, **at):
        return client_helpers.to_array(
            self.client.forward(SESSION, self.layer_id, h, **at).output)

    def backward(self, dy, **at):
        return self.client.backward(SESSION, self.layer_id, dy, **at)


class Local:
    """The same by the mask of GetMask, asked for before the step."""

    def __init__(self, client, layer_id):
        self.client, self.layer_id = client, layer_id
        self.factors = None

    def forward(self, h, **at):
        mask = self.client.get_mask(SESSION, self.layer_id, shape=h.shape, **at)
        if mask.WhichOneof("values") == "multipliers":
            factors = client_helpers.to_array(mask.multipliers)
        else:
            factors = kept_elements(mask) * mask.scale
        self.factors = np.broadcast_to(factors, h.shape)
        return h * self.factors

    def backward(self, dy, **_):
        return dy * self.factors


class RemoteConnect:
    """DropConnect's linear layer on the server, which holds its weight and bias."""

    def __init__(self, client, layer_id):
        self.client, self.layer_id = client, layer_id

    def forward(self, x, weight, bias, **at):
        self.client.call("SetParameters", pb.SetParametersRequest(
            session_id=SESSION, layer_id=self.layer_id, parameters=[
                pb.Parameter(name="weight", value=client_helpers.to_tensor(weight)),
                pb.Parameter(name="bias", value=client_helpers.to_tensor(bias))]))
        return client_helpers.to_array(self.client.forward(SESSION, self.layer_id, x, **at).output)

    def backward(self, dy, **at):
        answer = self.client.call("Backward", pb.BackwardRequest(
            session_id=SESSION, layer_id=self.layer_id,
            output_gradient=client_helpers.to_tensor(dy), **at))
        gradients = {g.name: client_helpers.to_array(g.value) for g in answer.parameter_gradients}
        return (client_helpers.to_array(answer.input_gradient), gradients["weight"],
                gradients["bias"])


class LocalConnect:
    """The same here: a masked copy of the weight for each sample."""

    def __init__(self, client, layer_id):
        self.client, self.layer_id = client, layer_id
        self.x = self.masked = self.factors = None

    def forward(self, x, weight, bias, **at):
        mask = self.client.get_mask(SESSION, self.layer_id, shape=x.shape, **at)
        self.factors = kept_elements(mask) * mask.scale
        self.x, self.masked = x, weight * self.factors
        return np.einsum("noi,ni->no", self.masked, x) + bias

    def backward(self, dy, **_):
        return (np.einsum("noi,no->ni", self.masked, dy),
                np.einsum("noi,no,ni->oi", self.factors, dy, self.x), dy.sum(0))


class Network:
    """2 -> HIDDEN -> HIDDEN -> 1 with tanh and a logistic loss, float64. `connect`, if there is
    one, does the product of the second layer; `drop` follows the hidden layers."""

    def __init__(self, seed, drops, connect=None):
        random = np.random.default_rng(seed)
        sizes = [2, HIDDEN, HIDDEN, 1]
        self.weights = [random.standard_normal((o, i)) * (2 / i) ** 0.5
                        for i, o in zip(sizes, sizes[1:])]
        self.biases = [np.zeros(o) for o in sizes[1:]]
        self.drops, self.connect = drops, connect

    def loss_and_gradients(self, x, labels, at):
        activations, dropped = [x], []
        h = x
        for i, drop in enumerate(self.drops):
            z = (self.connect.forward(h, self.weights[i], self.biases[i], **at)
                 if self.connect and i == 1 else h @ self.weights[i].T + self.biases[i])
            h = np.tanh(z)
            dropped.append(h)
            h = drop.forward(h, **at)
            activations.append(h)
        logits = (h @ self.weights[2].T + self.biases[2])[:, 0]
        loss = np.mean(np.logaddexp(0, logits) - labels * logits)
        d = ((1 / (1 + np.exp(-logits)) - labels) / len(labels))[:, None]
        gradients = [(d.T @ h, d.sum(0))]
        d = d @ self.weights[2]
        for i in (1, 0):
            d = self.drops[i].backward(d, **at) * (1 - dropped[i] ** 2)
            if self.connect and i == 1:
                d, dw, db = self.connect.backward(d, **at)
            else:
                dw, db = d.T @ activations[i], d.sum(0)
                d = d @ self.weights[i]
            gradients.insert(0, (dw, db))
        return loss, gradients

    def train(self, x, labels, steps):
        losses = []
        for step in range(steps):
            loss, gradients = self.loss_and_gradients(
                x, labels, dict(step=step, sequence_id=step // 4))
            losses.append(loss)
            for i, (dw, db) in enumerate(gradients):
                self.weights[i] = self.weights[i] - RATE * dw
                self.biases[i] = self.biases[i] - RATE * db
        return np.array(losses)


class TrainingTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server())
        cls.client = cls.enterClassContext(client_helpers.Client(cls.server.address))
        cls.points, cls.labels = spirals(np.random.default_rng(5))

    def curves(self, layers, remote, local, steps=STEPS):
        """The loss curves with the layers on the server and with their masks applied here."""
        self.client.create_session(SESSION, layers, seed=2024)
        self.addCleanup(self.client.delete_session, SESSION)
        return [Network(9, *parts).train(self.points, self.labels, steps)
                for parts in (remote, local)]

    def assert_same_curves(self, name, remote, local):
        difference = np.abs(remote - local).max()
        print(f"\n{name}: loss {remote[0]:.4f} -> {remote[-10:].mean():.4f} in {len(remote)} steps,"
              f" largest difference of the curves {difference:.2g}")
        self.assertLess(difference, 1e-5)
        self.assertLess(remote[-10:].mean(), 0.95 * remote[:10].mean())  # It learned.

    def check_activations(self, name, first, second):
        parts = [[[kind(self.client, "a"), kind(self.client, "b")]] for kind in (Remote, Local)]
        first.layer_id, second.layer_id = "a", "b"
        self.assert_same_curves(name, *self.curves([first, second], *parts))

    def test_dropout(self):
        self.check_activations("dropout", pb.Layer(p=0.2, dropout=pb.Dropout()),
                               pb.Layer(p=0.1, dropout=pb.Dropout()))

    def test_dropout_with_a_schedule(self):
        schedule = pb.Schedule(linear=pb.LinearSchedule(start_p=0.3, end_p=0, end_step=100))
        self.check_activations("dropout, scheduled",
                               pb.Layer(schedule=schedule, dropout=pb.Dropout()),
                               pb.Layer(schedule=schedule, dropout=pb.Dropout()))

    def test_gaussian_and_variational(self):
        self.check_activations("gaussian, variational",
                               pb.Layer(p=0.1, gaussian=pb.Gaussian()),
                               pb.Layer(p=0.1, variational=pb.Variational()))

    def test_drop_connect(self):
        layers = [pb.Layer(layer_id="a", p=0.1, dropout=pb.Dropout()),
                  pb.Layer(layer_id="b", p=0.1, dropout=pb.Dropout()),
                  pb.Layer(layer_id="connect", p=0.2, drop_connect=pb.DropConnect(
                      in_features=HIDDEN, out_features=HIDDEN))]
        remote = [[Remote(self.client, "a"), Remote(self.client, "b")],
                  RemoteConnect(self.client, "connect")]
        local = [[Local(self.client, "a"), Local(self.client, "b")],
                 LocalConnect(self.client, "connect")]
        self.assert_same_curves("drop_connect", *self.curves(layers, remote, local))


if __name__ == "__main__":
    unittest.main()
