"""What the contract promises of steps, modes, masks and sessions, case by case over the wire."""

import concurrent.futures
import hashlib
import itertools
import random
import statistics
import threading
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import (BFLOAT16, EVAL, FLOAT16, FLOAT32, FLOAT64, STORAGE, TRAIN, Client,
                            bfloat16_bits, bfloat16_values, dropout_layer, kept_elements, masked,
                            pb, random_elements, reason_of, scaled, to_array, to_tensor)
from google.protobuf.duration_pb2 import Duration

NUMPY_LEGACY = pb.GENERATOR_NUMPY_LEGACY
EXPIRY_SECONDS = 120
MIB = 1 << 20

X = np.arange(1, 21, dtype=np.float32).reshape(4, 5)
DY = np.arange(20, 0, -1, dtype=np.float32).reshape(4, 5) / 8


class WireTest(unittest.TestCase):
    """One server for a class's tests; each test has a session of its own, self.session_id."""
    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server(*cls.flags))
        cls.client = cls.enterClassContext(Client(cls.server.address))

    def setUp(self):
        self.session_id = self._testMethodName
        self.create_session()

    def create_session(self, seed=11, **fields):
        session = self.client.create_session(self.session_id, seed=seed, **fields)
        self.addCleanup(self.delete_session)
        return session

    def delete_session(self):
        try:
            self.client.delete_session(self.session_id)
        except grpc.RpcError as error:
            self.assertEqual(reason_of(error), "SESSION_NOT_FOUND")

    def create_layer(self, layer_id="drop", *args, **fields):
        return self.client.create_layer(self.session_id, dropout_layer(layer_id, *args, **fields))

    def update_layer(self, layer_id="drop", *args, **fields):
        return self.client.update_layer(self.session_id, dropout_layer(layer_id, *args, **fields))

    def set_mode(self, mode, layer_ids=()):
        return self.client.set_mode(self.session_id, mode, layer_ids)

    def forward(self, x, step=None, layer_id="drop", **fields):
        return self.client.forward(self.session_id, layer_id, x, step, **fields)

    def output(self, x, step=None, layer_id="drop", **fields):
        return to_array(self.forward(x, step, layer_id, **fields).output)

    def backward(self, dy, step=None, layer_id="drop", **fields):
        return self.client.backward(self.session_id, layer_id, dy, step, **fields)

    def kept(self, step, shape=(), layer_id="drop", **fields):
        return kept_elements(self.client.get_mask(self.session_id, layer_id, step, shape, **fields))

    def assert_bytes(self, actual, expected):
        """The same type, shape and bits: also of zeros' signs and of NaN."""
        self.assertEqual((actual.dtype, actual.shape), (expected.dtype, expected.shape))
        self.assertEqual(actual.tobytes(), expected.tobytes())

    def assert_reason(self, reason, call, *args, **fields):
        with self.assertRaises(grpc.RpcError) as raised:
            call(*args, **fields)
        self.assertEqual(reason_of(raised.exception), reason, raised.exception.details())


class StepTest(WireTest):
    """Backward obeys the step's record, whatever happened since."""

    def test_old_step_keeps_its_mode_p_and_options(self):
        self.create_layer("drop", 0.5)
        kept = kept_elements(self.forward(X, 1, return_mask=True).mask)
        self.assertTrue(kept.any() and not kept.all())

        self.set_mode(EVAL)
        self.update_layer("drop", 0.75, [0], mode=EVAL, scaling=pb.SCALING_EVAL)

        self.assert_bytes(self.backward(DY, 1), masked(DY, kept, 2.0))
        mask = self.client.get_mask(self.session_id, "drop", 1)
        self.assertEqual(mask.scale, 2.0)
        np.testing.assert_array_equal(kept_elements(mask), kept)

    def test_new_step_uses_the_new_revision(self):
        self.create_layer("drop", 0.5)
        self.forward(X, 1)
        self.update_layer("drop", 0.75)
        answer = self.forward(X, 2, return_mask=True)
        self.assertEqual((answer.p, answer.mask.scale), (0.75, 4.0))
        self.assert_bytes(self.backward(DY, 2), masked(DY, kept_elements(answer.mask), 4.0))

    def test_eval_forward_leaves_a_train_record_alone(self):
        self.create_layer()
        kept = kept_elements(self.forward(X, 1, return_mask=True).mask)
        self.set_mode(EVAL)
        evaluated = self.forward(X, 1, return_mask=True)
        self.assertEqual(evaluated.mode, EVAL)
        self.assert_bytes(to_array(evaluated.output), X)
        self.assertTrue(kept_elements(evaluated.mask).all())
        self.forward(X[:2], 1)  # Also with another shape.
        self.assert_bytes(self.backward(DY, 1), masked(DY, kept, 2.0))

    def test_eval_forward_with_a_new_step_is_recorded(self):
        self.create_layer(mode=EVAL)
        self.assert_bytes(self.output(X, 1), X)
        self.set_mode(TRAIN)
        self.assert_bytes(self.backward(DY, 1), DY)
        self.assertTrue(self.kept(1).all())
        self.assert_reason("SHAPE_MISMATCH", self.backward, DY.reshape(5, 4), 1)

    def test_eval_forward_without_step_is_not_recorded(self):
        self.create_layer(mode=EVAL)
        self.assert_bytes(self.output(X), X)
        self.assertEqual(self.client.release_steps(self.session_id, "", 2**64 - 1), 0)

    def test_train_forward_replaces_an_eval_record(self):
        self.create_layer(mode=EVAL)
        self.forward(X, 1)
        self.set_mode(TRAIN)
        output = self.output(X, 1)
        self.assertTrue((output == 0).any())
        self.assert_bytes(self.backward(X, 1), output)

    def test_eval_backward_of_an_unknown_step_passes_through(self):
        self.create_layer(mode=EVAL)
        self.assert_bytes(self.backward(DY, 7), DY)
        self.assert_bytes(self.backward(DY), DY)

    def test_p_0_in_train_passes_through_and_is_recorded(self):
        self.create_layer("drop", 0.0)
        answer = self.forward(X, 1, return_mask=True)
        self.assertEqual((answer.mode, answer.p, answer.mask.scale), (TRAIN, 0.0, 1.0))
        self.assert_bytes(to_array(answer.output), X)
        self.assertTrue(kept_elements(answer.mask).all())
        self.update_layer("drop", 0.5)
        self.assert_bytes(self.backward(DY, 1), DY)

    def test_p_0_leaves_a_train_record_alone(self):
        self.create_layer("drop", 0.5)
        output = self.output(X, 1)
        self.update_layer("drop", 0.0)
        self.assert_bytes(self.output(X, 1), X)
        self.assert_bytes(self.backward(X, 1), output)

    def test_last_forward_wins(self):
        self.create_layer("drop", 0.5)
        self.forward(X, 1)
        self.update_layer("drop", 0.25)
        wide = np.ones((3, 7), np.float32)
        output = self.output(wide, 1)
        self.assert_bytes(self.backward(wide, 1), output)
        self.assertEqual(output.max(), np.float32(1 / 0.75))
        self.assert_reason("SHAPE_MISMATCH", self.backward, DY, 1)

    def test_offsets_are_steps_of_their_own(self):
        self.create_layer("drop", 0.5)
        first = self.output(X, 1)
        self.update_layer("drop", 0.75)
        second = self.output(X, 1, sample_offset=4)
        self.assert_bytes(self.backward(X, 1), first)
        self.assert_bytes(self.backward(X, 1, sample_offset=4), second)
        self.assert_reason("STEP_NOT_FOUND", self.backward, X, 1, sample_offset=3)

    def test_retries_return_the_same_bytes(self):
        self.create_layer()
        first = self.forward(X, 1, return_mask=True)
        gradient = self.backward(DY, 1)
        for _ in range(3):
            self.assertEqual(self.forward(X, 1, return_mask=True), first)
            self.assert_bytes(self.backward(DY, 1), gradient)

    def test_gradients_type_may_differ(self):
        self.create_layer()
        kept = kept_elements(self.forward(X, 1, return_mask=True).mask)
        for dtype in STORAGE:
            dy = random_elements(np.random.default_rng(3), X.shape, dtype)
            self.assert_bytes(self.backward(dy, 1), masked(dy, kept, 2.0))


