"""A Redis that comes back from an older save: an equal version may be of something else."""

import pathlib
import shutil
import tempfile
import unittest

import harness
import numpy as np
import shipped
from client_helpers import TRAIN, Client, dropout_layer, patiently, pb, to_tensor
from redis_server import Redis, Switch

X = np.ones((1, 64), np.float32)


@unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
class LostHistoryTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start(self, name):
        """A Redis in a folder of its own."""
        (self.folder / name).mkdir(exist_ok=True)
        redis = Redis(self.folder / name)
        redis.start()
        self.addCleanup(redis.kill)
        return redis

    def servers(self, *flags):
        """Two servers over a Redis that another one, from an older save, takes over from."""
        self.redis = self.start("one")
        self.switch = Switch(self.redis.port)
        self.addCleanup(self.switch.close)
        store = f"--store=redis://127.0.0.1:{self.switch.port}"
        for _ in range(2):
            server = self.enterContext(harness.Server(store, *flags))
            yield self.enterContext(Client(server.address))

    def save(self):
        """From now on what the Redis hears is lost."""
        shutil.copytree(self.folder / "one", self.folder / "two")

    def take_over(self):
        """The saved one takes over, and connections to the other end."""
        restored = self.start("two")
        self.switch.turn(restored.port, cut=True)

    def check(self, change, *flags):
        """A's change is lost; then B makes `change`, and A obeys it."""
        a, b = self.servers(*flags)
        a.create_session("s", [dropout_layer("l", p=0.5)], seed=1)
        self.save()
        a.update_layer("s", dropout_layer("l", p=0.9))
        self.assertEqual(a.forward("s", "l", X, step=1).p, 0.9)
        self.take_over()
        patiently(lambda: change(b))
        # A connects anew, as its sweeper does once a second: no broken connection warns it.
        patiently(a.list_sessions)
        return a, b

    def update(self, client):
        client.update_layer("s", dropout_layer("l", p=0.2))

    def check_forward(self, *flags):
        a, b = self.check(self.update, *flags)
        answer = patiently(lambda: a.forward("s", "l", X, step=2))
        self.assertEqual((answer.mode, answer.p), (TRAIN, 0.2))
        # Whoever answers, the step is what it was.
        for client in (a, b):
            gradient = client.call("Backward", pb.BackwardRequest(
                session_id="s", layer_id="l", step=2, output_gradient=to_tensor(X)))
            self.assertEqual(gradient.input_gradient, answer.output)

    def test_forward(self):
        self.check_forward()

    def test_forward_with_metrics(self):
        self.check_forward("--metrics_listen=127.0.0.1:0")

    def test_a_change_is_made_on_what_is_there(self):
        a, b = self.check(self.update)
        patiently(lambda: a.create_layer("s", dropout_layer("new", p=0.1)))
        for client in (a, b):
            layers = {each.layer_id: each.p for each in client.get_session("s").layers}
            self.assertEqual(layers, {"l": 0.2, "new": 0.1})

    def test_forward_in_pieces(self):
        """Its record is written at the end, for the layer as it was at the beginning."""
        a, b = self.check(self.update)
        data = to_tensor(X).data

        def forward():
            request = pb.ForwardRequest(session_id="s", layer_id="l", step=3, input=to_tensor(X))
            request.input.data = data[:100]
            responses = list(a.service.Exchange(iter([
                pb.ExchangeRequest(forward=request, has_more=True),
                pb.ExchangeRequest(data=data[100:])]), timeout=120))
            return responses

        while True:
            responses = forward()
            if not responses[-1].HasField("error"):
                break
            self.assertEqual(responses[-1].error.reason, "STORE_UNAVAILABLE")
        self.assertEqual(responses[0].forward.p, 0.2)
        y = b"".join(each.forward.output.data + each.data for each in responses)
        gradient = b.call("Backward", pb.BackwardRequest(
            session_id="s", layer_id="l", step=3, output_gradient=to_tensor(X)))
        self.assertEqual(gradient.input_gradient.data, y)

    def test_a_process_that_has_lost_a_change(self):
        """The Redis is the same process, over the same connections; it has followed another one
        meanwhile, which had not heard of the change."""
        redis = self.start("one")
        (self.folder / "other").mkdir()
        other = Redis(self.folder / "other", replica_of=redis)
        other.start()
        self.addCleanup(other.kill)
        flags = shipped.replica_flags(f"redis://127.0.0.1:{redis.port}")
        a, b = [self.enterContext(Client(self.enterContext(harness.Server(*flags)).address))
                for _ in range(2)]
        a.create_session("s", [dropout_layer("l", p=0.5)], seed=1)
        other.await_info("master_link_status:up")
        other.await_copy_of(redis)
        other.run("replicaof", "no", "one")
        a.update_layer("s", dropout_layer("l", p=0.9))
        self.assertEqual(a.forward("s", "l", X, step=1).p, 0.9)
        redis.run("replicaof", "127.0.0.1", str(other.port))
        redis.await_info("master_link_status:up")
        redis.run("replicaof", "no", "one")
        patiently(lambda: self.update(b))
        for client in (a, b):
            self.assertEqual(patiently(lambda: client.forward("s", "l", X, step=2)).p, 0.2)
            self.assertEqual(client.get_session("s").layers[0].p, 0.2)


if __name__ == "__main__":
    unittest.main()
