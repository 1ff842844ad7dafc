"""dropoutctl forward, backward and release: tensors in files and pipes, of every type."""

import io
import os
import re
import stat
import unittest

import harness
import numpy as np
from cli_helpers import CliTest, run_on_terminal
from client_helpers import bfloat16_bits, masked

X = (np.arange(20, dtype=np.float64).reshape(4, 5) - 7) / 8
DY = np.arange(20, 0, -1, dtype=np.float64).reshape(4, 5) / 16
MIB = 1 << 20
BFLOAT16 = np.dtype("V2")  # As NumPy has it that does not know the type.


class TensorTest(CliTest):

    def place(self, layer_id="hidden", step=0):
        return [self.session_id, layer_id, f"--step={step}"]

    def mask(self, layer_id="hidden", step=0, shape="4,5"):
        mask = self.ctl_json("mask", *self.place(layer_id, step), f"--shape={shape}")
        return np.array(mask["kept"], bool), mask["scale"]


class ForwardBackwardTest(TensorTest):

    def test_every_element_type(self):
        self.create_session("hidden,p=0.3")
        kept, scale = self.mask()
        self.assertTrue(0 < kept.sum() < kept.size)
        for dtype, name in [("<f2", "float16"), ("<f4", "float32"), ("<f8", "float64")]:
            with self.subTest(dtype):
                x, dy = X.astype(dtype), DY.astype(dtype)
                printed = self.ctl("forward", *self.place(), "--input", self.save("x.npy", x),
                                   "--output", self.path("y.npy"))
                self.assertEqual(printed, f"wrote {self.path('y.npy')}: {name} [4, 5], mode train, "
                                          "p 0.3\n")
                printed = self.ctl("backward", *self.place(), "--gradient",
                                   self.save("dy.npy", dy), "--output", self.path("dx.npy"))
                self.assertEqual(printed, f"wrote {self.path('dx.npy')}: {name} [4, 5]\n")
                for file, values in [("y.npy", x), ("dx.npy", dy)]:
                    array = self.load(file)
                    self.assertEqual(array.dtype, np.dtype(dtype))
                    np.testing.assert_array_equal(array, masked(values, kept, scale))

    def test_bfloat16(self):
        self.create_session("hidden,p=0.3")
        kept, scale = self.mask()
        bits = bfloat16_bits(X)
        expected = masked(bits, kept, scale)
        for name, array, options in [("V2", bits.view(BFLOAT16), []),
                                     ("u2", bits, ["--dtype=bfloat16"]),
                                     ("i2", bits.view("<i2"), ["--dtype=bfloat16"])]:
            with self.subTest(name):
                self.ctl("forward", *self.place(), "--input", self.save("x.npy", array),
                         "--output", self.path("y.npy"), *options)
                output = self.load("y.npy")
                self.assertEqual(output.dtype, BFLOAT16)
                np.testing.assert_array_equal(output.view(np.uint16), expected)
                self.ctl("backward", *self.place(), "--gradient", self.path("x.npy"), "--output",
                         self.path("dx.npy"), *options)
                np.testing.assert_array_equal(self.load("dx.npy").view(np.uint16), expected)
        # What was written can be read again.
        self.ctl("forward", *self.place(), "--input", self.path("y.npy"))
        self.assert_usage("<u2", "forward", *self.place(), "--input", self.save("x.npy", bits))

    def test_prints_without_output(self):
        self.create_session("hidden,p=0")
        text = self.ctl("forward", *self.place(), "--input", self.save("x.npy", X[:2, :3]))
        expected = np.array2string(X[:2, :3], separator=", ")
        self.assertEqual(text, f"{expected}\nfloat64 [2, 3], mode train, p 0\n")
        text = self.ctl("backward", *self.place(), "--gradient", self.path("x.npy"))
        self.assertEqual(text, f"{expected}\nfloat64 [2, 3]\n")

    def test_json(self):
        self.create_session("hidden,p=0.5")
        kept, scale = self.mask()
        x = X.astype(np.float32)
        answer = self.ctl_json("forward", *self.place(), "--input", self.save("x.npy", x))
        self.assertEqual((answer["mode"], answer["p"]), ("train", 0.5))
        self.assertEqual((answer["output"]["dtype"], answer["output"]["shape"]),
                         ("float32", [4, 5]))
        np.testing.assert_array_equal(answer["output"]["data"], masked(x, kept, scale))
        answer = self.ctl_json("backward", *self.place(), "--gradient", self.path("x.npy"))
        self.assertEqual(answer["parameter_gradients"], [])
        np.testing.assert_array_equal(answer["input_gradient"]["data"], masked(x, kept, scale))
        answer = self.ctl_json("forward", *self.place(), "--input", self.path("x.npy"),
                               "--output", self.path("y.npy"), "--mask-output", self.path("m.npy"))
        self.assertEqual(answer["output"], {"dtype": "float32", "shape": [4, 5],
                                            "file": self.path("y.npy")})
        self.assertEqual(answer["mask"], {"file": self.path("m.npy")})

    def test_json_of_what_json_does_not_know(self):
        self.create_session("hidden,p=0")
        x = np.array([np.nan, np.inf, -np.inf, -0.0])
        answer = self.ctl_json("forward", *self.place(), "--input", self.save("x.npy", x))
        self.assertEqual(answer["output"]["data"], ["NaN", "Infinity", "-Infinity", -0.0])

    def test_mask_output(self):
        self.create_session("hidden,p=0.5,broadcast_axes=1")
        self.ctl("forward", *self.place(), "--input", self.save("x.npy", X), "--output",
                 self.path("y.npy"), "--mask-output", self.path("m.npy"))
        kept = self.load("m.npy")
        self.assertEqual((kept.dtype, kept.shape), (np.dtype(bool), (4, 1)))
        np.testing.assert_array_equal(self.load("y.npy"), masked(X, kept, 2.0))

    def test_pipes(self):
        self.create_session("hidden,p=0.5")
        kept, scale = self.mask()
        file = io.BytesIO()
        np.save(file, X)
        done = self.run_ctl("forward", *self.place(), "--input=-", "--output=-",
                            stdin=file.getvalue())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), masked(X, kept, scale))
        # One command's output is the next one's input.
        done = self.run_ctl("backward", *self.place(), "--gradient=-", "--output=-",
                            stdin=done.stdout)
        np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)),
                                      masked(X, kept, scale * scale))
        done = self.run_ctl("forward", *self.place(), "--input=-", "--output",
                            self.path("y.npy"), "--mask-output=-", stdin=file.getvalue())
        np.testing.assert_array_equal(np.load(io.BytesIO(done.stdout)), kept)
        self.assert_usage("--output and --mask-output", "forward", *self.place(), "--input=-",
                          "--output=-", "--mask-output=-", stdin=file.getvalue())

    def test_shapes(self):
        self.create_session("hidden,p=0.5")
        for step, shape in enumerate([(), (1,), (0,), (3, 0, 2), (2,) * 8, (7, 1, 11)]):
            with self.subTest(shape):
                x = np.ones(shape, np.float32)
                self.ctl("forward", *self.place(step=step), "--input", self.save("x.npy", x),
                         "--output", self.path("y.npy"))
                output = self.load("y.npy")
                self.assertEqual(output.shape, shape)
                self.assertLessEqual(set(output.ravel().tolist()), {0.0, 2.0})
                self.ctl("backward", *self.place(step=step), "--gradient", self.path("x.npy"),
                         "--output", self.path("dx.npy"))
                np.testing.assert_array_equal(self.load("dx.npy"), output)

    def test_fortran_order_and_big_endian(self):
        self.create_session("hidden,p=0.5")
        kept, scale = self.mask()
        for array in [np.asfortranarray(X), X.astype(">f8"), np.asfortranarray(X.astype(">f4"))]:
            self.ctl("forward", *self.place(), "--input", self.save("x.npy", array), "--output",
                     self.path("y.npy"))
            np.testing.assert_array_equal(self.load("y.npy"), masked(X, kept, scale))

    def test_sample_offset_has_the_whole_batchs_mask(self):
        self.create_session("hidden,p=0.5")
        self.ctl("forward", *self.place(), "--input", self.save("x.npy", X), "--output",
                 self.path("y.npy"))
        self.ctl("forward", *self.place(), "--input", self.save("half.npy", X[2:]),
                 "--sample-offset=2", "--output", self.path("y2.npy"))
        np.testing.assert_array_equal(self.load("y2.npy"), self.load("y.npy")[2:])
        self.ctl("backward", *self.place(), "--gradient", self.path("half.npy"),
                 "--sample-offset=2", "--output", self.path("dx2.npy"))
        np.testing.assert_array_equal(self.load("dx2.npy"), self.load("y.npy")[2:])

    def test_eval(self):
        self.create_session("hidden,p=0.5,mode=eval")
        self.save("x.npy", X)
        # A step is not needed.
        text = self.ctl("forward", self.session_id, "hidden", "--input", self.path("x.npy"),
                        "--output", self.path("y.npy"))
        self.assertIn("mode eval", text)
        np.testing.assert_array_equal(self.load("y.npy"), X)

    def test_symbolic_link_and_permissions_of_the_output_stay(self):
        self.create_session("hidden,p=0")
        target = self.save("target.npy", X)
        os.chmod(target, 0o640)
        os.symlink("target.npy", self.path("link.npy"))
        self.ctl("forward", *self.place(), "--input", self.save("x.npy", DY), "--output",
                 self.path("link.npy"))
        self.assertTrue(os.path.islink(self.path("link.npy")))
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o640)
        np.testing.assert_array_equal(np.load(target), DY)


