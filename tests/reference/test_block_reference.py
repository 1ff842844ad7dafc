"""block_reference.py against the law that the seed rate is made for."""

import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import block_reference as reference

MAPS = (((5,), (1,)), ((8, 8), (3, 3)), ((14, 13), (7, 7)), ((5, 6, 7), (3, 3, 3)))


def dropped_share(gamma, sizes, blocks):
    """The expected share, without the cancellation of 1 - (1 - gamma)^c."""
    log_kept = math.log1p(-gamma)
    return math.fsum(-w * math.expm1(c * log_kept) for c, w in reference.coverage(sizes, blocks))


class SeedRate(unittest.TestCase):
    def test_the_dropped_share_is_p_in_every_binade(self):
        for sizes, blocks in MAPS:
            for exponent in range(-1074, 0):
                for p in (2.0**exponent, 1.7 * 2.0**exponent):
                    gamma = reference.seed_rate(p, sizes, blocks, "EXACT")
                    # gamma itself is rounded to a multiple of 2^-1074.
                    unit = 2.0**-1074 * math.prod(blocks)
                    self.assertLessEqual(
                        abs(dropped_share(gamma, sizes, blocks) - p), 1e-3 * p + unit,
                        (p, sizes, blocks))

    def test_both_rules_agree_where_blocks_hardly_overlap(self):
        for exponent in range(-1074, -60, 7):
            p = 2.0**exponent
            paper, exact = (
                reference.seed_rate(p, (14, 14), (7, 7), gamma) for gamma in ("PAPER", "EXACT"))
            self.assertLessEqual(abs(paper - exact), 1e-14 * paper + 2.0**-1074, p)

    def test_steps_are_cut(self):
        p = float.fromhex("0x1.71bfff20033a7p-25")
        self.assertEqual(reference.exact_rate(p, (2, 12), (1, 6))[1], reference.MAX_STEPS)


if __name__ == "__main__":
    unittest.main()
