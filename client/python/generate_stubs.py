#!/usr/bin/env python3
"""Makes dropout_client/_stubs, the messages of the contract, with protoc.

    $ generate_stubs.py PROTO_DIR PACKAGE_DIR

Only messages: the calls are made by their names, because the client sends bytes of its own.
"""

import pathlib
import re
import shutil
import subprocess
import sys

HEADER = '"""Generated from the contract by generate_stubs.py."""\n'


def generate(proto_dir, package_dir):
    """Writes package_dir/_stubs anew; raises RuntimeError where protoc is missing or fails."""
    protoc = shutil.which("protoc")
    if protoc is None:
        raise RuntimeError("protoc is not installed (Debian: protobuf-compiler)")
    proto_dir = pathlib.Path(proto_dir)
    out = pathlib.Path(package_dir) / "_stubs"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = sorted(str(path.relative_to(proto_dir)) for path in proto_dir.rglob("*.proto"))
    done = subprocess.run(
        [protoc, f"-I{proto_dir}", f"--python_out={out}", *files], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"protoc failed:\n{done.stderr}")
    for folder in [out, *(path for path in out.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").write_text(HEADER)
    # protoc imports from the top; here they live in a package of the client's own.
    for path in out.rglob("*_pb2.py"):
        text = path.read_text()
        path.write_text(re.sub(
            r"^from dropout\.v1 import", "from dropout_client._stubs.dropout.v1 import", text,
            flags=re.MULTILINE))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    generate(*sys.argv[1:])
