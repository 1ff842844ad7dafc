"""A Redis that is too old for the scripts is found out at the start, however it is reached."""

import unittest

import fake_redis
import harness


class OldRedisTest(unittest.TestCase):

    def expect_refusal(self, version, store):
        with fake_redis.FakeRedis(version) as redis:
            flag = "--store=" + store.format(port=redis.port)
            done = harness.run_server("--listen=127.0.0.1:0", flag)
            self.assertIn("INFO server", redis.commands)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"Redis has version {version}; 7.0 or newer is needed", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_one_server(self):
        self.expect_refusal("6.2.14", "redis://127.0.0.1:{port}")

    def test_behind_a_sentinel(self):
        self.expect_refusal("6.2.14", "redis+sentinel://127.0.0.1:{port}/primary")

    def test_a_cluster(self):
        self.expect_refusal("6.2.14", "redis+cluster://127.0.0.1:{port}")


if __name__ == "__main__":
    unittest.main()
