"""Sentinels fail over, asked or because the primary dies, while clients train.

DROPOUTD_FAILOVER_SECONDS=120 runs as long with 8 clients, instead of the short form.
"""

import shutil
import unittest

from fleet_training import FleetTraining
from redis_sentinel import SentinelFleet


@unittest.skipUnless(shutil.which("redis-cli"), "no redis-cli")
class SentinelTest(FleetTraining, unittest.TestCase):
    fleet_type = SentinelFleet
    changes = ("hand_over", "kill_primary")


if __name__ == "__main__":
    unittest.main()
