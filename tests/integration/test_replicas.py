"""Several servers over one Redis: any of them answers for any session."""

import os
import pathlib
import re
import shutil
import tempfile
import time
import unittest
import urllib.request

import harness
import shipped
from client_helpers import Client, dropout_layer, pb, to_tensor
from google.protobuf.duration_pb2 import Duration
from proxies import REPLICAS, run_proxy, skip_without
from redis_server import Redis
from training_load import train_while

SECONDS = float(os.environ.get("DROPOUTD_REPLICA_SECONDS", "6"))
CLIENTS = int(os.environ.get("DROPOUTD_REPLICA_CLIENTS", "4"))
SECONDS_BETWEEN_KILLS = 2
SWEEP_SECONDS = 120
RESTARTS = int(os.environ.get("DROPOUTD_ROLLING_RESTARTS", "2"))
MODE_CHANGES = int(os.environ.get("DROPOUTD_MODE_CHANGES", "500"))


@unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
class ReplicasTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dropout-replicas-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.redis = Redis(self.folder)
        self.redis.start()
        self.addCleanup(self.redis.kill)

    def server(self, *flags, env=None):
        shipped_flags = shipped.replica_flags(f"redis://127.0.0.1:{self.redis.port}")
        server = harness.Server(*shipped_flags, *flags, env=env)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def await_sweep(self, server):
        """Waits until the server has once more removed what has ended."""

        def sweeps():
            with urllib.request.urlopen(f"http://{server.metrics_address}/metrics",
                                        timeout=SWEEP_SECONDS) as page:
                return int(re.search(r'^dropoutd_store_seconds_count{operation="other"} (\d+)',
                                     page.read().decode(), re.MULTILINE)[1])

        first = sweeps()
        deadline = time.monotonic() + SWEEP_SECONDS
        # One may be under way.
        while sweeps() < first + 2:
            self.assertLess(time.monotonic(), deadline, "the server does not sweep")
            time.sleep(0.05)

    def test_a_change_through_one_is_obeyed_by_the_other(self):
        one, other = self.server(), self.server()
        with Client(one.address) as a, Client(other.address) as b:
            a.create_session("s", [dropout_layer("l", p=0.5)], seed=1)
            x = [[1.0] * 64]
            for i in range(MODE_CHANGES):
                writer, reader = (a, b) if i % 2 else (b, a)
                mode = pb.MODE_EVAL if i % 3 else pb.MODE_TRAIN
                writer.call("SetMode", pb.SetModeRequest(session_id="s", mode=mode))
                self.assertEqual(reader.forward("s", "l", x, step=i).mode, mode)
                if i % 5 == 0:
                    p = 0.1 + i % 8 / 10
                    writer.update_layer("s", dropout_layer("l", p=p))
                    self.assertEqual(reader.get_session("s").layers[0].p, p)
                    writer.call("SetMode", pb.SetModeRequest(session_id="s", mode=mode))

    def test_a_server_that_never_saw_a_step_applies_it(self):
        one, other = self.server(), self.server("--mask_cache_bytes=1")
        with Client(one.address) as a, Client(other.address) as b:
            a.create_session("s", [dropout_layer("l", p=0.5)], seed=1)
            x = [[1.0] * 4096]
            for step in range(20):
                y = a.forward("s", "l", x, step=step).output.data
                a.update_layer("s", dropout_layer("l", p=0.1 + step % 8 / 10))
                self.assertEqual(to_tensor(b.backward("s", "l", x, step=step)).data, y)

    def test_a_clock_that_is_wrong_ends_no_session(self):
        """Of three servers one is two hours ahead and one two hours behind."""
        servers = [self.server(env={"LD_PRELOAD": os.environ["CLOCK_SHIFT_LIBRARY"],
                                    "CLOCK_SHIFT_SECONDS": str(hours * 3600)})
                   for hours in (0, 2, -2)]
        clients = [self.enterContext(Client(server.address)) for server in servers]
        ttl = Duration(seconds=3600)
        names = [f"s{i}" for i in range(len(servers))]
        clocks = []
        for name, client in zip(names, clients):
            made = client.create_session(name, [dropout_layer("l", p=0.5)], seed=1, ttl=ttl)
            clocks.append(made.create_time.ToSeconds() - time.time())
        for clock, hours in zip(clocks, (0, 2, -2)):
            self.assertAlmostEqual(clock, hours * 3600, delta=600)
        for server in servers:
            self.await_sweep(server)
        for _ in range(2):
            for client, clock in zip(clients, clocks):
                self.assertEqual([each.session_id for each in client.list_sessions()], names)
                for name in names:
                    session = client.get_session(name)
                    left = session.expire_time.ToSeconds() - clock - time.time()
                    self.assertAlmostEqual(left, ttl.seconds, delta=600)
        # What any of them renews lives on in Redis, by its own clock.
        now = int(self.redis.run("time").split()[0])
        for name in names:
            left = int(self.redis.run("zscore", "dropout:index:expiry", name)) / 1000 - now
            self.assertGreater(left, ttl.seconds - 600)
            self.assertLess(left, ttl.seconds * 9 // 8 + 600)

    def test_servers_and_redis_die_under_load(self):
        servers, addresses = self.replicas()
        self.train_through(servers, addresses, addresses)

    @skip_without("nginx")
    def test_behind_nginx(self):
        servers, addresses = self.replicas()
        self.train_through(servers, addresses, [run_proxy(self, "nginx", self.folder, addresses)])

    @skip_without("haproxy")
    def test_behind_haproxy(self):
        servers, addresses = self.replicas()
        self.train_through(servers, addresses, [run_proxy(self, "haproxy", self.folder, addresses)])

    def replicas(self):
        servers = [self.server() for _ in range(REPLICAS)]
        return servers, [server.address for server in servers]

    def train_through(self, servers, addresses, fronts):
        """Clients train through `fronts` while servers die, and Redis once."""

        def disturb(running):
            end = time.monotonic() + SECONDS
            kills = 0
            while time.monotonic() < end and running(SECONDS_BETWEEN_KILLS):
                victim = kills % REPLICAS
                servers[victim].kill()
                if kills == 1:
                    self.redis.kill()
                    self.redis.start()
                servers[victim] = self.server(f"--listen={addresses[victim]}")
                kills += 1

        train_while(self, CLIENTS, fronts, disturb)

    def test_rolling_restarts(self):
        servers, addresses = self.replicas()

        def disturb(running):
            for _ in range(RESTARTS):
                for i in range(REPLICAS):
                    self.assertTrue(running(0))
                    servers[i].signal()
                    servers[i].wait()
                    servers[i] = self.server(f"--listen={addresses[i]}")

        train_while(self, CLIENTS, addresses, disturb)


if __name__ == "__main__":
    unittest.main()
