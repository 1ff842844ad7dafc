"""What a store answers is of the session, the step and the server that were meant."""

import os
import pathlib
import shutil
import threading
import unittest

import grpc
import harness
import numpy as np
import shipped
from client_helpers import Client, dropout_layer, pb, reason_of, to_tensor
from redis_server import free_port
from store_helpers import RedisServer, SqliteFile, each_store

X = np.ones((1, 512), np.float32)
FEATURES = 448  # A weight of 0.8 MB.
SESSIONS = int(os.environ.get("DROPOUTD_REMOVED_SESSIONS", "200"))
SESSIONS_AT_ONCE = 100
REDIS_SECONDS = 120


def needs_redis(test):
    return unittest.skipUnless(shutil.which("redis-server"), "no redis-server")(test)


class Servers(unittest.TestCase):

    def serve(self, *flags):
        server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0", *flags))
        return server, self.enterContext(Client(server.address))

    def refused(self, call, *args, **fields):
        """The reason for which the server refuses a call."""
        with self.assertRaises(grpc.RpcError) as raised:
            call(*args, **fields)
        return reason_of(raised.exception)

    @staticmethod
    def backward(client, session_id, step, **fields):
        return client.call("Backward", pb.BackwardRequest(
            session_id=session_id, layer_id="l", step=step, output_gradient=to_tensor(X),
            **fields)).input_gradient.data


class CopiesTest(Servers):

    def test_a_fork_is_no_session_that_was_created(self):
        """Though its fields are those that the request asks for."""
        for flag in ["--store=memory", *(store.flag for store in each_store(self))]:
            with self.subTest(flag):
                _, client = self.serve(flag)
                fields = {"layers": [dropout_layer("l")], "seed": 5}
                client.create_session("s", **fields)
                client.forward("s", "l", X, step=1)
                fork = pb.ForkSessionRequest(session_id="s", new_session_id="fork")
                client.call("ForkSession", fork)
                self.assertEqual(self.refused(client.create_session, "fork", **fields),
                                 "SESSION_EXISTS")
                # Retries are still retries.
                client.create_session("s", **fields)
                client.call("ForkSession", fork)


class RestartTest(Servers):

    def test_a_gradient_has_the_mask_of_its_own_step(self):
        """And not that of a later one, at the key that the layer had meanwhile."""
        store = SqliteFile(self)
        variational = pb.Layer(layer_id="l", p=0.5, variational=pb.Variational())
        with harness.Server(store.flag) as server, Client(server.address) as client:
            client.create_session("s", [variational], seed=5)
            first = client.forward("s", "l", X, step=3, sequence_id=7).output.data
        _, client = self.serve(store.flag)
        client.update_layer("s", dropout_layer("l"))
        second = client.forward("s", "l", X, step=3).output.data
        client.update_layer("s", variational)
        self.assertEqual(self.backward(client, "s", 3, sequence_id=7), first)
        client.update_layer("s", dropout_layer("l"))
        self.assertEqual(self.backward(client, "s", 3), second)

    def test_a_deleted_session_does_not_come_back(self):
        """While it is read from the store, which takes its time, it is deleted."""
        store = SqliteFile(self)
        weight = to_tensor(np.ones((FEATURES, FEATURES), np.float32))
        names = [f"s{i}" for i in range(SESSIONS)]
        with harness.Server(store.flag) as server, Client(server.address) as client:
            client.create_session("first", [pb.Layer(layer_id="l", p=0.5, drop_connect=(
                pb.DropConnect(in_features=FEATURES, out_features=FEATURES)))])
            client.call("SetParameters", pb.SetParametersRequest(
                session_id="first", layer_id="l", parameters=[
                    pb.Parameter(name="weight", value=weight),
                    pb.Parameter(name="bias", value=to_tensor(X[0, :FEATURES]))]))
            for name in names:
                client.call("ForkSession", pb.ForkSessionRequest(
                    session_id="first", new_session_id=name))
        server, client = self.serve(store.flag)
        with Client(server.address, use_local_subchannel_pool=1) as other:
            came_back = [name for name in names if self.comes_back(client, other, name)]
        self.assertEqual(came_back, [])

    @staticmethod
    def comes_back(client, other, name):
        def find():
            try:
                other.get_session(name)
            except grpc.RpcError:
                pass

        finds = [threading.Thread(target=find) for _ in range(2)]
        for each in finds:
            each.start()
        client.delete_session(name)
        for each in finds:
            each.join()
        try:
            client.get_session(name)
            return True
        except grpc.RpcError as error:
            return reason_of(error) != "SESSION_NOT_FOUND"


