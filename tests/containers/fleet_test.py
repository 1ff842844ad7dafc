"""docker/compose.yaml and docker/kubernetes/dropoutd.yaml for real: several replicas, one of which
is killed. Run by ./dev containers, in a network of its own."""

import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest
import urllib.request

import numpy
import podman

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import training_load  # noqa: E402  (its folder is not a package)

CLONE_NEWNET = 0x40000000
DOCKER = podman.TREE / "docker"
START_SECONDS = 120
CLIENTS = 3
REPLICAS = 3
PROXY = "127.0.0.1:50050"
CTL = os.environ["DROPOUTCTL_BIN"]

IMAGES = {}


def setUpModule():
    podman.import_base()
    podman.build(DOCKER / "Dockerfile", podman.IMAGE, podman.TREE)
    IMAGES.update(podman.build_others())
    # From here on nothing meets the host's network, nor its ports.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def tearDownModule():
    podman.podman("rm", "--all", "--force", check=False)


def await_success(work):
    """The first result of work() that is not an error or false."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if result := work():
                return result
        except (OSError, subprocess.CalledProcessError):
            pass
        if time.monotonic() > deadline:
            logs = [podman.podman("logs", "--tail=5", each, check=False)
                    for each in podman.podman("ps", "-aq").stdout.split()]
            raise AssertionError("\n".join(log.stdout + log.stderr for log in logs))
        time.sleep(0.2)


def ctl(*args):
    done = subprocess.run([CTL, *args], check=True, capture_output=True, text=True,
                          timeout=podman.SECONDS)
    return done.stdout


class ComposeTest(unittest.TestCase):

    FILES = ("compose.yaml",)
    KILLED = "fleet_dropoutd-2_1"

    def compose(self, *words):
        files = [word for name in self.FILES for word in ("-f", DOCKER / name)]
        return podman.run("podman-compose", "-p", "fleet", *files, *words,
                          extra_environment=IMAGES)

    def test_a_replica_dies_and_nothing_is_lost(self):
        self.addCleanup(self.compose, "down", "--volumes")
        self.compose("up", "--detach", "--no-build")
        await_success(lambda: "serving" in ctl(f"--address={PROXY}", "health"))

        def disturb(running):
            running(3)
            podman.podman("kill", self.KILLED)
            running(5)

        training_load.train_while(self, CLIENTS, [PROXY], disturb)
        await_success(self.prometheus_sees_replicas)

    def prometheus_sees_replicas(self):
        with urllib.request.urlopen("http://127.0.0.1:9090/api/v1/targets", timeout=5) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        return sum(target["health"] == "up" for target in targets) >= REPLICAS - 1


class SentinelComposeTest(ComposeTest):
    """Kills the first primary instead."""

    FILES = ("compose.yaml", "compose.sentinel.yaml")
    KILLED = "fleet_redis_1"


class KubernetesTest(unittest.TestCase):
    """The manifest as `podman kube play` takes it: a ConfigMap for each Secret, because podman 4.3
    does not decode their data, no containerPort, which it would publish on the host, and no socket,
    because it gives all pods one emptyDir."""

    def setUp(self):
        self.folder = podman.WORK / "kubernetes"
        self.folder.mkdir()
        self.key, self.cert = self.folder / "tls.key", self.folder / "tls.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key,
             "-out", self.cert, "-days", "2", "-subj", "/CN=dropoutd", "-addext",
             "subjectAltName=DNS:dropoutd"], check=True, capture_output=True)
        tokens = self.folder / "tokens"
        self.token = ctl("token", "create", "acme", f"--file={tokens}").split()[1]
        manifest = (DOCKER / "kubernetes" / "dropoutd.yaml").read_text()
        manifest = re.sub(r"\n +ports:\n( +- \{name: [a-z]+, containerPort: \d+\}\n)+", "\n",
                          manifest)
        manifest = re.sub(r"secret: \{secretName: ([a-z-]+),[^}]*\}", r"configMap: {name: \1}",
                          manifest)
        manifest = manifest.replace(', "unix:/run/dropoutd/dropoutd.sock"', "")
        self.play = self.folder / "play.yaml"
        self.play.write_text("\n---\n".join([
            self.config("dropoutd-tls", self.cert, self.key),
            self.config("dropoutd-tokens", tokens), manifest]))

    @staticmethod
    def config(name, *files):
        data = {file.name: file.read_text() for file in files}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                           "data": data})

    def call(self, replica, *words):
        pod = json.loads(podman.podman("pod", "inspect", f"dropoutd-pod-{replica}").stdout)
        infra = json.loads(podman.podman("inspect", pod["InfraContainerID"]).stdout)[0]
        address = infra["NetworkSettings"]["Networks"]["fleet"]["IPAddress"]
        return ctl(f"--address={address}:50051", f"--tls_ca={self.cert}",
                   "--tls_server_name=dropoutd", f"--token={self.token}", *words)

    def test_a_replica_dies_and_nothing_is_lost(self):
        podman.podman("network", "create", "fleet")
        self.addCleanup(podman.podman, "network", "rm", "--force", "fleet")
        podman.podman("run", "--detach", "--name=redis", "--network=fleet", IMAGES["REDIS_IMAGE"],
                      "redis-server", "--protected-mode", "no")
        podman.podman("kube", "play", "--network=fleet", self.play)
        self.addCleanup(podman.podman, "kube", "down", self.play)
        for replica in range(REPLICAS):
            await_success(lambda: "serving" in self.call(replica, "health"))
        self.call(0, "session", "create", "--id=s", "--seed=1", "--layer=l,p=0.5")
        x = self.folder / "x.npy"
        numpy.save(x, numpy.ones(64, numpy.float32))
        results = {}
        for step in range(6):
            results[step] = self.folder / f"y-{step}.npy"
            self.call(step % REPLICAS, "forward", "s", "l", f"--step={step}", f"--input={x}",
                      f"--output={results[step]}")
        podman.podman("kill", "dropoutd-pod-0-dropoutd")
        dx = self.folder / "dx.npy"
        for step, y in results.items():
            self.call(1 + step % 2, "backward", "s", "l", f"--step={step}", f"--gradient={x}",
                      f"--output={dx}")
            self.assertEqual(dx.read_bytes(), y.read_bytes(), step)


if __name__ == "__main__":
    unittest.main()
