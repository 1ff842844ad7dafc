"""A real Redis for the tests."""

import socket
import subprocess
import time

REDIS_SECONDS = 120


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Redis:
    """A redis-server that writes each change to its disk before it answers."""

    def __init__(self, folder):
        self._folder = folder
        self._process = None
        self.port = None

    def start(self):
        deadline = time.monotonic() + REDIS_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                # Its port may be taken between its choice and its use, but not once it was known.
                self.port = self.port or free_port()
                self._process = subprocess.Popen(
                    ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
                     str(self._folder), "--save", "", "--appendonly", "yes", "--appendfsync",
                     "always"], stdout=subprocess.DEVNULL)
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(5) == b"+PONG":
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise AssertionError("redis-server does not start")
            time.sleep(0.01)

    def kill(self):
        self._process.kill()
        self._process.wait()
