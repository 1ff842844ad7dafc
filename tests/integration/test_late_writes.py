"""Requests that reach Redis when their caller has long repeated them, and others have gone on."""

import itertools
import pathlib
import shutil
import struct
import tempfile
import unittest

import grpc
import harness
import numpy as np
import shipped
from client_helpers import Client, dropout_layer, patiently, pb, reason_of, to_tensor
from holding_proxy import HoldingProxy
from redis_server import Redis

STEP = 7
FEATURES = 8


def linear(p=0.5):
    return pb.Layer(layer_id="l", p=p, drop_connect=pb.DropConnect(
        in_features=FEATURES, out_features=FEATURES))


def set_weight(client, name, value):
    weight = np.full((FEATURES, FEATURES), value, np.float32)
    client.call("SetParameters", pb.SetParametersRequest(session_id=name, layer_id="l", parameters=[
        pb.Parameter(name="weight", value=to_tensor(weight)),
        pb.Parameter(name="bias", value=to_tensor(weight[0]))]))


def forward(client, name, value):
    client.forward(name, "l", np.full((2, FEATURES), value, np.float32), step=STEP)


def backward(client, name, **fields):
    return client.call("Backward", pb.BackwardRequest(
        session_id=name, layer_id="l", step=STEP,
        output_gradient=to_tensor(np.ones((2, FEATURES), np.float32)), **fields))


def ignoring(reason, call, *args):
    """A repeated call may find that it was made already."""
    try:
        call(*args)
    except grpc.RpcError as error:
        if reason_of(error) != reason:
            raise


@unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
class LateWritesTest(unittest.TestCase):

    def setUp(self):
        redis = Redis(pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())))
        redis.start()
        self.addCleanup(redis.kill)
        self.proxy = HoldingProxy(redis.port)
        self.addCleanup(self.proxy.close)
        # A's way to Redis is the proxy's. The third server has seen nothing.
        self.a, self.b, self.other = [self.server(port) for port in (
            self.proxy.port, redis.port, redis.port)]
        self.everyone = [self.a, self.b, self.other]

    def server(self, port):
        flags = shipped.replica_flags(f"redis://127.0.0.1:{port}")
        server = self.enterContext(harness.Server(*flags))
        return self.enterContext(Client(server.address))

    def check_late(self, prepare, act, then, check):
        """A's call `act` is repeated, by A or its client, until it is answered; then others call
        `then`; and only then Redis hears of the first attempt. Each of the call's requests to Redis
        is late in turn. check(name, what `then` returned)."""
        for index in itertools.count():
            name = f"a-session-of-its-own-{index}"
            prepare(name)
            self.proxy.hold(name.encode(), index)
            patiently(lambda: act(name))
            if not self.proxy.is_holding():
                print(f"{self.id().rpartition('.')[-1]}: {index} requests")
                self.assertGreater(index, 0)
                return
            seen = then(name)
            self.proxy.release()
            with self.subTest(f"request {index}"):
                check(name, seen)

    def create(self, name):
        self.b.create_session(name, [linear()], seed=1)
        set_weight(self.b, name, 1)
        # A has a copy.
        forward(self.a, name, 1)

    def create_anew(self, name):
        self.b.create_session(name, [linear()], seed=2)
        set_weight(self.b, name, 3)
        return self.forward_anew(name)

    def forward_anew(self, name):
        forward(self.b, name, 100)
        return backward(self.b, name)

    def check_gradient(self, name, gradient):
        for client in self.everyone:
            self.assertEqual(backward(client, name), gradient)

    def check_no_step(self, name, _):
        for client in self.everyone:
            with self.assertRaises(grpc.RpcError) as raised:
                backward(client, name)
            self.assertEqual(reason_of(raised.exception), "STEP_NOT_FOUND")

    def test_a_removed_session_was_made_anew(self):
        def delete(name):
            ignoring("SESSION_NOT_FOUND", self.a.delete_session, name)

        self.check_late(self.create, delete, self.create_anew, self.check_gradient)

    def test_a_made_session_was_removed(self):
        def check(name, _):
            for client in self.everyone:
                with self.assertRaises(grpc.RpcError) as raised:
                    client.get_session(name)
                self.assertEqual(reason_of(raised.exception), "SESSION_NOT_FOUND")
            self.assertEqual([s.session_id for s in self.b.list_sessions()], [])

        self.check_late(lambda name: None,
                        lambda name: self.a.create_session(name, [linear()], seed=1),
                        self.b.delete_session, check)

    def test_a_step_ran_again(self):
        self.check_late(self.create, lambda name: forward(self.a, name, 1), self.forward_anew,
                        self.check_gradient)

    def test_a_step_was_released(self):
        def create(name):
            self.create(name)
            self.b.release_steps(name, "l", STEP)

        self.check_late(create, lambda name: forward(self.a, name, 1),
                        lambda name: self.b.release_steps(name, "l", STEP), self.check_no_step)

    def test_a_released_step_ran_again(self):
        self.check_late(self.create, lambda name: self.a.release_steps(name, "l", STEP),
                        self.forward_anew, self.check_gradient)

    def test_a_step_that_its_backward_released_ran_again(self):
        def release(name):
            ignoring("STEP_NOT_FOUND", lambda: backward(self.a, name, release=True))

        self.check_late(self.create, release, self.forward_anew, self.check_gradient)

    def test_a_deleted_layers_fields_are_not_those_of_a_new_sessions(self):
        def delete(name):
            ignoring("LAYER_NOT_FOUND", self.a.delete_layer, name, "l")

        def begin_anew(name):
            self.b.delete_session(name)
            return self.create_anew(name)

        self.check_late(self.create, delete, begin_anew, self.check_gradient)

    def test_a_layer_was_updated_again(self):
        def check(name, _):
            for client in self.everyone:
                self.assertEqual(client.get_session(name).layers[0].p, 0.2)

        self.check_late(self.create, lambda name: self.a.update_layer(name, linear(p=0.9)),
                        lambda name: self.b.update_layer(name, linear(p=0.2)), check)

    def test_a_change_of_nothing_is_an_answer(self):
        """Also to a change that its caller has given up."""
        self.create("s")
        self.proxy.lose(lambda data: struct.pack("<d", 0.9) in data)
        with self.assertRaises(grpc.RpcError) as raised:
            self.a.update_layer("s", linear(p=0.9))
        self.assertEqual(reason_of(raised.exception), "STORE_UNAVAILABLE")
        self.b.update_layer("s", linear(p=0.5))
        self.proxy.release()
        for client in self.everyone:
            self.assertEqual(client.get_session("s").layers[0].p, 0.5)

    def test_a_layer_of_another_session_is_not_updated(self):
        def begin_anew(name):
            self.b.delete_session(name)
            self.b.create_session(name, [dropout_layer("l", p=0.3)], seed=2)

        def check(name, _):
            for client in self.everyone:
                self.assertEqual(client.get_session(name).layers[0].p, 0.3)

        self.check_late(self.create, lambda name: self.a.update_layer(name, linear(p=0.9)),
                        begin_anew, check)

    def test_parameters_were_set_again(self):
        def set_again(name):
            set_weight(self.b, name, 3)
            return self.b.call("GetParameters", pb.GetParametersRequest(
                session_id=name, layer_id="l"))

        def check(name, parameters):
            for client in self.everyone:
                self.assertEqual(parameters, client.call("GetParameters", pb.GetParametersRequest(
                    session_id=name, layer_id="l")))

        self.check_late(self.create, lambda name: set_weight(self.a, name, 2), set_again, check)


if __name__ == "__main__":
    unittest.main()
