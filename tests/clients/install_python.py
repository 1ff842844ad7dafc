#!/usr/bin/env python3
"""Builds the Python client's sdist, its wheel from that sdist, and installs the wheel.

    $ install_python.py REPOSITORY WORK_DIR

As a user would, with Debian's own packages and no network. WORK_DIR/venv/bin/python has the
client afterwards.
"""

import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile


def main(repository, work):
    work = pathlib.Path(work)
    shutil.rmtree(work, ignore_errors=True)
    # A copy, because setuptools writes beside its sources.
    ignore = shutil.ignore_patterns("_stubs", "__pycache__", "build", "*.egg-info")
    shutil.copytree(repository / "client" / "python", work / "src/client/python", ignore=ignore)
    shutil.copytree(repository / "proto", work / "src/proto")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", work / "dist",
        work / "src/client/python")
    shutil.rmtree(work / "src")
    (sdist,), (wheel,) = (work / "dist").glob("*.tar.gz"), (work / "dist").glob("*.whl")
    check_contents(sdist, wheel)
    run(sys.executable, "-m", "venv", "--system-site-packages", work / "venv")
    run(work / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-index",
        "--disable-pip-version-check", wheel)


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


def check_contents(sdist, wheel):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expect(names, "pyproject.toml", "generate_stubs.py", "proto/dropout/v1/step.proto")
    names = set(zipfile.ZipFile(wheel).namelist())
    expect(names, "dropout_client/py.typed", "dropout_client/torch/__init__.py",
           "dropout_client/_stubs/dropout/v1/step_pb2.py")
    strangers = [name for name in names if not name.startswith("dropout_client")]
    if strangers:
        sys.exit(f"the wheel has more than the package: {strangers}")


def expect(names, *wanted):
    for name in wanted:
        if name not in names:
            sys.exit(f"{name} is not in the distribution: {sorted(names)}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
