"""Another Redis takes over: calls are answered UNAVAILABLE for a while, and never wrongly."""

import pathlib
import shutil
import tempfile
import unittest

import harness
import shipped
from client_helpers import Client, dropout_layer, patiently, pb
from redis_server import Redis, Switch
from training_load import train_while

CLIENTS = 3
SECONDS_BETWEEN = 0.5
FAILOVERS = 4


@unittest.skipUnless(shutil.which("redis-cli"), "no redis-cli")
class FailoverTest(unittest.TestCase):

    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.nodes = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            node = Redis(folder / name, replica_of=self.nodes[0] if self.nodes else None)
            node.start()
            self.addCleanup(node.kill)
            self.nodes.append(node)
        self.nodes[1].await_info("master_link_status:up")
        self.switch = Switch(self.nodes[0].port)
        self.addCleanup(self.switch.close)
        flags = shipped.replica_flags(f"redis://127.0.0.1:{self.switch.port}")
        self.servers = [self.enterContext(harness.Server(*flags)) for _ in range(2)]

    def test_training_goes_on(self):
        """Redis hands over itself, with nothing lost."""

        def disturb(running):
            for i in range(FAILOVERS):
                old, new = self.nodes[i % 2], self.nodes[1 - i % 2]
                self.assertTrue(running(SECONDS_BETWEEN))
                old.run("failover")
                new.await_info("role:master")
                self.switch.turn(new.port)
                old.await_info("master_link_status:up")

        train_while(self, CLIENTS, [each.address for each in self.servers], disturb)

    def test_what_was_lost_is_not_answered(self):
        one, other = self.servers
        x = [[1.0] * 64]
        with Client(one.address) as a, Client(other.address) as b:
            a.create_session("s", [dropout_layer("l", p=0.5)], seed=1)
            self.nodes[1].await_copy_of(self.nodes[0])
            self.nodes[1].run("replicaof", "no", "one")
            # Of this the second node hears nothing.
            a.call("SetMode", pb.SetModeRequest(session_id="s", mode=pb.MODE_EVAL))
            self.assertEqual(a.forward("s", "l", x, step=1).mode, pb.MODE_EVAL)
            self.switch.turn(self.nodes[1].port, cut=True)
            self.nodes[0].kill()
            self.nodes[0].start()  # For the end of the test.
            # As many changes as were lost, and others.
            patiently(lambda: b.update_layer("s", dropout_layer("l", p=0.9)))
            for client in (a, b):
                answer = patiently(lambda: client.forward("s", "l", x, step=2))
                self.assertEqual((answer.mode, answer.p), (pb.MODE_TRAIN, 0.9))


if __name__ == "__main__":
    unittest.main()