class ReleaseTest(WireTest):

    def setUp(self):
        super().setUp()
        for layer_id in ["a", "b"]:
            self.create_layer(layer_id)
            for step, offset in itertools.product([0, 1, 2, 2**64 - 1], [0, 4]):
                self.forward(X, step, layer_id, sample_offset=offset)

    def steps(self, layer_id):
        """The (step, offset) that have a record."""
        def recorded(step, offset):
            try:
                self.backward(DY, step, layer_id, sample_offset=offset)
            except grpc.RpcError as error:
                self.assertEqual(reason_of(error), "STEP_NOT_FOUND")
                return False
            return True

        return {at for at in itertools.product([0, 1, 2, 2**64 - 1], [0, 4]) if recorded(*at)}

    def test_backward_with_release(self):
        gradient = self.backward(DY, 1, "a")
        self.assert_bytes(self.backward(DY, 1, "a", release=True), gradient)
        self.assert_reason("STEP_NOT_FOUND", self.backward, DY, 1, "a")
        self.assertEqual(len(self.steps("a")), 7)
        self.assertEqual(len(self.steps("b")), 8)
        self.assert_bytes(self.output(DY, 1, "a"), gradient)

    def test_through_step_of_one_layer(self):
        self.assertEqual(self.client.release_steps(self.session_id, "a", 1), 4)
        self.assertEqual(self.steps("a"), {(2, 0), (2, 4), (2**64 - 1, 0), (2**64 - 1, 4)})
        self.assertEqual(len(self.steps("b")), 8)
        self.assertEqual(self.client.release_steps(self.session_id, "a", 1), 0)

    def test_through_step_of_all_layers(self):
        self.assertEqual(self.client.release_steps(self.session_id, "", 2), 12)
        for layer_id in ["a", "b"]:
            self.assertEqual(self.steps(layer_id), {(2**64 - 1, 0), (2**64 - 1, 4)})
        self.assertEqual(self.client.release_steps(self.session_id, "", 2**64 - 1), 4)
        self.assertEqual(self.client.release_steps(self.session_id, "", 2**64 - 1), 0)

    def test_deleted_layer_takes_its_steps_along_and_comes_back_with_the_same_masks(self):
        output = self.output(X, 1, "a")
        self.client.delete_layer(self.session_id, "a")
        self.assert_reason("LAYER_NOT_FOUND", self.backward, DY, 1, "a")
        self.create_layer("a")
        self.assertEqual(self.steps("a"), set())
        self.assert_bytes(self.output(X, 1, "a"), output)


