"""Clients that ask whether the server is there: gRPC's keepalive, with no call under way."""

import time
import unittest

import harness
from http2_wire import GOAWAY, PING, Connection

INTERVAL_SECONDS = 1.2  # The server allows one a second.
PINGS = 6  # gRPC forgives two that are too early.
FLOOD = 100
GONE_SECONDS = 10


class KeepaliveTest(unittest.TestCase):

    def test_idle_connections_that_ask_stay(self):
        with harness.Server() as server, Connection(server.address) as connection:
            for _ in range(PINGS):
                connection.ping()
                self.assertFalse(connection.ended.wait(INTERVAL_SECONDS))
            self.assertEqual(connection.frames[GOAWAY], 0)
            self.assertGreaterEqual(connection.frames[PING], PINGS)

    def test_those_that_ask_too_often_are_closed(self):
        with harness.Server() as server, Connection(server.address) as connection:
            end = time.monotonic() + GONE_SECONDS
            for _ in range(FLOOD):
                try:
                    connection.ping()
                except OSError:
                    break
            self.assertTrue(connection.ended.wait(end - time.monotonic()))


if __name__ == "__main__":
    unittest.main()
