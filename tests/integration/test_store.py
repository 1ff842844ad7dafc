"""Sessions that outlive their server: SQLite."""

import os
import pathlib
import random
import sqlite3
import tempfile
import threading
import time
import unittest

import client_helpers
import grpc
import harness
from client_helpers import Client, pb
from google.protobuf.duration_pb2 import Duration
from training_load import Trainer, undisturbed

KILLS = int(os.environ.get("DROPOUTD_STORE_KILLS", "12"))
STEPS_A_KILL = 3
MOST_SECONDS_TO_A_KILL = 0.3
EXPIRY_SECONDS = 120


class SqliteTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dropout-sqlite-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "sessions.db"

    def server(self, *flags):
        return harness.Server(f"--store=sqlite:{self.path}", *flags)

    def test_a_server_that_is_killed_loses_nothing(self):
        moments = random.Random(1)
        steps = KILLS * STEPS_A_KILL
        server = self.server()
        server.__enter__()
        address = server.address
        trainer = Trainer("s", lambda: [address])
        failures = []

        def train(first):
            try:
                if first == 0:
                    trainer.create()
                for step in range(first, first + STEPS_A_KILL):
                    trainer.step(step)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        try:
            for kill in range(KILLS):
                training = threading.Thread(target=train, args=(kill * STEPS_A_KILL,))
                training.start()
                training.join(moments.uniform(0, MOST_SECONDS_TO_A_KILL))
                server.kill()
                server.__exit__(None, None, None)
                server = self.server(f"--listen={address}")
                server.__enter__()
                training.join()
                self.assertEqual(failures, [])
        finally:
            server.__exit__(None, None, None)
            trainer.close()
        print(f"{KILLS} kills, {trainer.calls} calls, {trainer.retries} repeated")
        self.assertEqual(trainer.digest.hexdigest(), undisturbed("s", steps))

    def test_a_session_is_there_again(self):
        with self.server() as server, Client(server.address) as client:
            made = client.create_session("s", [client_helpers.dropout_layer("l")], seed=5)
            y = client.forward("s", "l", [[1.0] * 64], step=3).output.data
            self.assertEqual(client.call("GetServerInfo", pb.GetServerInfoRequest()).store,
                             "sqlite")
            self.assertEqual(server.terminate(), 0)
        with self.server() as server, Client(server.address) as client:
            found = client.get_session("s")
            for session in (made, found):
                session.ClearField("expire_time")
            self.assertEqual(found, made)
            self.assertEqual([s.session_id for s in client.list_sessions()], ["s"])
            # A repeated creation finds it, and another one under its name is refused.
            client.create_session("s", [client_helpers.dropout_layer("l")], seed=5)
            with self.assertRaises(grpc.RpcError):
                client.create_session("s", [], seed=5)
            dx = client.backward("s", "l", [[1.0] * 64], step=3)
            self.assertEqual(client_helpers.to_tensor(dx).data, y)
            client.delete_session("s")
            self.assertEqual(client.list_sessions(), [])

    def test_time_without_a_server_does_not_count(self):
        ttl = 3
        with self.server() as server, Client(server.address) as client:
            client.create_session("short", ttl=Duration(seconds=ttl))
            client.create_session("long")
            server.kill()
        time.sleep(1.2 * ttl)  # Longer than the store keeps it.
        with self.server() as server, Client(server.address) as client:
            self.assertEqual([s.session_id for s in client.list_sessions()], ["long", "short"])
            # From here on it does: a listing renews nothing.
            deadline = time.monotonic() + EXPIRY_SECONDS
            while len(client.list_sessions()) > 1:
                self.assertLess(time.monotonic(), deadline, "the session does not end")
                time.sleep(0.05)
            with self.assertRaises(grpc.RpcError):
                client.get_session("short")
            client.get_session("long")

    def test_a_second_server_on_the_file_is_refused(self):
        with self.server():
            done = harness.run_server("--listen=127.0.0.1:0", f"--store=sqlite:{self.path}")
            self.assertEqual(done.returncode, 1)
            self.assertIn("another dropoutd uses it", done.stderr)

    def test_bad_addresses_are_wrong_usage(self):
        for store in ("disk", "sqlite:", "redis://", "redis://me:hunter2%@host"):
            done = harness.run_server("--listen=127.0.0.1:0", f"--store={store}")
            self.assertEqual(done.returncode, 2, store)
            self.assertIn("--store", done.stderr)
            self.assertNotIn("hunter2", done.stderr)

    def test_a_store_that_cannot_be_opened_is_an_error(self):
        for store in (f"sqlite:{self.path.parent}/missing/file", "redis://127.0.0.1:1"):
            done = harness.run_server("--listen=127.0.0.1:0", f"--store={store}")
            self.assertEqual(done.returncode, 1, store)
            self.assertNotEqual(done.stderr, "")

    def test_a_damaged_record_is_not_served(self):
        with self.server() as server, Client(server.address) as client:
            for name in ("bad", "good"):
                client.create_session(name, [client_helpers.dropout_layer("l")])
        with sqlite3.connect(self.path) as database:
            database.execute("UPDATE parts SET value = zeroblob(100) WHERE session = "
                             "(SELECT id FROM sessions WHERE key = ?)", (b"bad",))
        database.close()
        with self.server() as server, Client(server.address) as client:
            with self.assertRaises(grpc.RpcError) as raised:
                client.get_session("bad")
            self.assertEqual(raised.exception.code(), grpc.StatusCode.DATA_LOSS)
            self.assertIn((client_helpers.REASON_METADATA, "STORE_CORRUPT"),
                          [tuple(m) for m in raised.exception.trailing_metadata()])
            client.get_session("good")
            client.delete_session("bad")
            client.create_session("bad")


if __name__ == "__main__":
    unittest.main()
