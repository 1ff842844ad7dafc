"""Every variant over the wire: values and gradients against NumPy, structures, keys, parameters."""

import sys
import unittest

import client_helpers
import grpc
import harness
import numpy as np
from client_helpers import BFLOAT16, EVAL, FLOAT16, FLOAT32, FLOAT64, TRAIN, kept_elements, pb

SATURATION = -1.7580993408473766
DTYPES = [FLOAT32, FLOAT64, FLOAT16, BFLOAT16]


def layer(variant, p=0.3, layer_id=None, **fields):
    options = {"dropout": pb.Dropout, "gaussian": pb.Gaussian, "alpha": pb.Alpha,
               "feature_alpha": pb.FeatureAlpha, "spatial": pb.Spatial, "drop_block": pb.DropBlock,
               "concrete": pb.Concrete, "drop_connect": pb.DropConnect,
               "variational": pb.Variational, "recurrent": pb.Recurrent,
               "stochastic_depth": pb.StochasticDepth}[variant]
    own = {name: fields.pop(name) for name in list(fields) if name in options.DESCRIPTOR.fields_by_name}
    return pb.Layer(layer_id=layer_id or variant, p=p, **{variant: options(**own)}, **fields)


# Variants that map elements to elements, with a shape each.
ELEMENTWISE = [
    (layer("dropout"), (6, 7, 5)),
    (layer("dropout", layer_id="shared", broadcast_axes=[1]), (6, 7, 5)),
    (layer("dropout", layer_id="unscaled", scaling=pb.SCALING_NONE), (6, 7, 5)),
    (layer("gaussian"), (6, 7, 5)),
    (layer("gaussian", layer_id="gaussian rows", broadcast_axes=[-1]), (6, 7, 5)),
    (layer("alpha"), (6, 7, 5)),
    (layer("feature_alpha"), (6, 7, 5)),
    (layer("spatial"), (6, 7, 5, 3)),
    (layer("spatial", layer_id="channels last", channel_axis=-1), (6, 5, 3, 7)),
    (layer("drop_block", block_size=[2]), (4, 3, 7, 6)),
    (layer("drop_block", layer_id="batch blocks", block_size=[2, 3],
           normalization=pb.NORMALIZATION_BATCH, gamma=pb.GAMMA_PAPER), (4, 3, 7, 6)),
    (layer("drop_block", layer_id="shared blocks", block_size=[3], share_channels=True,
           channel_axis=-1), (4, 9, 3)),
    (layer("concrete"), (6, 7, 5)),
    (layer("concrete", layer_id="concrete channels", spatial=True, dropout_regularizer=1e-3,
           weight_regularizer=1e-2), (6, 7, 5)),
    (layer("drop_connect", layer_id="weight drop", target=pb.CONNECT_TARGET_WEIGHTS), (6, 7)),
    (layer("variational"), (6, 7)),
    (layer("variational", layer_id="time", time_axis=1), (6, 4, 7)),
    (layer("variational", layer_id="time first", time_axis=0), (4, 6, 7)),
    (layer("recurrent"), (6, 7)),
    (layer("recurrent", layer_id="recurrent step", mask_scope=pb.MASK_SCOPE_STEP), (6, 7)),
    (layer("stochastic_depth"), (6, 7, 5)),
    (layer("stochastic_depth", layer_id="depth batch", mode=pb.DEPTH_MODE_BATCH), (6, 7, 5)),
]
LINEAR = [layer("drop_connect", layer_id=f"{name}", in_features=6, out_features=5, mask_scope=scope)
          for name, scope in [("by sample", pb.MASK_SCOPE_SAMPLE), ("by batch", pb.MASK_SCOPE_BATCH)]]


def widen(x):
    return client_helpers.bfloat16_values(x) if x.dtype == np.uint16 else x


def compute_type(x):
    return np.float64 if x.dtype == np.float64 else np.float32


def round_like(x, values):
    if x.dtype == np.uint16:
        return client_helpers.bfloat16_bits(values.astype(np.float32))
    return values.astype(x.dtype)


def multipliers_of(mask, shape):
    """What each element of a tensor of `shape` is multiplied by, as float64."""
    if mask.WhichOneof("values") == "multipliers":
        values = client_helpers.to_array(mask.multipliers)
    else:
        kept = kept_elements(mask)
        scale = mask.scale
        if mask.sample_scales:
            scale = np.array(mask.sample_scales).reshape((-1,) + (1,) * (kept.ndim - 1))
        values = np.where(kept, scale, 0.0)
    return np.broadcast_to(values.reshape(values.shape[-len(shape):]), shape)


