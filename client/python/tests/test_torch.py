"""The PyTorch modules against a real server."""

import contextlib
import copy
import dataclasses
import io
import itertools
import threading
import unittest

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import support
from dropout_client import (Client, DropoutError, FailedPreconditionError, LayerExistsError,
                            LinearSchedule, ModeError, RecomputationError, RetryPolicy, Scaling)
from dropout_client.torch import _steps
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
                self.assertTrue(torch.autograd.gradgradcheck(lambda x: module(x, step=3), (x,)))

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

    def test_types_that_the_service_does_not_have(self):
        for local in (False, True):
            module = RemoteDropout(0.5, session=self.session, local=local)
            for dtype in (torch.int64, torch.bool, torch.complex64):
                with self.assertRaisesRegex(TypeError, str(dtype)):
                    module(torch.ones(3, dtype=dtype))
            self.assertEqual(int(module.steps), 0)

    def test_a_scalar_is_masked_here_as_there(self):
        remote = RemoteDropout(0.5, session=self.session)
        local = RemoteDropout(0.5, session=self.session, layer_id=remote.layer.layer_id, local=True)
        for step in range(16):
            x = torch.tensor(3.0, requires_grad=True)
            y = local(x, step=step)
            y.backward()
            self.assertEqual((y.shape, y), (x.shape, remote(x, step=step)))
            self.assertEqual(x.grad, y / 3)

    def test_a_mask_cannot_be_asked_for_by_an_empty_shape(self):
        layer = RemoteDropout(0.5, session=self.session).layer
        layer.forward(np.ones((2, 3), np.float32), step=0)
        self.assertEqual(layer.mask(0).shape, (2, 3))
        for empty in ((), [], torch.Size([])):
            with self.assertRaisesRegex(ValueError, "rank 0"):
                layer.mask(0, shape=empty)

    def test_evaluation_has_no_step_for_a_scheduled_p(self):
        schedule = LinearSchedule(start_p=0.0, end_p=0.5, start_step=0, end_step=10)
        with self.assertRaisesRegex(ValueError, "EVAL"):
            RemoteDropout(0.4, session=self.session, scaling=Scaling.EVAL, schedule=schedule)

    def test_alpha_whose_p_was_changed_on_the_server(self):
        module = RemoteAlphaDropout(0.4, session=self.session, local=True)
        x = torch.randn(4, 6)
        module(x)
        config, = self.session.info().layers
        self.session.update_layer(dataclasses.replace(config, p=0.2))
        with self.assertRaisesRegex(FailedPreconditionError, "0.4"):
            module(x)

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

    def test_a_module_cannot_be_pickled(self):
        model = nn.Sequential(RemoteDropout(0.5, session=self.session))
        for one in (model, copy.deepcopy(model)):
            with self.assertRaisesRegex(TypeError, "state_dict"):
                torch.save(one, io.BytesIO())

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


    def test_a_call_that_fails_is_no_step(self):
        for local in (False, True):
            module = RemoteDropout(0.5, session=self.session, local=local, layer_id=f"drop{local}")
            expected = [module(torch.ones(64), step=step) for step in range(2)]
            self.assertTrue(torch.equal(module(torch.ones(64)), expected[0]))
            layer_id = module.layer.layer_id
            with self.subTest(local=local):
                module.layer.delete()
                for _ in range(3):
                    self.assertRaises(DropoutError, module, torch.ones(64))
                self.assertEqual(int(module.steps), 1)
                self.session.add_layer(module._config)
                self.assertTrue(torch.equal(module(torch.ones(64)), expected[1]), layer_id)
                self.assertEqual(int(module.steps), 2)

    def test_a_server_that_is_away_costs_no_step(self):
        with support.harness.Server() as server, Client(
                server.address, retry=RetryPolicy(timeout=0.5)) as client:
            module = RemoteDropout(0.5, session=client.create_session(seed=1))
            module(torch.ones(4))
            server.kill()
            self.assertRaises(DropoutError, module, torch.ones(4))
            self.assertEqual(int(module.steps), 1)

    def test_threads_share_the_steps_out(self):
        module = RemoteDropout(0.5, session=self.session)
        steps, numbers, through = [], itertools.count(1), module._masked

        def masked(x, place):
            if next(numbers) % 50 == 0:
                raise ConnectionError
            y = through(x, place)
            steps.append(place.step)
            return y

        def work():
            calls = 0
            while calls < 200:
                with contextlib.suppress(ConnectionError):
                    module(torch.ones(2))
                    calls += 1

        module._masked = masked
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(int(module.steps), 1600)
        self.assertEqual(sorted(steps), list(range(1600)))
        self.assertGreater(next(numbers), 1600 + 30)


