"""A disk, or a Redis, that is full: what fails shows nowhere, and what makes room goes on."""

import itertools
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb, reason_of, to_array, to_tensor
from store_helpers import RedisServer

DISK_BYTES = 32 << 20
FEATURES = 512  # A weight of 1 MiB.
CHANGES = int(os.environ.get("DROPOUTD_FAILED_CHANGES", "30"))
STEPS = 8
X = np.ones((256, FEATURES), np.float32)  # 512 KiB, which a step keeps.


class FullDiskTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none",
                               str(self.folder)], capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest("only root may mount a disk")
        self.addCleanup(subprocess.run, ["umount", str(self.folder)], check=True)
        server = self.enterContext(harness.Server(
            "--metrics_listen=127.0.0.1:0", f"--store=sqlite:{self.folder}/sessions.db"))
        self.client = self.enterContext(Client(server.address))
        self.client.create_session("s", [self.layer()])
        self.set_weight(1)

    @staticmethod
    def layer(first=0.5):
        """Its schedule makes it as long as a few pages."""
        return pb.Layer(
            layer_id="l", schedule=pb.Schedule(piecewise=pb.PiecewiseSchedule(
                boundaries=range(1, 4096), values=[first] + [0.5] * 4095)),
            drop_connect=pb.DropConnect(in_features=FEATURES, out_features=FEATURES))

    def set_weight(self, value):
        self.client.call("SetParameters", pb.SetParametersRequest(
            session_id="s", layer_id="l", parameters=[
                pb.Parameter(name="weight", value=to_tensor(
                    np.full((FEATURES, FEATURES), value, np.float32))),
                pb.Parameter(name="bias", value=to_tensor(np.ones(FEATURES, np.float32)))]))

    def fill(self):
        with open(self.folder / "filler", "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass

    def fails(self, call, *args):
        """Whether a call fails, as it must where the disk is full."""
        try:
            call(*args)
            return False
        except grpc.RpcError as error:
            self.assertEqual(reason_of(error), "STORE_UNAVAILABLE")
            return True

    def state(self):
        """The first p of the schedule, and a weight."""
        p = self.client.get_session("s").layers[0].schedule.piecewise.values[0]
        read = self.client.call("GetParameters", pb.GetParametersRequest(
            session_id="s", layer_id="l"))
        weight, = [each.value for each in read.parameters if each.name == "weight"]
        return p, float(to_array(weight)[0, 0])

    def test_nobody_reads_a_change_that_fails(self):
        self.fill()
        over, seen = threading.Event(), set()

        def read():
            while not over.is_set():
                seen.add(self.state())

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        acknowledged = {(0.5, 1.0)}
        p, weight, failures = 0.5, 1.0, 0
        try:
            for i in range(1, CHANGES + 1):
                if self.fails(self.client.update_layer, "s", self.layer(first=i / 100)):
                    failures += 1
                else:
                    p = i / 100
                acknowledged.add((p, weight))
                if self.fails(self.set_weight, 1 + i):
                    failures += 1
                else:
                    weight = 1.0 + i
                acknowledged.add((p, weight))
        finally:
            over.set()
            for reader in readers:
                reader.join()
        print(f"{2 * CHANGES} changes, {failures} failed")
        self.assertGreater(failures, CHANGES // 2)
        # The two were not read at one moment.
        self.assertLessEqual({p for p, _ in seen}, {p for p, _ in acknowledged})
        self.assertLessEqual({weight for _, weight in seen}, {weight for _, weight in acknowledged})
        self.assertEqual(self.state(), (p, weight))

    def test_what_makes_room_goes_on(self):
        for step in range(STEPS):
            self.client.forward("s", "l", X, step=step)
        self.client.call("ForkSession", pb.ForkSessionRequest(
            session_id="s", new_session_id="other"))
        self.fill()
        # What SQLite has of room is used up too.
        last = next(step for step in itertools.count(STEPS)
                    if self.fails(self.client.forward, "s", "l", X, step))
        self.assertEqual(self.client.release_steps("s", "l", last // 2), last // 2 + 1)
        self.client.delete_session("other")
        self.assertEqual([each.session_id for each in self.client.list_sessions()], ["s"])
        # What was freed is used again.
        self.client.forward("s", "l", X, step=last)
        self.client.backward("s", "l", X, step=last)
        self.client.delete_session("s")


@unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
class FullRedisTest(unittest.TestCase):

    def test_what_makes_room_goes_on(self):
        redis = RedisServer(self)
        server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0", redis.flag))
        client = self.enterContext(Client(server.address))
        x = np.ones((1, 8), np.float32)
        for name in ("s", "other"):
            client.create_session(name, [dropout_layer("l")])
            for step in range(STEPS):
                client.forward(name, "l", x, step=step)
        redis.run("config", "set", "maxmemory", "1")
        with self.assertRaises(grpc.RpcError) as raised:
            client.forward("s", "l", x, step=STEPS)
        self.assertEqual(reason_of(raised.exception), "STORE_UNAVAILABLE")
        client.backward("s", "l", x, step=STEPS - 1)
        self.assertEqual(client.release_steps("s", "l", STEPS // 2 - 1), STEPS // 2)
        client.delete_session("other")
        self.assertEqual([each.session_id for each in client.list_sessions()], ["s"])
        redis.run("config", "set", "maxmemory", "0")
        client.forward("s", "l", x, step=STEPS)


if __name__ == "__main__":
    unittest.main()