class RefusalTest(TensorTest):

    def test_refusals(self):
        self.create_session("hidden,p=0.5", "axis,p=0.5,broadcast_axes=3",
                            "twice,p=0.5,broadcast_axes=0:-2")
        x = self.save("x.npy", X)
        forward = ["--input", x]
        backward = ["--gradient", x]
        self.ctl("forward", *self.place(), *forward, "--output", self.path("y.npy"))
        wide = ["--gradient", self.save("wide.npy", X.T)]
        for code, reason, args in [
                ("NOT_FOUND", "SESSION_NOT_FOUND", ["forward", "nobody", "hidden", *forward]),
                ("NOT_FOUND", "LAYER_NOT_FOUND", ["forward", *self.place("none"), *forward]),
                ("INVALID_ARGUMENT", "STEP_REQUIRED",
                 ["forward", self.session_id, "hidden", *forward]),
                ("INVALID_ARGUMENT", "INVALID_LAYER", ["forward", *self.place("axis"), *forward]),
                ("INVALID_ARGUMENT", "INVALID_LAYER", ["forward", *self.place("twice"), *forward]),
                ("INVALID_ARGUMENT", "INVALID_TENSOR",
                 ["forward", *self.place(), *forward, "--sample-offset=-1"]),
                ("NOT_FOUND", "STEP_NOT_FOUND", ["backward", *self.place(step=1), *backward]),
                ("INVALID_ARGUMENT", "SHAPE_MISMATCH", ["backward", *self.place(), *wide]),
                ("NOT_FOUND", "SESSION_NOT_FOUND", ["release", "nobody", "--through-step=1"]),
                ("NOT_FOUND", "LAYER_NOT_FOUND",
                 ["release", self.session_id, "--layer=none", "--through-step=1"])]:
            with self.subTest(args):
                self.assert_refused(code, reason, *args)

    def test_a_refused_call_leaves_the_output_file_as_it_was(self):
        self.create_session("hidden,p=0.5")
        x, old = self.save("x.npy", X), self.save("y.npy", DY)
        before = self.files()
        for output in [old, self.path("new.npy")]:
            self.assert_refused("INVALID_ARGUMENT", "STEP_REQUIRED", "forward", self.session_id,
                                "hidden", "--input", x, "--output", output, "--mask-output",
                                self.path("m.npy"))
        self.assertEqual(self.files(), before)
        np.testing.assert_array_equal(np.load(old), DY)

    def test_wrong_usage(self):
        self.create_session("hidden,p=0.5")
        x = self.save("x.npy", X)
        self.save("int.npy", np.arange(3))
        self.save("strings.npy", np.array(["a", "b"]))
        self.save("rank 9.npy", np.zeros((1,) * 9, np.float32))
        (self.folder / "text.npy").write_text("not an array")
        (self.folder / "empty.npy").write_bytes(b"")
        whole = (self.folder / "x.npy").read_bytes()
        (self.folder / "cut.npy").write_bytes(whole[:-1])
        (self.folder / "longer.npy").write_bytes(whole + b"\0")
        for word, name in [("<i8", "int.npy"), ("<U1", "strings.npy"), ("rank 9", "rank 9.npy"),
                           ("not a .npy file", "text.npy"), ("not a .npy file", "empty.npy"),
                           ("159", "cut.npy"), ("161", "longer.npy"), ("nowhere", "nowhere.npy"),
                           ("Is a directory", "")]:
            with self.subTest(name):
                self.assert_usage(word, "forward", *self.place(), "--input", self.path(name))
        for word, args in [("--input", []), ("--dtype", ["--input", x, "--dtype=float32"]),
                           ("--step", ["--input", x, "--step=-1"]),
                           ("cannot write", ["--input", x, "--output", self.path("no/y.npy")]),
                           ("cannot write", ["--input", x, "--output", "/dev/full"])]:
            with self.subTest(args):
                self.assert_usage(word, "forward", *self.place()[:2], "--step=0", *args)
        self.assert_usage("--step", "backward", *self.place()[:2], "--gradient", x)
        self.assert_usage("--through-step", "release", self.session_id)