class CopiesTest(ServerTest):

    def test_encoder_layers_have_masks_of_their_own(self):
        for local in (False, True):
            session = self.client.create_session(seed=1)
            self.addCleanup(session.delete)
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            layer.dropout1 = RemoteDropout(0.5, session=session, layer_id="drop", local=local)
            encoder = nn.TransformerEncoder(layer, 6)
            drops = [one.dropout1 for one in encoder.layers]
            masks = {tuple(drop(torch.ones(64)).tolist()) for drop in drops}
            self.assertEqual(len(masks), 6)
            self.assertEqual([drop.layer.layer_id for drop in drops],
                             [f"drop.{number}" for number in range(1, 7)])
            encoder(torch.randn(2, 3, 16)).sum().backward()
            self.assertEqual([int(drop.steps) for drop in drops], [2] * 6)

    def test_a_copy_has_the_configuration_and_the_steps_so_far(self):
        schedule = LinearSchedule(start_p=0.1, end_p=0.5, start_step=0, end_step=10)
        module = RemoteDropout(0.4, session=self.session, layer_id="drop", broadcast_axes=(1,),
                               schedule=schedule)
        module(torch.ones(4, 6))
        twin = copy.deepcopy(nn.Sequential(module))[0]
        # What nobody uses is not made: a copy of the best weights needs no server.
        self.assertEqual(len(self.session.info().layers), 1)
        self.assertEqual(int(twin.steps), 1)
        twin(torch.ones(4, 6))
        first, second = self.session.info().layers
        self.assertEqual(dataclasses.replace(second, layer_id="drop", revision=first.revision), first)
        self.assertEqual(second.layer_id, "drop.1")
        self.assertEqual((int(module.steps), int(twin.steps)), (1, 2))

    def test_copies_of_copies(self):
        RemoteDropout(0.5, session=self.session, layer_id="drop.2")
        module = RemoteDropout(0.5, session=self.session, layer_id="drop")
        first = copy.deepcopy(module)
        second = copy.deepcopy(first)
        self.assertEqual([one.layer.layer_id for one in (first, second, copy.deepcopy(module))],
                         ["drop.1", "drop.3", "drop.4"])

    def test_workers_copies_are_the_same(self):
        outputs = []
        for _ in range(2):
            with Client(self.server.address) as client:
                session = client.create_session(self.session.session_id, seed=1)
                drop = RemoteDropout(0.5, session=session)
                outputs.append([one(torch.ones(64)) for one in (drop, *map(copy.deepcopy, [drop] * 2))])
        for one, other in zip(*outputs):
            self.assertTrue(torch.equal(one, other))


class ModesTest(ServerTest):

    def test_a_module_in_train_whose_layer_is_in_eval(self):
        for local in (False, True):
            module = RemoteDropout(0.5, session=self.session, local=local)
            x = torch.ones(64)
            expected = module(x)
            self.session.eval()
            with self.assertRaisesRegex(ModeError, module.layer.layer_id):
                module(x)
            self.assertRaises(ModeError, module, torch.tensor(1.0))
            self.assertEqual(int(module.steps), 1)
            module.eval()
            self.assertTrue(torch.equal(module(x), x))
            self.session.train()
            module.train()
            self.assertTrue(torch.equal(module(x, step=0), expected))
            self.assertFalse(torch.equal(module(x), x))

    def test_a_step_that_somebody_ran_in_eval(self):
        for local in (False, True):
            module = RemoteDropout(0.5, session=self.session, layer_id="drop", local=local)
            self.session.eval()
            module.layer.forward(np.ones(64, np.float32), step=0)
            self.session.train()
            y = module(torch.ones(64))
            self.assertTrue(0 < int((y == 0).sum()) < 64)
            self.session.layer("drop").release_steps(0)

    def test_a_rate_of_0_is_no_eval(self):
        for local in (False, True):
            module = RemoteDropout(0.0, session=self.session, local=local)
            self.assertTrue(torch.equal(module(torch.ones(64)), torch.ones(64)))
            self.session.eval()
            self.assertRaises(ModeError, module, torch.ones(64))
            self.session.train()


