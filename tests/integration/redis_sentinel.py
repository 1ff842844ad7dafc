"""One primary, two replicas and three Sentinels for the tests."""

import pathlib
import subprocess
import time

from redis_server import REDIS_SECONDS, Redis, free_port, run_at

NAME = "cache"
SENTINELS = 3
DOWN_MILLISECONDS = 500
FAILOVER_MILLISECONDS = 3000
PATIENCE_SECONDS = 5


class Sentinel:
    """A process that watches the primary; alone it decides nothing."""

    def __init__(self, folder, primary):
        self.port = free_port()
        self._config = pathlib.Path(folder) / "sentinel.conf"
        self._config.write_text("\n".join([
            f"port {self.port}", "bind 127.0.0.1", f"dir {folder}",
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} {SENTINELS // 2 + 1}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_MILLISECONDS}",
            f"sentinel failover-timeout {NAME} {FAILOVER_MILLISECONDS}", ""]), encoding="utf-8")
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            ["redis-server", str(self._config), "--sentinel"], stdout=subprocess.DEVNULL)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def run(self, *words):
        return run_at(self.port, *words)

    def primary_port(self):
        return int(self.run("sentinel", "get-master-addr-by-name", NAME).split()[-1])

    def knows_all(self):
        try:
            return f"status=ok,address=127.0.0.1:{self.primary_port()},slaves=2," \
                   f"sentinels={SENTINELS}" in self.run("info", "sentinel")
        except (subprocess.CalledProcessError, IndexError, ValueError):
            return False


class SentinelFleet:
    """`test`: a TestCase, which stops everything at its end. `folder`: an empty one."""

    def __init__(self, test, folder):
        self.nodes, self.sentinels = [], []
        for i in range(3):
            path = pathlib.Path(folder) / f"node-{i}"
            path.mkdir()
            node = Redis(path, replica_of=self.nodes[0] if i else None)
            node.start()
            test.addCleanup(node.kill)
            self.nodes.append(node)
        for node in self.nodes[1:]:
            node.await_info("master_link_status:up")
        for i in range(SENTINELS):
            path = pathlib.Path(folder) / f"sentinel-{i}"
            path.mkdir()
            sentinel = Sentinel(path, self.nodes[0])
            sentinel.start()
            test.addCleanup(sentinel.kill)
            self.sentinels.append(sentinel)
        await_true(lambda: all(each.knows_all() for each in self.sentinels))

    def url(self, wait_replicas=0):
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{NAME}?wait_replicas={wait_replicas}"

    def primary(self):
        port = self.sentinels[0].primary_port()
        return next(node for node in self.nodes if node.port == port)

    def hand_over(self):
        """SENTINEL FAILOVER; back once the old primary follows the new one: before that a second
        failure would leave too few replicas."""
        old = self.primary()
        # Refused while another one is under way.
        await_true(lambda: self.sentinels[0].run("sentinel", "failover", NAME) == "OK")
        self._await_other(old)
        self._await_whole()

    def kill_primary(self):
        """SIGKILL; back once the old primary, started anew, follows another one."""
        old = self.primary()
        old.kill()
        self._await_other(old)
        old.start()
        self._await_whole()

    def _await_whole(self):
        """All Sentinels name one primary, whom the others follow. What takes Sentinels long (they
        watch an old primary for a while before they tell it) is done as an operator does it."""
        begin = time.monotonic()

        def is_whole():
            if time.monotonic() - begin > PATIENCE_SECONDS:
                self._tell_old_primaries()
            return any(self._is_whole_under(node) for node in self.nodes)

        await_true(is_whole)

    def _tell_old_primaries(self):
        ports = {each.primary_port() for each in self.sentinels}
        for node in self.nodes:
            if len(ports) == 1 and node.port not in ports and node.says("role:master"):
                run_at(node.port, "replicaof", "127.0.0.1", str(*ports))

    def _is_whole_under(self, primary):
        return (all(each.primary_port() == primary.port for each in self.sentinels)
                and primary.says(f"connected_slaves:{len(self.nodes) - 1}")
                and all(node.says("master_link_status:up") for node in self.nodes
                        if node is not primary))

    def _await_other(self, old):
        await_true(lambda: all(each.primary_port() != old.port for each in self.sentinels))


def await_true(is_true):
    deadline = time.monotonic() + REDIS_SECONDS
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError("what is waited for does not come true")
        time.sleep(0.02)
