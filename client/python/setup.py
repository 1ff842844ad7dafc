"""Adds to the build of pyproject.toml: the stubs, made from the contract by protoc."""

import pathlib
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generate_stubs  # noqa: E402


def proto_dir():
    """The contract: beside this file in a source distribution, else in the repository."""
    packed = HERE / "proto"
    return packed if packed.is_dir() else HERE.parent.parent / "proto"


class BuildWithStubs(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            package = pathlib.Path(self.build_lib) / "dropout_client"
        else:
            package = HERE / "src" / "dropout_client"
        generate_stubs.generate(proto_dir(), package)


class SdistWithProtos(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        shutil.copytree(
            proto_dir() / "dropout", pathlib.Path(base_dir) / "proto" / "dropout",
            dirs_exist_ok=True)
        shutil.copy(HERE / "generate_stubs.py", base_dir)


setup(cmdclass={"build_py": BuildWithStubs, "sdist": SdistWithProtos})