class DamageTest(Servers):

    def test_a_damaged_session_is_not_answered(self):
        """Neither after its damage is found in a step, where a copy of the rest is in use."""
        store = SqliteFile(self)
        with harness.Server(store.flag) as server, Client(server.address) as client:
            client.create_session("s", [dropout_layer("l")])
            client.forward("s", "l", X, step=1)
        store.execute("UPDATE fields SET value = zeroblob(length(value)) "
                      "WHERE substr(name, 1, 1) = x'73'")  # Those of steps.
        _, client = self.serve(store.flag)
        client.get_session("s")
        for call in (lambda: self.backward(client, "s", 1), lambda: client.get_session("s"),
                     lambda: client.forward("s", "l", X, step=2)):
            self.assertEqual(self.refused(call), "STORE_CORRUPT")
        client.delete_session("s")
        client.create_session("s")

    def test_a_listing_names_what_it_cannot_read(self):
        store = SqliteFile(self)
        names = [f"s{i}" for i in range(10)]
        with harness.Server(store.flag) as server, Client(server.address) as client:
            for name in names:
                client.create_session(name)
        store.execute("UPDATE parts SET value = zeroblob(100) WHERE session IN (SELECT id FROM "
                      "sessions WHERE key IN (?, ?))", b"s3", b"s7")
        # What is no text is no id, and hides no other.
        for damaged in ("s2", "s9"):
            names.remove(damaged)
            store.execute("UPDATE sessions SET key = ? WHERE key = ?", damaged.encode() + b"\xff",
                          damaged.encode())
        _, client = self.serve(store.flag)
        for page_size in (0, 1, 2, 3):
            found, damaged, token = [], [], ""
            while True:
                page = client.list_page(page_size, token)
                found += [session.session_id for session in page.sessions]
                damaged += page.corrupt_session_ids
                token = page.next_page_token
                if not token:
                    break
            self.assertEqual((sorted(found + damaged), damaged), (names, ["s3", "s7"]), page_size)


class AddressTest(Servers):

    def test_a_link_to_the_file_is_the_file(self):
        store = SqliteFile(self)
        self.serve(store.flag)
        links = [pathlib.Path(store.path.parent) / name for name in ("symbolic", "hard")]
        links[0].symlink_to(store.path)
        links[1].hardlink_to(store.path)
        for link in links:
            done = harness.run_server("--listen=127.0.0.1:0", f"--store=sqlite:{link}")
            self.assertEqual(done.returncode, 1, link)
            self.assertIn("another dropoutd uses it", done.stderr)


@needs_redis
class RedisTest(Servers):

    def test_a_primary_that_is_none_any_more_is_not_read(self):
        redis = RedisServer(self)
        server = self.enterContext(harness.Server(
            *shipped.replica_flags(f"redis://127.0.0.1:{redis.port}")))
        client = self.enterContext(Client(server.address))
        client.create_session("s", [dropout_layer("l")], seed=1)
        client.forward("s", "l", X, step=1)
        # It keeps its connections and its data, and hears nothing of what its primary is told.
        redis.run("replicaof", "127.0.0.1", str(free_port()))
        for call in (lambda: client.get_session("s"), lambda: self.backward(client, "s", 1),
                     lambda: client.forward("s", "l", X, step=1), client.list_sessions):
            self.assertEqual(self.refused(call), "STORE_UNAVAILABLE")
        redis.run("replicaof", "no", "one")
        client.get_session("s")

    def test_connections_that_redis_has_closed_cost_no_call(self):
        redis = RedisServer(self)
        _, client = self.serve(redis.flag)
        names = [f"s{i}" for i in range(SESSIONS_AT_ONCE)]
        for name in names:
            client.create_session(name, [pb.Layer(layer_id="l", p=0.5, concrete=pb.Concrete())])

        def forward():
            """As many at once as keep several connections busy."""
            begun = [client.service.Forward.future(pb.ForwardRequest(
                session_id=name, layer_id="l", step=1, input=to_tensor(X)), timeout=REDIS_SECONDS)
                     for name in names]
            return {call.code() for call in begun}

        self.assertEqual(forward(), {grpc.StatusCode.OK})
        redis.run("config", "set", "timeout", "1")
        redis.await_clients(2)  # One that asks, and one that the server's sweeps keep.
        self.assertEqual(forward(), {grpc.StatusCode.OK})


if __name__ == "__main__":
    unittest.main()
