"""The blocking client against a real server: what its user sees."""

import pickle
import re
import subprocess
import sys
import unittest

import grpc
import numpy as np

import support
import dropout_client
from dropout_client import (Client, Concrete, CurriculumSchedule, DataType, Dropout, DropoutError,
                            Gaussian, Generator, InternalError, InvalidSessionError, LayerConfig,
                            Mode, NotFoundError, Scaling, SessionExistsError, SessionNotFoundError,
                            Spatial, StepNotFoundError, Tensor)
from dropout_client.errors import make_error
from fake_service import FakeService, session


class ServerTest(unittest.TestCase):
    """A server, a client and a session with the layer `hidden`."""

    @classmethod
    def setUpClass(cls):
        cls.server = support.harness.Server()
        cls.enterClassContext(cls.server)
        cls.client = cls.enterClassContext(Client(cls.server.address))

    def setUp(self):
        self.session = self.client.create_session(seed=1)
        self.addCleanup(self.session.delete)
        self.hidden = self.session.create_layer("hidden", p=0.5)


class TensorsTest(ServerTest):

    def test_freed_memory_can_be_kept(self):
        done = subprocess.run(
            [sys.executable, "-c", "import resource, dropout_client\n"
             "assert dropout_client.keep_freed_memory()\n"
             "bytes(16 << 20)\n"
             "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
             "for _ in range(10): bytes(16 << 20)\n"
             "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"],
            check=True, capture_output=True, text=True)
        self.assertLess(int(done.stdout), 10_000)  # Of 40,960 pages.

    def test_every_type(self):
        for dtype in (np.float16, np.float32, np.float64):
            x = np.arange(1, 25, dtype=dtype).reshape(4, 6)
            forward = self.hidden.forward(x, step=0, return_mask=True)
            kept = forward.mask.kept()
            self.assertEqual(forward.output.dtype, dtype)
            np.testing.assert_array_equal(forward.output, np.where(kept, 2 * x, 0))
            backward = self.hidden.backward(x, step=0)
            np.testing.assert_array_equal(backward.input_gradient, np.where(kept, 2 * x, 0))

    def test_bfloat16_as_bits(self):
        x = Tensor(DataType.BFLOAT16, (8,), np.full(8, 0x3F80, np.uint16))
        output = self.hidden.forward(x, step=0).output
        self.assertIsInstance(output, Tensor)
        self.assertLessEqual(set(output.numpy().tolist()), {0, 0x4000})

    def test_answers_are_views_and_out_is_written(self):
        x = np.ones((4, 6), np.float32)
        output = self.hidden.forward(x, step=0).output
        self.assertFalse(output.flags.writeable)
        for out in (np.empty((4, 6), np.float32), np.empty((6, 4), np.float32).T,
                    np.empty((8, 6), np.float32)[::2]):
            result = self.hidden.forward(x, step=0, out=out)
            self.assertIs(result.output, out)
            np.testing.assert_array_equal(out, output)
        self.assertIs(self.hidden.forward(x, step=0, out=x).output, x)
        np.testing.assert_array_equal(x, output)

    def test_out_that_does_not_fit(self):
        x = np.ones((4, 6), np.float32)
        read_only = np.empty((4, 6), np.float32)
        read_only.flags.writeable = False
        for out in (np.empty((4, 6), np.float64), np.empty((4, 5), np.float32), read_only):
            self.assertRaises(ValueError, self.hidden.forward, x, step=0, out=out)

    def test_whatever_numpy_makes_an_array_of(self):
        for x in ([[1.0, 2.0], [3.0, 4.0]], 3.0, np.ones((0, 3)), np.ones((5, 4), order="F")):
            output = self.hidden.forward(x, step=0).output
            self.assertEqual(output.shape, np.shape(x))

    def test_larger_than_grpcs_default_limit(self):
        x = np.ones((1024, 4096), np.float32)
        self.assertEqual(set(np.unique(self.hidden.forward(x, step=0).output)), {0.0, 2.0})

    def test_masks(self):
        x = np.ones((3, 5), np.float32)
        mask = self.hidden.mask(step=7, shape=x.shape)
        self.assertEqual((mask.shape, mask.scale, mask.scales()), ((3, 5), 2.0, 2.0))
        np.testing.assert_array_equal(self.hidden.forward(x, step=7).output, mask.kept() * 2)

    def test_rows_of_a_batch(self):
        x = np.ones((8, 5), np.float32)
        whole = self.hidden.forward(x, step=0).output
        part = self.hidden.forward(x[3:], step=0, sample_offset=3).output
        np.testing.assert_array_equal(part, whole[3:])


