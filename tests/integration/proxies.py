"""nginx and haproxy with the project's own configurations, docker/nginx.conf and haproxy.cfg."""

import pathlib
import shutil
import socket
import subprocess
import time
import unittest

import harness
from redis_server import free_port

PROXY_SECONDS = 120
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
DOCKER = pathlib.Path(__file__).parents[2] / "docker"
REPLICAS = 3
RATE = "2000"  # Calls of one address in a second, as the files have it.
FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}


def skip_without(program):
    return unittest.skipUnless(shutil.which(program, path=SYSTEM_PATH), f"no {program}")


def _command(program, file):
    return [program, "-c", file, "-g", "daemon off;"] if program == "nginx" else (
        [program, "-f", file])


def run_proxy(test, program, folder, addresses, rate=None):
    """Runs a proxy with the project's own configuration, but for its addresses; returns its own. It
    is stopped when the test ends. addresses: of the replicas, as many as the file names. rate:
    another limit of calls a second than the file's."""
    text = (DOCKER / FILES[program]).read_text(encoding="utf-8").replace("/tmp/", f"{folder}/")
    for i, address in enumerate(addresses):
        text = text.replace(f"dropoutd-{i + 1}:50051", address)
    if rate is not None:
        assert RATE in text
        text = text.replace(RATE, str(rate))
    file = pathlib.Path(folder) / f"{program}.conf"
    deadline = time.monotonic() + PROXY_SECONDS
    while True:
        port = free_port()
        file.write_text(text.replace("listen 50050", f"listen 127.0.0.1:{port}")
                        .replace("bind :50050", f"bind 127.0.0.1:{port}"), encoding="utf-8")
        process = subprocess.Popen(
            _command(program, str(file)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**harness.clean_environment(), "PATH": SYSTEM_PATH})
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                test.addCleanup(process.wait)
                test.addCleanup(process.terminate)
                return f"127.0.0.1:{port}"
            except OSError:
                time.sleep(0.01)
        process.kill()
        process.wait()
        test.assertLess(time.monotonic(), deadline, f"{program} does not start")