class ValueTest(WireTest):
    """Elements against NumPy, to the last bit."""

    def test_all_types(self):
        self.create_layer("drop", 0.3)
        scale = 1 / (1 - 0.3)
        for dtype, shape in itertools.product(STORAGE, [(1,), (3, 5), (1000,), (64, 129)]):
            with self.subTest(dtype=dtype, shape=shape):
                source = np.random.default_rng(5)
                x = random_elements(source, shape, dtype)
                dy = random_elements(source, shape, dtype)
                answer = self.forward(x, 1, return_mask=True)
                kept = kept_elements(answer.mask)
                self.assertEqual(answer.output.dtype, dtype)
                self.assertEqual(answer.mask.scale, scale)
                self.assert_bytes(to_array(answer.output), masked(x, kept, scale))
                self.assert_bytes(self.backward(dy, 1), masked(dy, kept, scale))

    def test_every_value_of_16_bits(self):
        self.create_layer("drop", 0.3)
        for dtype in [FLOAT16, BFLOAT16]:
            x = np.arange(2**16, dtype=np.uint16).view(STORAGE[dtype])
            kept = kept_elements(self.forward(x, 1, return_mask=True).mask)
            output = self.output(x, 1)
            is_nan = np.isnan(bfloat16_values(x) if dtype == BFLOAT16 else x)
            with np.errstate(over="ignore", invalid="ignore"):
                expected = masked(x, kept, 1 / 0.7)
            self.assert_bytes(output[~is_nan], expected[~is_nan])
            output_nan = np.isnan(bfloat16_values(output) if dtype == BFLOAT16 else output)
            np.testing.assert_array_equal(output_nan, is_nan & kept)

    def test_dropped_is_plus_zero_and_kept_nan_stays(self):
        self.create_layer("drop", 0.5)
        specials = np.array([np.nan, np.inf, -np.inf, -0.0, -1.0])
        for dtype in [FLOAT32, FLOAT64, FLOAT16, BFLOAT16]:
            values = np.tile(specials, 40)
            x = values.astype(np.float32 if dtype == BFLOAT16 else STORAGE[dtype])
            if dtype == BFLOAT16:
                x = (x.view(np.uint32) >> 16).astype(np.uint16)
            with self.subTest(dtype=dtype):
                answer = self.forward(x, 1, return_mask=True)
                kept = kept_elements(answer.mask)
                for special in range(len(specials)):  # Each is kept here, dropped there.
                    self.assertEqual(set(kept[special::len(specials)]), {True, False})
                for result in [to_array(answer.output), self.backward(x, 1)]:
                    self.assertEqual(result[~kept].tobytes(), bytes(result[~kept].nbytes))
                    wide = bfloat16_values(result) if dtype == BFLOAT16 else result
                    np.testing.assert_array_equal(wide[kept], values[kept] * 2)
                    zeros = wide[kept & (values == 0)]
                    self.assertTrue(np.signbit(zeros).all())

    def test_scaling(self):
        for scaling, train, evaluated in [(pb.SCALING_UNSPECIFIED, 4.0, 1.0),
                                          (pb.SCALING_INVERTED, 4.0, 1.0),
                                          (pb.SCALING_NONE, 1.0, 1.0),
                                          (pb.SCALING_EVAL, 1.0, 0.25)]:
            layer_id = f"scaling {scaling}"
            with self.subTest(layer_id):
                self.create_layer(layer_id, 0.75, scaling=scaling)
                answer = self.forward(X, 1, layer_id, return_mask=True)
                kept = kept_elements(answer.mask)
                self.assertEqual(answer.mask.scale, train)
                self.assert_bytes(to_array(answer.output), masked(X, kept, train))
                self.assert_bytes(self.backward(DY, 1, layer_id), masked(DY, kept, train))
                self.set_mode(EVAL, [layer_id])
                answer = self.forward(X, 2, layer_id, return_mask=True)
                self.assertEqual(answer.mask.scale, evaluated)
                self.assertTrue(kept_elements(answer.mask).all())
                self.assert_bytes(to_array(answer.output), scaled(X, evaluated))
                for step in [2, 3, None]:
                    self.assert_bytes(self.backward(DY, step, layer_id), scaled(DY, evaluated))
                self.assert_bytes(self.backward(DY, 1, layer_id), masked(DY, kept, train))

    def test_eval_scale_is_rounded_once(self):
        self.create_layer("drop", 0.3, mode=EVAL, scaling=pb.SCALING_EVAL)
        for dtype in STORAGE:
            x = random_elements(np.random.default_rng(6), (33, 7), dtype)
            self.assert_bytes(self.output(x), scaled(x, 1 - 0.3))

    def test_eval_leaves_bytes_as_they_are(self):
        self.create_layer(mode=EVAL)
        for dtype in STORAGE:
            data = np.random.default_rng(7).integers(0, 256, 800, np.uint8).tobytes()
            x = np.frombuffer(data, STORAGE[dtype])  # With NaN of every kind.
            self.assertEqual(self.forward(x, dtype).output.data, data)  # A step for each type.
            self.assert_bytes(self.backward(x, dtype), x)

    def test_bfloat16_arithmetic_of_this_test(self):
        """Rounding to nearest even, so that the test does not compare two equal mistakes."""
        one = 0x3F80
        for value, bits in [(1.0, one), (1 + 2**-8, one), (1 + 3 * 2**-8, one + 2),
                            (1 + 2**-8 + 2**-20, one + 1), (-1.0, one | 0x8000)]:
            self.assertEqual(bfloat16_bits(value), bits)


