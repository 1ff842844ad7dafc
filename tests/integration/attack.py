"""One harness for "attack, then the quiet state returns".

A test derives from AttackTest, calls serve() and then attack(FUNCTION, ...): a function of the
test's own module, which is run in a process of its own. Meanwhile a victim (victim.py) calls, and
the server's memory, threads and descriptors are sampled. Afterwards all must be as before.

DROPOUTD_ATTACK_SECONDS is how long a flood takes; with it the bounds are strict: a p99 of the
larger of 100 ms and twice the victim's own, and an exit within drain_timeout and two seconds.

As a program (attack.py MODULE FUNCTION ARGUMENTS): runs the function, and prints what it returns.
"""

import collections
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness
from security_helpers import bearer, make_token

MIB = 1 << 20
LONG = "DROPOUTD_ATTACK_SECONDS" in os.environ
FLOOD_SECONDS = float(os.environ.get("DROPOUTD_ATTACK_SECONDS", "3"))
ALONE_SECONDS = 10 if LONG else 2
ATTACK_SECONDS = 300  # None takes longer.
SAMPLE_SECONDS = 0.02
QUIET_SECONDS = 30
LEAST_P99_SECONDS = 0.1 if LONG else 5
P99_RATIO = 2
IDLE_MIB = 64  # Memory that may remain.
# What threads and descriptors may remain: gRPC's pool of threads shrinks slowly, and not to
# what it was.
IDLE_THREADS, IDLE_DESCRIPTORS = 16, 4
MOST_THREADS, MOST_DESCRIPTORS = 150, 600
DRAIN_SECONDS = 5
EXIT_GRACE_SECONDS = 2 if LONG else 20
MESSAGE_MIB = 16
# Small limits, so that the bound on memory is small and what passes it stands out.
SMALL = (f"--max_message_bytes={MESSAGE_MIB}MiB", "--max_bytes_in_flight=64MiB",
         "--mask_cache_bytes=16MiB", "--input_cache_bytes=16MiB", "--max_parameter_bytes=16MiB",
         "--max_sessions=1000", "--max_steps=10000", f"--drain_timeout={DRAIN_SECONDS}s")


class Usage:
    """What a server uses, sampled in a thread of its own between begin() and end()."""

    def __init__(self, server):
        self._server = server
        self.rss = self.threads = self.descriptors = 0  # At most so far.
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self):
        self._thread.start()

    def end(self):
        self._stop.set()
        self._thread.join()

    @staticmethod
    def now(server):
        """(resident bytes, threads, descriptors)."""
        status = pathlib.Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        if "VmRSS" not in fields:
            raise ProcessLookupError("the server has ended")
        return (int(fields["VmRSS"].split()[0]) * 1024, int(fields["Threads"]),
                len(os.listdir(f"/proc/{server.pid}/fd")))

    def _run(self):
        while not self._stop.wait(SAMPLE_SECONDS):
            try:
                rss, threads, descriptors = self.now(self._server)
            except OSError:
                return
            self.rss = max(self.rss, rss)
            self.threads = max(self.threads, threads)
            self.descriptors = max(self.descriptors, descriptors)


def run_program(test, *arguments, **environment):
    """A process of a Python program of this folder. It is killed if it runs when the test ends."""
    process = subprocess.Popen(
        [sys.executable, "-B", *arguments], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, **environment},
        cwd=pathlib.Path(__file__).parent)

    def end():
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()

    test.addCleanup(end)
    return process


