"""The PyTorch modules against a real server."""

import copy
import io
import unittest

import numpy as np
import torch
from torch import nn

import support
from dropout_client import Client, LayerExistsError, LinearSchedule, Scaling
from dropout_client.torch import (RemoteAlphaDropout, RemoteDropBlock, RemoteDropout,
                                  RemoteFeatureAlphaDropout, RemoteGaussianDropout,
                                  RemoteSpatialDropout, default_session)

# Made for a module of each kind: its class, and the shape of a tensor for it.
KINDS = (
    ("dropout", lambda **o: RemoteDropout(0.4, **o), (4, 6)),
    ("dropout", lambda **o: RemoteDropout(0.4, broadcast_axes=(1,), **o), (4, 6, 3)),
    ("dropout", lambda **o: RemoteDropout(0.4, scaling=Scaling.EVAL, **o), (4, 6)),
    ("gaussian", lambda **o: RemoteGaussianDropout(0.4, **o), (4, 6)),
    ("alpha", lambda **o: RemoteAlphaDropout(0.4, **o), (4, 6)),
    ("feature_alpha", lambda **o: RemoteFeatureAlphaDropout(0.4, **o), (4, 6, 3)),
    ("spatial", lambda **o: RemoteSpatialDropout(0.4, **o), (4, 6, 3, 3)),
    ("drop_block", lambda **o: RemoteDropBlock(2, 0.3, **o), (2, 3, 5, 5)),
)


class ServerTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.server = support.harness.Server()
        cls.enterClassContext(cls.server)
        cls.client = cls.enterClassContext(Client(cls.server.address))
        cls.variants = cls.client.server_info().variants

    def setUp(self):
        self.session = self.client.create_session(seed=1)
        self.addCleanup(self.session.delete)

    def each_kind(self):
        """(make, shape) of every kind that the server has."""
        for number, (variant, make, shape) in enumerate(KINDS):
            if variant in self.variants:
                with self.subTest(variant, number=number):
                    yield make, shape


class ModulesTest(ServerTest):

    def test_gradcheck(self):
        for make, shape in self.each_kind():
            x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
            for local in (False, True):
                module = make(session=self.session, local=local)
                self.assertTrue(torch.autograd.gradcheck(lambda x: module(x, step=3), (x,)))

    def test_local_is_remote_to_the_last_bit(self):
        for make, shape in self.each_kind():
            remote = make(session=self.session)
            local = make(session=self.session, layer_id=remote.layer.layer_id, local=True)
            for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
                x = torch.randn(shape, dtype=dtype, requires_grad=True)
                y, z = remote(x), local(x)
                self.assertEqual(y.dtype, dtype)
                self.assertTrue(torch.equal(y, z), dtype)
                gradient = torch.randn(shape).to(dtype)
                dy, = torch.autograd.grad(y, x, gradient)
                dz, = torch.autograd.grad(z, x, gradient)
                self.assertTrue(torch.equal(dy, dz), dtype)

    def test_a_mask_does_not_say_what_a_schedule_made_of_alpha(self):
        schedule = LinearSchedule(start_p=0.0, end_p=0.5, start_step=0, end_step=10)
        with self.assertRaises(ValueError):
            RemoteAlphaDropout(0.4, session=self.session, local=True, schedule=schedule)
        RemoteAlphaDropout(0.4, session=self.session, schedule=schedule)

    def test_evaluation_passes_through_and_sends_nothing(self):
        for make, shape in self.each_kind():
            module = make(session=self.session).eval()
            module.layer.delete()
            x = torch.randn(shape)
            scale = 0.6 if module._config.scaling == Scaling.EVAL else 1.0
            self.assertTrue(torch.equal(module(x), x * scale))
            self.assertEqual(int(module.steps), 0)

    def test_shapes(self):
        module = RemoteDropout(0.5, session=self.session)
        for x in (torch.tensor(3.0), torch.ones(0, 3), torch.ones(3, 0), torch.ones(2, 3, 4).T,
                  torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)):
            for dtype in (torch.float32, torch.bfloat16):
                y = module(x.to(dtype))
                self.assertEqual((y.shape, y.dtype), (x.shape, dtype))
        self.assertRaises(TypeError, module, torch.ones(3, dtype=torch.int64))

    def test_nan_does_not_leak_through_dropped_elements(self):
        for local in (False, True):
            module = RemoteDropout(0.5, session=self.session, local=local)
            x = torch.full((64,), float("nan"), requires_grad=True)
            y = module(x)
            dropped = y == 0
            self.assertTrue(0 < int(dropped.sum()) < 64)
            y.backward(torch.full((64,), float("inf")))
            self.assertTrue(torch.equal(x.grad == 0, dropped))

    def test_output_may_be_changed_in_place(self):
        module = RemoteDropout(0.5, session=self.session)
        x = torch.randn(8, 8, requires_grad=True)
        nn.functional.relu_(module(x)).sum().backward()
        self.assertEqual(x.grad.shape, x.shape)