class ShapeTest(WireTest):

    def test_every_rank(self):
        self.create_layer("drop", 0.5)
        whole = np.arange(1, 2**8 + 1, dtype=np.float32)
        for rank in range(9):
            x = whole[:2**rank].reshape((2,) * rank)
            with self.subTest(rank=rank):
                answer = self.forward(x, 1, return_mask=True)
                self.assertEqual(tuple(answer.mask.shape), x.shape)
                kept = kept_elements(answer.mask)
                self.assert_bytes(to_array(answer.output), masked(x, kept, 2.0))
                self.assert_bytes(self.backward(x, 1), masked(x, kept, 2.0))
                if rank > 0:  # Elements in order have the same noise in every shape.
                    np.testing.assert_array_equal(
                        kept.reshape(-1), self.kept(1, [2**rank]))

    def test_empty_axes(self):
        self.create_layer()
        for shape in [(0,), (0, 5), (5, 0), (0, 0), (2, 0, 3), (0, 2**20, 2**20)]:
            with self.subTest(shape=shape):
                for data in [{}, {"data": b""}]:  # Not set, and set to nothing.
                    answer = self.client.call("Forward", pb.ForwardRequest(
                        session_id=self.session_id, layer_id="drop", step=1, return_mask=True,
                        input=pb.Tensor(dtype=FLOAT32, shape=shape, **data)))
                    self.assertEqual(tuple(answer.output.shape), shape)
                    self.assertEqual(answer.output.data, b"")
                    self.assertEqual((tuple(answer.mask.shape), answer.mask.bits), (shape, b""))
                gradient = self.client.call("Backward", pb.BackwardRequest(
                    session_id=self.session_id, layer_id="drop", step=1,
                    output_gradient=pb.Tensor(dtype=FLOAT64, shape=shape)))
                self.assertEqual(tuple(gradient.input_gradient.shape), shape)

    def test_broadcast_axes(self):
        x = np.random.default_rng(8).standard_normal((6, 5, 4, 3)).astype(np.float32)
        for axes, noise in [([0], (1, 5, 4, 3)), ([1], (6, 1, 4, 3)), ([-1], (6, 5, 4, 1)),
                            ([2, 3], (6, 5, 1, 1)), ([-1, 0], (1, 5, 4, 1)),
                            ([1, 2, 3], (6, 1, 1, 1)), ([0, 1, 2, 3], (1, 1, 1, 1))]:
            layer_id = f"axes {axes}"
            with self.subTest(layer_id):
                self.create_layer(layer_id, 0.5, axes)
                answer = self.forward(x, 1, layer_id, return_mask=True)
                self.assertEqual(tuple(answer.mask.shape), noise)
                kept = kept_elements(answer.mask)
                self.assert_bytes(to_array(answer.output), masked(x, kept, 2.0))
                self.assert_bytes(self.backward(x, 1, layer_id), masked(x, kept, 2.0))
                np.testing.assert_array_equal(self.kept(1, x.shape, layer_id), kept)

    def test_split_batch_has_the_whole_batchs_mask(self):
        batch = np.random.default_rng(9).standard_normal((96, 37)).astype(np.float32)
        for layer_id, axes in [("elements", []), ("features", [1]), ("batch", [0])]:
            with self.subTest(layer_id):
                self.create_layer(layer_id, 0.4, axes)
                whole = self.forward(batch, 1, layer_id, return_mask=True)
                expected, kept = to_array(whole.output), kept_elements(whole.mask)
                rows = slice(32, 64)
                kept_rows = kept if axes == [0] else kept[rows]
                np.testing.assert_array_equal(
                    self.kept(1, [32, 37], layer_id, sample_offset=32), kept_rows)
                starts = [0, 1, 7, 32, 64, 95, 96]
                parts = list(zip(starts, starts[1:]))
                random.Random(1).shuffle(parts)
                for start, end in parts:
                    answer = self.output(batch[start:end], 1, layer_id, sample_offset=start)
                    self.assert_bytes(answer, expected[start:end])
                    self.assert_bytes(self.backward(batch[start:end], 1, layer_id,
                                                    sample_offset=start), expected[start:end])

    def test_masks_differ_by_step_layer_and_seed(self):
        self.create_layer("a")
        self.create_layer("b")
        shape = [64, 64]
        other = self.client.create_session("other-seed", [dropout_layer("a")], seed=12)
        masks = [self.kept(1, shape, "a"), self.kept(2, shape, "a"), self.kept(1, shape, "b"),
                 kept_elements(self.client.get_mask(other.session_id, "a", 1, shape))]
        self.client.delete_session(other.session_id)
        for one, two in itertools.combinations(masks, 2):
            self.assertAlmostEqual((one == two).mean(), 0.5, delta=0.05)


class MaskTest(WireTest):

    def test_get_mask_before_after_and_without_forward(self):
        self.create_layer("drop", 0.3)
        before = self.client.get_mask(self.session_id, "drop", 1, X.shape)
        self.assert_reason("STEP_NOT_FOUND", self.backward, DY, 1)  # GetMask records nothing.
        answer = self.forward(X, 1, return_mask=True)
        self.assertEqual(answer.mask, before)
        self.assertEqual(self.client.get_mask(self.session_id, "drop", 1), before)
        self.assertEqual(self.client.get_mask(self.session_id, "drop", 1, X.shape), before)
        np.testing.assert_array_equal(self.kept(1, [2, 5]), kept_elements(before)[:2])

    def test_mask_only_if_asked_for(self):
        self.create_layer()
        self.assertFalse(self.forward(X, 1).HasField("mask"))
        self.assertEqual(self.forward(X, 1, return_mask=True).mask.WhichOneof("values"), "bits")

    def test_eval_mask_keeps_all(self):
        self.create_layer("drop", 0.5, mode=EVAL)
        for step in [None, 1]:
            mask = self.client.get_mask(self.session_id, "drop", step, [3, 3])
            self.assertTrue(kept_elements(mask).all())
            self.assertEqual(mask.scale, 1.0)

    def test_share_of_dropped_elements_is_p(self):
        shape = [1000, 1000]
        for number, p in enumerate([0.01, 0.1, 0.5, 0.9]):
            self.create_layer(str(number), p)
            dropped = 1 - self.kept(0, shape, str(number)).mean()
            self.assertLess(abs(dropped - p), 5 * (p * (1 - p) / 1e6) ** 0.5)


