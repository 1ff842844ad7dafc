"""When calls are sent again: the rules, and both clients against a server that refuses."""

import asyncio
import threading
import unittest

import grpc

import support  # noqa: F401
from dropout_client import (AsyncClient, Client, DeadlineExceededError, DrainingError, DropoutError,
                            NotFoundError, RetryPolicy, UnavailableError)
from dropout_client._stubs.dropout.v1 import step_pb2
from dropout_client.errors import make_error
from dropout_client.retry import Attempts, Idempotency
from fake_service import FakeService, Refusal, session

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DRAINING = Refusal(UNAVAILABLE, "DRAINING")
FAST = RetryPolicy(initial_backoff=0.001, max_backoff=0.001)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class AttemptsTest(unittest.TestCase):

    def attempts(self, idempotency=Idempotency.SAFE, timeout=None, uniform=1.0, **policy):
        self.clock = Clock()
        return Attempts(RetryPolicy(**policy), idempotency, timeout, self.clock, lambda: uniform)

    def error(self, code=UNAVAILABLE):
        return make_error(code, "", "x")

    def test_pauses_double_up_to_a_limit(self):
        attempts = self.attempts(initial_backoff=0.5, max_backoff=3.0)
        self.assertEqual([attempts.after(self.error()) for _ in range(4)], [0.5, 1.0, 2.0, 3.0])

    def test_chance_shortens_a_pause_by_up_to_a_half(self):
        attempts = self.attempts(initial_backoff=1.0, uniform=0.0)
        self.assertEqual(attempts.after(self.error()), 0.5)

    def test_attempts_are_limited(self):
        attempts = self.attempts(max_attempts=3)
        attempts.after(self.error())
        attempts.after(self.error())
        self.assertRaises(UnavailableError, attempts.after, self.error())

    def test_time_alone_ends_attempts(self):
        attempts = self.attempts()
        self.assertFalse(attempts.wait_for_ready)
        for _ in range(2000):
            attempts.after(self.error())
            self.assertTrue(attempts.wait_for_ready)
        self.clock.now += 59.0
        with self.assertRaisesRegex(UnavailableError, r"x \(tried 2001 times in 59.0 s\)"):
            attempts.after(self.error())

    def test_an_attempt_that_runs_out_of_time_says_why_there_was_another(self):
        attempts = self.attempts()
        attempts.after(make_error(UNAVAILABLE, "DRAINING", "no"))
        with self.assertRaisesRegex(DrainingError, r"no \(tried 2 times"):
            attempts.after(self.error(grpc.StatusCode.DEADLINE_EXCEEDED))

    def test_no_pause_outlasts_the_deadline(self):
        attempts = self.attempts(timeout=10.0, initial_backoff=2.0)
        self.clock.now += 7.0
        self.assertEqual(attempts.time_left(), 3.0)
        self.assertEqual(attempts.after(self.error()), 2.0)
        self.clock.now += 2.0
        self.assertRaises(UnavailableError, attempts.after, self.error())
        self.clock.now += 2.0
        self.assertEqual(attempts.time_left(), 0.0)

    def test_a_server_that_shuts_down_may_answer_cancelled(self):
        self.assertIsNotNone(self.attempts().after(self.error(grpc.StatusCode.CANCELLED)))

    def test_other_errors_are_final(self):
        for code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL,
                     grpc.StatusCode.DEADLINE_EXCEEDED):
            self.assertRaises(DropoutError, self.attempts().after, self.error(code))

    def test_unsafe_calls_are_not_repeated(self):
        attempts = self.attempts(Idempotency.UNSAFE)
        self.assertRaises(UnavailableError, attempts.after, self.error())

    def test_a_repeated_deletion_that_finds_nothing_is_done(self):
        attempts = self.attempts(Idempotency.DELETION)
        attempts.after(self.error())
        self.assertIsNone(attempts.after(self.error(grpc.StatusCode.NOT_FOUND)))
        first = self.attempts(Idempotency.DELETION)
        self.assertRaises(NotFoundError, first.after, self.error(grpc.StatusCode.NOT_FOUND))

    def test_no_timeout(self):
        attempts = Attempts(RetryPolicy(timeout=None), Idempotency.SAFE)
        self.assertIsNone(attempts.time_left())

    def test_policies_out_of_range(self):
        for wrong in ({"timeout": 0}, {"timeout": float("nan")}, {"max_attempts": 0},
                      {"initial_backoff": -1}, {"max_backoff": -1}):
            self.assertRaises(ValueError, RetryPolicy, **wrong)


FORWARD = step_pb2.ForwardResponse(mode=1, p=0.5)
FORWARD.output.dtype, FORWARD.output.data = 1, bytes(8)
FORWARD.output.shape.append(2)
BACKWARD = step_pb2.BackwardResponse(input_gradient=FORWARD.output)


