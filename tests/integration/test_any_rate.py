"""drop_block at any p of a float64: each call is answered, and the server still ends when it is asked to."""

import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, kept_elements, pb, reason_of, to_array

# A call takes milliseconds. Far more than a slow machine needs, far less than a loop without an end.
CALL_SECONDS = 60
STOP_SECONDS = 60

# Of each range of float64, down to the smallest; the named ones did not end once.
RATES = sorted({1e-300, 2e-308, 1e-310, 1.3e-315, 5e-324, 1e-17, 2.0**-40, 2.0**-41,
                float.fromhex("0x1.f991d80000316p-32"), 0.1, 1 - 2.0**-53,
                *(2.0**exponent for exponent in range(-1074, 0, 67))})
MAPS = [(8, 8), (5,), (6, 7, 9)]
SESSION = "any-rate"


class AnyRateTest(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(harness.Server("--drain_timeout=2s"))
        self.client = self.enterContext(Client(self.server.address))
        self.client.create_session(SESSION, ttl={"seconds": 3600}, seed=1)

    def layer(self, layer_id, p, block, **options):
        self.client.create_layer(SESSION, pb.Layer(
            layer_id=layer_id, p=p, drop_block=pb.DropBlock(block_size=[block], **options)))

    def forward(self, layer_id, x):
        return self.client.service.Forward(pb.ForwardRequest(
            session_id=SESSION, layer_id=layer_id, step=1, input=pb.Tensor(
                dtype=pb.DATA_TYPE_FLOAT32, shape=x.shape, data=x.tobytes())),
            timeout=CALL_SECONDS).output

    def mask(self, layer_id, shape, step=1):
        return self.client.service.GetMask(pb.GetMaskRequest(
            session_id=SESSION, layer_id=layer_id, step=step, shape=shape), timeout=CALL_SECONDS)

    def test_any_p_is_answered(self):
        for sizes in MAPS:
            shape = (2, 3, *sizes)
            x = np.ones(shape, np.float32)
            for block in (1, 3, 7):
                for p in RATES:
                    layer_id = f"{p} {block} {sizes}"
                    self.layer(layer_id, p, block)
                    kept = to_array(self.forward(layer_id, x)) != 0
                    np.testing.assert_array_equal(
                        kept, kept_elements(self.mask(layer_id, shape)), layer_id)
                    if p < 2.0**-60:
                        self.assertTrue(kept.all(), layer_id)
                    self.client.delete_layer(SESSION, layer_id)

    def test_every_binade_is_answered(self):
        slowest = 0.0
        for block in (1, 3, 7):
            self.layer(f"binades {block}", 0.5, block)
            for exponent in range(-1074, 0):
                start = time.monotonic()
                self.client.update_layer(SESSION, pb.Layer(
                    layer_id=f"binades {block}", p=2.0**exponent,
                    drop_block=pb.DropBlock(block_size=[block])))
                self.mask(f"binades {block}", (1, 2, 8, 8))
                slowest = max(slowest, time.monotonic() - start)
        print(f"3222 answers, the slowest in {slowest * 1000:.1f} ms")
        self.assertLess(slowest, 10)  # Not a measurement: a solver without an end is not answered.

    def test_many_large_blocks_are_answered(self):
        # Dropped one after the other, these blocks have 2^39 elements.
        self.layer("large", 1 - 2.0**-53, 256, channel_axis=-1)
        self.assertLess(kept_elements(self.mask("large", (1, 4096, 4096, 1))).sum(), 100)

    def test_equations_with_the_most_terms_are_answered(self):
        self.layer("most terms", float.fromhex("0x1.f991d80000316p-32"), 65536)
        self.mask("most terms", (1, 1, 131071))

    def test_scales_of_many_samples_are_bounded(self):
        # 8 bytes a sample beside 1 bit: a request of 20 bytes, and an answer of gigabytes.
        self.layer("scales", 0.1, 7)
        for samples in (2**24, 2**28, 2**29):
            with self.assertRaises(grpc.RpcError) as raised:
                self.mask("scales", (samples, 1, 1))
            self.assertEqual(reason_of(raised.exception), "QUOTA_MESSAGE_BYTES")
        self.mask("scales", (2**20, 1, 1))
        self.layer("one scale", 0.1, 7, normalization=pb.NORMALIZATION_BATCH)
        self.mask("one scale", (2**24, 1, 1))

    def tearDown(self):
        self.assertEqual(self.server.terminate(STOP_SECONDS), 0, self.server.stderr)


if __name__ == "__main__":
    unittest.main()
