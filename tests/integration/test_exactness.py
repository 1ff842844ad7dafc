"""Masks over the wire against the plain Python reference of docs/mask-format.md."""

import pathlib
import random
import sys
import unittest

import harness
import numpy as np
from client_helpers import Client, dropout_layer, kept_elements, masked, to_array

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "reference"))
import mask_reference  # noqa: E402  (its folder is not a package)

CASES = 200
RANDOM_SEED = 20240517
MOST_ELEMENTS = 2000  # The reference is slow.
MAX_UINT64 = 2**64 - 1
LAYER_ID_CHARACTERS = "abcXYZ019 ./_-:äßЖ日本語🎲€"
MAX_LAYER_ID_BYTES = 128


def any_uint64(source):
    """Small, large and extreme values alike."""
    return source.choice([0, 1, 2**32 - 1, 2**32, MAX_UINT64,
                          source.randrange(1000), source.getrandbits(64)])


def any_layer_id(source):
    wanted = source.choice([1, 2, 7, 30, MAX_LAYER_ID_BYTES])
    layer_id = source.choice(LAYER_ID_CHARACTERS)
    while True:
        longer = layer_id + source.choice(LAYER_ID_CHARACTERS)
        if len(longer.encode()) > wanted:
            return layer_id
        layer_id = longer


def any_shape(source):
    """Rank 0 to 8, at most MOST_ELEMENTS elements; now and then an empty axis."""
    shape = []
    for _ in range(source.randrange(9)):
        room = MOST_ELEMENTS // int(np.prod(shape, dtype=int))
        shape.append(source.choice([1, 2, 3, 5, 16, 17, 64, 257, source.randint(1, 2000)]))
        shape[-1] = min(shape[-1], max(room, 1))
    source.shuffle(shape)
    if shape and source.random() < 0.03:
        shape[source.randrange(len(shape))] = 0
    return tuple(shape)


def any_p(source):
    return source.choice([0.1, 0.25, 0.5, 0.75, 1 / 3, 1 - 2**-53, 5e-324, 2**-12, 2**-20,
                          source.random(), source.random() / 256])


def any_broadcast_axes(source, rank):
    axes = [axis for axis in range(rank) if source.random() < 0.25]
    return tuple(axis - source.choice([0, rank]) for axis in axes)


def any_sample_offset(source, shape):
    """0, small, or so large that the last index is just below 2^63."""
    per_sample = int(np.prod(shape[1:], dtype=object)) or 1
    samples = shape[0] if shape else 1
    return source.choice([0, 0, source.randrange(1000), 2**32 // per_sample,
                          2**63 // per_sample - samples])


class ExactnessTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server())
        cls.client = cls.enterClassContext(Client(cls.server.address))

    def check(self, number, source):
        seed, layer_id, step = any_uint64(source), any_layer_id(source), any_uint64(source)
        shape, p = any_shape(source), any_p(source)
        axes = any_broadcast_axes(source, len(shape))
        offset = any_sample_offset(source, shape)
        session_id = f"case-{number}"
        self.client.create_session(session_id, [dropout_layer(layer_id, p, axes)], seed=seed)
        place = (session_id, layer_id)
        x = np.arange(1, 1 + np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)

        asked = self.client.get_mask(*place, step=step, shape=shape, sample_offset=offset) \
            if shape else None
        answer = self.client.forward(*place, x, step=step, sample_offset=offset, return_mask=True)
        self.client.delete_session(session_id)

        noise, packed = mask_reference.mask(seed, layer_id, step, shape, p, offset, axes)
        self.assertEqual(tuple(answer.mask.shape), noise)
        self.assertEqual(answer.mask.bits, packed)
        self.assertEqual(answer.mask.scale, mask_reference.scale(p))
        if asked is not None:
            self.assertEqual(asked, answer.mask)
        expected = masked(x, kept_elements(answer.mask), answer.mask.scale)
        self.assertEqual(to_array(answer.output).tobytes(), expected.tobytes())

    def test_masks_are_the_references(self):
        source = random.Random(RANDOM_SEED)
        for number in range(CASES):
            with self.subTest(number):
                self.check(number, source)


if __name__ == "__main__":
    unittest.main()
