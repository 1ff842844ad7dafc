#!/usr/bin/env python3
"""Every client at servers that bound their connections: few streams for each, and an early end
while the client trains. No call may fail, nor wait for its deadline.

    $ connections.py NAME WORD... [-- NAME WORD...]

The words and what they start are those of outage.py. DROPOUT_AGED_SECONDS: how long each client
calls a server whose connections end after a second.
"""

import os
import sys
import tempfile
import time

from outage import START_SECONDS, Client, commands_of, harness

AGED_SECONDS = float(os.environ.get("DROPOUT_AGED_SECONDS", "5"))
AT_ONCE = 150
MOST_REGIONS = 64
AT_ONCE_SECONDS = 20  # Far less than a call's own limit.
CALL_SECONDS = 10
PAUSE_SECONDS = 1.5  # So that some calls meet a connection that has ended.


def many(client):
    """What went wrong when many calls were made at once."""
    for _ in range(2):
        # Each call with shared memory takes one of the 64 regions of its session.
        client.call(MOST_REGIONS if client.name == "cpp.shm" else AT_ONCE)
        answer, _ = client.answer(AT_ONCE_SECONDS)
        if answer != "ok":
            return answer
    return None


def aged(client):
    """What went wrong while connections ended, calls in a row and with pauses."""
    end = time.monotonic() + AGED_SECONDS
    while time.monotonic() < end + PAUSE_SECONDS:
        client.call()
        answer, _ = client.answer(CALL_SECONDS)
        if answer != "ok":
            return answer
        if time.monotonic() > end - PAUSE_SECONDS:
            time.sleep(PAUSE_SECONDS)
    return None


def attempt(use, flags, command):
    """What goes wrong with one client at a server with these flags."""
    name, *words = command
    with tempfile.TemporaryDirectory() as folder, harness.Server(
            "--shared_memory", f"--shared_memory_dir={folder}", *flags) as server:
        client = Client(name, words, server.address)
        try:
            line, _ = client.answer(START_SECONDS)
            wrong = use(client) if line == "ready" else f"did not start: {line}"
        finally:
            client.end()
        print(f"{' '.join(flags)}: {name}: {wrong or 'ok'}", flush=True)
        return wrong


def main(arguments):
    trials = [(many, ["--max_concurrent_streams=10"]), (many, ["--max_concurrent_streams=100"]),
              (aged, ["--max_connection_age=1s", "--drain_timeout=1s"])]
    wrong = [attempt(*trial, command) for trial in trials for command in commands_of(arguments)]
    if any(wrong):
        sys.exit("a client failed")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
