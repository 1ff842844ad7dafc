"""Real servers and clients for tests: processes, sockets, stubs.

Reads DROPOUTD_BIN and DROPOUTCTL_BIN (the programs) and DROPOUT_PROTO_DIR (the contract's
files), which tests/integration/CMakeLists.txt sets.
"""

import atexit
import collections
import functools
import importlib
import os
import pathlib
import queue
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request

import grpc

SERVER_START_SECONDS = 120
SERVER_STOP_SECONDS = 120
COMMAND_SECONDS = 120
PLUGIN = "/usr/bin/grpc_python_plugin"


def clean_environment():
    """This process's environment without the server's and the client's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DROPOUT")}


class ServerError(Exception):
    """The server did not start or did not stop."""


class Server:
    """A running dropoutd; use as a context manager, which kills what is still running.

    flags: command-line flags. Without a --listen among them, or a DROPOUTD_LISTEN in env,
    the server listens on a port of the system's choice on 127.0.0.1.
    env: variables added to the server's environment.
    max_files: its limits of open files, soft and hard.
    program: another one than DROPOUTD_BIN.
    """

    def __init__(self, *flags, env=None, max_files=None, program=None):
        self.flags = list(flags)
        self.env = dict(env or {})
        self._max_files = max_files
        self._program = program or os.environ["DROPOUTD_BIN"]
        if not any(flag.startswith("--listen") for flag in flags) and (
                "DROPOUTD_LISTEN" not in self.env):
            self.flags.append("--listen=127.0.0.1:0")
        self.addresses = []  # one for each listener, in the order printed
        self.metrics_address = None
        self._process = None
        self._stdout = queue.SimpleQueue()  # lines; None at the end
        self._stderr = []
        self._readers = []

    def __enter__(self):
        self._process = subprocess.Popen(
            [self._program, *self.flags], text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**clean_environment(), **self.env},
            preexec_fn=self._max_files and (
                lambda: resource.setrlimit(resource.RLIMIT_NOFILE, self._max_files)))
        self._read(self._process.stdout, self._stdout.put, at_end=lambda: self._stdout.put(None))
        self._read(self._process.stderr, self._stderr.append)
        try:
            self._await_listeners()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        for reader in self._readers:
            reader.join()
        self._process.stdout.close()
        self._process.stderr.close()

    @property
    def address(self):
        """The first listener's address, as a gRPC target."""
        return self.addresses[0]

    @property
    def pid(self):
        return self._process.pid

    @property
    def stderr(self):
        """What the server has written to standard error so far."""
        return "".join(self._stderr)

    def memory(self, name="VmRSS"):
        """A figure of /proc/PID/status in bytes: VmRSS resident now, VmHWM at most so far."""
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as status:
            for line in status:
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} of process {self.pid}")

    def metric(self, name):
        """The figure of a metric without labels."""
        with urllib.request.urlopen(f"http://{self.metrics_address}/metrics",
                                    timeout=COMMAND_SECONDS) as page:
            text = page.read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])

    def has_sanitizer(self):
        """Whether its memory is a sanitizer's more than its own."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            return "libasan" in maps.read()

    def signal(self, number=signal.SIGTERM):
        self._process.send_signal(number)

    def wait(self, timeout=SERVER_STOP_SECONDS):
        """Waits for the server to exit; returns its exit status, negative for a signal."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ServerError(f"no exit within {timeout} s; stderr:\n{self.stderr}") from None

    def terminate(self, timeout=SERVER_STOP_SECONDS):
        """Asks the server to drain and stop; returns its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """Ends the server at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def _read(self, stream, put, at_end=lambda: None):
        def run():
            for line in stream:
                put(line)
            at_end()

        reader = threading.Thread(target=run, daemon=True)
        reader.start()
        self._readers.append(reader)

    def _expected_lines(self):
        def given(flag):
            name = "DROPOUTD_" + flag.upper()
            return ([f for f in self.flags if f.startswith(f"--{flag}=")]
                    or ([self.env[name]] if name in self.env else []))

        return len(given("listen")) + len(given("metrics_listen"))

    def _await_listeners(self):
        for _ in range(self._expected_lines()):
            try:
                line = self._stdout.get(timeout=SERVER_START_SECONDS)
            except queue.Empty:
                line = None
            if line is None:
                self.kill()
                for reader in self._readers:
                    reader.join()
                raise ServerError(f"not listening; exit status {self._process.returncode}, "
                                  f"stderr:\n{self.stderr}")
            subject, _, address = line.rstrip("\n").rpartition("listening on ")
            if subject == "":
                self.addresses.append(address)
            elif subject == "metrics ":
                self.metrics_address = address
            else:
                raise ServerError(f"unexpected line on standard output: {line!r}")


def run_server(*flags, env=None):
    """Runs dropoutd to its end, for flags with which it must not start."""
    return subprocess.run(
        [os.environ["DROPOUTD_BIN"], *flags], text=True, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=COMMAND_SECONDS, env={**clean_environment(), **(env or {})})


class CommandError(Exception):
    """dropoutctl exited with a status other than 0."""


def ctl(*args, stdin=None, check=True, env=None, folder=None):
    """Runs dropoutctl in `folder`, with `env` added to its environment; returns the completed process, with
    bytes in stdout and stderr."""
    done = subprocess.run(
        [os.environ["DROPOUTCTL_BIN"], *args], input=stdin if stdin is not None else b"",
        capture_output=True, timeout=COMMAND_SECONDS, env={**clean_environment(), **(env or {})},
        cwd=folder)
    if check and done.returncode != 0:
        raise CommandError(f"dropoutctl {' '.join(args)}: exit status {done.returncode}\n"
                           f"{done.stderr.decode(errors='replace')}")
    return done


def channel(address, **options):
    """A channel to a server; an option's name is grpc's without the leading "grpc."."""
    options = {"enable_http_proxy": 0, "max_receive_message_length": -1,
               "max_send_message_length": -1, **options}
    return grpc.insecure_channel(address, [(f"grpc.{name}", value) for name, value in
                                           options.items()])


Stubs = collections.namedtuple("Stubs", ["messages", "service"])


class Messages:
    """All messages and enumerations of the contract, whichever file they stand in."""

    def __init__(self, modules):
        for module in modules:
            for name, value in vars(module).items():
                if not name.startswith("_") and name != "DESCRIPTOR":
                    setattr(self, name, value)


@functools.lru_cache(maxsize=None)
def stubs():
    """Python stubs made from the contract: stubs().messages.Layer,
    stubs().service.DropoutServiceStub."""
    proto_dir = pathlib.Path(os.environ["DROPOUT_PROTO_DIR"])
    files = sorted(str(path.relative_to(proto_dir)) for path in proto_dir.rglob("*.proto"))
    out = tempfile.mkdtemp(prefix="dropout-stubs-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    subprocess.run(
        ["protoc", f"-I{proto_dir}", f"--python_out={out}", f"--grpc_out={out}",
         f"--plugin=protoc-gen-grpc={PLUGIN}", *files], check=True, timeout=COMMAND_SECONDS)
    sys.path.insert(0, out)
    names = [file.removesuffix(".proto").replace("/", ".") for file in files]
    messages = Messages(importlib.import_module(f"{name}_pb2") for name in names)
    return Stubs(messages, importlib.import_module("dropout.v1.dropout_service_pb2_grpc"))
