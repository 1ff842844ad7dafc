"""Sessions that move between servers and stores, and forks, through dropoutctl."""

import pathlib
import shutil
import tempfile
import unittest
import unittest.mock
import urllib.request

import grpc
import harness
from client_helpers import (Client, dropout_layer, exported_contents, pb, reason_of,
                            to_tensor)
from cli_helpers import CliTest
from redis_server import Redis
from training_load import Trainer, undisturbed

STEPS = 24
CALLS_A_MOVE = 11  # Shares no factor with the calls of a step: moves come between all of them.
X = [[1.0] * 4096]


class Mover(Trainer):
    """Takes its session along to the next server after every few calls."""

    def __init__(self, session_id, servers, folder):
        super().__init__(session_id, lambda: [self._here.address])
        self._servers = servers
        self._here = servers[0]
        self._file = folder / "moved.session"
        self._folder = folder
        self.moves = 0

    def call(self, rpc, request):
        if rpc != "CreateSession" and self.calls % CALLS_A_MOVE == 0:
            self._move()
        return super().call(rpc, request)

    def _move(self):
        self.moves += 1
        there = self._servers[self.moves % len(self._servers)]
        here = f"--address={self._here.address}"
        harness.ctl(here, "session", "export", self.session_id, f"--output={self._file}")
        harness.ctl(here, "session", "delete", self.session_id)
        harness.ctl(f"--address={there.address}", "session", "import", str(self._file),
                    f"--id={self.session_id}")
        self._here = there


