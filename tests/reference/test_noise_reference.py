"""noise_reference.py against Python's own functions, and the laws of its deviates."""

import math
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mask_reference
import noise_reference as reference

COUNT = 20_000
SIGMAS = 5


class Elementary(unittest.TestCase):
    """Two units in the last place, and half a unit that Python's functions may be off."""

    def check(self, ours, pythons, draw):
        generator = random.Random(1)
        for _ in range(COUNT):
            x = draw(generator)
            expected = pythons(x)
            self.assertLessEqual(abs(ours(x) - expected), 2.5 * math.ulp(expected), x)

    def test_log(self):
        self.check(reference.log, math.log, lambda g: 1 - g.random())
        self.check(reference.log, math.log, lambda g: math.ldexp(1 + g.random(), g.randint(-9, 9)))

    def test_exp(self):
        self.check(reference.exp, math.exp, lambda g: g.uniform(-700, 700))

    def test_sin_and_cos(self):
        # Where 2 pi u is a float64 near enough to the true angle.
        draw = lambda g: g.uniform(-0.12, 0.12)
        self.check(
            lambda u: reference.sin_cos_turns(u)[0], lambda u: math.sin(2 * math.pi * u), draw
        )
        self.check(
            lambda u: reference.sin_cos_turns(u)[1], lambda u: math.cos(2 * math.pi * u), draw
        )

    def test_quarter_turns(self):
        for u, expected in ((0.0, (0, 1)), (0.25, (1, 0)), (0.5, (0, -1)), (0.75, (-1, 0))):
            self.assertEqual(reference.sin_cos_turns(u), expected)


class Laws(unittest.TestCase):
    def values(self, draw):
        key = mask_reference.mask_key(1, "law", 7)
        return [draw(key, g) for g in range(COUNT)]

    def check_kolmogorov_smirnov(self, values, distribution):
        distance = max(
            max(abs(distribution(value) - i / COUNT), abs(distribution(value) - (i + 1) / COUNT))
            for i, value in enumerate(sorted(values))
        )
        self.assertLess(distance * math.sqrt(COUNT), 2.5)

    def test_normal(self):
        values = self.values(reference.normal)
        self.check_kolmogorov_smirnov(values, lambda x: math.erfc(-x / math.sqrt(2)) / 2)
        self.assertLess(abs(sum(values)) / math.sqrt(COUNT), SIGMAS)
        squares = sum(value * value for value in values)
        self.assertLess(abs(squares - COUNT) / math.sqrt(2 * COUNT), SIGMAS)

    def test_pairs_of_a_block_are_independent(self):
        values = self.values(reference.normal)
        for power in (1, 2):
            a = [value**power - (power - 1) for value in values[0::2]]
            b = [value**power - (power - 1) for value in values[1::2]]
            sigma = math.sqrt(COUNT / 2) * power  # The variance of squares is 2 each.
            self.assertLess(abs(sum(x * y for x, y in zip(a, b))) / sigma, SIGMAS)

    def test_uniform(self):
        values = self.values(reference.uniform)
        self.check_kolmogorov_smirnov(values, lambda x: x)
        self.assertTrue(all(0 < value < 1 for value in values))

    def test_concrete_drop_is_over_a_half_with_probability_p(self):
        p = 0.3
        logit_p = math.log(p / (1 - p))
        values = self.values(
            lambda key, g: reference.concrete_drop(reference.uniform(key, g), logit_p, 0.1)
        )
        dropped = sum(value > 0.5 for value in values)
        self.assertLess(abs(dropped - COUNT * p) / math.sqrt(COUNT * p * (1 - p)), SIGMAS)


if __name__ == "__main__":
    unittest.main()
