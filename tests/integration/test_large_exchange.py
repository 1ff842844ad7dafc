"""A tensor that is larger than what the server may hold goes through an Exchange in pieces.

DROPOUTD_LARGE_MIB sets how large; ./dev test sends 256 MiB, 8192 take some minutes.
"""

import hashlib
import os
import pathlib
import sys
import threading
import unittest

import client_helpers as helpers
import harness
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))
import mask_reference  # noqa: E402  (its folder is not a package)

pb = helpers.pb
MIB = 1 << 20
LARGE = int(os.environ.get("DROPOUTD_LARGE_MIB", "256")) * MIB
PIECE = 4 * MIB
MOST_MEMORY = 256 * MIB  # Above an idle server.
P = 0.3
SEED, LAYER, STEP = 5, "drop", 9


def philox(counter, key):
    """mask_reference.philox4x32_10 of arrays: uint64 that hold 32 bits."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c0
        product1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = ((product1 >> shift) ^ c1 ^ np.uint64(k0), product1 & low,
                          (product0 >> shift) ^ c3 ^ np.uint64(k1), product0 & low)
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def words(key, counter, domain):
    """The four words of Philox blocks with these 64-bit counters."""
    constant = np.full_like(counter, key[2])
    return philox((counter & np.uint64(0xFFFFFFFF), counter >> np.uint64(32), constant,
                   np.full_like(counter, domain)), key[:2])


def kept(key, first, count):
    """Which of `count` elements from index `first` on are kept; both are multiples of 16."""
    blocks = np.arange(first // 16, (first + count) // 16, dtype=np.uint64)
    four = words(key, blocks, mask_reference.DOMAIN_MASK)
    drawn = np.stack([word.astype("<u4") for word in four], axis=1).view(np.uint8).ravel()
    top, rest = mask_reference.split_threshold(P)
    bits = drawn >= top
    ties = np.flatnonzero(drawn == top)
    y = words(key, (first + ties).astype(np.uint64), mask_reference.DOMAIN_TIE)
    bits[ties] = y[0] + (y[1] << np.uint64(32)) >= np.uint64(rest)
    return bits


class LargeExchangeTest(unittest.TestCase):

    def setUp(self):
        self.server = self.enterContext(harness.Server())
        self.client = self.enterContext(helpers.Client(self.server.address))
        self.client.create_session("s", [helpers.dropout_layer(LAYER, p=P)], seed=SEED)
        random = np.random.default_rng(1)
        self.x = random.standard_normal(PIECE // 4, dtype=np.float32)

    def requests(self):
        data = self.x.tobytes()
        request = pb.ForwardRequest(session_id="s", layer_id=LAYER, step=STEP)
        request.input.dtype = pb.DATA_TYPE_FLOAT32
        request.input.shape.append(LARGE // 4)
        request.input.data = data
        yield pb.ExchangeRequest(forward=request, has_more=LARGE > PIECE)
        for at in range(PIECE, LARGE, PIECE):
            yield pb.ExchangeRequest(data=data, has_more=at + PIECE < LARGE)

    def expected_digest(self, into):
        digest = hashlib.sha256()
        key = mask_reference.mask_key(SEED, LAYER, STEP)
        scaled = self.x * np.float32(1 / (1 - P))
        for first in range(0, LARGE // 4, scaled.size):
            digest.update(np.where(kept(key, first, scaled.size), scaled, np.float32(0)).tobytes())
        into.append(digest.hexdigest())

    def test_memory_stays_bounded_and_the_digest_is_right(self):
        self.client.forward("s", LAYER, self.x[:16], 0)
        idle = self.server.memory()
        expected = []
        reference = threading.Thread(target=self.expected_digest, args=(expected,))
        reference.start()
        digest, size = hashlib.sha256(), 0
        for response in self.client.service.Exchange(self.requests()):
            self.assertFalse(response.HasField("error"), response)
            for part in (response.forward.output.data, response.data):
                digest.update(part)
                size += len(part)
        reference.join()
        peak = self.server.memory("VmHWM") - idle
        print(f"{size // MIB} MiB through an Exchange: peak {peak // MIB} MiB above {idle // MIB} MiB")
        self.assertEqual(size, LARGE)
        self.assertEqual([digest.hexdigest()], expected)
        if not self.server.has_sanitizer():
            self.assertLess(peak, MOST_MEMORY)


if __name__ == "__main__":
    unittest.main()