class MovesTest(unittest.TestCase):

    def test_a_session_trains_on_from_store_to_store(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        stores = ["memory", f"sqlite:{folder / 'sessions.db'}"]
        if shutil.which("redis-server"):
            redis = Redis(folder)
            redis.start()
            self.addCleanup(redis.kill)
            stores.append(f"redis://127.0.0.1:{redis.port}")
        servers = [self.enterContext(harness.Server(f"--store={store}")) for store in stores]
        trainer = Mover("s", servers, folder)
        self.addCleanup(trainer.close)
        trainer.create()
        for step in range(STEPS):
            trainer.step(step)
        print(f"{trainer.moves} moves, {trainer.calls} calls")
        self.assertGreater(trainer.moves, 2 * STEPS)
        self.assertEqual(trainer.digest.hexdigest(), undisturbed("s", STEPS))


class RefusedImportsTest(unittest.TestCase):

    def test_a_refused_import_costs_nothing(self):
        """Its first layer fits the server's parameters, and its second does not."""
        concrete = [pb.Layer(layer_id=name, p=0.5, concrete=pb.Concrete()) for name in "ab"]
        with harness.Server() as server, Client(server.address) as client:
            client.create_session("s", concrete)
            snapshot = client.call("ExportSession", pb.ExportSessionRequest(
                session_id="s")).snapshot
        with harness.Server("--max_parameter_bytes=15", "--metrics_listen=127.0.0.1:0") as server, \
                Client(server.address) as client:
            for _ in range(3):
                with self.assertRaises(grpc.RpcError) as raised:
                    client.call("ImportSession", pb.ImportSessionRequest(snapshot=snapshot))
                self.assertEqual(reason_of(raised.exception), "QUOTA_PARAMETER_BYTES")
            with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as page:
                self.assertIn("\ndropoutd_parameter_bytes 0\n", page.read().decode())
            client.create_session("s", concrete[:1])


class RefusedChangesTest(unittest.TestCase):

    def test_a_refused_change_leaves_the_session_as_it_is(self):
        """There is room for the parameter of one concrete layer, and no more."""
        linear = pb.Layer(layer_id="linear", p=0.5, drop_connect=pb.DropConnect(
            in_features=4, out_features=4))
        weight = pb.Parameter(name="weight", value=pb.Tensor(
            dtype=pb.DATA_TYPE_FLOAT32, shape=[4, 4], data=bytes(64)))
        another = pb.Layer(layer_id="another", p=0.5, concrete=pb.Concrete())
        with harness.Server("--max_parameter_bytes=15") as server, \
                Client(server.address) as client:
            client.create_session(
                "s", [pb.Layer(layer_id="first", p=0.5, concrete=pb.Concrete()), linear])
            before = exported_contents(client, "s")
            for method, request in [
                    ("SetParameters", pb.SetParametersRequest(
                        session_id="s", layer_id="linear", parameters=[weight])),
                    ("CreateLayer", pb.CreateLayerRequest(session_id="s", layer=another)),
                    ("UpdateLayer", pb.UpdateLayerRequest(session_id="s", layer=pb.Layer(
                        layer_id="linear", p=0.5, concrete=pb.Concrete())))]:
                with self.assertRaises(grpc.RpcError) as raised:
                    client.call(method, request)
                self.assertEqual(reason_of(raised.exception), "QUOTA_PARAMETER_BYTES", method)
                self.assertEqual(exported_contents(client, "s"), before, method)


class CommandsTest(CliTest):

    def setUp(self):
        super().setUp()
        self.client = self.enterContext(Client(self.server.address))
        self.client.create_session(self.session_id, [dropout_layer("l", p=0.5)], seed=3)
        self.y = self.client.forward(self.session_id, "l", X, step=4).output.data

    def backward(self, session_id):
        return to_tensor(self.client.backward(session_id, "l", X, step=4)).data

    def test_export_and_import(self):
        file = self.folder / "a.session"
        text = self.ctl("session", "export", self.session_id, f"--output={file}")
        self.assertEqual(text, f"exported session {self.session_id} to {file}, "
                               f"{file.stat().st_size} bytes\n")
        self.assertTrue(file.read_bytes().startswith(b"dropout session\n"))
        copy = self.ctl_json("session", "import", str(file), "--id=imported")
        self.assertEqual((copy["session_id"], copy["seed"]), ("imported", "3"))
        self.assertEqual(self.backward("imported"), self.y)
        self.assertEqual(self.ctl_json("session", "import", str(file), "--id=imported"),
                         {**copy, "expire_time": unittest.mock.ANY})
        picked = self.ctl_json("session", "import", str(file))["session_id"]
        self.assertEqual(self.backward(picked), self.y)

    def test_through_pipes(self):
        done = self.run_ctl("session", "export", self.session_id, "--output=-")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        text = self.ctl("session", "import", "-", "--id=piped", stdin=done.stdout)
        self.assertRegex(text, r"\Asession +piped\nseed +3\n")
        self.assertEqual(self.backward("piped"), self.y)

    def test_the_file_is_named_after_the_session(self):
        self.client.create_session("named", [], seed=1)
        done = harness.ctl(f"--address={self.server.address}", "session", "export", "named",
                           folder=self.folder)
        self.assertIn(b" to named.session, ", done.stdout)
        self.assertTrue((self.folder / "named.session").is_file())

    def test_fork(self):
        fork = self.ctl_json("session", "fork", self.session_id, "--id=fork")
        self.assertEqual(fork["session_id"], "fork")
        self.assertEqual(self.backward("fork"), self.y)
        self.client.delete_session(self.session_id)
        self.assertEqual(self.backward("fork"), self.y)
        self.assertNotEqual(self.ctl_json("session", "fork", "fork")["session_id"], "fork")

    def test_what_the_server_refuses(self):
        file = self.folder / "a.session"
        self.ctl("session", "export", self.session_id, f"--output={file}")
        damaged = self.folder / "b.session"
        damaged.write_bytes(file.read_bytes()[:-1])
        self.assert_refused("INVALID_ARGUMENT", "INVALID_SESSION", "session", "import",
                            str(damaged))
        self.assert_refused("INVALID_ARGUMENT", "INVALID_SESSION", "session", "import", "/dev/null")
        self.assert_refused("ALREADY_EXISTS", "SESSION_EXISTS", "session", "import", str(file),
                            f"--id={self.session_id}")
        self.assert_refused("ALREADY_EXISTS", "SESSION_EXISTS", "session", "fork",
                            self.session_id, f"--id={self.session_id}")
        for command in ("export", "fork"):
            self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "session", command, "nobody")
        self.assertFalse((self.folder / "nobody.session").exists())

    def test_wrong_usage(self):
        self.assert_usage("missing", "session", "import", str(self.folder / "missing"))
        self.assert_usage("no-such", "session", "export", self.session_id,
                          f"--output={self.folder}/no-such/file")


class LimitTest(CliTest):
    flags = ("--max_message_bytes=4096",)

    def test_a_session_larger_than_a_message_is_refused(self):
        with Client(self.server.address) as client:
            client.create_session("s", [dropout_layer("l", p=0.5)], seed=3)
            for step in range(200):
                client.forward("s", "l", [[1.0] * 8], step=step)
            self.assert_refused("RESOURCE_EXHAUSTED", "QUOTA_MESSAGE_BYTES", "session", "export",
                                "s", f"--output={self.folder}/s")
            client.release_steps("s", "", 190)
            self.ctl("session", "export", "s", f"--output={self.folder}/s")


if __name__ == "__main__":
    unittest.main()