class ReleaseTest(TensorTest):

    def setUp(self):
        super().setUp()
        self.create_session("a,p=0.5", "b,p=0.5")
        x = self.save("x.npy", X)
        for layer_id, steps in [("a", range(3)), ("b", range(2))]:
            for step in steps:
                self.ctl("forward", *self.place(layer_id, step), "--input", x, "--output",
                         self.path("y.npy"))

    def backward(self, layer_id, step, *options):
        return ["backward", *self.place(layer_id, step), "--gradient", self.path("x.npy"),
                "--output", self.path("dx.npy"), *options]

    def test_release(self):
        self.assertEqual(self.ctl("release", self.session_id, "--layer=a", "--through-step=0"),
                         "released 1 step\n")
        self.assert_refused("NOT_FOUND", "STEP_NOT_FOUND", *self.backward("a", 0))
        self.ctl(*self.backward("a", 1))
        self.ctl(*self.backward("b", 0))
        self.assertEqual(self.ctl_json("release", self.session_id, "--through-step=1"),
                         {"released_count": "3"})
        self.ctl(*self.backward("a", 2))
        self.assertEqual(self.ctl("release", self.session_id, f"--through-step={2**64 - 1}"),
                         "released 1 step\n")
        self.assertEqual(self.ctl("release", self.session_id, "--through-step=9"),
                         "released 0 steps\n")

    def test_backward_with_release(self):
        self.ctl(*self.backward("b", 1))
        self.ctl(*self.backward("b", 1, "--release"))
        self.assert_refused("NOT_FOUND", "STEP_NOT_FOUND", *self.backward("b", 1))