class SessionsTest(ServerTest):

    def test_leaving_with_deletes_what_was_created(self):
        with self.client.create_session("mine", seed=3) as created:
            with self.client.session("mine") as attached:
                self.assertEqual(attached.seed, 3)
            self.assertEqual(created.info().seed, 3)
        self.assertRaises(SessionNotFoundError, created.info)

    def test_an_error_inside_with_is_the_one_seen(self):
        with self.assertRaises(ZeroDivisionError):
            with self.client.create_session() as created:
                created.delete()
                raise ZeroDivisionError

    def test_sharing_by_name(self):
        with self.client.create_session("shared", seed=3):
            self.assertEqual(self.client.create_session("shared", seed=3).seed, 3)
            self.assertRaises(SessionExistsError, self.client.create_session, "shared", seed=4)

    def test_copies(self):
        with self.client.create_session(seed=5) as session:
            layer = session.create_layer("l", p=0.5)
            x = np.ones((4, 8), np.float32)
            y = layer.forward(x, step=1).output
            snapshot = session.export()
            copies = [self.client.import_session(snapshot), session.fork(),
                      self.client.import_session(snapshot, "imported"), session.fork("forked")]
        self.assertEqual([copy.session_id for copy in copies[2:]], ["imported", "forked"])
        for copy in copies:
            np.testing.assert_array_equal(copy.layer("l").backward(x, step=1).input_gradient, y)
            copy.delete()
        with self.assertRaises(InvalidSessionError):
            self.client.import_session(snapshot[:-1])

    def test_listing_goes_through_the_pages(self):
        created = [self.client.create_session(f"list-{i}") for i in range(5)]
        found = [info.session_id for info in self.client.sessions(page_size=2)]
        self.assertLessEqual({one.session_id for one in created}, set(found))
        self.assertEqual(found, sorted(set(found)))
        for one in created:
            self.client.delete_session(one.session_id)

    def test_layers(self):
        config = LayerConfig("other", 0.25, Dropout(broadcast_axes=(1,)), mode=Mode.EVAL,
                             generator=Generator.PHILOX, scaling=Scaling.NONE)
        other = self.session.add_layer(config)
        stored = self.session.info().layers
        self.assertEqual([layer.layer_id for layer in stored], ["hidden", "other"])
        self.assertEqual((stored[1].p, stored[1].variant, stored[1].mode, stored[1].scaling),
                         (0.25, config.variant, Mode.EVAL, Scaling.NONE))
        updated = self.session.update_layer(LayerConfig("other", 0.125))
        self.assertEqual((updated.revision, updated.p), (2, 0.125))
        other.delete()
        self.assertEqual(len(self.session.info().layers), 1)

    def test_a_layer_needs_p_or_a_schedule(self):
        for make in (lambda: self.session.create_layer("new"),
                     lambda: self.session.create_layer("new", variant=Gaussian()),
                     lambda: LayerConfig("new"), lambda: LayerConfig("new", None, Spatial())):
            self.assertRaisesRegex(ValueError, "p: not given for layer 'new'", make)
        self.session.create_layer("zero", p=0.0)
        self.assertEqual(LayerConfig("learns", variant=Concrete()).p, 0.1)
        self.session.create_layer("learns", variant=Concrete())
        self.session.create_layer("scheduled", schedule=CurriculumSchedule(0.5, 0.01))
        # What a server sent has its p.
        for config in self.session.info().layers:
            self.session.update_layer(config)

    def test_modes(self):
        x = np.ones(16, np.float32)
        self.session.eval()
        np.testing.assert_array_equal(self.hidden.forward(x).output, x)
        self.hidden.train()
        self.assertIn(0.0, self.hidden.forward(x, step=0).output)
        self.hidden.eval()
        self.session.train()
        self.assertEqual(self.hidden.forward(x, step=1).mode, Mode.TRAIN)

    def test_steps(self):
        x = np.ones(4, np.float32)
        for step in range(3):
            self.hidden.forward(x, step=step)
        self.assertEqual(self.hidden.release_steps(1), 2)
        self.assertRaises(StepNotFoundError, self.hidden.backward, x, step=1)
        self.hidden.backward(x, step=2, release=True)
        self.assertRaises(StepNotFoundError, self.hidden.backward, x, step=2)

    def test_server_info(self):
        info = self.client.server_info()
        self.assertIn("dropout", info.variants)
        self.assertEqual(info.limits["max_message_bytes"], 64 << 20)

    def test_wrong_arguments(self):
        self.assertRaises(TypeError, self.hidden.forward, [1, 2], step=0)
        self.assertRaises(TypeError, self.session.create_layer, "x", 0.5, "dropout")
        self.assertRaises(ValueError, Client, "")


