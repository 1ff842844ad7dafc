#!/usr/bin/env python3
"""Runs a command beside a server of its own.

    $ with_server.py [--flag=value ...] COMMAND [ARGS]

Flags before the command are the server's, beside that for metrics, which docker/ ships. The
server's address is in DROPOUT_TEST_ADDRESS, and stands for {address} in the arguments. The exit
status is the command's.
"""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import harness


def main(argv):
    flags = []
    while argv and argv[0].startswith("--"):
        flags.append(argv.pop(0))
    if not argv:
        sys.exit(__doc__)
    with harness.Server("--metrics_listen=127.0.0.1:0", *flags) as server:
        command = [argument.replace("{address}", server.address) for argument in argv]
        status = subprocess.run(
            command, env={**os.environ, "DROPOUT_TEST_ADDRESS": server.address}).returncode
        if server.terminate() != 0:
            sys.exit(f"the server did not stop well:\n{server.stderr}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