class LayerTest(WireTest):

    def test_revisions(self):
        self.assertEqual(self.create_layer("drop", 0.5).revision, 1)
        self.assertEqual(self.update_layer("drop", 0.5).revision, 1)
        self.assertEqual(self.update_layer("drop", 0.25).revision, 2)
        self.assertEqual(self.update_layer("drop", 0.25, revision=77).revision, 2)
        updated = self.update_layer("drop", 0.25, [0], scaling=pb.SCALING_NONE, mode=EVAL)
        self.assertEqual(updated.revision, 3)
        self.assertEqual(list(self.client.get_session(self.session_id).layers), [updated])

    def test_answer_spells_out_what_was_left_out(self):
        self.assertEqual(self.create_layer("drop", 0.5), dropout_layer(
            "drop", 0.5, mode=TRAIN, revision=1, generator=pb.GENERATOR_PHILOX,
            scaling=pb.SCALING_INVERTED))

    def test_create_again_returns_what_is_there(self):
        first = self.create_layer("drop", 0.5)
        self.assertEqual(self.create_layer("drop", 0.5), first)
        self.set_mode(EVAL)
        again = self.create_layer("drop", 0.5)  # A late retry must not undo SetMode.
        self.assertEqual(again.mode, EVAL)
        self.assert_reason("LAYER_EXISTS", self.create_layer, "drop", 0.25)

    def test_set_mode_of_all_and_of_later_layers(self):
        self.create_layer("b")
        self.create_layer("a", mode=TRAIN)
        answer = self.set_mode(EVAL)
        self.assertEqual((list(answer.layer_ids), answer.mode), (["a", "b"], EVAL))
        self.assertEqual(self.create_layer("c").mode, EVAL)
        self.assertEqual(self.create_layer("d", mode=TRAIN).mode, TRAIN)
        session = self.client.get_session(self.session_id)
        self.assertEqual(session.mode, EVAL)
        self.assertEqual({layer.layer_id: layer.mode for layer in session.layers},
                         {"a": EVAL, "b": EVAL, "c": EVAL, "d": TRAIN})

    def test_set_mode_of_some_layers(self):
        for layer_id in "abc":
            self.create_layer(layer_id)
        answer = self.set_mode(EVAL, ["c", "a", "c"])
        self.assertEqual(list(answer.layer_ids), ["a", "c"])
        session = self.client.get_session(self.session_id)
        self.assertEqual(session.mode, TRAIN)
        self.assertEqual([layer.mode for layer in session.layers], [EVAL, TRAIN, EVAL])
        self.assertEqual(self.forward(X, 1, "a").mode, EVAL)
        self.assertEqual(self.forward(X, 1, "b").mode, TRAIN)
        self.assertEqual(self.create_layer("d").mode, TRAIN)


class SessionTest(WireTest):

    def test_create_again_returns_what_is_there(self):
        layers = [dropout_layer("b"), dropout_layer("a", mode=EVAL)]
        fields = {"seed": 3, "mode": TRAIN, "ttl": Duration(seconds=100)}
        first = self.client.create_session("retried", layers, **fields)
        self.addCleanup(self.client.delete_session, "retried")
        self.assertEqual([layer.layer_id for layer in first.layers], ["a", "b"])
        self.assertEqual((first.seed, first.mode, first.ttl), (3, TRAIN, Duration(seconds=100)))
        again = self.client.create_session("retried", layers, **fields)
        again.ClearField("expire_time")
        first.ClearField("expire_time")
        self.assertEqual(again, first)
        self.client.delete_layer("retried", "a")  # A late retry does not bring it back.
        again = self.client.create_session("retried", layers, **fields)
        self.assertEqual([layer.layer_id for layer in again.layers], ["b"])

    def test_server_picks_id_and_seed(self):
        sessions = [self.client.create_session("") for _ in range(2)]
        for session in sessions:
            self.addCleanup(self.client.delete_session, session.session_id)
            self.assertRegex(session.session_id, "^[A-Za-z0-9._-]{1,128}$")
        self.assertNotEqual(sessions[0].session_id, sessions[1].session_id)
        self.assertNotEqual(sessions[0].seed, sessions[1].seed)

    def test_retry_without_seed_returns_the_seed_that_was_drawn(self):
        first = self.client.create_session("unseeded")
        self.addCleanup(self.client.delete_session, "unseeded")
        self.assertEqual(self.client.create_session("unseeded").seed, first.seed)

    def test_seed_that_is_drawn_fits_its_layers(self):
        for _ in range(20):
            session = self.client.create_session(
                "", [dropout_layer("l", generator=NUMPY_LEGACY)])
            self.assertLess(session.seed, 2**32)
            self.client.delete_session(session.session_id)

    def test_seed_0_is_a_seed(self):
        session = self.client.create_session("zero", seed=0)
        self.addCleanup(self.client.delete_session, "zero")
        self.assertEqual(session.seed, 0)

    def test_listing_while_others_come_and_go(self):
        stay = [f"stay-{i:03}" for i in range(120)]
        for session_id in stay:
            self.client.create_session(session_id)
            self.addCleanup(self.client.delete_session, session_id)
        source = random.Random(4)
        alive = []

        def churn():
            for _ in range(9):  # Before, between and after the others.
                prefix = source.choice(["a-", "z-", *stay])
                alive.append(f"{prefix}-passing-{source.getrandbits(64)}")
                self.client.create_session(alive[-1])
            while len(alive) > 12:
                self.client.delete_session(alive.pop(0))

        for page_size in [1, 7, 50, 0, 1000, 2**31 - 1]:
            with self.subTest(page_size=page_size):
                listed = [session.session_id
                          for session in self.client.list_sessions(page_size, churn)]
                self.assertEqual(listed, sorted(set(listed)))
                self.assertEqual([session_id for session_id in listed if session_id in stay], stay)
        self.assertEqual(len(self.client.list_page(7).sessions), 7)
        self.assertEqual(len(self.client.list_page().sessions), 50)
        for session_id in alive:
            self.client.delete_session(session_id)

    def test_page_that_ends_with_the_last_session_is_the_last(self):
        count = len(self.client.list_sessions())
        self.assertEqual(self.client.list_page(count).next_page_token, "")

    def test_session_that_a_page_ended_with_may_go(self):
        for session_id in ["p1", "p2", "p3"]:
            self.client.create_session(session_id)
        token = next(self.client.list_page(size).next_page_token for size in itertools.count(1)
                     if self.client.list_page(size).sessions[-1].session_id == "p2")
        self.client.delete_session("p2")
        rest = self.client.list_page(1000, token).sessions
        self.assertEqual(rest[0].session_id, "p3")
        self.client.delete_session("p1")
        self.client.delete_session("p3")

    def test_every_call_renews_the_time_to_live(self):
        self.create_layer()
        self.create_layer("other")
        self.forward(X, 1)
        calls = [lambda: self.create_layer(), lambda: self.update_layer(),
                 lambda: self.set_mode(TRAIN), lambda: self.output(X, 1),
                 lambda: self.backward(DY, 1), lambda: self.kept(1),
                 lambda: self.client.release_steps(self.session_id, "", 0),
                 lambda: self.client.delete_layer(self.session_id, "other"),
                 lambda: self.create_session(), lambda: self.client.get_session(self.session_id)]

        def expire_time():
            """Listing does not renew, so it shows what the call before it did. The median,
            because the server computes it from two clocks, and may pause between them."""
            return statistics.median(session.expire_time.ToNanoseconds()
                                     for _ in range(5) for session in self.client.list_sessions()
                                     if session.session_id == self.session_id)

        for number, call in enumerate(calls):
            with self.subTest(number):
                before = expire_time()
                call()
                self.assertGreater(expire_time(), before)

    def test_session_expires_and_its_id_is_free(self):
        self.client.create_session("short", ttl=Duration(seconds=2), seed=1)
        end = time.monotonic() + 3
        while time.monotonic() < end:  # Lives as long as it is used.
            self.client.get_session("short")
        end = time.monotonic() + EXPIRY_SECONDS
        while any(s.session_id == "short" for s in self.client.list_sessions()):
            self.assertLess(time.monotonic(), end)
        self.assert_reason("SESSION_NOT_FOUND", self.client.get_session, "short")
        self.assert_reason("SESSION_NOT_FOUND", self.client.delete_session, "short")
        self.client.create_session("short", seed=2)
        self.client.delete_session("short")

    def test_deleted_session_is_gone(self):
        self.create_layer()
        self.forward(X, 1)
        self.client.delete_session(self.session_id)
        self.assert_reason("SESSION_NOT_FOUND", self.backward, DY, 1)
        self.assert_reason("SESSION_NOT_FOUND", self.client.delete_session, self.session_id)
        self.create_session()
        self.assertEqual(len(self.client.get_session(self.session_id).layers), 0)


