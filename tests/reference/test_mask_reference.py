"""The reference against answers from elsewhere, and the laws that docs/mask-format.md promises."""

import json
import math
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import make_vectors
import mask_reference as reference

try:
    import numpy
except ImportError:
    numpy = None

COUNT = 100_000
SIGMAS = 5


def mask_bits(seed, layer_id, step, shape, p, **options):
    noise, packed = reference.mask(seed, layer_id, step, shape, p, **options)
    return reference.unpack(packed, math.prod(noise))


def rows(bits, width):
    return ["".join(map(str, bits[i : i + width])) for i in range(0, len(bits), width)]


class KnownAnswers(unittest.TestCase):
    def test_philox_is_random123s(self):
        ones = 0xFFFFFFFF
        pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
        for counter, key, expected in (
            ((0,) * 4, (0,) * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
            ((ones,) * 4, (ones,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
            (pi, (0xA4093822, 0x299F31D0), "d16cfe09 94fdcceb 5001e420 24126ea1"),
        ):
            words = reference.philox4x32_10(counter, key)
            self.assertEqual(" ".join(f"{word:08x}" for word in words), expected)

    def test_fnv1a64(self):
        for data, expected in (
            (b"", 0xCBF29CE484222325), (b"a", 0xAF63DC4C8601EC8C), (b"foobar", 0x85944171F73967E8)
        ):
            self.assertEqual(reference.fnv1a64(data), expected)

    def test_numpy_legacy_first_doubles_and_mask(self):
        doubles = reference.NumpyLegacyStream(1).rand(3)
        self.assertEqual(
            [u.hex() for u in doubles],
            ["0x1.ab07d0ffa3c06p-2", "0x1.70ce5f3baf051p-1", "0x1.dfb906661c000p-14"],
        )
        _, packed = reference.numpy_legacy_mask(reference.NumpyLegacyStream(1), (4, 5), 0.5)
        pattern = rows(reference.unpack(packed, 20), 5)
        self.assertEqual(pattern, ["01000", "00001", "01010", "10100"])

    @unittest.skipIf(numpy is None, "needs NumPy")
    def test_numpy_legacy_is_numpys(self):
        for seed in (0, 1, 42, 2**31, 2**32 - 1):
            numpy.random.seed(seed)
            stream = reference.NumpyLegacyStream(seed)
            for count in (1, 7, 1000):
                self.assertEqual(numpy.random.rand(count).tolist(), stream.rand(count))

    def test_threshold_is_exact(self):
        for p, expected in (
            (0.0, 0), (0.5, 2**63), (1 - 2**-53, 2**64 - 2**11), (2**-64, 1), (2**-65, 0),
            (3 * 2**-65, 1), (5e-324, 0),
        ):
            self.assertEqual(reference.threshold(p), expected)
        for p in (1.0, -0.1, math.nan, math.inf):
            self.assertRaises(ValueError, reference.threshold, p)


class Vectors(unittest.TestCase):
    def test_the_file_is_what_make_vectors_makes_now(self):
        self.assertEqual(make_vectors.PATH.read_text(encoding="ascii"), make_vectors.make())

    def test_ties_of_both_outcomes_are_listed(self):
        sections = json.loads(make_vectors.PATH.read_text(encoding="ascii"))
        for p in (1e-6, 0.001, 0.1, 0.3, 0.9):
            entries = [entry for entry in sections["ties"] if entry["p"] == p]
            outcomes = {tie["kept"] for entry in entries for tie in entry["ties"]}
            self.assertEqual(outcomes, {False, True}, f"p = {p}")

    def test_refused_calls_are_refused(self):
        sections = json.loads(make_vectors.PATH.read_text(encoding="ascii"))
        self.assertTrue(sections["refused"])
        for entry in sections["refused"]:
            with self.assertRaises(ValueError):
                reference.index_range(
                    entry["shape"], int(entry["sample_offset"]), entry["broadcast_axes"]
                )


class Laws(unittest.TestCase):
    def test_a_part_of_the_batch_has_its_rows_of_the_whole_mask(self):
        for axes in ((), (1,), (2,), (1, -1)):
            whole = mask_bits(1, "drop", 7, (64, 5, 3), 0.3, broadcast_axes=axes)
            part = mask_bits(1, "drop", 7, (32, 5, 3), 0.3, broadcast_axes=axes, sample_offset=32)
            self.assertEqual(part, whole[len(whole) // 2 :])

    def test_with_axis_0_shared_batch_and_offset_do_not_matter(self):
        whole = mask_bits(1, "drop", 7, (64, 50), 0.3, broadcast_axes=(0,))
        part = mask_bits(1, "drop", 7, (2, 50), 0.3, broadcast_axes=(-2,), sample_offset=9)
        self.assertEqual(whole, part)
        self.assertEqual(len(whole), 50)

    def test_step_and_sequence_are_different_domains(self):
        self.assertNotEqual(
            reference.mask_key(1, "drop", step=7), reference.mask_key(1, "drop", sequence_id=7)
        )

    def test_p_0_keeps_all(self):
        self.assertEqual(mask_bits(1, "drop", 7, (5000,), 0.0), [1] * 5000)

    def test_unused_bits_are_0(self):
        _, packed = reference.mask(1, "drop", 7, (11,), 0.0)
        self.assertEqual(packed, b"\xff\x07")

    def test_apply_selects_and_scales(self):
        # A 2 x 3 tensor whose columns share a draw: column 1 is dropped.
        values = [1.0, math.nan, -0.0, -3.0, -math.inf, 5.0]
        output = reference.apply(values, (2, 3), (1, 3), b"\x05", 2.0)
        expected = [2.0, 0.0, -0.0, -6.0, 0.0, 10.0]
        self.assertEqual([x.hex() for x in output], [x.hex() for x in expected])

    def test_scale(self):
        self.assertEqual(reference.scale(0.9), 1 / (1 - 0.9))
        self.assertEqual(reference.scale(1 - 2**-53), 2.0**53)
        self.assertEqual(reference.eval_factor(0.9), 1.0)
        self.assertEqual(reference.scale(0.9, "EVAL"), 1.0)
        self.assertEqual(reference.eval_factor(0.9, "EVAL"), 1 - 0.9)


class Statistics(unittest.TestCase):
    """Five sigma on 10^5 elements: fixed seeds, so that a pass stays a pass."""

    P = 0.3

    @classmethod
    def setUpClass(cls):
        cls.masks = {
            case: mask_bits(*case, (COUNT,), cls.P)
            for case in (
                (1, "a", 7), (1, "a", 8), (1, "b", 7), (0, "a", 7), (0, "b", 7), (1, "a", 2**32 + 7)
            )
        }
        cls.masks["sequence"] = mask_bits(1, "a", None, (COUNT,), cls.P, sequence_id=7)

    def sigmas_of_correlation(self, one, other):
        """The correlation of two masks in units of its standard deviation, 1 / sqrt(n)."""
        variance = self.P * (1 - self.P)
        mean = 1 - self.P
        covariance = sum((a - mean) * (b - mean) for a, b in zip(one, other))
        return covariance / variance / math.sqrt(min(len(one), len(other)))

    def test_drop_rate(self):
        for p in (1e-6, 0.001, 0.1, 0.25, 0.3, 0.5, 0.9, 0.999):
            dropped = COUNT - sum(mask_bits(3, "rate", 1, (COUNT,), p))
            deviation = (dropped - COUNT * p) / math.sqrt(COUNT * p * (1 - p))
            self.assertLess(abs(deviation), SIGMAS, f"p = {p}: {dropped} dropped")

    def test_tied_elements_have_the_rate_of_rest(self):
        p = 0.3
        key = reference.mask_key(3, "ties", step=1)
        top, rest = reference.split_threshold(p)
        ties = [
            16 * block + i
            for block in range(4 * COUNT // 16)
            for i, b in enumerate(reference.mask_block(key, block))
            if b == top
        ]
        rate = rest / 2**64
        dropped = len(ties) - sum(reference.bits(key, ties, p))
        for observed, n, q in ((len(ties), 4 * COUNT, 1 / 256), (dropped, len(ties), rate)):
            self.assertLess(abs(observed - n * q) / math.sqrt(n * q * (1 - q)), SIGMAS)

    def test_neighbours_are_independent(self):
        bits = self.masks[1, "a", 7]
        for lag in (1, 2, 3, 4, 8, 15, 16, 17, 32, 64, 256, 4096):
            sigmas = self.sigmas_of_correlation(bits[lag:], bits)
            self.assertLess(abs(sigmas), SIGMAS, f"lag {lag}")

    def test_masks_of_other_keys_are_independent(self):
        cases = list(self.masks)
        for i, one in enumerate(cases):
            for other in cases[:i]:
                sigmas = self.sigmas_of_correlation(self.masks[one], self.masks[other])
                self.assertLess(abs(sigmas), SIGMAS, f"{one} and {other}")


class CommandLine(unittest.TestCase):
    def run_reference(self, *arguments):
        command = [sys.executable, reference.__file__, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_prints_the_mask(self):
        done = self.run_reference(
            "--generator=numpy_legacy", "--seed=1", "--shape=4,5", "--p=0.5"
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            done.stdout, "shape 4,5\nbits 02aa02\n01000\n00001\n01010\n10100\n"
        )

    def test_takes_offset_axes_and_sequence(self):
        done = self.run_reference(
            "--seed=0x10", "--layer_id=rnn", "--sequence_id=3", "--shape=4,2,9", "--p=0.3",
            "--sample_offset=5", "--broadcast_axes=-2",
        )
        expected = mask_bits(
            16, "rnn", None, (4, 2, 9), 0.3, sample_offset=5, broadcast_axes=(1,), sequence_id=3
        )
        self.assertEqual(done.stdout.split("\n")[0], "shape 4,1,9")
        self.assertEqual(done.stdout.split("\n")[2:-1], rows(expected, 9))

    def test_bad_usage_is_status_2(self):
        for arguments in (
            ("--seed=1", "--layer_id=a", "--step=0", "--shape=4", "--p=1"),
            ("--seed=1", "--layer_id=a", "--shape=4", "--p=0.5"),
            ("--seed=1", "--step=0", "--shape=4", "--p=0.5"),
            ("--seed=1", "--layer_id=a", "--step=0", "--shape=4", "--p=0.5", "--broadcast_axes=1"),
        ):
            self.assertEqual(self.run_reference(*arguments).returncode, 2, arguments)


if __name__ == "__main__":
    unittest.main()
