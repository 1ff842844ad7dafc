"""Training over a fleet of Redis servers that changes meanwhile."""

import os
import pathlib
import tempfile
import time

import harness
import shipped
from lossy_load import lossy_train_while
from training_load import train_while

LONG_SECONDS = int(os.environ.get("DROPOUTD_FAILOVER_SECONDS", "0"))
CLIENTS = 8 if LONG_SECONDS else 3
SECONDS_BETWEEN = 12 if LONG_SECONDS else 1


class FleetTraining:
    """For a TestCase, which says `fleet_type` and `changes`, names of its functions. Two servers
    run over the fleet with the flags that docker/ ships."""

    def start(self, wait_replicas):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.fleet = self.fleet_type(self, pathlib.Path(folder))
        flags = shipped.replica_flags(self.fleet.url(wait_replicas))
        servers = [self.enterContext(harness.Server(*flags)) for _ in range(2)]
        return [each.address for each in servers]

    def disturb(self, running):
        """All changes in turn, once each or for as long as is asked."""
        begin = time.monotonic()
        while True:
            for change in self.changes:
                started = time.monotonic()
                self.assertTrue(running(0))
                getattr(self.fleet, change)()
                print(f"{change}: {time.monotonic() - started:.1f} s")
                self.assertTrue(running(max(0, started + SECONDS_BETWEEN - time.monotonic())))
            if time.monotonic() - begin >= LONG_SECONDS:
                return

    def test_nothing_is_lost_that_a_replica_has(self):
        train_while(self, CLIENTS, self.start(wait_replicas=1), self.disturb)

    def test_what_is_lost_is_lost_whole(self):
        lossy_train_while(self, CLIENTS, self.start(wait_replicas=0), self.disturb)
