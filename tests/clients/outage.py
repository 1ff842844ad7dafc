#!/usr/bin/env python3
"""Every client with its default settings while its server is away and comes back on its port.

    $ outage.py NAME WORD... [-- NAME WORD...]

The words start a client; {address} stands for the server's address. A client makes a call, prints
"ready", then for each line that it reads makes as many calls at once as the line says, and prints
"ok" or why one failed. dropoutctl is tried too. All clients call while the server is away. Prints how long after the server's return
each had its answer. DROPOUT_ABSENCES: the seconds that the server is away, in turn;
DROPOUT_OUTAGE_BOUND: the most that an answer may take, in seconds from the server's return.
"""

import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import harness

ABSENCES = os.environ.get("DROPOUT_ABSENCES", "0.15,1,4,6")
BOUND = float(os.environ.get("DROPOUT_OUTAGE_BOUND", "3"))
START_SECONDS = 200  # The Go client is compiled first.
CALL_SECONDS = 90  # More than any client's own limit.


class Client:
    """A client's process. Its lines come with the time when they came."""

    def __init__(self, name, words, address):
        self.name = name
        self._process = subprocess.Popen(
            [word.replace("{address}", address) for word in words], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lines = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put((line.rstrip("\n"), time.monotonic()))
        self._lines.put(("ended", time.monotonic()))

    def call(self, count=1):
        """Has it make so many calls at once."""
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()

    def answer(self, seconds):
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return f"no answer in {seconds} s", time.monotonic()

    def end(self):
        """Ends it with its input; kills it where that is not enough."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()


class CommandLine:
    """dropoutctl as such a client: each call is a process."""

    name = "dropoutctl"

    def __init__(self, address):
        self._address = address
        self._process = None

    def call(self):
        self._process = subprocess.Popen(
            [os.environ["DROPOUTCTL_BIN"], f"--address={self._address}", "info"], text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=harness.clean_environment())

    def answer(self, seconds):
        try:
            _, error = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.end()
            error = f"no answer in {seconds} s"
        return "ok" if self._process.returncode == 0 else error, time.monotonic()

    def end(self):
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def answers(clients):
    """(answer, when it came) of each client's call; all are waited for at once."""
    found = {}
    threads = [threading.Thread(target=lambda one=one: found.update(
        {one.name: one.answer(CALL_SECONDS)})) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def outage(server, clients, absence):
    """Stops the server for `absence` seconds. Returns the new server, and what went wrong."""
    wrong = []
    server.kill()
    for client in clients:
        client.call()
    time.sleep(absence)
    back = harness.Server(*server.flags[:-1], f"--listen={server.address}").__enter__()
    returned = time.monotonic()
    for name, (answer, when) in sorted(answers(clients).items()):
        took = when - returned
        print(f"away for {absence} s: {name}: {answer}, {took:.2f} s after the return", flush=True)
        if answer != "ok" or took > BOUND:
            wrong.append(f"{name} after {absence} s: {answer}, {took:.2f} s")
    return back, wrong


def commands_of(arguments):
    """The arguments' parts between "--"."""
    commands = [[]]
    for word in arguments:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def main(arguments):
    wrong, clients = [], []
    with tempfile.TemporaryDirectory() as folder:
        server = harness.Server(
            f"--store=sqlite:{folder}/state", "--shared_memory", f"--shared_memory_dir={folder}",
            "--listen=127.0.0.1:0").__enter__()
        try:
            clients = [Client(name, words, server.address) for name, *words in commands_of(arguments)]
            for client in clients:
                line, _ = client.answer(START_SECONDS)
                if line != "ready":
                    sys.exit(f"{client.name} did not start: {line}")
            clients.append(CommandLine(server.address))
            for absence in map(float, ABSENCES.split(",")):
                server, more = outage(server, clients, absence)
                wrong += more
        finally:
            server.__exit__()
            for client in clients:
                client.end()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