class DefaultTtlTest(WireTest):
    flags = ["--session_ttl=90s"]

    def test_default_ttl(self):
        session = self.client.get_session(self.session_id)
        self.assertEqual(session.ttl, Duration(seconds=90))
        self.assertEqual(self.client.info().limits.default_ttl, Duration(seconds=90))
        life = session.expire_time.ToNanoseconds() - session.create_time.ToNanoseconds()
        self.assertAlmostEqual(life / 1e9, 90, delta=30)


class NumpyLegacyTest(WireTest):
    """One numpy.random stream a session, in the order of the calls."""

    def setUp(self):
        super().setUp()
        self.numpy = np.random.RandomState(11)
        for layer_id, p in [("a", 0.5), ("b", 0.3)]:
            self.create_layer(layer_id, p, generator=NUMPY_LEGACY)

    def assert_draws(self, layer_id, p, x, step, **fields):
        """The Forward's mask is what NumPy draws next."""
        kept = self.numpy.rand(*x.shape) > p
        answer = self.forward(x, step, layer_id, return_mask=True, **fields)
        np.testing.assert_array_equal(kept_elements(answer.mask), kept)
        self.assert_bytes(to_array(answer.output), masked(x, kept, 1 / (1 - p)))
        return kept

    def test_layers_share_one_stream(self):
        wide = np.ones((3, 700))
        kept = {}
        for step, (layer_id, p) in itertools.product(range(5), [("b", 0.3), ("a", 0.5)]):
            x = wide if step % 2 else X
            kept[layer_id, step] = self.assert_draws(layer_id, p, x, step)
        for (layer_id, step), mask in kept.items():
            dy = np.random.default_rng(step).standard_normal(mask.shape)
            scale = 2.0 if layer_id == "a" else 1 / 0.7
            self.assert_bytes(self.backward(dy, step, layer_id), masked(dy, mask, scale))

    def test_repeated_forward_draws_nothing(self):
        kept = self.assert_draws("a", 0.5, X, 1)
        for _ in range(3):
            self.assert_bytes(self.output(X, 1, "a"), masked(X, kept, 2.0))
        other = self.assert_draws("a", 0.5, X, 1, sample_offset=4)
        self.assert_bytes(self.output(X, 1, "a", sample_offset=4), masked(X, other, 2.0))
        self.assert_draws("b", 0.3, X, 1)

    def test_another_shape_draws_anew(self):
        self.assert_draws("a", 0.5, X, 1)
        kept = self.assert_draws("a", 0.5, X.reshape(5, 4), 1)
        self.assert_bytes(self.backward(X.reshape(5, 4), 1, "a"),
                          masked(X.reshape(5, 4), kept, 2.0))
        self.assert_draws("a", 0.5, X, 1)

    def test_eval_p_0_and_get_mask_draw_nothing(self):
        self.assert_draws("a", 0.5, X, 1)
        self.set_mode(EVAL)
        self.assert_bytes(self.output(X, 2, "a"), X)
        self.assert_bytes(self.output(X, layer_id="a"), X)
        self.set_mode(TRAIN)
        self.create_layer("zero", 0.0, generator=NUMPY_LEGACY)
        self.assert_bytes(self.output(X, 1, "zero"), X)
        self.kept(1, layer_id="a")
        self.create_layer("philox")
        self.output(X, 1, "philox")
        self.assert_draws("b", 0.3, X, 1)

    def test_get_mask(self):
        kept = self.assert_draws("a", 0.5, X, 1)
        np.testing.assert_array_equal(self.kept(1, layer_id="a"), kept)
        np.testing.assert_array_equal(self.kept(1, X.shape, "a"), kept)

    def test_step_keeps_its_p(self):
        kept = self.assert_draws("a", 0.5, X, 1)
        self.update_layer("a", 0.9, generator=NUMPY_LEGACY)
        self.assert_bytes(self.backward(DY, 1, "a"), masked(DY, kept, 2.0))
        self.assert_draws("a", 0.9, X, 2)

    def test_released_step_draws_anew(self):
        self.assert_draws("a", 0.5, X, 1)
        self.backward(DY, 1, "a", release=True)
        self.assert_draws("a", 0.5, X, 1)
        self.client.release_steps(self.session_id, "", 1)
        self.assert_draws("a", 0.5, X, 1)

    def test_shared_axes_draw_once(self):
        self.create_layer("shared", 0.5, [0, -1], generator=NUMPY_LEGACY)
        kept = self.numpy.rand(1, 5, 1) > 0.5
        x = np.ones((4, 5, 6))
        self.assert_bytes(self.output(x, 1, "shared"), masked(x, kept, 2.0))
        self.assert_draws("a", 0.5, X, 1)


