"""Clients that are killed in the middle of work in shared memory leave nothing behind.

DROPOUTD_KILLED_CLIENTS sets how many; ./dev test kills a few, 2,000 take some minutes.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import client_helpers as helpers
import harness

CLIENTS = int(os.environ.get("DROPOUTD_KILLED_CLIENTS", "40"))
AT_ONCE = 4
SECONDS = 60


class KilledClientsTest(unittest.TestCase):

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.own = os.path.join(self.folder, f"dropoutd-{os.geteuid()}")
        # Who is killed does not tidy up.
        self.client_folder = self.enterContext(tempfile.TemporaryDirectory())
        # Sessions of clients that are gone end soon.
        self.server = self.enterContext(harness.Server(
            "--shared_memory", f"--shared_memory_dir={self.folder}", "--session_ttl=2s"))
        self.client = self.enterContext(helpers.Client(self.server.address))

    def start_client(self):
        program = pathlib.Path(__file__).with_name("shared_client.py")
        return subprocess.Popen([sys.executable, "-B", str(program), self.server.address],
                                stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "TMPDIR": self.client_folder})

    def kill_clients(self):
        """Starts a few clients, and kills each once it works in its region."""
        clients = [self.start_client() for _ in range(AT_ONCE)]
        try:
            for client in clients:
                self.assertIn(self.folder, client.stdout.readline())
        finally:
            for client in clients:
                client.send_signal(signal.SIGKILL)
                client.wait()
                client.stdout.close()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def await_equal(self, measure, expected):
        deadline = time.monotonic() + SECONDS
        while measure() != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(measure(), expected)

    def test_nothing_is_left(self):
        self.client.info()
        self.kill_clients()
        self.await_equal(lambda: os.listdir(self.own), [])
        descriptors = self.descriptors()
        for _ in range(CLIENTS // AT_ONCE):
            self.kill_clients()
        self.await_equal(lambda: os.listdir(self.own), [])
        self.await_equal(self.descriptors, descriptors)
        maps = pathlib.Path(f"/proc/{self.server.pid}/maps").read_text(encoding="utf-8")
        self.assertNotIn(self.folder, maps)
        self.assertEqual(self.client.list_sessions(), [])
        self.client.info()


if __name__ == "__main__":
    unittest.main()
