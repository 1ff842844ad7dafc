"""What idle sessions cost, and that their expiry gives it back.

Run with the argument "create", this file is one of the processes that create the sessions.
"""

import argparse
import subprocess
import sys
import threading
import time
import unittest

import harness

SESSIONS = 100_000
LAYERS = ["encoder.block0.dropout", "encoder.block1.dropout", "classifier.dropout"]
BYTES_A_LAYER = 1024  # At most, whatever a session itself costs included.
GROWTH_LIMIT = SESSIONS * len(LAYERS) * BYTES_A_LAYER
REST_LIMIT = GROWTH_LIMIT // 10  # What the allocator may keep when all sessions are gone.

CREATORS = 2
IN_FLIGHT = 100  # Requests of one creator.
TRIAL_SESSIONS = 4_000
CALL_SECONDS = 120
START_SECONDS = 15  # Of the creators, and to spare.
CREATE_SECONDS = 240
SWEEP_SECONDS = 120
POLL_SECONDS = 0.1


def create_sessions(address, prefix, count, expire_at):
    """Creates sessions that expire at `expire_at`, in seconds of time.monotonic(); returns how
    many seconds that took."""
    messages = harness.stubs().messages
    request = messages.CreateSessionRequest(layers=[
        messages.Layer(layer_id=layer_id, p=0.1, dropout=messages.Dropout())
        for layer_id in LAYERS])
    free = threading.Semaphore(IN_FLIGHT)
    failures = []

    def finished(call):
        if call.exception() is not None:
            failures.append(call.exception())
        free.release()

    with harness.channel(address) as channel:
        # The answers are not looked at, so they are not parsed either.
        create = channel.unary_unary("/dropout.v1.DropoutService/CreateSession")
        start = time.monotonic()
        for i in range(count):
            free.acquire()
            request.session_id = f"{prefix}-{i}"
            request.ttl.FromNanoseconds(int((expire_at - time.monotonic()) * 1e9))
            create.future(request.SerializeToString(), timeout=CALL_SECONDS).add_done_callback(
                finished)
        for _ in range(IN_FLIGHT):
            free.acquire()
        seconds = time.monotonic() - start
    if failures:
        raise failures[0]
    return seconds


def mib(byte_count):
    return f"{byte_count / (1 << 20):.1f} MiB"


class IdleSessionsTest(unittest.TestCase):

    def setUp(self):
        self.messages = harness.stubs().messages
        self.server = self.enterContext(harness.Server(f"--max_sessions={2 * SESSIONS}"))
        if self.server.has_sanitizer():
            self.skipTest("a sanitizer's memory is not the server's")
        channel = self.enterContext(harness.channel(self.server.address))
        self.service = harness.stubs().service.DropoutServiceStub(channel)

    def page(self, size, token=""):
        return self.service.ListSessions(
            self.messages.ListSessionsRequest(page_size=size, page_token=token),
            timeout=CALL_SECONDS)

    def count_sessions(self):
        """Sessions listed, each with all of its layers."""
        count = 0
        token = None
        while token != "":
            page = self.page(1000, token or "")
            self.assertTrue(all(len(session.layers) == len(LAYERS) for session in page.sessions))
            count += len(page.sessions)
            token = page.next_page_token
        return count

    def create(self, count, seconds_to_live, run):
        """Creates sessions that expire together; returns how many seconds that took."""
        expire_at = time.monotonic() + seconds_to_live
        creators = [
            subprocess.Popen(
                [sys.executable, "-B", __file__, "create", f"--address={self.server.address}",
                 f"--prefix={run}-{i}", f"--count={count // CREATORS}",
                 f"--expire_at={expire_at}"],
                stdout=subprocess.PIPE, text=True)
            for i in range(CREATORS)]
        try:
            answers = [creator.communicate(timeout=CREATE_SECONDS)[0] for creator in creators]
            self.assertEqual([creator.returncode for creator in creators], [0] * CREATORS)
            return max(float(answer) for answer in answers)
        finally:
            for creator in creators:
                creator.kill()
                creator.communicate()

    def await_true(self, what, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"{what} did not come in {seconds} s")
            time.sleep(POLL_SECONDS)

    def await_empty(self, seconds):
        self.await_true("the end of the sessions", lambda: not self.page(1).sessions, seconds)

    def test_memory_of_idle_sessions(self):
        self.assertEqual(self.count_sessions(), 0)
        before = self.server.memory()

        # How fast this machine is, so that the sessions live as long as needed and no longer.
        took = self.create(TRIAL_SESSIONS, seconds_to_live=CREATE_SECONDS, run="trial")
        for number in range(TRIAL_SESSIONS):
            session_id = f"trial-{number % CREATORS}-{number // CREATORS}"
            self.service.DeleteSession(
                self.messages.DeleteSessionRequest(session_id=session_id), timeout=CALL_SECONDS)
        self.assertEqual(self.count_sessions(), 0)
        seconds_to_live = START_SECONDS + 2 * took * SESSIONS / TRIAL_SESSIONS

        start = time.monotonic()
        took = self.create(SESSIONS, seconds_to_live, run="idle")
        listed = self.count_sessions()
        full = self.server.memory()
        self.assertLess(time.monotonic() - start, seconds_to_live,
                        "the sessions expired while they were created and counted")
        self.assertEqual(listed, SESSIONS)

        self.await_empty(seconds_to_live + SWEEP_SECONDS)
        # Expired sessions are invisible at once; their memory goes with the next sweep.
        self.await_true("the memory", lambda: self.server.memory() <= before + REST_LIMIT,
                        SWEEP_SECONDS)
        after = self.server.memory()

        print(f"{SESSIONS} sessions of {len(LAYERS)} layers created in {took:.1f} s; resident: "
              f"{mib(before)} before, {mib(full)} with them "
              f"({(full - before) / SESSIONS / len(LAYERS):.0f} bytes a session a layer), "
              f"{mib(after)} after their expiry", file=sys.stderr)
        self.assertLessEqual(full - before, GROWTH_LIMIT)


def main():
    if sys.argv[1:2] != ["create"]:
        unittest.main()
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--expire_at", type=float, required=True)
    flags = parser.parse_args(sys.argv[2:])
    print(create_sessions(flags.address, flags.prefix, flags.count, flags.expire_at))


if __name__ == "__main__":
    main()
