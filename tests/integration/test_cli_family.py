"""The whole family through dropoutctl, command by command, against a real server."""

import json
import pathlib
import tempfile
import unittest

import harness
import numpy as np

# Each variant with every option it has, and what the server makes of it, as --json shows it.
LAYERS = [
    ("dropout", ["--p", "0.3", "--broadcast-axes", "1"], {"broadcast_axes": [1]}),
    ("gaussian", ["--p", "0.3", "--broadcast-axes", "-1"], {"broadcast_axes": [-1]}),
    ("alpha", ["--p", "0.3"], {}),
    ("feature_alpha", ["--p", "0.3", "--channel-axis", "-1"], {"channel_axis": -1}),
    ("spatial", ["--p", "0.3"], {"channel_axis": 1}),
    ("drop_block", ["--p", "0.3", "--block-size", "3,2", "--channel-axis", "1", "--gamma", "paper",
                    "--normalization", "batch", "--share-channels", "true"],
     {"block_size": ["3", "2"], "channel_axis": 1, "gamma": "paper", "normalization": "batch",
      "share_channels": True}),
    ("concrete", ["--p", "0.3", "--temperature", "0.5", "--weight-regularizer", "0.25",
                  "--dropout-regularizer", "0.125", "--spatial", "true"],
     {"temperature": 0.5, "weight_regularizer": 0.25, "dropout_regularizer": 0.125,
      "spatial": True}),
    ("drop_connect", ["--p", "0.3", "--in-features", "6", "--out-features", "5", "--bias", "true",
                      "--mask-scope", "batch", "--target", "linear"],
     {"in_features": "6", "out_features": "5", "bias": True, "mask_scope": "batch",
      "target": "linear"}),
    ("variational", ["--p", "0.3", "--time-axis", "1"], {"time_axis": 1}),
    ("recurrent", ["--p", "0.3", "--mask-scope", "step"], {"mask_scope": "step"}),
    ("stochastic_depth", ["--p", "0.3", "--depth-mode", "batch", "--depth-index", "2",
                          "--depth-count", "12"],
     {"mode": "batch", "depth_index": "2", "depth_count": "12"}),
]
SCHEDULES = [
    ("linear:0:0.5:0:1000", {"linear": {"start_p": 0.0, "end_p": 0.5, "start_step": "0",
                                        "end_step": "1000"}}),
    ("cosine:0.5:0:10:20", {"cosine": {"start_p": 0.5, "end_p": 0.0, "start_step": "10",
                                       "end_step": "20"}}),
    ("curriculum:0.5:0.01", {"curriculum": {"end_p": 0.5, "gamma": 0.01}}),
    ("piecewise:0.1:100:0.2", {"piecewise": {"boundaries": ["100"], "values": [0.1, 0.2]}}),
]


class CliFamilyTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server())
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def ctl(self, *args, check=True):
        return harness.ctl(f"--address={self.server.address}", *args, check=check)

    def json(self, *args):
        return json.loads(self.ctl("--json", *args).stdout)

    def session(self, *args):
        session = self.json("session", "create", "--seed", "3", *args)["session_id"]
        self.addCleanup(self.ctl, "session", "delete", session)
        return session

    def file(self, name, array=None):
        """A path in the folder, with the array in it if there is one."""
        path = self.folder / f"{self.id().rsplit('.', 1)[-1]}-{name}.npy"
        if array is not None:
            np.save(path, array)
        return str(path)

    def test_every_variant_is_made_shown_and_updated(self):
        session = self.session()
        for variant, options, fields in LAYERS:
            with self.subTest(variant=variant):
                made = self.json("layer", "create", session, variant, "--variant", variant,
                                 *options)
                self.assertEqual(made["variant"], variant)
                self.assertEqual(made[variant], fields)
                self.assertEqual(made["p"], 0.3)
                self.assertEqual(self.json("layer", "get", session, variant), made)
                updated = self.json("layer", "update", session, variant, "--p", "0.25")
                self.assertEqual(updated, {**made, "p": 0.25, "revision": "2"})
                table = self.ctl("layer", "get", session, variant).stdout.decode()
                self.assertIn(variant, table)
                for name in fields:
                    self.assertIn("depth_mode" if name == "mode" else name, table)

    def test_every_variant_in_session_create(self):
        layers = [f"{name},variant={name}," + ",".join(
            f"{key[2:].replace('-', '_')}={value.replace(',', ':')}"
            for key, value in zip(options[::2], options[1::2])) for name, options, _ in LAYERS]
        session = self.session(*[word for layer in layers for word in ("--layer", layer)])
        shown = {layer["layer_id"]: layer for layer in self.json("session", "get", session)["layers"]}
        for name, _, fields in LAYERS:
            self.assertEqual(shown[name][name], fields)

    def test_schedules_are_made_shown_applied_and_removed(self):
        session = self.session()
        x = self.file("x", np.ones((4, 8), np.float32))
        for i, (text, shown) in enumerate(SCHEDULES):
            made = self.json("layer", "create", session, f"l{i}", "--schedule", text)
            self.assertEqual(made["schedule"], shown)
            self.assertIn(text, self.ctl("layer", "get", session, f"l{i}").stdout.decode())
        p = self.json("forward", session, "l0", "--input", x, "--step", "500")["p"]
        self.assertAlmostEqual(p, 0.25)
        # It had no p of its own: that is said.
        done = self.ctl("--json", "layer", "update", session, "l0", "--schedule", "none")
        self.assertNotIn("schedule", json.loads(done.stdout))
        self.assertIn("l0 has no schedule now and p 0", done.stderr.decode())
        done = self.ctl("layer", "update", session, "l1", "--schedule", "none", "--p", "0.5")
        self.assertEqual(done.stderr, b"")

    def test_bad_options(self):
        session = self.session()
        for args, status, words in [
                (["--variant", "spatial", "--block-size", "7"], 2, "block_size is not an option"),
                (["--variant", "drop_block", "--block-size", "x"], 2, "block_size"),
                (["--p", "0.5", "--variant", "drop_block", "--block-size", "0"], 1, "drop_block.block_size"),
                (["--p", "0.5", "--variant", "drop_connect"], 1, "drop_connect.in_features"),
                (["--p", "0.5", "--variant", "concrete", "--temperature", "0"], 1,
                 "concrete.temperature"),
                (["--schedule", "linear:0:2:0:10"], 1, "end_p")]:
            done = self.ctl("layer", "create", session, "bad", *args, check=False)
            self.assertEqual(done.returncode, status, args)
            self.assertIn(words, done.stderr.decode())

    def test_a_new_layer_needs_p_or_a_schedule(self):
        session = self.session()
        for name, options, _ in LAYERS:
            given = options[2:]  # All but --p.
            if name == "concrete":  # It learns p.
                continue
            done = self.ctl("layer", "create", session, name, "--variant", name, *given, check=False)
            self.assertEqual(done.returncode, 2, name)
            self.assertIn("p: not given", done.stderr.decode())
            self.assertIn("--p P", done.stderr.decode())
            done = self.ctl("session", "create", "--layer", f"{name},variant={name}", check=False)
            self.assertEqual(done.returncode, 2, name)
            self.assertIn(f"{name},p=0.5", done.stderr.decode())
        self.assertEqual(self.json("layer", "list", session), {"layers": []})
        self.assertEqual(self.json("layer", "create", session, "zero", "--p", "0")["p"], 0)
        self.assertEqual(
            self.json("layer", "create", session, "learns", "--variant", "concrete")["p"], 0.1)
        self.json("layer", "create", session, "scheduled", "--schedule", "curriculum:0.5:0.01")

    def test_sequences(self):
        session = self.session("--layer", "v,p=0.5,variant=variational")
        x = self.file("x", np.ones((4, 16)))
        masks = []
        for step, sequence in [("0", "7"), ("1", "7"), ("2", "8")]:
            y, mask, dx = self.file(f"y{step}"), self.file(f"m{step}"), self.file(f"dx{step}")
            at = ["--step", step, "--sequence", sequence]
            self.ctl("forward", session, "v", "--input", x, "--output", y, *at)
            self.ctl("mask", session, "v", "--output", mask, *at)
            self.ctl("backward", session, "v", "--gradient", x, "--output", dx, *at)
            masks.append(np.load(mask))
            np.testing.assert_array_equal(np.load(y), np.where(masks[-1], 2.0, 0.0))
            np.testing.assert_array_equal(np.load(dx), np.load(y))
        self.assertTrue((masks[0] == masks[1]).all())
        self.assertFalse((masks[0] == masks[2]).all())
        done = self.ctl("forward", session, "v", "--input", x, "--step", "3", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("SEQUENCE_REQUIRED", done.stderr.decode())

    def test_drop_connects_parameters_and_their_gradients(self):
        session = self.session("--layer", "c,p=0.5,variant=drop_connect,in_features=6,"
                               "out_features=5,mask_scope=batch")
        random = np.random.default_rng(1)
        w, b, x, dy = (random.standard_normal(shape) for shape in ((5, 6), (5,), (4, 6), (4, 5)))
        x_file, at = self.file("x", x), ["--step", "0"]
        done = self.ctl("forward", session, "c", "--input", x_file, *at, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("PARAMETERS_REQUIRED", done.stderr.decode())
        self.ctl("parameters", "set", session, "c", f"weight={self.file('w', w)}",
                 f"bias={self.file('b', b)}")
        self.ctl("parameters", "get", session, "c", "weight", "--output", self.file("got"))
        np.testing.assert_array_equal(np.load(self.file("got")), w)
        self.ctl("forward", session, "c", "--input", x_file, "--output", self.file("y"),
                 "--mask-output", self.file("mask"), *at)
        masked = np.where(np.load(self.file("mask"))[0], 2 * w, 0)
        np.testing.assert_allclose(np.load(self.file("y")), x @ masked.T + b, rtol=1e-12)
        shown = self.json("backward", session, "c", "--gradient", self.file("dy", dy), *at,
                          "--output", self.file("dx"), "--gradient-output",
                          f"weight={self.file('dw')}")
        np.testing.assert_allclose(np.load(self.file("dx")), dy @ masked, rtol=1e-12)
        np.testing.assert_allclose(np.load(self.file("dw")),
                                   np.where(masked != 0, 2 * dy.T @ x, 0), rtol=1e-12)
        by_name = {each["name"]: each["value"] for each in shown["parameter_gradients"]}
        self.assertEqual(by_name["weight"]["file"], self.file("dw"))
        np.testing.assert_allclose(by_name["bias"]["data"], dy.sum(0), rtol=1e-12)
        done = self.ctl("backward", session, "c", "--gradient", self.file("dy"), *at,
                        "--gradient-output", f"other={self.file('other')}", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertFalse(pathlib.Path(self.file("other")).exists())

    def test_concretes_gradients(self):
        session = self.session("--layer", "c,p=0.3,variant=concrete,weight_regularizer=0.01")
        x = self.file("x", np.ones((4, 6)))
        self.ctl("forward", session, "c", "--input", x, "--step", "0")
        printed = self.ctl("backward", session, "c", "--gradient", x, "--step", "0",
                           "--weight-squared-norm", "7.5", "--output", self.file("dx"),
                           "--gradient-output", f"logit_p_regularizer={self.file('r')}")
        self.assertIn("gradient of logit_p:", printed.stdout.decode())
        p, q = 0.3, 0.7
        np.testing.assert_allclose(np.load(self.file("r")), p * q * 0.01 * 7.5 / q**2, rtol=1e-9)
        shown = self.json("parameters", "get", session, "c")["parameters"]
        self.assertEqual([each["name"] for each in shown], ["logit_p"])
        self.assertAlmostEqual(shown[0]["value"]["data"], np.log(p / q))


class DemoTest(unittest.TestCase):
    """demo --variant: the panels have the structure that they claim."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server())
        cls.scenes = {}
        for name, _, _ in LAYERS:
            printed = harness.ctl(f"--address={cls.server.address}", "--json", "demo", "--variant",
                                  name).stdout
            cls.scenes[name] = json.loads(printed)

    def panels(self, name):
        return [np.array(panel["multipliers"]) for panel in self.scenes[name]["panels"]]

    def test_each_is_drawn_in_the_terminal(self):
        for name, scene in self.scenes.items():
            text = harness.ctl(f"--address={self.server.address}", "demo", "--variant", name,
                               "--ascii").stdout.decode()
            self.assertTrue(text.startswith(f"{name}: {scene['formula']}\n{scene['look']}\n\n"))
            drawn = [line for line in text.splitlines() if line and not set(line) - set("  .:+*#")]
            self.assertGreaterEqual(len(drawn), 4, name)
            for panel in scene["panels"]:
                self.assertIn(panel["title"], text)
            for fact in scene["facts"]:
                self.assertIn(fact["what"], text)

    def test_element_structures(self):
        plain, shared = self.panels("dropout")
        self.assertEqual(set(plain.ravel()), {0.0, 2.0})
        self.assertTrue((shared == shared[0]).all() and 0 < (shared[0] > 0).sum() < shared.shape[1])
        self.assertGreater(len(np.unique(self.panels("gaussian")[0])), 100)

    def test_whole_channels(self):
        for name in ("spatial", "feature_alpha"):
            kept = [panel for panel in self.panels(name)]
            self.assertTrue(all((panel == panel[0, 0]).all() for panel in kept))
            self.assertEqual(len({panel[0, 0] != 0 for panel in kept}), 2, name)

    def test_blocks(self):
        for panel in self.panels("drop_block"):
            dropped = np.pad(panel == 0, 1)
            for i, j in np.argwhere(dropped):  # Each dropped place lies in a whole 5 x 5 block.
                self.assertTrue(any(dropped[a:a + 5, b:b + 5].all() and
                                    dropped[a:a + 5, b:b + 5].shape == (5, 5)
                                    for a in range(max(i - 4, 0), i + 1)
                                    for b in range(max(j - 4, 0), j + 1)))

    def test_shades(self):
        hard, soft = self.panels("concrete")
        between = [((panel > 0.1) & (panel < 1.3)).mean() for panel in (hard, soft)]
        self.assertLess(between[0], between[1])

    def test_weights(self):
        panels = self.panels("drop_connect")
        self.assertEqual([panel.shape for panel in panels], [(6, 12)] * 4)
        self.assertFalse((panels[0] == panels[1]).all())

    def test_constant_over_time(self):
        first, second, third, other = self.panels("variational")
        self.assertTrue((first == second).all() and (first == third).all())
        self.assertFalse((first == other).all())
        kept, same, step0, step1 = self.panels("recurrent")
        self.assertTrue((kept == same).all())
        self.assertFalse((step0 == step1).all())

    def test_deeper_blocks_are_skipped_more(self):
        for panel in self.panels("stochastic_depth"):
            self.assertEqual(panel.shape, (12, 16))
            self.assertGreater(panel[:4].mean(), panel[-4:].mean())


if __name__ == "__main__":
    unittest.main()