class StepsTest(ServerTest):

    def test_every_training_call_is_a_step(self):
        module = RemoteDropout(0.5, session=self.session)
        x = torch.ones(64)
        masks = [module(x) for _ in range(3)]
        self.assertFalse(torch.equal(masks[0], masks[1]))
        self.assertTrue(torch.equal(module(x, step=1), masks[1]))
        module.eval()(x)
        self.assertEqual(int(module.steps), 3)

    def test_backward_after_further_steps_and_twice(self):
        module = RemoteDropout(0.5, session=self.session)
        x = torch.ones(64, requires_grad=True)
        first, _ = module(x), module(x)
        module.eval()
        for _ in range(2):
            gradient, = torch.autograd.grad(first, x, torch.ones(64), retain_graph=True)
            self.assertTrue(torch.equal(gradient, first))

    def test_training_goes_on_from_a_checkpoint(self):
        def make():
            return nn.Sequential(nn.Linear(8, 8), RemoteDropout(
                0.5, session=self.session, layer_id="drop"))

        torch.manual_seed(1)
        model, x = make(), torch.randn(4, 8)
        model(x)
        saved = io.BytesIO()
        torch.save(model.state_dict(), saved)
        saved.seek(0)
        resumed = make()
        resumed.load_state_dict(torch.load(saved))
        self.assertTrue(torch.equal(model(x), resumed(x)))

    def test_checkpoints_of_torchs_own_dropout(self):
        theirs = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
        ours = nn.Sequential(nn.Linear(2, 2), RemoteDropout(session=self.session))
        ours.load_state_dict(theirs.state_dict())
        theirs.load_state_dict(ours.state_dict(), strict=False)

    def test_copies_count_for_themselves(self):
        model = nn.Sequential(RemoteDropout(0.5, session=self.session))
        twin = copy.deepcopy(model)
        x = torch.ones(64)
        self.assertTrue(torch.equal(model(x), twin(x)))
        with self.assertRaisesRegex(TypeError, "state_dict"):
            torch.save(model, io.BytesIO())

    def test_layers_are_named_in_order(self):
        with default_session(self.session):
            modules = [RemoteDropout(0.1), RemoteDropout(0.2), RemoteDropout(0.3, layer_id="x")]
        self.assertEqual([module.layer.layer_id for module in modules],
                         ["dropout_0", "dropout_1", "x"])
        with self.assertRaises(LayerExistsError):
            RemoteDropout(0.4, session=self.session, layer_id="x")
        with self.assertRaisesRegex(ValueError, "session"):
            RemoteDropout(0.1)

    def test_workers_rows(self):
        x = torch.ones(8, 16)
        whole = RemoteDropout(0.5, session=self.session, layer_id="drop")(x)
        parts = [RemoteDropout(0.5, session=self.session, layer_id="drop", sample_offset=offset)
                 for offset in (0, lambda part: 3)]
        self.assertTrue(torch.equal(torch.cat([parts[0](x[:3]), parts[1](x[3:])]), whole))

    def test_the_same_training_as_with_the_masks_by_hand(self):
        torch.manual_seed(2)
        x, target = torch.randn(16, 8), torch.randn(16, 3)
        first, second = nn.Linear(8, 32), nn.Linear(32, 3)
        module = RemoteDropout(0.5, session=self.session)
        model = nn.Sequential(first, module, second)
        by_hand = copy.deepcopy(model)
        for step in range(3):
            kept = torch.from_numpy(np.array(module.layer.mask(step, (16, 32)).kept()))
            hidden = by_hand[0](x) * kept * 2
            losses = ((model(x) - target).square().mean(),
                      (by_hand[2](hidden) - target).square().mean())
            for one, loss in zip((model, by_hand), losses):
                one.zero_grad()
                loss.backward()
                with torch.no_grad():
                    for parameter in one.parameters():
                        parameter -= 0.1 * parameter.grad
        for ours, theirs in zip(model.parameters(), by_hand.parameters()):
            torch.testing.assert_close(ours, theirs)


if __name__ == "__main__":
    unittest.main()
