"""A cluster moves half of its slots and loses a primary, while clients train.

DROPOUTD_FAILOVER_SECONDS=120 runs as long with 8 clients, instead of the short form.
"""

import shutil
import unittest

from fleet_training import FleetTraining
from redis_cluster import ClusterFleet


@unittest.skipUnless(shutil.which("redis-cli"), "no redis-cli")
class ClusterTest(FleetTraining, unittest.TestCase):
    fleet_type = ClusterFleet
    changes = ("reshard_half", "kill_primary")


if __name__ == "__main__":
    unittest.main()