class Net(nn.Module):
    """Three linear layers with dropout between them."""

    def __init__(self, session, local, name):
        super().__init__()
        torch.manual_seed(3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 8), nn.GELU(), RemoteDropout(
                0.5, session=session, layer_id=f"{name}_{number}", local=local))
            for number in range(2))
        self.last = nn.Linear(8, 8)

    def forward(self, x, run):
        """run: runs a block."""
        for block in self.blocks:
            x = run(block, x)
        return self.last(x)

    def steps(self):
        return [int(block[2].steps) for block in self.blocks]


def plain(block, x):
    return block(x)


class CheckpointTest(ServerTest):

    MODES = [(reentrant, local) for reentrant in (True, False) for local in (False, True)]


    def gradients(self, net, run, iterations=3, before=lambda: None):
        """All gradients of each iteration, its loss and the input's gradient among them."""
        found = []
        for iteration in range(iterations):
            x = torch.linspace(-1, 1, 128).reshape(16, 8).add(iteration).requires_grad_()
            before()
            net.zero_grad()
            loss = net(x, run).square().mean()
            loss.backward()
            found += [loss.detach(), x.grad, *(one.grad.clone() for one in net.parameters())]
        return found

    def assert_equal(self, ours, theirs):
        self.assertEqual(len(ours), len(theirs))
        for one, other in zip(ours, theirs):
            self.assertTrue(torch.equal(one, other))

    def compare(self, run, local, before=lambda: None, net=Net):
        """Gradients and steps of a run with checkpoints against one without."""
        ours, theirs = (net(self.session, local, "net") for _ in range(2))
        self.assert_equal(self.gradients(ours, run, before=before), self.gradients(theirs, plain))
        self.assertEqual(ours.steps(), theirs.steps())
        self.assertEqual(ours.steps(), [3, 3])

    def test_gradients_are_those_without_checkpoint(self):
        for reentrant, local in self.MODES:
            self.compare(lambda block, x: checkpoint(block, x, use_reentrant=reentrant), local)

    def test_a_generator_that_is_seeded_anew_each_time(self):
        for reentrant, local in self.MODES:
            self.compare(lambda block, x: checkpoint(block, x, use_reentrant=reentrant), local,
                         before=lambda: torch.manual_seed(0))

    def test_nested_checkpoints(self):
        def run(block, x):
            return checkpoint(lambda y: checkpoint(block, y), x)

        for local in (False, True):
            self.compare(run, local)

    def test_one_segment_of_all(self):
        class Whole(Net):
            def forward(self, x, run):
                return run(lambda y: super(Whole, self).forward(y, plain), x)

        for reentrant, local in self.MODES:
            self.compare(lambda block, x: checkpoint(block, x, use_reentrant=reentrant), local,
                         net=Whole)

    def test_a_module_that_runs_twice_in_a_segment(self):
        for reentrant, local in self.MODES:
            drop = RemoteDropout(0.5, session=self.session, layer_id="twice", local=local)
            outputs = []
            for run in (plain, lambda f, x: checkpoint(f, x, use_reentrant=reentrant)):
                drop.steps.zero_()
                x = torch.ones(64, requires_grad=True)
                run(lambda y: drop(y.exp()).sin() * drop(y).exp(), x).sum().backward()
                self.assertEqual(int(drop.steps), 2)
                outputs.append(x.grad)
            self.assertTrue(torch.equal(*outputs))

    def test_sequences(self):
        for local in (False, True):
            found = []
            for segments in (None, 2):
                net = Net(self.session, local, "net")
                modules = nn.Sequential(*net.blocks, net.last)
                x = torch.linspace(-1, 1, 128).reshape(16, 8).requires_grad_()
                y = modules(x) if segments is None else checkpoint_sequential(modules, segments, x)
                y.square().mean().backward()
                found.append([x.grad, *(one.grad for one in net.parameters())])
                self.assertEqual(net.steps(), [1, 1])
            self.assert_equal(*found)

    def test_accumulation_and_a_graph_that_is_kept(self):
        for local in (False, True):
            found = []
            for run in (plain, lambda block, x: checkpoint(block, x)):
                net = Net(self.session, local, "net")
                losses = [net(torch.full((4, 8), float(n), requires_grad=True), run).square().mean()
                          for n in range(3)]
                sum(losses).backward(retain_graph=True)
                losses[1].backward()
                found.append([one.grad for one in net.parameters()])
                self.assertEqual(net.steps(), [3, 3])
            self.assert_equal(*found)

    def test_backward_on_another_thread(self):
        for reentrant, local in self.MODES:
            net, other = (Net(self.session, local, "net") for _ in range(2))
            x = torch.ones(4, 8, requires_grad=True)
            loss = net(x, lambda f, y: checkpoint(f, y, use_reentrant=reentrant)).sum()
            thread = threading.Thread(target=loss.backward)
            thread.start()
            thread.join()
            other(torch.ones(4, 8), plain).sum().backward()
            self.assert_equal([one.grad for one in net.parameters()],
                              [one.grad for one in other.parameters()])

    def test_without_the_random_state_a_step_must_be_given(self):
        for reentrant, local in self.MODES:
            drop = RemoteDropout(0.5, session=self.session, layer_id="drop", local=local)
            x = torch.ones(64, requires_grad=True)

            def run(f):
                return checkpoint(lambda y: f(y.exp()).exp(), x, use_reentrant=reentrant,
                                  preserve_rng_state=False)

            with self.assertRaisesRegex(RuntimeError, "preserve_rng_state"):
                run(drop).sum().backward()
            x.grad = None
            run(lambda y: drop(y, step=5)).sum().backward()
            ours, x.grad = x.grad, None
            drop(x.exp(), step=5).exp().sum().backward()
            self.assertTrue(torch.equal(ours, x.grad))

    def test_forwards_of_one_number(self):
        for reentrant, local in self.MODES:
            net = Net(self.session, local, "net")

            def loss():
                torch.manual_seed(0)
                x = torch.ones(4, 8, requires_grad=True)
                return net(x, lambda f, y: checkpoint(f, y, use_reentrant=reentrant)).sum()

            both = loss() + loss()
            with self.assertRaisesRegex(RuntimeError, "same state"):
                both.backward()

    def test_eval_before_the_recomputation(self):
        for reentrant, local in self.MODES:
            drop = RemoteDropout(0.5, session=self.session, local=local)
            x = torch.ones(64, requires_grad=True)
            y = checkpoint(lambda x: drop(x.exp()).exp(), x, use_reentrant=reentrant)
            drop.eval()
            with self.assertRaisesRegex(RuntimeError, "after the backward"):
                y.sum().backward()

    def test_a_checkpoint_in_eval(self):
        for reentrant, local in self.MODES:
            drop = RemoteDropout(0.5, session=self.session, local=local)
            drop(torch.ones(4))
            drop.eval()
            x = torch.ones(4, requires_grad=True)
            checkpoint(lambda x: drop(x.exp()), x, use_reentrant=reentrant).sum().backward()
            self.assertTrue(torch.equal(x.grad, torch.ones(4).exp()))

    def test_a_forward_that_is_forgotten(self):
        drop = RemoteDropout(0.5, session=self.session, local=True)
        first, *_ = [checkpoint(drop, torch.ones(2, requires_grad=True))
                     for _ in range(2 * _steps.REMEMBERED_FORWARDS)]
        with self.assertRaisesRegex(RecomputationError, drop.layer.layer_id):
            first.sum().backward()

    def test_an_error_in_a_backward_leaves_nothing_behind(self):
        drop = RemoteDropout(0.5, session=self.session)
        y = checkpoint(lambda x: drop(x.exp()).exp(), torch.ones(4, requires_grad=True))
        self.session.eval()
        self.assertRaises(ModeError, y.sum().backward)
        self.session.train()
        self.assertFalse(_steps.is_inside_backward())
        drop(torch.ones(4))
        self.assertEqual(int(drop.steps), 2)


if __name__ == "__main__":
    unittest.main()
