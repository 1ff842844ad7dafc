"""The Python client library from its sources, for tests that call as its users do: what it repeats
is repeated, and what it gives up has failed."""

import atexit
import functools
import importlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

import harness
from google.protobuf import empty_pb2

PYTHON_CLIENT = pathlib.Path(__file__).parents[2] / "client" / "python"


@functools.lru_cache(maxsize=None)
def library(module="dropout_client"):
    """A module of the library's."""
    if module != "dropout_client":
        library()
        return importlib.import_module(module)
    out = pathlib.Path(tempfile.mkdtemp(prefix="dropout-library-"))
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    package = out / "dropout_client"
    shutil.copytree(PYTHON_CLIENT / "src" / "dropout_client", package,
                    ignore=shutil.ignore_patterns("_stubs", "__pycache__"))
    sys.path[:0] = [str(out), str(PYTHON_CLIENT)]
    importlib.import_module("generate_stubs").generate(os.environ["DROPOUT_PROTO_DIR"], package)
    return importlib.import_module("dropout_client")


class Caller:
    """The library's way to some servers, one after another; only for calls that are safe to repeat.
    Not thread-safe. `retries`: how often it has repeated one. `longest`: of a call, in seconds."""

    def __init__(self, addresses):
        transport = library("dropout_client._transport")
        settings = [transport.Settings(each, None, None, library().RetryPolicy(), -1)
                    for each in addresses]
        self._ways = [transport.Transport(each, self._pause) for each in settings]
        self._calls = library("dropout_client._calls")
        self._safe = library("dropout_client.retry").Idempotency.SAFE
        self.calls = self.retries = 0
        self.longest = 0.0

    def close(self):
        for way in self._ways:
            way.close()

    def call(self, rpc, request):
        """Raises the library's DropoutError once it gives up."""
        self.calls += 1
        begin = time.monotonic()
        call = self._calls.Call(rpc, request.session_id, request.SerializeToString(), self._safe,
                                answer_type(rpc).FromString)
        answer = self._ways[self.calls % len(self._ways)].send(call)
        self.longest = max(self.longest, time.monotonic() - begin)
        return answer

    def _pause(self, seconds):
        self.retries += 1
        time.sleep(seconds)


def answer_type(rpc):
    harness.stubs()
    contract = sys.modules["dropout.v1.dropout_service_pb2"].DESCRIPTOR
    name = contract.services_by_name["DropoutService"].methods_by_name[rpc].output_type.name
    return empty_pb2.Empty if name == "Empty" else getattr(harness.stubs().messages, name)


def summary(callers):
    return (f"{sum(each.calls for each in callers)} calls, "
            f"{sum(each.retries for each in callers)} repeated, the longest "
            f"{max(each.longest for each in callers):.1f} s")