class ClientTest(unittest.TestCase):
    """Both clients, through methods that make one call each."""

    def run_both(self, answers, act, check):
        """act: takes a client and a function that waits for what its methods return."""
        for run in (self.blocking, self.asynchronous):
            service = FakeService(**{rpc: list(values) for rpc, values in answers.items()})
            with self.subTest(run.__name__), service.serving() as address:
                run(address, act)
                check(service)

    def blocking(self, address, act):
        with Client(address, retry=FAST) as client:
            act(client, lambda value: value)

    def asynchronous(self, address, act):
        loop = asyncio.new_event_loop()

        async def connect():
            return AsyncClient(address, retry=FAST)

        client = loop.run_until_complete(connect())
        act(client, loop.run_until_complete)
        loop.run_until_complete(client.close())
        loop.close()

    def test_safe_calls_are_repeated(self):
        def act(client, wait):
            layer = wait(client.session("s")).layer("l")
            self.assertEqual(wait(layer.forward([1.0, 2.0], step=0)).p, 0.5)

        self.run_both({"GetSession": [DRAINING, session()],
                       "Forward": [DRAINING, DRAINING, FORWARD.SerializeToString()]}, act,
                      lambda service: self.assertEqual(len(service.requests("Forward")), 3))

    def test_created_sessions_have_an_id_so_that_they_can_be_repeated(self):
        def check(service):
            ids = {request for _, request, _, _ in service.requests("CreateSession")}
            self.assertEqual(len(service.requests("CreateSession")), 2)
            self.assertEqual(len(ids), 1)

        self.run_both({"CreateSession": [DRAINING, session()]},
                      lambda client, wait: wait(client.create_session()), check)

    def test_backward_with_release_is_not_repeated(self):
        def act(client, wait):
            layer = wait(client.session("s")).layer("l")
            with self.assertRaises(DrainingError):
                wait(layer.backward([1.0, 2.0], step=0, release=True))
            wait(layer.backward([1.0, 2.0], step=0))

        self.run_both({"GetSession": [session()],
                       "Backward": [DRAINING, DRAINING, BACKWARD.SerializeToString()]}, act,
                      lambda service: self.assertEqual(len(service.requests("Backward")), 3))

    def test_a_repeated_deletion_is_done(self):
        gone = Refusal(grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
        self.run_both({"DeleteSession": [DRAINING, gone]},
                      lambda client, wait: wait(client.delete_session("s")),
                      lambda service: self.assertEqual(len(service.calls), 2))

    def test_deadlines(self):
        def wait_for_the_end(_, context):
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait(30)
            return b""

        def act(client, wait):
            layer = wait(client.session("s")).layer("l")
            with self.assertRaises(DeadlineExceededError):
                wait(layer.forward([1.0], step=0, timeout=0.2))

        def check(service):
            *_, seconds = service.requests("Forward")[0]
            self.assertLess(seconds, 1.0)
            *_, seconds = service.requests("GetSession")[0]
            self.assertTrue(30 < seconds < 61)

        self.run_both({"GetSession": [session()], "Forward": [wait_for_the_end]}, act, check)

    def test_metadata(self):
        def check(service):
            for rpc, _, metadata, _ in service.calls:
                self.assertEqual(metadata.get("x-session-id"), "s-1" if rpc != "GetServerInfo"
                                 else None)

        def act(client, wait):
            session_ = wait(client.create_session("s-1"))
            wait(session_.info())
            wait(client.server_info())
            wait(session_.delete())

        named = session(b"s-1")
        self.run_both({"CreateSession": [named], "GetSession": [named], "GetServerInfo": [b""]},
                      act, check)

    def test_ids_that_a_header_cannot_have_are_left_to_the_server(self):
        def act(client, wait):
            with self.assertRaises(NotFoundError):
                wait(client.session("a b\n"))

        self.run_both({"GetSession": [Refusal(grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")]},
                      act, lambda service: self.assertNotIn("x-session-id", service.calls[0][2]))

    def test_token(self):
        service = FakeService(GetServerInfo=[b""])
        with service.serving() as address, Client(address, token="secret") as client:
            client.server_info()
        self.assertEqual(service.calls[0][2]["authorization"], "Bearer secret")

    def test_nobody_there(self):
        with Client("127.0.0.1:1", retry=RetryPolicy(timeout=0.5)) as client:
            self.assertRaisesRegex(UnavailableError, r"onnect.* \(tried \d+ times in 0\.\d s\)",
                                   client.server_info)

    def test_no_retries(self):
        with Client("127.0.0.1:1", retry=RetryPolicy(max_attempts=1)) as client:
            self.assertRaises(UnavailableError, client.server_info)


if __name__ == "__main__":
    unittest.main()
