"""Contender: the Python client.

Usage: python_client.py REPOSITORY ADDRESS BYTES inline|shm. For each line on standard input, runs
one train forward on BYTES of float32 in a session of its own and prints the seconds it took.
"""

import pathlib
import shutil
import sys
import tempfile
import time

import numpy as np


def load(repository, folder):
    """The client's package, with its messages, as an installation has it."""
    source = pathlib.Path(repository) / "client" / "python"
    package = pathlib.Path(folder) / "dropout_client"
    shutil.copytree(source / "src" / "dropout_client", package,
                    ignore=shutil.ignore_patterns("__pycache__", "_stubs"))
    sys.path[:0] = [str(source), folder]
    sys.dont_write_bytecode = True
    import generate_stubs
    generate_stubs.generate(pathlib.Path(repository) / "proto", package)
    import dropout_client
    return dropout_client


def main():
    repository, address, size, transport = sys.argv[1:]
    count = int(size) // 4
    with tempfile.TemporaryDirectory() as folder:
        package = load(repository, folder)
        package.keep_freed_memory()
        with package.Client(address) as client, client.create_session(seed=1) as session:
            layer = session.create_layer("layer", p=0.3)
            x, out = np.ones(count, np.float32), None
            if transport == "shm":
                region = session.create_shared_memory(2 * x.nbytes)
                x, out = region.array(count), region.array(count, offset=x.nbytes)
                x[:] = 1
            for step, _ in enumerate(sys.stdin):
                start = time.perf_counter()
                layer.forward(x, step=step, out=out)
                print(time.perf_counter() - start, flush=True)


main()
