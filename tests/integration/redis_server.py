"""A real Redis for the tests."""

import os
import signal
import socket
import subprocess
import threading
import time

REDIS_SECONDS = 120


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run_at(port, *words):
    """What redis-cli prints for a command to the server at the port."""
    done = subprocess.run(["redis-cli", "-p", str(port), *words], check=True,
                          capture_output=True, text=True, timeout=REDIS_SECONDS)
    return done.stdout.strip()


class Redis:
    """A redis-server that writes each change to its disk before it answers."""

    def __init__(self, folder, replica_of=None, flags=()):
        self._folder = folder
        self._flags = list(flags)
        if replica_of is not None:
            self._flags += ["--replicaof", "127.0.0.1", str(replica_of.port)]
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
                     "always", *self._flags], stdout=subprocess.DEVNULL)
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

    def run_first(self):
        """It has a processor whenever it wants one, where the system allows that: then what its
        SLOWLOG shows is its own, and not that of other processes."""
        try:
            os.sched_setscheduler(self._process.pid, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pass

    def pause(self):
        """From now on it keeps its connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def run(self, *words):
        """What redis-cli prints for a command."""
        return run_at(self.port, *words)

    def await_info(self, line):
        """Waits for a line of INFO."""
        deadline = time.monotonic() + REDIS_SECONDS
        while not self.says(line):
            if time.monotonic() > deadline:
                raise AssertionError(f"{line} does not come true")
            time.sleep(0.01)

    def says(self, line):
        """Whether it is a line of INFO; false where nobody answers."""
        try:
            return line in self.run("info", "replication").split()
        except subprocess.CalledProcessError:
            return False  # Sentinels close all connections of whom they give another role.

    def await_copy_of(self, primary):
        """Returns when this replica has what `primary` has by now."""
        for line in primary.run("info", "replication").split():
            if line.startswith("master_repl_offset:"):
                wanted = int(line.split(":")[1])
        deadline = time.monotonic() + REDIS_SECONDS
        while self._offset() < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"the replica stays behind {wanted}")
            time.sleep(0.01)

    def _offset(self):
        for line in self.run("info", "replication").split():
            if line.startswith("slave_repl_offset:"):
                return int(line.split(":")[1])
        return -1

    def await_clients(self, most):
        """Waits until so few connections are left, that of the question included."""
        deadline = time.monotonic() + REDIS_SECONDS
        while len(self.run("client", "list").splitlines()) > most:
            if time.monotonic() > deadline:
                raise AssertionError(f"more than {most} connections are left")
            time.sleep(0.05)


class Switch:
    """An address whose connections go to a port that may change, as behind a fail-over."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def turn(self, port, cut=False):
        """From now on new connections go to `port`; `cut`: and those that are there end."""
        self._target = port
        if cut:
            for each in self._pairs:
                for end in each:
                    end.close()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
