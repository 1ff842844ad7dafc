"""Tests that use dropoutctl as a person or a script does: one process a command."""

import json
import os
import pathlib
import pty
import subprocess
import tempfile
import unittest

import harness
import numpy as np

OK, REFUSED, USAGE = 0, 1, 2


def run_on_terminal(args, descriptor, **options):
    """Runs a command whose standard output (1) or error (2) is a terminal; returns the
    completed process and what the terminal got."""
    ours, theirs = pty.openpty()
    try:
        streams = {1: {"stdout": theirs, "stderr": subprocess.PIPE},
                   2: {"stdout": subprocess.PIPE, "stderr": theirs}}[descriptor]
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, **streams, **options)
    finally:
        os.close(theirs)
    shown = b""
    try:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # The last process that had it has gone.
                break
            if not piece:
                break
            shown += piece
        stdout, stderr = process.communicate(timeout=harness.COMMAND_SECONDS)
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    done = subprocess.CompletedProcess(args, process.returncode, stdout, stderr)
    return done, shown.decode()


class CliTest(unittest.TestCase):
    """One server for a class's tests; each test has a folder, and a session id of its own."""
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server(*cls.flags))

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.session_id = self._testMethodName

    # --- Running --------------------------------------------------------------------------

    def run_ctl(self, *args, **options):
        return harness.ctl(f"--address={self.server.address}", *args, check=False, **options)

    def ctl(self, *args, **options):
        """Standard output, as text, of a command that must succeed and say nothing else."""
        done = self.run_ctl(*args, **options)
        self.assertEqual((done.returncode, done.stderr.decode()), (OK, ""), args)
        return done.stdout.decode()

    def ctl_json(self, *args, **options):
        return json.loads(self.ctl(*args, "--json", **options))

    def assert_refused(self, code, reason, *args, **options):
        """Runs a command that the server must refuse; returns the message. For people the error
        is one line, for machines JSON, and nothing is on standard output."""
        done = self.run_ctl(*args, **options)
        text = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (REFUSED, b""), text)
        self.assertTrue(text.startswith(f"error: {code} {reason}: "), text)
        self.assertEqual(text.count("\n"), 1, text)
        done = self.run_ctl(*args, "--json", **options)
        error = json.loads(done.stderr)["error"]
        self.assertEqual((done.returncode, done.stdout), (REFUSED, b""))
        self.assertEqual((error["code"], error["reason"]), (code, reason))
        self.assertEqual(text, f"error: {code} {reason}: {error['message']}\n")
        return error["message"]

    def assert_usage(self, word, *args, **options):
        """Runs a command that is wrong usage; its message must have the word."""
        done = self.run_ctl(*args, **options)
        text = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (USAGE, b""), text)
        self.assertTrue(text.startswith("error: "), text)
        self.assertIn(word, text)

    # --- Sessions and files ---------------------------------------------------------------

    def create_session(self, *layers, seed=7):
        """Makes the test's session with these layers, as --layer takes them; returns its id."""
        options = [f"--layer={layer}" for layer in layers]
        self.ctl("session", "create", f"--id={self.session_id}", f"--seed={seed}", *options)
        self.addCleanup(self.run_ctl, "session", "delete", self.session_id)
        return self.session_id

    def path(self, name):
        return str(self.folder / name)

    def save(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def load(self, name):
        return np.load(self.path(name))

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())