def p99(seconds):
    """The 99th percentile, or the largest of few."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0


class AttackTest(unittest.TestCase):
    """A server, a victim, an attacker. After serve() there are `server`, and the attacker's `token`
    and `metadata`, and `address`, which victim and attacker call."""

    def front(self):
        """The address at which the server is called: another one than its own, of a proxy."""
        return self.server.address

    def serve(self, *flags, ca=None):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        tokens = folder / "tokens"
        self.token, victim = make_token("attacker", tokens), make_token("victim", tokens)
        own = {flag.partition("=")[0] for flag in flags}
        small = [flag for flag in SMALL if flag.partition("=")[0] not in own]
        self.server = self.enterContext(harness.Server(
            *small, f"--auth_tokens={tokens}", "--metrics_listen=127.0.0.1:0", *flags))
        self.address = self.front()
        self._victim = run_program(self, "victim.py", self.address, ATTACK_TOKEN=victim,
                                   **({"ATTACK_CA": str(ca)} if ca else {}))
        self.assertEqual(self._victim.stdout.readline(), "calling\n")
        self.metadata = bearer(self.token)

    def attack(self, function, *, address=None, during=lambda: None,
               most_descriptors=MOST_DESCRIPTORS, **arguments):
        """Runs the function of this module with (address, token, **arguments), then checks the
        server and the victim, and that SIGTERM ends it. during: is called again and again
        meanwhile. Returns what the function returned."""
        time.sleep(ALONE_SECONDS)  # The victim measures itself.
        before = Usage.now(self.server)
        usage = Usage(self.server)
        usage.begin()
        begin = time.monotonic()
        attacker = run_program(
            self, "attack.py", sys.modules[type(self).__module__].__file__, function.__name__,
            address or self.address, json.dumps(arguments), ATTACK_TOKEN=self.token)
        while attacker.poll() is None and time.monotonic() < begin + ATTACK_SECONDS:
            during()
            time.sleep(SAMPLE_SECONDS)
        self.assertEqual(attacker.poll(), 0, "the attacker failed")
        result = json.loads(attacker.stdout.read())
        end = time.monotonic()
        answers = self._end_victim()
        usage.end()
        self.line = f"{self.id().rpartition('.')[2]}:"
        self._check_usage(usage, most_descriptors)
        self._check_victim([answer for answer in answers if answer[0] < begin],
                           [answer for answer in answers if begin <= answer[0] <= end])
        self._check_quiet(before, end)
        self._check_end()
        print(f"{self.line} [{result}]", file=sys.stderr)
        return result

    def _end_victim(self):
        out, _ = self._victim.communicate()
        return json.loads(out)

    def _check_usage(self, usage, most_descriptors):
        with self.subTest("peak memory"):
            peak = max(usage.rss, self.server.memory("VmHWM"))
            bound = self.server.metric("dropoutd_memory_bound_bytes")
            self.line += (f" peak {peak / MIB:.0f} of {bound / MIB:.0f} MiB, "
                          f"{usage.threads} threads, {usage.descriptors} fds;")
            if not self.server.has_sanitizer():
                self.assertLess(peak, bound)
        with self.subTest("threads and descriptors"):
            self.assertLess(usage.threads, MOST_THREADS)
            self.assertLess(usage.descriptors, most_descriptors)

    def _check_victim(self, alone, attacked):
        own, slow = (p99([seconds for _, seconds, _ in calls]) for calls in (alone, attacked))
        failed = [what for _, _, what in alone + attacked if what != "OK"]
        self.line += (f" victim {len(attacked)} calls, {len(failed)} failed, "
                      f"p99 {slow * 1e3:.0f} ms (alone {own * 1e3:.0f});")
        if failed:
            self.line += f" {collections.Counter(failed).most_common(2)};"
        with self.subTest("the victim's calls"):
            self.assertGreater(len(attacked), 0)
            self.assertEqual(failed[:3], [])
        with self.subTest("the victim's p99"):
            self.assertLessEqual(slow, max(LEAST_P99_SECONDS, P99_RATIO * own))

    def _is_quiet(self, before, now):
        return (now[0] <= before[0] + IDLE_MIB * MIB and now[1] <= before[1] + IDLE_THREADS
                and now[2] <= before[2] + IDLE_DESCRIPTORS
                and self.server.metric("dropoutd_bytes_in_flight") == 0
                and self.server.metric("dropoutd_calls_in_flight") == 0)

    def _check_quiet(self, before, end):
        with self.subTest("the quiet state"):
            now = Usage.now(self.server)
            while not self._is_quiet(before, now) and time.monotonic() < end + QUIET_SECONDS:
                time.sleep(0.1)
                now = Usage.now(self.server)
            self.line += (
                f" quiet after {time.monotonic() - end:.1f} s: {now[0] / MIB:.0f} MiB "
                f"(before {before[0] / MIB:.0f}), {now[1]} threads ({before[1]}), "
                f"{now[2]} fds ({before[2]});")
            self.assertTrue(self._is_quiet(before, now), self.line)

    def _check_end(self):
        with self.subTest("the end"):
            begin = time.monotonic()
            self.assertEqual(self.server.terminate(DRAIN_SECONDS + EXIT_GRACE_SECONDS), 0)
            self.line += f" SIGTERM {time.monotonic() - begin:.1f} s"


def main():
    module, function, address, arguments = sys.argv[1:]
    attacks = importlib.import_module(pathlib.Path(module).stem)
    print(json.dumps(getattr(attacks, function)(address, os.environ["ATTACK_TOKEN"],
                                                **json.loads(arguments))))


if __name__ == "__main__":
    main()
