"""dropoutctl mask: pictures in the terminal and as PNG, JSON, .npy."""

import os
import struct
import unittest
import zlib

import harness
import numpy as np
from cli_helpers import CliTest, run_on_terminal

# The notebook's mask: seed 1, NUMPY_LEGACY, p = 0.5, shape (4, 5).
NOTEBOOK = np.array([[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 1, 0, 1, 0], [1, 0, 1, 0, 0]], bool)
PICTURE = ".#...\n....#\n.#.#.\n#.#..\n"
BLOCKS = "┌─────┐\n│ ▀  ▄│\n│▄▀▄▀ │\n└─────┘\n"
SUMMARY = "mask [4, 5]: kept 6 of 20 (30.0 %), scale 2\n"
UTF8 = {"LC_ALL": "C.UTF-8"}


def decode_png(data):
    """The pixels of an 8-bit grayscale PNG as an array, by nothing but the format's rules."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise AssertionError("not a PNG file")
    header, compressed, position, kind = None, b"", 8, None
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8:position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(kind + body) != checksum:
            raise AssertionError(f"wrong checksum of {kind}")
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            compressed += body
        position += 12 + length
    width, height = header[:2]
    if header[2:] != (8, 0, 0, 0, 0) or kind != b"IEND":
        raise AssertionError(f"not 8-bit grayscale without interlace, or cut: {header}, {kind}")
    raw = zlib.decompress(compressed)
    if len(raw) != height * (width + 1):
        raise AssertionError(f"{len(raw)} bytes for {height} rows of {width} pixels")
    rows, above = [], [0] * width
    for row in range(height):
        above = unfilter(raw[row * (width + 1)], raw[row * (width + 1) + 1:][:width], above)
        rows.append(above)
    return np.array(rows, np.uint8)


def unfilter(kind, line, above):
    """A row's pixels from its filtered bytes and the row above (PNG specification, 9.2)."""
    pixels, left, corner = [], 0, 0
    for byte, up in zip(line, above):
        estimate = left + up - corner
        paeth = min([left, up, corner], key=lambda value: abs(estimate - value))
        left = (byte + [0, left, up, (left + up) // 2, paeth][kind]) % 256
        corner = up
        pixels.append(left)
    return pixels


class MaskTest(CliTest):

    def place(self, layer_id="hidden", step=0):
        return [self.session_id, layer_id, f"--step={step}"]

    def forward(self, x, *options):
        self.ctl("forward", *self.place(), "--input", self.save("x.npy", x), "--output",
                 self.path("y.npy"), *options)

    def notebook(self):
        """The notebook's session; its mask is known bit by bit."""
        self.create_session("hidden,p=0.5,generator=numpy_legacy", seed=1)
        self.forward(np.ones((4, 5)))


class PictureTest(MaskTest):

    def test_ascii(self):
        self.notebook()
        self.assertEqual(self.ctl("mask", *self.place(), "--ascii", env=UTF8), PICTURE + SUMMARY)
        # Also where the locale has no blocks.
        self.assertEqual(self.ctl("mask", *self.place(), env={"LC_ALL": "C"}), PICTURE + SUMMARY)

    def test_blocks(self):
        self.notebook()
        self.assertEqual(self.ctl("mask", *self.place(), env=UTF8), BLOCKS + SUMMARY)

    def test_large_masks_are_cut_to_the_terminal(self):
        self.create_session("hidden,p=0.5")
        text = self.ctl("mask", *self.place(), "--shape=1000,2000", "--ascii")
        lines = text.splitlines()
        self.assertEqual([len(line) for line in lines[:-2]], [80] * 20)
        self.assertRegex(lines[-2], r"^\(the first 20 of 1000 rows and 80 of 2000 columns;")
        self.assertRegex(lines[-1], r"^mask \[1000, 2000\]: kept \d+ of 2000000 \((49.9|50.0|50.1) %")

    def test_on_a_terminal(self):
        self.notebook()
        done, shown = run_on_terminal(
            [os.environ["DROPOUTCTL_BIN"], f"--address={self.server.address}", "mask",
             *self.place()], 1, env={**harness.clean_environment(), **UTF8})
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertEqual(shown.replace("\r\n", "\n"), BLOCKS + SUMMARY)

    def test_before_a_forward(self):
        self.create_session("hidden,p=0.3")
        asked = self.ctl("mask", *self.place(), "--shape=6,7", "--ascii").splitlines()
        self.forward(np.ones((6, 7), np.float32))
        done = self.ctl("mask", *self.place(), "--ascii").splitlines()
        self.assertEqual(asked, done)
        kept = np.array([[c == "#" for c in line] for line in done[:6]])
        np.testing.assert_array_equal(self.load("y.npy") != 0, kept)

    def test_what_has_few_elements(self):
        self.create_session("hidden,p=0")
        for shape, picture, summary in [("3", "###\n", "[3]: kept 3 of 3 (100.0 %)"),
                                        ("2,0", "(no elements)\n", "[2, 0]: kept 0 of 0 (0.0 %)")]:
            self.assertEqual(self.ctl("mask", *self.place(), f"--shape={shape}", "--ascii"),
                             f"{picture}mask {summary}, scale 1\n")


class PngTest(MaskTest):

    def png(self, *options):
        self.ctl("mask", *self.place(), "--png", self.path("m.png"), *options)
        return decode_png((self.folder / "m.png").read_bytes())

    def test_notebook(self):
        self.notebook()
        pixels = self.png()
        side = pixels.shape[1] // 5
        self.assertEqual(pixels.shape, (4 * side, 5 * side))
        self.assertGreaterEqual(pixels.shape[1], 256)  # Large enough to see.
        np.testing.assert_array_equal(pixels, np.kron(NOTEBOOK, np.ones((side, side), bool)) * 255)

    def test_large(self):
        self.create_session("hidden,p=0.3")
        pixels = self.png("--shape=3,40,300", "--output", self.path("m.npy"))
        kept = self.load("m.npy")
        self.assertEqual(kept.shape, (3, 40, 300))
        np.testing.assert_array_equal(pixels, kept.reshape(120, 300) * 255)

    def test_multipliers_are_gray(self):
        self.create_session("gaussian,p=0.3,variant=gaussian", "concrete,p=0.3,variant=concrete")
        for layer in ("gaussian", "concrete"):
            with self.subTest(layer):
                self.ctl("mask", *self.place(layer), "--shape=20,300", "--png", self.path("m.png"),
                         "--output", self.path("m.npy"))
                pixels = decode_png((self.folder / "m.png").read_bytes())
                multipliers = self.load("m.npy").astype(float)
                least, largest = multipliers.min(), multipliers.max()
                shades = 255 * (multipliers - least) / (largest - least)
                np.testing.assert_allclose(pixels, shades, rtol=0, atol=0.501)

    def test_standard_output(self):
        self.notebook()
        done = self.run_ctl("mask", *self.place(), "--png=-")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.ctl("mask", *self.place(), "--png", self.path("m.png"))
        self.assertEqual(done.stdout, (self.folder / "m.png").read_bytes())

    def test_what_cannot_be_a_picture(self):
        self.create_session("hidden,p=0.5")
        before = self.files()
        for shape in ["0,5", "20000,1", "1,20000"]:
            with self.subTest(shape):
                self.assert_usage("", "mask", *self.place(), f"--shape={shape}", "--png",
                                  self.path("m.png"))
        self.assert_usage("cannot write", "mask", *self.place(), "--shape=2", "--png",
                          self.path("no/m.png"))
        self.assertEqual(self.files(), before)


class DataTest(MaskTest):

    def test_json(self):
        self.notebook()
        self.assertEqual(self.ctl_json("mask", *self.place()), {
            "shape": [4, 5], "scale": 2, "sample_scales": [], "kept_share": 0.3,
            "kept": NOTEBOOK.astype(int).tolist()})

    def test_json_of_broadcast_axes_and_eval(self):
        self.create_session("hidden,p=0.5,broadcast_axes=1", "evaluated,p=0.5,mode=eval")
        mask = self.ctl_json("mask", *self.place(), "--shape=6,5,2")
        self.assertEqual(mask["shape"], [6, 1, 2])
        self.assertEqual(np.shape(mask["kept"]), (6, 1, 2))
        mask = self.ctl_json("mask", *self.place("evaluated"), "--shape=2,3")
        self.assertEqual((mask["scale"], mask["kept"]), (1, [[1] * 3] * 2))

    def test_npy(self):
        self.notebook()
        text = self.ctl("mask", *self.place(), "--output", self.path("m.npy"), "--ascii")
        self.assertEqual(text, PICTURE + SUMMARY)
        kept = self.load("m.npy")
        self.assertEqual(kept.dtype, np.dtype(bool))
        np.testing.assert_array_equal(kept, NOTEBOOK)
        done = self.run_ctl("mask", *self.place(), "--output=-")
        self.assertEqual(done.stdout, (self.folder / "m.npy").read_bytes())

    def test_sample_offset(self):
        self.create_session("hidden,p=0.5")
        whole = self.ctl_json("mask", *self.place(), "--shape=64,9")["kept"]
        part = self.ctl_json("mask", *self.place(), "--shape=32,9", "--sample-offset=32")["kept"]
        self.assertEqual(part, whole[32:])

    def test_refusals_and_wrong_usage(self):
        self.create_session("hidden,p=0.5", "legacy,p=0.5,generator=numpy_legacy")
        for code, reason, args in [
                ("NOT_FOUND", "STEP_NOT_FOUND", self.place()),
                ("NOT_FOUND", "STEP_NOT_FOUND", [*self.place("legacy"), "--shape=4,5"]),
                ("NOT_FOUND", "LAYER_NOT_FOUND", [*self.place("none"), "--shape=4"]),
                ("NOT_FOUND", "SESSION_NOT_FOUND", ["nobody", "hidden", "--step=0", "--shape=4"]),
                ("INVALID_ARGUMENT", "INVALID_TENSOR", [*self.place(), "--shape=4,-1"]),
                ("RESOURCE_EXHAUSTED", "QUOTA_MESSAGE_BYTES",
                 [*self.place(), "--shape=1099511627776"])]:
            with self.subTest(args):
                self.assert_refused(code, reason, "mask", *args, "--png", self.path("m.png"))
        self.assertEqual(self.files(), [])
        self.assert_usage("--step", "mask", self.session_id, "hidden")
        self.assert_usage("--shape", "mask", *self.place(), "--shape=4x5")
        self.assert_usage("--output and --png", "mask", *self.place(), "--shape=2", "--png=-",
                          "--output=-")


if __name__ == "__main__":
    unittest.main()