class ErrorsTest(unittest.TestCase):

    def reasons(self):
        """(code, reason) of every row of the contract's table."""
        path = support.TESTS.parent / "proto" / "dropout" / "v1" / "dropout_service.proto"
        table = re.search(r"//   code +reason\n(.*?)//\n", path.read_text(), re.DOTALL)[1]
        code = None
        for line in table.splitlines():
            line = line.removeprefix("//")
            if line.startswith("   ") and line[3] != " ":
                code, _, line = line.strip().partition(" ")
            for reason in re.findall(r"[A-Z_]+", line.split("(")[0]):
                yield code, reason

    def test_every_reason_of_the_contract_has_a_class(self):
        found = list(self.reasons())
        self.assertGreater(len(found), 20)
        for code, reason in found:
            error = make_error(grpc.StatusCode[code], reason, "text")
            self.assertEqual((error.code.name, error.reason), (code, reason))
            if reason != "INTERNAL":
                self.assertEqual(type(error).reason, reason)
                self.assertIs(getattr(dropout_client, type(error).__name__), type(error))
            self.assertEqual(str(error), f"{reason}: text")

    def test_what_this_version_does_not_know(self):
        error = make_error(grpc.StatusCode.NOT_FOUND, "LATER_REASON", "text")
        self.assertIs(type(error), NotFoundError)
        self.assertEqual(error.reason, "LATER_REASON")
        self.assertIs(type(make_error(grpc.StatusCode.OUT_OF_RANGE, "", "")), DropoutError)

    def test_errors_cross_processes(self):
        error = pickle.loads(pickle.dumps(make_error(
            grpc.StatusCode.NOT_FOUND, "STEP_NOT_FOUND", "text")))
        self.assertIs(type(error), StepNotFoundError)
        self.assertEqual(error.message, "text")

    def test_answers_that_cannot_be_read(self):
        service = FakeService(GetSession=[session()], Forward=[b"\xff", b""],
                              GetMask=[b"\x0a\xff"])
        with service.serving() as address, Client(address) as client:
            layer = client.session("s").layer("l")
            self.assertRaises(InternalError, layer.forward, [1.0], step=0)
            self.assertRaises(InternalError, layer.forward, [1.0], step=0)
            self.assertRaises(InternalError, layer.mask, step=0)


if __name__ == "__main__":
    unittest.main()
