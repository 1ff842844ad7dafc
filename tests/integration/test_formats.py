"""Sessions of format 1, and a server that knows no other beside one that writes format 2.

DROPOUTD_OLD_BIN names that server's program, of before format 2; without it all is skipped.
"""

import os
import shutil
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, dropout_layer, patiently, pb, reason_of, to_tensor
from store_helpers import RedisServer, each_store
from training_load import SHAPE, layers

OLD = os.environ.get("DROPOUTD_OLD_BIN")
STEPS = 6
SEQUENCE = 2
LAYERS = [layer.layer_id for layer in layers()]


class Session:
    """Calls on a session with a layer of each variant, through any server."""

    def __init__(self, name):
        self._name = name
        random = np.random.default_rng(1)
        self._x = to_tensor(random.standard_normal(SHAPE, np.float32))
        self._dy = {layer: to_tensor(random.standard_normal(
            SHAPE[:-1] + (5,) if layer == "drop_connect" else SHAPE, np.float32))
                    for layer in LAYERS}

    def create(self, client):
        client.create_session(self._name, layers(), seed=3)
        self.set_weight(client, 1)

    def set_weight(self, client, value):
        client.call("SetParameters", pb.SetParametersRequest(
            session_id=self._name, layer_id="drop_connect", parameters=[
                pb.Parameter(name="weight", value=to_tensor(np.full((5, 6), value, np.float32))),
                pb.Parameter(name="bias", value=to_tensor(np.ones(5, np.float32)))]))

    def forward(self, client, step):
        for layer in LAYERS:
            client.call("Forward", pb.ForwardRequest(
                session_id=self._name, layer_id=layer, step=step, sequence_id=SEQUENCE,
                input=self._x))

    def train(self, client):
        """Steps of several configurations, parameters and modes."""
        for step in range(STEPS):
            self.forward(client, step)
            if step == 1:
                client.update_layer(self._name, dropout_layer("dropout", p=0.7))
            if step == 2:
                self.set_weight(client, 2)
            client.set_mode(self._name, pb.MODE_EVAL if step == 3 else pb.MODE_TRAIN,
                            ["gaussian", "concrete"])

    def gradients(self, client, steps=STEPS):
        """All that the Backwards of all steps answer."""
        return [client.call("Backward", pb.BackwardRequest(
            session_id=self._name, layer_id=layer, step=step, sequence_id=SEQUENCE,
            output_gradient=self._dy[layer])) for step in range(steps) for layer in LAYERS]

    def view(self, client):
        session = client.get_session(self._name)
        session.ClearField("expire_time")
        return session


@unittest.skipUnless(OLD, "no DROPOUTD_OLD_BIN")
class FormatsTest(unittest.TestCase):

    def old_client(self, *flags):
        server = self.enterContext(harness.Server(
            "--metrics_listen=127.0.0.1:0", *flags, program=OLD))
        return self.enterContext(Client(server.address))

    def client(self, *flags):
        server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0", *flags))
        return self.enterContext(Client(server.address))

    def test_what_an_older_server_has_written_is_served(self):
        for store in each_store(self):
            with self.subTest(store.kind):
                self.check_served(store)

    def check_served(self, store):
        session, never_read = Session("s"), Session("never-read")
        with harness.Server(store.flag, program=OLD) as server, Client(server.address) as old:
            for each in (session, never_read):
                each.create(old)
                each.train(old)
            gradients, view = session.gradients(old), session.view(old)
            # What the next step is, where an older server goes on.
            old.call("ForkSession", pb.ForkSessionRequest(session_id="s", new_session_id="twin"))
            twin = Session("twin")
            twin.forward(old, STEPS)
            after = twin.gradients(old, STEPS + 1)
            self.assertEqual(server.terminate(), 0)
        with harness.Server(store.flag) as server, Client(server.address) as client:
            self.assertEqual(len(client.list_sessions()), 3)
            self.assertEqual(session.view(client), view)
            self.assertEqual(session.gradients(client), gradients)
            self.assertEqual(never_read.gradients(client), gradients)
            session.forward(client, STEPS)
            self.assertEqual(session.gradients(client, STEPS + 1), after)
            self.assertEqual(server.terminate(), 0)
        # Now it is of format 2.
        client = self.client(store.flag)
        self.assertEqual(session.gradients(client, STEPS + 1), after)
        self.assertEqual(twin.gradients(client, STEPS + 1), after)
        self.assertEqual(client.release_steps("s", "", STEPS), (STEPS + 1) * len(LAYERS))
        client.delete_session("s")
        self.assertEqual([each.session_id for each in client.list_sessions()],
                         ["never-read", "twin"])

    @unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
    def test_an_older_server_takes_nothing_for_its_own(self):
        redis = RedisServer(self, "--enable-debug-command", "yes")
        client, old = self.client(redis.flag), self.old_client(redis.flag)
        session = Session("s")
        session.create(client)
        session.train(client)
        gradients = session.gradients(client)
        before = redis.run("debug", "digest")
        for call in (lambda: old.get_session("s"), lambda: session.forward(old, STEPS),
                     lambda: session.gradients(old), lambda: session.create(old),
                     lambda: old.update_layer("s", dropout_layer("dropout", p=0.1)),
                     lambda: old.set_mode("s", pb.MODE_EVAL),
                     lambda: old.release_steps("s", "", STEPS)):
            with self.assertRaises(grpc.RpcError) as raised:
                call()
            self.assertEqual((raised.exception.code(), reason_of(raised.exception)),
                             (grpc.StatusCode.DATA_LOSS, "STORE_CORRUPT"))
        self.assertEqual(redis.run("debug", "digest"), before)
        # Its own session is nobody's trouble, and the other one is as it was.
        old.create_session("of-format-1", [dropout_layer("l")])
        self.assertEqual(patiently(lambda: session.gradients(client)), gradients)
        self.assertEqual([each.session_id for each in client.list_sessions()],
                         ["of-format-1", "s"])


if __name__ == "__main__":
    unittest.main()
