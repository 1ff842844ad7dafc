"""Sentinels fail over, asked or because the primary dies, while clients train.

DROPOUTD_FAILOVER_SECONDS=120 runs as long with 8 clients, instead of the short form.
"""

import os
import pathlib
import shutil
import tempfile
import time
import unittest

import harness
import shipped
from lossy_load import lossy_train_while
from redis_sentinel import SentinelFleet
from training_load import train_while

LONG_SECONDS = int(os.environ.get("DROPOUTD_FAILOVER_SECONDS", "0"))
CLIENTS = 8 if LONG_SECONDS else 3
SECONDS_BETWEEN = 12 if LONG_SECONDS else 1


@unittest.skipUnless(shutil.which("redis-cli"), "no redis-cli")
class SentinelTest(unittest.TestCase):

    def start(self, wait_replicas):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.fleet = SentinelFleet(self, pathlib.Path(folder))
        flags = shipped.replica_flags(self.fleet.url(wait_replicas))
        servers = [self.enterContext(harness.Server(*flags)) for _ in range(2)]
        return [each.address for each in servers]

    def disturb(self, running):
        """Both kinds of fail-over in turn, once each or for as long as is asked."""
        begin = time.monotonic()
        while True:
            for fail_over in (self.fleet.hand_over, self.fleet.kill_primary):
                started = time.monotonic()
                self.assertTrue(running(0))
                fail_over()
                print(f"{fail_over.__name__}: {time.monotonic() - started:.1f} s")
                self.assertTrue(running(max(0, started + SECONDS_BETWEEN - time.monotonic())))
            if time.monotonic() - begin >= LONG_SECONDS:
                return

    def test_nothing_is_lost_that_a_replica_has(self):
        fronts = self.start(wait_replicas=1)
        train_while(self, CLIENTS, fronts, self.disturb)

    def test_what_is_lost_is_lost_whole(self):
        fronts = self.start(wait_replicas=0)
        lossy_train_while(self, CLIENTS, fronts, self.disturb)


if __name__ == "__main__":
    unittest.main()