class ProgressTest(TensorTest):

    def test_large_tensors_show_progress_on_a_terminal(self):
        self.create_session("hidden,p=0.5")
        for name, size, expected in [("large.npy", 16 * MIB, True), ("small.npy", MIB, False)]:
            x = self.save(name, np.ones(size // 4, np.float32))
            for operation, option in [("forward", "--input"), ("backward", "--gradient")]:
                with self.subTest(name=name, operation=operation):
                    done, shown = run_on_terminal(
                        [os.environ["DROPOUTCTL_BIN"], f"--address={self.server.address}",
                         operation, *self.place(), option, x, "--output", self.path("out.npy")],
                        2, env=harness.clean_environment())
                    self.assertEqual(done.returncode, 0, shown)
                    if expected:
                        self.assertRegex(shown, rf"[|/\\-] {operation} of 16 MiB, \d+\.\d s")
                        # At the end the line is wiped away.
                        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))
                    else:
                        self.assertEqual(shown, "")
                    self.assertTrue(re.match(rb"wrote \S+: float32", done.stdout), done.stdout)

    def test_none_where_standard_error_is_no_terminal(self):
        self.create_session("hidden,p=0.5")
        x = self.save("x.npy", np.ones(4 * MIB, np.float32))
        # ctl() checks that standard error is empty.
        self.ctl("forward", *self.place(), "--input", x, "--output", self.path("y.npy"))
        self.assertEqual(set(np.unique(self.load("y.npy"))), {0.0, 2.0})


if __name__ == "__main__":
    unittest.main()
