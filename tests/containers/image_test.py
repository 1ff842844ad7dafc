"""docker/Dockerfile for real. Run by ./dev containers."""

import contextlib
import json
import subprocess
import time
import unittest

import podman

MB = 1_000_000
MOST_ABOVE_BASE = 120 * MB
MOST_STOP_SECONDS = 5
START_SECONDS = 60
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host",
            "--memory=1g")


def setUpModule():
    podman.import_base()
    podman.build(podman.TREE / "docker" / "Dockerfile", podman.IMAGE, podman.TREE)


def tearDownModule():
    podman.podman("rm", "--all", "--force", check=False)


@contextlib.contextmanager
def server(*flags):
    """A hardened container with a server on a free port of the host's: (id, address)."""
    done = podman.podman("run", "--detach", *HARDENED, podman.IMAGE, "--listen=127.0.0.1:0", *flags)
    container = done.stdout.strip()
    try:
        yield container, await_address(container)
    finally:
        podman.podman("rm", "--force", container, check=False)


def await_address(container):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for line in podman.podman("logs", container).stdout.splitlines():
            if line.startswith("listening on "):
                return line.removeprefix("listening on ")
        time.sleep(0.1)
    raise AssertionError(podman.podman("logs", container).stderr)


def ctl(address, *args, **options):
    """dropoutctl in a container of its own."""
    return podman.podman("run", "--rm", *HARDENED, "--entrypoint=dropoutctl", podman.IMAGE,
                         f"--address={address}", *args, **options)


class ImageTest(unittest.TestCase):

    def test_size(self):
        above = podman.size(podman.IMAGE) - podman.size(podman.BASE)
        print(f"\nimage: {above / MB:.0f} MB above its base", flush=True)
        self.assertLess(above, MOST_ABOVE_BASE)

    def test_runs_without_rights_and_is_driven_from_another_container(self):
        with server() as (container, address):
            state = json.loads(podman.podman("inspect", container).stdout)[0]
            pid = state["State"]["Pid"]
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                status = dict(line.split(":\t", 1) for line in file.read().splitlines()
                              if ":\t" in line)
            self.assertEqual(status["Uid"].split(), ["65532"] * 4)
            for kind in ("CapEff", "CapPrm", "CapBnd"):
                self.assertEqual(int(status[kind], 16), 0, kind)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            self.assertTrue(state["HostConfig"]["ReadonlyRootfs"])
            self.assertIn("serving", ctl(address, "health").stdout)
            ctl(address, "demo")

    def test_there_is_a_health_check(self):
        image = json.loads(podman.podman("image", "inspect", podman.IMAGE).stdout)[0]
        self.assertIn("health", image["Healthcheck"]["Test"])

    def test_sigterm_finishes_calls_in_flight(self):
        with server() as (container, address):
            bench = subprocess.Popen(
                ["podman", "run", "--rm", *HARDENED, "--entrypoint=dropoutctl", podman.IMAGE,
                 f"--address={address}", "bench", "--seconds=3", "--shape=256,4096"],
                env=podman.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True)
            time.sleep(2)
            begin = time.monotonic()
            podman.podman("kill", "--signal=TERM", container)
            code = int(podman.podman("wait", container).stdout)
            seconds = time.monotonic() - begin
            bench.communicate(timeout=podman.SECONDS)
            print(f"\nimage: SIGTERM to exit took {seconds:.1f} s", flush=True)
            self.assertEqual(code, 0)
            self.assertLess(seconds, MOST_STOP_SECONDS)

    def test_refuses_a_network_without_tls(self):
        done = podman.podman("run", "--rm", *HARDENED, podman.IMAGE, "--listen=0.0.0.0:0",
                             check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--insecure", done.stderr)


if __name__ == "__main__":
    unittest.main()