def expected_forward(config, mask, x):
    compute = compute_type(x)
    wide = widen(x).astype(compute)
    factors = multipliers_of(mask, x.shape)
    if config.WhichOneof("variant") in ("alpha", "feature_alpha"):
        p, q = config.p, 1 - config.p
        a = 1 / np.sqrt(q * (1 + p * SATURATION * SATURATION))
        b = -a * SATURATION * p
        kept = wide * compute(a) + compute(b)
        return round_like(x, np.where(factors != 0, kept, compute(a * SATURATION + b)))
    return round_like(x, np.where(factors != 0, wide * factors.astype(compute), compute(0)))


def expected_backward(mask, dy):
    compute = compute_type(dy)
    factors = multipliers_of(mask, dy.shape)
    return round_like(dy, np.where(factors != 0, widen(dy).astype(compute) *
                                   factors.astype(compute), compute(0)))


class FamilyTest(unittest.TestCase):
    SERVER_FLAGS = ()

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(harness.Server(*cls.SERVER_FLAGS))
        cls.client = cls.enterClassContext(client_helpers.Client(cls.server.address))

    def session(self, *layers, seed=42):
        name = f"s{id(self)}-{self.id().rsplit('.', 1)[-1]}"
        self.client.create_session(name, layers, seed=seed)
        self.addCleanup(self.client.delete_session, name)
        return name

    def set_parameters(self, session, layer_id, **values):
        self.client.call("SetParameters", pb.SetParametersRequest(
            session_id=session, layer_id=layer_id,
            parameters=[pb.Parameter(name=name, value=client_helpers.to_tensor(value))
                        for name, value in values.items()]))

    def backward(self, session, layer_id, dy, **fields):
        """The gradient of the input, and the parameters' gradients by name."""
        answer = self.client.call("Backward", pb.BackwardRequest(
            session_id=session, layer_id=layer_id, output_gradient=client_helpers.to_tensor(dy),
            **fields))
        return (client_helpers.to_array(answer.input_gradient),
                {g.name: client_helpers.to_array(g.value) for g in answer.parameter_gradients})

    def assert_reason(self, reason, call, *args, field="", **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            call(*args, **kwargs)
        self.assertEqual(client_helpers.reason_of(caught.exception), reason)
        self.assertIn(field, caught.exception.details())


class ValuesTest(FamilyTest):
    def test_forward_backward_and_mask_agree_with_numpy(self):
        session = self.session(*[config for config, _ in ELEMENTWISE])
        random = np.random.default_rng(1)
        for config, shape in ELEMENTWISE:
            for step, dtype in enumerate(DTYPES):
                with self.subTest(layer=config.layer_id, dtype=dtype):
                    at = dict(step=step, sequence_id=step, sample_offset=3)
                    asked_first = self.client.get_mask(session, config.layer_id, shape=shape, **at)
                    x = client_helpers.random_elements(random, shape, dtype)
                    answer = self.client.forward(session, config.layer_id, x, return_mask=True,
                                                 dtype=dtype, **at)
                    self.assertEqual(answer.mask, asked_first)
                    y = client_helpers.to_array(answer.output)
                    np.testing.assert_array_equal(y, expected_forward(config, answer.mask, x))
                    dy = client_helpers.random_elements(random, shape, dtype)
                    dx = self.client.backward(session, config.layer_id, dy, dtype=dtype, **at)
                    np.testing.assert_array_equal(dx, expected_backward(answer.mask, dy))
                    self.assertEqual(answer.mode, TRAIN)
                    self.assertAlmostEqual(answer.p, config.p, places=12)

    def test_the_mask_does_not_depend_on_the_type(self):
        session = self.session(*[config for config, _ in ELEMENTWISE])
        for config, shape in ELEMENTWISE:
            masks = [self.client.forward(session, config.layer_id, np.ones(shape, dtype), step=9,
                                         sequence_id=9, return_mask=True).mask
                     for dtype in (np.float32, np.float64, np.float16)]
            self.assertEqual(masks[0], masks[1], config.layer_id)
            self.assertEqual(masks[0], masks[2], config.layer_id)

    def test_a_slice_of_the_batch_gets_the_batchs_mask(self):
        session = self.session(*[config for config, _ in ELEMENTWISE])
        for config, shape in ELEMENTWISE:
            if config.layer_id in ("weight drop", "batch blocks"):
                continue  # No samples, and a scale of the whole batch.
            axis = 1 if config.layer_id == "time first" else 0
            x = np.random.default_rng(2).standard_normal(shape)
            whole = client_helpers.to_array(self.client.forward(
                session, config.layer_id, x, step=5, sequence_id=5).output)
            part = np.ascontiguousarray(np.take(x, range(2, 5 if shape[axis] > 4 else 4), axis))
            answer = self.client.forward(session, config.layer_id, part, step=5, sequence_id=5,
                                         sample_offset=2)
            np.testing.assert_array_equal(
                client_helpers.to_array(answer.output),
                np.take(whole, range(2, 2 + part.shape[axis]), axis), config.layer_id)

    def test_dropped_is_zero_whatever_the_input(self):
        session = self.session(*[config for config, _ in ELEMENTWISE])
        for config, shape in ELEMENTWISE:
            if config.WhichOneof("variant") in ("gaussian", "concrete", "alpha", "feature_alpha"):
                continue
            answer = self.client.forward(session, config.layer_id, np.full(shape, np.nan), step=1,
                                         sequence_id=1, return_mask=True)
            y = client_helpers.to_array(answer.output)
            kept = multipliers_of(answer.mask, shape) != 0
            self.assertTrue((np.isnan(y) == kept).all(), config.layer_id)
            self.assertFalse(np.signbit(y[~kept]).any())

    def test_eval_and_p_0_pass_through(self):
        for p, mode in ((0.3, EVAL), (0.0, TRAIN)):
            configs = []
            for config, shape in ELEMENTWISE:
                copy = pb.Layer()
                copy.CopyFrom(config)
                copy.p, copy.mode = p, mode
                configs.append((copy, shape))
            name = f"pass-{mode}"
            self.client.create_session(name, [config for config, _ in configs], seed=1)
            for config, shape in configs:
                x = np.random.default_rng(3).standard_normal(shape)
                answer = self.client.forward(name, config.layer_id, x, step=1, sequence_id=1)
                self.assertEqual(answer.output.data, x.tobytes(), config.layer_id)
                dx = self.client.backward(name, config.layer_id, x, step=1, sequence_id=1)
                self.assertEqual(dx.tobytes(), x.tobytes(), config.layer_id)
            self.client.delete_session(name)


class GradientsTest(FamilyTest):
    """Central differences in float64 with the mask held fixed: the same step is run again."""

    EPSILON = 1e-5

    def difference(self, loss, x):
        gradient = np.zeros_like(x)
        for at in np.ndindex(x.shape):
            ends = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * self.EPSILON
                ends.append(loss(moved))
            gradient[at] = (ends[0] - ends[1]) / (2 * self.EPSILON)
        return gradient

    def assert_close(self, actual, expected, message):
        size = max(np.abs(expected).max(), 1e-300)
        self.assertLess(np.abs(actual - expected).max() / size, 1e-6, message)

    def test_inputs_of_every_variant(self):
        session = self.session(*[config for config, _ in ELEMENTWISE])
        random = np.random.default_rng(4)
        for config, shape in ELEMENTWISE:
            shape = tuple(min(size, 4) for size in shape)
            x, c = random.standard_normal(shape), random.standard_normal(shape)
            at = dict(step=1, sequence_id=1)

            def loss(x):
                answer = self.client.forward(session, config.layer_id, x, **at)
                return float((c * client_helpers.to_array(answer.output)).sum())

            expected = self.difference(loss, x)
            loss(x)
            actual, _ = self.backward(session, config.layer_id, c, **at)
            self.assert_close(actual, expected, config.layer_id)

    def test_logit_p_of_concrete(self):
        session = self.session(*[config for config, _ in ELEMENTWISE])
        for config, shape in ELEMENTWISE:
            if config.WhichOneof("variant") != "concrete":
                continue
            random = np.random.default_rng(5)
            x, c = random.standard_normal(shape), random.standard_normal(shape)

            def loss(theta):
                self.set_parameters(session, config.layer_id, logit_p=theta)
                answer = self.client.forward(session, config.layer_id, x, step=1)
                return float((c * client_helpers.to_array(answer.output)).sum())

            def penalty(theta):
                p = 1 / (1 + np.exp(-theta))
                features = np.prod(shape[1:2] if config.concrete.spatial else shape[1:])
                return float(config.concrete.dropout_regularizer * features *
                             (p * np.log(p) + (1 - p) * np.log(1 - p)) +
                             config.concrete.weight_regularizer * 7.5 / (1 - p))

            theta = np.array(-0.7)
            expected = self.difference(loss, theta)
            loss(theta)
            _, gradients = self.backward(session, config.layer_id, c, step=1,
                                         weight_squared_norm=7.5)
            self.assert_close(gradients["logit_p"], expected, config.layer_id)
            if config.concrete.dropout_regularizer:
                self.assert_close(gradients["logit_p_regularizer"],
                                  self.difference(penalty, theta), config.layer_id)
            else:
                self.assertEqual(float(gradients["logit_p_regularizer"]), 0.0)

    def test_weights_and_bias_of_drop_connect(self):
        session = self.session(*LINEAR)
        random = np.random.default_rng(6)
        for config in LINEAR:
            for shape in ((4, 6), (3, 2, 6), (6,)):
                x = random.standard_normal(shape)
                w, b = random.standard_normal((5, 6)), random.standard_normal(5)
                c = random.standard_normal(shape[:-1] + (5,))

                def loss(x=x, w=w, b=b):
                    self.set_parameters(session, config.layer_id, weight=w, bias=b)
                    answer = self.client.forward(session, config.layer_id, x, step=1)
                    return float((c * client_helpers.to_array(answer.output)).sum())

                expected = [self.difference(lambda v: loss(x=v), x),
                            self.difference(lambda v: loss(w=v), w),
                            self.difference(lambda v: loss(b=v), b)]
                loss()
                dx, gradients = self.backward(session, config.layer_id, c, step=1)
                self.assert_close(dx, expected[0], "dx")
                self.assert_close(gradients["weight"], expected[1], "dW")
                self.assert_close(gradients["bias"], expected[2], "dbias")


class DropConnectTest(FamilyTest):
    def product(self, mask, w, b, x):
        """The layer's answer, with the mask as it came over the wire."""
        masked = np.where(kept_elements(mask), w * mask.scale, 0.0)
        rows = x.reshape(x.shape[0], int(np.prod(x.shape[1:-1])), x.shape[-1])
        masks = np.broadcast_to(masked, (len(rows),) + w.shape)
        return (np.einsum("noi,nri->nro", masks, rows) + b).reshape(x.shape[:-1] + (len(b),))

    def test_forward_is_the_masked_product(self):
        session = self.session(*LINEAR)
        random = np.random.default_rng(7)
        w, b = random.standard_normal((5, 6)), random.standard_normal(5)
        for config in LINEAR:
            self.set_parameters(session, config.layer_id, weight=w, bias=b)
            for shape in ((4, 6), (3, 2, 6), (0, 6)):
                x = random.standard_normal(shape)
                answer = self.client.forward(session, config.layer_id, x, step=2,
                                             return_mask=True)
                scope = config.drop_connect.mask_scope
                count = shape[0] if scope == pb.MASK_SCOPE_SAMPLE else 1
                self.assertEqual(list(answer.mask.shape), [count, 5, 6])
                self.assertEqual(answer.mask, self.client.get_mask(session, config.layer_id, step=2))
                np.testing.assert_allclose(client_helpers.to_array(answer.output),
                                           self.product(answer.mask, w, b, x), rtol=1e-13,
                                           atol=1e-13)

    def test_16_bit_types_are_computed_in_float32(self):
        session = self.session(*LINEAR)
        random = np.random.default_rng(8)
        w, b = (random.standard_normal(shape).astype(np.float16) for shape in ((5, 6), (5,)))
        self.set_parameters(session, "by batch", weight=w, bias=b)
        x = random.standard_normal((40, 6)).astype(np.float16)
        answer = self.client.forward(session, "by batch", x, step=2, return_mask=True)
        expected = self.product(answer.mask, w.astype(np.float64), b.astype(np.float64),
                                x.astype(np.float64))
        np.testing.assert_allclose(client_helpers.to_array(answer.output).astype(np.float64),
                                   expected, rtol=2e-3, atol=1e-3)

    def test_eval_uses_the_weights_as_they_are(self):
        session = self.session(*LINEAR)
        self.client.set_mode(session, EVAL)
        random = np.random.default_rng(9)
        w, b, x = (random.standard_normal(shape) for shape in ((5, 6), (5,), (4, 6)))
        self.set_parameters(session, "by sample", weight=w, bias=b)
        answer = self.client.forward(session, "by sample", x)
        np.testing.assert_allclose(client_helpers.to_array(answer.output), x @ w.T + b, rtol=1e-13)
        dy = random.standard_normal((4, 5))
        dx, gradients = self.backward(session, "by sample", dy)
        np.testing.assert_allclose(dx, dy @ w, rtol=1e-12)
        self.assertEqual(gradients, {})

    def test_backward_uses_the_weights_of_its_forward(self):
        session = self.session(*LINEAR)
        random = np.random.default_rng(10)
        w, b, x, dy = (random.standard_normal(shape) for shape in ((5, 6), (5,), (4, 6), (4, 5)))
        self.set_parameters(session, "by batch", weight=w, bias=b)
        mask = self.client.forward(session, "by batch", x, step=1, return_mask=True).mask
        self.set_parameters(session, "by batch", weight=w + 1)
        dx, _ = self.backward(session, "by batch", dy, step=1)
        masked = np.where(kept_elements(mask)[0], w * mask.scale, 0.0)
        np.testing.assert_allclose(dx, dy @ masked, rtol=1e-12)

    def test_a_gradient_may_have_another_type_than_its_input(self):
        session = self.session(*LINEAR, layer("concrete", layer_id="concrete"))
        random = np.random.default_rng(11)
        # Small numbers, which every type holds.
        w, b, x, dy = (random.integers(-4, 5, shape).astype(np.float64)
                       for shape in ((5, 6), (5,), (40, 6), (40, 5)))
        self.set_parameters(session, "by batch", weight=w, bias=b)
        for layer_id, gradient in (("by batch", dy), ("concrete", x)):
            self.client.forward(session, layer_id, x, step=1)
            dx, gradients = self.backward(session, layer_id, gradient, step=1)
            for x_type in (np.float32, np.float16, np.float64):
                self.client.forward(session, layer_id, x.astype(x_type), step=1)
                for dy_type in (np.float64, np.float32):
                    with self.subTest(layer=layer_id, x=x_type, dy=dy_type):
                        same_dx, same = self.backward(session, layer_id, gradient.astype(dy_type),
                                                      step=1)
                        np.testing.assert_allclose(same_dx, dx, rtol=1e-4, atol=1e-3)
                        for name, value in gradients.items():
                            np.testing.assert_allclose(same[name], value, rtol=1e-4,
                                                       atol=1e-3)

    def test_parameters_are_checked(self):
        session = self.session(*LINEAR, layer("dropout"), layer("concrete"))
        x = np.ones((4, 6))
        self.assert_reason("PARAMETERS_REQUIRED", self.client.forward, session, "by batch", x,
                           step=1, field="weight")
        self.assert_reason("INVALID_TENSOR", self.set_parameters, session, "by batch",
                           weight=np.ones((6, 5)), field="[5, 6]")
        self.assert_reason("INVALID_REQUEST", self.set_parameters, session, "by batch",
                           gamma=np.ones(5), field="gamma")
        self.assert_reason("INVALID_REQUEST", self.set_parameters, session, "dropout",
                           weight=np.ones(5), field="weight")
        for value in (np.nan, np.inf, 701.0):
            self.assert_reason("INVALID_TENSOR", self.set_parameters, session, "concrete",
                               logit_p=np.array(value), field="logit_p")
        self.set_parameters(session, "by batch", weight=np.ones((5, 6)), bias=np.ones(5))
        self.assert_reason("INVALID_TENSOR", self.client.forward, session, "by batch",
                           np.ones((4, 5)), step=1, field="in_features")
        answer = self.client.call("GetParameters", pb.GetParametersRequest(
            session_id=session, layer_id="by batch"))
        self.assertEqual([p.name for p in answer.parameters], ["bias", "weight"])
        # All or none.
        self.assert_reason("INVALID_TENSOR", self.set_parameters, session, "by batch",
                           weight=np.zeros((5, 6)), bias=np.zeros(6))
        again = self.client.call("GetParameters", pb.GetParametersRequest(
            session_id=session, layer_id="by batch"))
        self.assertEqual(answer, again)


class EvictionTest(FamilyTest):
    SERVER_FLAGS = ("--input_cache_bytes=64KiB",)

    def test_a_step_whose_input_went_is_lost_and_says_so(self):
        session = self.session(layer("concrete"))
        x = np.ones((64, 64))
        for step in range(4):
            self.client.forward(session, "concrete", x, step=step)
        self.assert_reason("STEP_NOT_FOUND", self.client.backward, session, "concrete", x, step=0,
                           field="input")
        self.backward(session, "concrete", x, step=3)


class KeysTest(FamilyTest):
    def test_a_sequence_has_one_mask_in_one_call_or_in_many(self):
        session = self.session(layer("variational", layer_id="v"),
                               layer("recurrent", layer_id="r"))
        for layer_id in ("v", "r"):
            steps = [self.client.get_mask(session, layer_id, step=t, sequence_id=11, shape=[8, 16])
                     for t in range(5)]
            self.assertTrue(all(mask == steps[0] for mask in steps))
            other = self.client.get_mask(session, layer_id, step=0, sequence_id=12, shape=[8, 16])
            self.assertNotEqual(other.bits, steps[0].bits)
        for axis, shape in ((1, [8, 5, 16]), (0, [5, 8, 16])):
            self.client.update_layer(session, layer("variational", layer_id="v", time_axis=axis))
            whole = self.client.get_mask(session, "v", step=0, sequence_id=11, shape=shape)
            one = self.client.update_layer(session, layer("variational", layer_id="v"))
            self.assertEqual(one.layer_id, "v")
            single = self.client.get_mask(session, "v", step=0, sequence_id=11, shape=[8, 16])
            self.assertEqual(whole.bits, single.bits)

    def test_sequences_need_their_id(self):
        session = self.session(layer("variational", layer_id="v"))
        x = np.ones((2, 3))
        self.assert_reason("SEQUENCE_REQUIRED", self.client.forward, session, "v", x, step=0)
        self.assert_reason("SEQUENCE_REQUIRED", self.client.backward, session, "v", x, step=0)
        self.assert_reason("SEQUENCE_REQUIRED", self.client.get_mask, session, "v", step=0,
                           shape=[2, 3])
        self.assert_reason("STEP_REQUIRED", self.client.forward, session, "v", x, sequence_id=1)

    def test_two_sequences_of_one_step_have_records_of_their_own(self):
        session = self.session(layer("recurrent", layer_id="r"))
        x = np.ones((8, 16))
        answers = {sequence: client_helpers.to_array(self.client.forward(
            session, "r", x, step=3, sequence_id=sequence).output) for sequence in (0, 1)}
        for sequence, y in answers.items():
            dx = self.client.backward(session, "r", x, step=3, sequence_id=sequence)
            np.testing.assert_array_equal(dx, y)
        self.assertEqual(self.client.release_steps(session, "r", 3), 2)

    def test_an_update_does_not_lose_the_steps_of_another_key(self):
        session = self.session(layer("variational", layer_id="v"))
        x = np.ones((8, 16))
        y = client_helpers.to_array(
            self.client.forward(session, "v", x, step=1, sequence_id=5).output)
        self.client.update_layer(session, layer("dropout", p=0.9, layer_id="v"))
        dx = self.client.backward(session, "v", x, step=1, sequence_id=5)
        np.testing.assert_array_equal(dx, y)


class DepthAndSchedulesTest(FamilyTest):
    def test_stochastic_depth_decides_before_the_branch(self):
        session = self.session(
            layer("stochastic_depth", layer_id="d", p=0.5, depth_index=3, depth_count=4),
            layer("stochastic_depth", layer_id="l", p=0.5, mode=pb.DEPTH_MODE_BATCH,
                  scaling=pb.SCALING_NONE))
        for step in range(20):
            mask = self.client.get_mask(session, "d", step=step, shape=[16, 4])
            self.assertEqual(list(mask.shape), [16, 1])
            answer = self.client.forward(session, "d", np.ones((16, 4)), step=step)
            self.assertEqual(answer.p, 0.5 * 3 / 4)
            kept = kept_elements(mask)
            np.testing.assert_array_equal(client_helpers.to_array(answer.output),
                                          np.broadcast_to(kept / (1 - 0.375), (16, 4)))
            drop = self.client.forward(session, "l", np.ones((16, 4)), step=step, return_mask=True)
            self.assertEqual(list(drop.mask.shape), [1, 1])
            y = client_helpers.to_array(drop.output)
            self.assertIn(set(y.ravel().tolist()), ({0.0}, {1.0}))

    def test_p_is_the_schedules_at_the_step(self):
        linear = pb.LinearSchedule(start_p=0.1, end_p=0.5, start_step=10, end_step=20)
        cosine = pb.CosineSchedule(start_p=0.1, end_p=0.5, start_step=10, end_step=20)
        schedules = {
            "linear": (pb.Schedule(linear=linear), {0: .1, 10: .1, 15: .3, 20: .5, 99: .5}),
            "cosine": (pb.Schedule(cosine=cosine), {0: .1, 15: .3, 20: .5, 12: .1 + .2 * (
                1 - np.cos(np.pi * .2))}),
            "curriculum": (pb.Schedule(curriculum=pb.CurriculumSchedule(end_p=.5, gamma=.1)),
                           {0: 0.0, 10: .5 * (1 - np.exp(-1.0)), 10**6: .5}),
            "piecewise": (pb.Schedule(piecewise=pb.PiecewiseSchedule(
                boundaries=[5, 10], values=[.1, .2, .3])), {0: .1, 4: .1, 5: .2, 9: .2, 10: .3}),
        }
        session = self.session(*[layer("dropout", layer_id=name, schedule=schedule, p=0)
                                 for name, (schedule, _) in schedules.items()])
        self.assertEqual(set(schedules), set(self.client.info().schedules))
        for name, (_, points) in schedules.items():
            for step in sorted(points, reverse=True):
                answer = self.client.forward(session, name, np.ones((4, 4)), step=step,
                                             return_mask=True)
                self.assertAlmostEqual(answer.p, points[step], places=14, msg=f"{name} {step}")
                self.assertEqual(answer.mask.scale, 1 / (1 - answer.p))

    def test_backward_keeps_the_p_of_its_step(self):
        schedule = pb.Schedule(linear=pb.LinearSchedule(end_p=0.5, end_step=10))
        session = self.session(layer("dropout", layer_id="d", schedule=schedule))
        x = np.ones((8, 8))
        y = client_helpers.to_array(self.client.forward(session, "d", x, step=5).output)
        self.client.update_layer(session, layer("dropout", layer_id="d", p=0.9))
        np.testing.assert_array_equal(self.client.backward(session, "d", x, step=5), y)


BAD_LAYERS = [
    (layer("gaussian", broadcast_axes=[8]), "gaussian.broadcast_axes"),
    (layer("gaussian", scaling=pb.SCALING_NONE), "scaling"),
    (layer("gaussian", generator=pb.GENERATOR_NUMPY_LEGACY), "generator"),
    (layer("alpha", scaling=pb.SCALING_EVAL), "scaling"),
    (layer("alpha", p=1.0), "p"),
    (layer("feature_alpha", channel_axis=0), "feature_alpha.channel_axis"),
    (layer("feature_alpha", channel_axis=-9), "feature_alpha.channel_axis"),
    (layer("spatial", channel_axis=8), "spatial.channel_axis"),
    (layer("drop_block", block_size=[0]), "drop_block.block_size"),
    (layer("drop_block", block_size=[1, 2, 3, 4]), "drop_block.block_size"),
    (layer("drop_block", channel_axis=0), "drop_block.channel_axis"),
    (layer("drop_block", gamma=9), "drop_block.gamma"),
    (layer("drop_block", normalization=9), "drop_block.normalization"),
    (layer("drop_block", scaling=pb.SCALING_NONE), "scaling"),
    (layer("concrete", temperature=0.0), "concrete.temperature"),
    (layer("concrete", temperature=float("nan")), "concrete.temperature"),
    (layer("concrete", weight_regularizer=-1.0), "concrete.weight_regularizer"),
    (layer("concrete", dropout_regularizer=float("inf")), "concrete.dropout_regularizer"),
    (layer("concrete", schedule=pb.Schedule(curriculum=pb.CurriculumSchedule(
        end_p=.5, gamma=1))), "schedule"),
    (layer("drop_connect", out_features=1), "drop_connect.in_features"),
    (layer("drop_connect", in_features=1), "drop_connect.out_features"),
    (layer("drop_connect", in_features=2**40, out_features=2**40), "drop_connect.out_features"),
    (layer("drop_connect", in_features=1, out_features=1, mask_scope=pb.MASK_SCOPE_STEP),
     "drop_connect.mask_scope"),
    (layer("drop_connect", target=7), "drop_connect.target"),
    (layer("variational", time_axis=8), "variational.time_axis"),
    (layer("variational", generator=pb.GENERATOR_NUMPY_LEGACY), "generator"),
    (layer("recurrent", mask_scope=pb.MASK_SCOPE_BATCH), "recurrent.mask_scope"),
    (layer("stochastic_depth", mode=5), "stochastic_depth.mode"),
    (layer("stochastic_depth", depth_index=1), "stochastic_depth.depth_index"),
    (layer("stochastic_depth", depth_index=5, depth_count=4), "stochastic_depth.depth_index"),
    (layer("stochastic_depth", depth_count=-1), "stochastic_depth.depth_count"),
    (layer("dropout", schedule=pb.Schedule()), "schedule"),
    (layer("dropout", schedule=pb.Schedule(linear=pb.LinearSchedule(end_p=1, end_step=1))),
     "schedule.linear.end_p"),
    (layer("dropout", schedule=pb.Schedule(cosine=pb.CosineSchedule(end_p=.5))),
     "schedule.cosine.start_step"),
    (layer("dropout", schedule=pb.Schedule(curriculum=pb.CurriculumSchedule(end_p=.5))),
     "schedule.curriculum.gamma"),
    (layer("dropout", schedule=pb.Schedule(piecewise=pb.PiecewiseSchedule(
        boundaries=[1], values=[.5]))), "schedule.piecewise.values"),
    (layer("dropout", schedule=pb.Schedule(piecewise=pb.PiecewiseSchedule(
        boundaries=[2, 2], values=[.5, .5, .5]))), "schedule.piecewise.boundaries"),
]

# Layers that only some shapes fit.
BAD_SHAPES = [
    (layer("spatial"), (4,), "INVALID_LAYER", "spatial.channel_axis"),
    (layer("spatial", channel_axis=-2), (4, 3), "INVALID_LAYER", "spatial.channel_axis"),
    (layer("feature_alpha", channel_axis=3), (4, 3), "INVALID_LAYER", "feature_alpha.channel_axis"),
    (layer("drop_block"), (4, 3), "INVALID_LAYER", "drop_block"),
    (layer("drop_block"), (1, 1, 1, 1, 1, 1), "INVALID_LAYER", "drop_block"),
    (layer("drop_block", block_size=[2, 2, 2]), (2, 3, 4, 4), "INVALID_LAYER",
     "drop_block.block_size"),
    (layer("concrete", spatial=True), (4,), "INVALID_LAYER", "concrete.spatial"),
    (layer("variational", time_axis=2), (4, 3), "INVALID_LAYER", "variational.time_axis"),
    (layer("variational", time_axis=0), (4,), "INVALID_LAYER", "variational.time_axis"),
    (layer("dropout", broadcast_axes=[0, -2]), (4, 3), "INVALID_LAYER", "dropout.broadcast_axes"),
    (layer("drop_connect", target=pb.CONNECT_TARGET_WEIGHTS), (4, 3, 2), "INVALID_TENSOR", "shape"),
    (layer("drop_connect", target=pb.CONNECT_TARGET_WEIGHTS, in_features=4), (4, 3),
     "INVALID_TENSOR", "shape"),
]


class BadOptionsTest(FamilyTest):
    def test_every_bad_option_is_named(self):
        session = self.session()
        for config, field in BAD_LAYERS:
            with self.subTest(layer=str(config)):
                self.assert_reason("INVALID_LAYER", self.client.create_layer, session, config,
                                   field=field)
        self.assertEqual(len(self.client.get_session(session).layers), 0)

    def test_shapes_that_a_layer_cannot_take(self):
        for number, (config, shape, reason, field) in enumerate(BAD_SHAPES):
            config.layer_id = f"layer {number}"
            session = f"bad-shape-{number}"
            self.client.create_session(session, [config])
            with self.subTest(layer=str(config)):
                self.assert_reason(reason, self.client.forward, session, config.layer_id,
                                   np.ones(shape), step=1, sequence_id=1, field=field)
                self.assert_reason(reason, self.client.get_mask, session, config.layer_id,
                                   shape=shape, step=1, sequence_id=1, field=field)
            self.client.delete_session(session)

    def test_layers_come_back_as_they_were_given(self):
        configs = [config for config, _ in ELEMENTWISE] + LINEAR
        session = self.session(*configs)
        known = {made.layer_id: made for made in self.client.get_session(session).layers}
        for config in configs:
            made = known[config.layer_id]
            variant = config.WhichOneof("variant")
            self.assertEqual(made.WhichOneof("variant"), variant)
            for field, value in getattr(config, variant).ListFields():
                self.assertEqual(getattr(getattr(made, variant), field.name), value)
        self.assertEqual(set(self.client.info().variants),
                         {field.name for field in pb.Layer.DESCRIPTOR.oneofs_by_name[
                             "variant"].fields})


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
