"""The case files are what the generator makes, and the runner can tell right from wrong."""

import copy
import unittest

import answers
import make_cases
import runner


def b64(dtype, *values):
    return answers.base64_text(answers.pack(dtype, values))


class CasesTest(unittest.TestCase):

    def test_files_are_what_make_cases_makes_now(self):
        for name, source in make_cases.FILES.items():
            text = (make_cases.FOLDER / name).read_text(encoding="ascii")
            self.assertEqual(text, make_cases.make(source), name)
        files = {path.name for path in make_cases.FOLDER.glob("*.json")}
        self.assertEqual(files, set(make_cases.FILES))

    def test_names_are_unique(self):
        names = [case["name"] for case in runner.load_cases()]
        self.assertEqual(len(names), len(set(names)))


class TypesTest(unittest.TestCase):

    def test_bfloat16_rounds_to_nearest_even(self):
        for x, bits in ((1.0, 0x3F80), (1.00390625, 0x3F80), (1.01171875, 0x3F82),
                        (3.4e38, 0x7F80), (float("-inf"), 0xFF80), (-0.0, 0x8000)):
            self.assertEqual(answers.pack(answers.BFLOAT16, [x]), bits.to_bytes(2, "little"), x)
        for dtype in answers.DATA_TYPES:
            values = [1.0, -2.5, 0.0]
            self.assertEqual(answers.unpack(dtype, answers.pack(dtype, values)), values)


class ComparisonTest(unittest.TestCase):

    EXPECTED = {"scale": 2.0, "shape": [2, 3], "seed": "7", "mask": {"bits": "AA=="}}
    ACTUAL = {"scale": 2, "shape": ["2", "3"], "seed": "7", "mask": {"bits": "AA=="}, "more": 1}

    def wrong(self, expected, actual):
        return list(runner.differences(expected, actual))

    def test_equal(self):
        self.assertEqual(self.wrong(self.EXPECTED, self.ACTUAL), [])
        self.assertEqual(self.wrong({"p": 0.1}, {"p": 0.1}), [])

    def test_each_difference_is_found(self):
        for name, value in (("scale", 3.0), ("shape", [2]), ("shape", [3, 2]), ("seed", "8"),
                            ("mask", {"bits": "AQ=="}), ("mask", {}), ("mask", None)):
            actual = copy.deepcopy(self.ACTUAL)
            actual[name] = value
            self.assertTrue(self.wrong(self.EXPECTED, actual), (name, value))
            del actual[name]
            self.assertTrue(self.wrong(self.EXPECTED, actual), name)

    def test_digest(self):
        expected = answers.bytes_field("data", bytes(4096))
        self.assertEqual(list(expected), ["data_sha256"])
        self.assertEqual(self.wrong(expected, {"data": answers.base64_text(bytes(4096))}), [])
        self.assertTrue(self.wrong(expected, {"data": answers.base64_text(bytes(4095))}))
        self.assertTrue(self.wrong(expected, {}))

    def test_tolerance(self):
        def tensor(*values):
            return {"dtype": answers.FLOAT32, "shape": [len(values)],
                    "data": b64(answers.FLOAT32, *values)}

        expected = {**tensor(100.0, 0.0), "tolerance": 1e-3}
        self.assertEqual(self.wrong(expected, tensor(100.05, 0.0005)), [])
        for values in ((100.2, 0.0), (100.0, 0.002), (100.0, float("nan")), (100.0,)):
            self.assertTrue(self.wrong(expected, tensor(*values)), values)


class FakeDriver:
    """Answers Forward with what it is told to."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, rpc, request):
        if rpc != "Forward":
            return {}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class RunTest(unittest.TestCase):

    def case(self, **outcome):
        return {"name": "x", "session": {}, "calls": [
            {"rpc": "Forward", "request": {"layer_id": "drop"}, **outcome}]}

    def test_errors_must_be_the_ones_expected(self):
        refused = runner.CallError("NOT_FOUND", "LAYER_NOT_FOUND")
        expected = {"code": "NOT_FOUND", "reason": "LAYER_NOT_FOUND"}
        runner.run(self.case(error=expected), FakeDriver(refused))
        for case, answer in ((self.case(error={**expected, "reason": "X"}), refused),
                             (self.case(error={**expected, "code": "X"}), refused),
                             (self.case(error=expected), {}), (self.case(), refused),
                             (self.case(response={"p": 0.5}), {"p": 0.25})):
            self.assertRaises(runner.Failure, runner.run, case, FakeDriver(answer))

    def test_needs(self):
        case = {"needs": {"variants": ["alpha"], "rpcs": ["Exchange"], "schedules": ["linear"]}}
        info = {"variants": ["alpha"], "schedules": ["linear"], "unsupported_rpcs": []}
        self.assertEqual(runner.missing(case, info), [])
        self.assertEqual(runner.missing(case, {"unsupported_rpcs": ["Exchange"]}),
                         ["alpha", "linear", "Exchange"])


if __name__ == "__main__":
    unittest.main()