class MaskCacheTest(WireTest):
    flags = ["--mask_cache_bytes=1MiB"]

    def test_evicted_masks_come_back(self):
        """1,000 masks of 32 KiB pass through a cache of 1 MiB."""
        steps, shape = 1000, (512, 512)
        self.create_layer("drop", 0.5)
        x = np.ones(shape, np.float32)
        bits = []
        for step in range(steps):
            answer = self.forward(x, step, return_mask=True)
            bits.append(answer.mask.bits)
            self.assertEqual(len(bits[-1]), MIB // 32)
        self.assertEqual(len(set(bits)), steps)
        order = list(range(steps))
        random.Random(2).shuffle(order)
        for step in order:
            kept = np.unpackbits(np.frombuffer(bits[step], np.uint8), bitorder="little")
            gradient = self.backward(x, step)
            self.assertTrue(np.array_equal(gradient, 2 * kept.reshape(shape)), step)

    def test_mask_that_never_fits(self):
        self.create_layer("drop", 0.5)
        x = np.ones(16 * MIB, STORAGE[FLOAT16])  # A mask of 2 MiB.
        output = self.output(x, 1)
        self.assert_bytes(self.backward(x, 1), output)

    def test_sequential_masks_stay_while_others_are_evicted(self):
        self.create_layer("legacy", 0.5, generator=NUMPY_LEGACY)
        self.create_layer("drop", 0.5)
        x = np.ones((512, 512), np.float32)
        outputs = [self.output(x, step, "legacy") for step in range(5)]
        for step in range(50):
            self.forward(x, step)
        for step, output in enumerate(outputs):
            self.assert_bytes(self.backward(x, step, "legacy"), output)


class StepLimitTest(WireTest):
    flags = ["--max_steps_per_layer=3"]

    def test_lowest_step_makes_room(self):
        self.create_layer()
        for step in [5, 1, 9, 7]:
            self.forward(X, step)
        self.assert_reason("STEP_NOT_FOUND", self.backward, DY, 1)
        for step in [5, 7, 9]:
            self.backward(DY, step)


class SimdTargetTest(unittest.TestCase):

    @staticmethod
    def digests(client):
        """{call: digest of its answer} of all that kernels have a hand in, at lengths around
        every vector's and of a size that is stored past the caches."""
        results = {}

        def add(session_id, layer_id, x, step, **fields):
            answer = client.forward(session_id, layer_id, x, step, return_mask=True, **fields)
            digest = hashlib.sha256(answer.output.data + answer.mask.bits).hexdigest()
            results[session_id, layer_id, x.shape, step] = digest

        for p in [0.5, 0.3, 1e-3]:
            session_id = f"p-{p}"
            client.create_session(session_id, [dropout_layer("a", p), dropout_layer("b", p, [1])],
                                  seed=99)
            for dtype, storage in STORAGE.items():  # A step for each type.
                source = np.random.default_rng(10)
                for length in [*range(1, 70), 4095, 4096, 4097, 100003]:
                    data = source.integers(0, 256, length * storage.itemsize, np.uint8).tobytes()
                    add(session_id, "a", np.frombuffer(data, storage), dtype,
                        sample_offset=length % 5)
                add(session_id, "b", random_elements(source, (9, 13, 11), dtype), dtype)
        for dtype, storage in STORAGE.items():
            x = (np.arange(17 * MIB // storage.itemsize) % 1000).astype(storage)
            add("p-0.5", "a", x, dtype)
        return results

    def test_every_target_gives_the_same_bytes(self):
        with harness.Server() as server, Client(server.address) as client:
            targets = list(client.info().simd_targets)
            self.assertEqual(client.info().simd_target, targets[0])
            expected = self.digests(client)
        self.assertGreater(len(targets), 1)
        for target in targets:
            with self.subTest(target):
                with harness.Server(env={"DROPOUTD_SIMD_TARGET": target}) as server, \
                        Client(server.address) as client:
                    info = client.info()
                    self.assertEqual((info.simd_target, list(info.simd_targets)),
                                     (target, targets))
                    self.assertEqual(self.digests(client), expected)


class ConcurrencyTest(WireTest):
    """Many clients at once; every answer is checked against masks that were asked for before."""
    THREADS = 32
    ROUNDS = 40
    SHARED_STEPS = 20
    SHAPE = (16, 24)

    def setUp(self):
        super().setUp()
        self.create_layer("drop", 0.5)
        self.x = np.random.default_rng(12).standard_normal(self.SHAPE).astype(np.float32)
        self.masks = {step: self.kept(step, self.SHAPE) for step in range(self.SHARED_STEPS)}

    def use_shared_session(self, client, source):
        """Another thread may release the step or set the mode at any moment."""
        step = source.randrange(self.SHARED_STEPS)
        expected = masked(self.x, self.masks[step], 2.0)
        at = (self.session_id, "drop", self.x, step)
        action = source.randrange(5)
        if action == 0:
            client.set_mode(self.session_id, source.choice([TRAIN, EVAL]))
        elif action == 1:
            client.release_steps(self.session_id, "drop", step)
        elif action == 2:
            answer = client.forward(*at, return_mask=True)
            is_train = answer.mode == TRAIN
            self.assert_bytes(to_array(answer.output), expected if is_train else self.x)
            kept = kept_elements(answer.mask)
            self.assertTrue((kept == (self.masks[step] if is_train else True)).all())
        elif action == 3:
            try:
                gradient = client.backward(*at)
            except grpc.RpcError as error:
                self.assertEqual(reason_of(error), "STEP_NOT_FOUND")
                return
            self.assertIn(gradient.tobytes(), [expected.tobytes(), self.x.tobytes()])
        else:
            kept = kept_elements(client.get_mask(*at[:2], step, self.SHAPE))
            self.assertTrue(kept.all() or (kept == self.masks[step]).all())

    def use_own_session(self, client, source, name):
        """Of the same seed and layer, so that the masks are the shared session's."""
        session_id = f"{name}-{source.getrandbits(64)}"
        client.create_session(session_id, [dropout_layer("drop", 0.5)], seed=11)
        start = source.randrange(self.SHAPE[0])
        for step in source.sample(range(self.SHARED_STEPS), 3):
            rows = self.x[start:]
            expected = masked(rows, self.masks[step][start:], 2.0)
            at = (session_id, "drop", rows, step)
            self.assert_bytes(to_array(client.forward(*at, sample_offset=start).output), expected)
            self.assert_bytes(client.backward(*at, sample_offset=start, release=True), expected)
        client.delete_session(session_id)

    def run_thread(self, number, barrier):
        source = random.Random(number)
        # A connection each: channels of one process share one by default.
        with Client(self.server.address, use_local_subchannel_pool=1) as client:
            barrier.wait()
            for _ in range(self.ROUNDS):
                if source.random() < 0.2:
                    self.use_own_session(client, source, f"own-{number}")
                else:
                    self.use_shared_session(client, source)

    def test_mixed_calls(self):
        barrier = threading.Barrier(self.THREADS)
        with concurrent.futures.ThreadPoolExecutor(self.THREADS) as pool:
            for done in [pool.submit(self.run_thread, number, barrier)
                         for number in range(self.THREADS)]:
                done.result()
        self.assertEqual([session.session_id for session in self.client.list_sessions()],
                         [self.session_id])

    def test_sequential_stream_is_shared_out_without_gaps(self):
        """Whoever comes first, together the calls draw what one NumPy program draws."""
        self.create_layer("legacy", 0.5, generator=NUMPY_LEGACY)
        steps = range(200)
        with concurrent.futures.ThreadPoolExecutor(self.THREADS) as pool:
            # Each step twice, as a client that tries again too early would.
            outputs = list(pool.map(
                lambda step: self.output(self.x, step, "legacy").tobytes(),
                [step for step in steps for _ in range(2)]))
        self.assertEqual(outputs[::2], outputs[1::2])
        numpy = np.random.RandomState(11)
        expected = [masked(self.x, numpy.rand(*self.SHAPE) > 0.5, 2.0).tobytes() for _ in steps]
        self.assertEqual(sorted(outputs[::2]), sorted(expected))

    def test_mode_that_changes_meanwhile_makes_no_gap_in_the_stream(self):
        """Calls that were answered in EVAL drew nothing, the others one mask each."""
        self.create_layer("legacy", 0.5, generator=NUMPY_LEGACY)

        def forward(step):
            if step % 3 == 0:
                self.set_mode(EVAL if step % 2 else TRAIN, ["legacy"])
            return self.forward(self.x, step, "legacy")

        with concurrent.futures.ThreadPoolExecutor(self.THREADS) as pool:
            answers = list(pool.map(forward, range(600)))
        outputs = {mode: [answer.output.data for answer in answers if answer.mode == mode]
                   for mode in [TRAIN, EVAL]}
        self.assertTrue(outputs[TRAIN] and outputs[EVAL])
        self.assertEqual(set(outputs[EVAL]), {self.x.tobytes()})
        numpy = np.random.RandomState(11)
        expected = [masked(self.x, numpy.rand(*self.SHAPE) > 0.5, 2.0).tobytes()
                    for _ in outputs[TRAIN]]
        self.assertEqual(sorted(outputs[TRAIN]), sorted(expected))


class TransportTest(WireTest):

    def test_compressed_request(self):
        self.create_layer()
        request = pb.ForwardRequest(session_id=self.session_id, layer_id="drop", step=1,
                                    input=to_tensor(np.ones((1000, 100), np.float32)))
        plain = self.client.call("Forward", request)
        compressed = self.client.call("Forward", request, compression=grpc.Compression.Gzip)
        self.assertEqual(compressed, plain)

    def test_largest_tensor_and_mask(self):
        limit = self.client.info().limits.max_message_bytes
        self.create_layer("drop", 0.5)
        x = np.ones(limit // 4, np.float32)
        output = self.output(x, 1)
        self.assertTrue(np.isin(output, [0, 2]).all())
        self.assertTrue(np.array_equal(self.backward(x, 1), output))
        mask = self.client.get_mask(self.session_id, "drop", 1, [limit * 8])
        self.assertEqual(len(mask.bits), limit)


if __name__ == "__main__":
    unittest.main()
