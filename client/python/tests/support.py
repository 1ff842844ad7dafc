"""What the tests of the Python client share: a real server, as the repository's other tests."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[3] / "tests"
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "conformance")]

import harness  # noqa: E402,F401
