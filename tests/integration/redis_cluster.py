"""A Redis Cluster of three primaries and three replicas for the tests."""

import pathlib
import subprocess

from redis_server import REDIS_SECONDS, Redis, free_port
from redis_sentinel import await_true

PRIMARIES = 3
SLOTS = 16384
NODE_TIMEOUT_MILLISECONDS = 1000


class ClusterFleet:
    """`test`: a TestCase, which stops everything at its end. `folder`: an empty one."""

    def __init__(self, test, folder):
        self.nodes = []
        for i in range(2 * PRIMARIES):
            path = pathlib.Path(folder) / f"node-{i}"
            path.mkdir()
            node = Redis(path, flags=[
                "--cluster-enabled", "yes", "--cluster-port", str(free_port()),
                "--cluster-node-timeout", str(NODE_TIMEOUT_MILLISECONDS)])
            node.start()
            test.addCleanup(node.kill)
            self.nodes.append(node)
        self._manage("create", *(f"127.0.0.1:{node.port}" for node in self.nodes),
                     "--cluster-replicas", "1")
        self.await_whole()

    def url(self, wait_replicas=0):
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.nodes)
        return f"redis+cluster://{hosts}?wait_replicas={wait_replicas}"

    def await_whole(self):
        """Every node says that every slot is served, and three replicas follow."""
        await_true(lambda: all("cluster_state:ok" in node.run("cluster", "info")
                               for node in self.nodes))
        await_true(lambda: sum("master_link_status:up" in node.run("info", "replication")
                               for node in self.nodes) == PRIMARIES)
        await_true(lambda: len(self.primaries()) == PRIMARIES)

    def primaries(self):
        return [node for node in self.nodes
                if "role:master" in node.run("info", "replication")]

    def reshard_half(self, seconds=REDIS_SECONDS):
        """Each primary gives half of its slots to the next one, while all go on working."""
        ids = [node.run("cluster", "myid") for node in self.primaries()]
        for i, giver in enumerate(ids):
            await_true(self._agrees)  # Of a move just made not all have heard.
            self._manage("reshard", f"127.0.0.1:{self.nodes[0].port}", "--cluster-from", giver,
                         "--cluster-to", ids[(i + 1) % len(ids)], "--cluster-slots",
                         str(SLOTS // PRIMARIES // 2), "--cluster-pipeline", "100",
                         seconds=seconds)

    def kill_primary(self):
        """SIGKILL; back once a replica has its slots and it follows that one."""
        old = self.primaries()[0]
        others = [node for node in self.nodes if node is not old]
        old.kill()
        await_true(lambda: sum("role:master" in node.run("info", "replication")
                               for node in others) == PRIMARIES)
        old.start()
        self.await_whole()

    def _agrees(self):
        done = subprocess.run(
            ["redis-cli", "--cluster", "check", f"127.0.0.1:{self.nodes[0].port}"],
            capture_output=True, timeout=REDIS_SECONDS, check=False)
        return done.returncode == 0

    @staticmethod
    def _manage(command, *words, seconds=REDIS_SECONDS):
        done = subprocess.run(["redis-cli", "--cluster", command, *words, "--cluster-yes"],
                              capture_output=True, text=True, timeout=seconds, check=False)
        if done.returncode != 0:
            raise AssertionError(f"redis-cli --cluster {command}: {done.stdout[-2000:]}")
