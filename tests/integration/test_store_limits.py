"""Limits: what over a store is a copy refuses nothing, and no tenant fills what others need."""

import contextlib
import itertools
import pathlib
import shutil
import tempfile
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb, reason_of, to_tensor
from security_helpers import bearer, make_token
from store_helpers import RedisServer, each_store

X = np.ones((1, 64), np.float32)
STEPS = 10
FEATURES = 4
HALF = 32 << 10  # Bytes of a kind that a tenant may have.
PARAMETER_BYTES = 4 * (FEATURES * FEATURES + FEATURES)


def linear():
    return pb.Layer(layer_id="l", p=0.5, drop_connect=pb.DropConnect(
        in_features=FEATURES, out_features=FEATURES))


def numpy_layer():
    return dropout_layer("l", generator=pb.GENERATOR_NUMPY_LEGACY)


def parameters(session_id, value=1):
    weight = np.full((FEATURES, FEATURES), value, np.float32)
    return pb.SetParametersRequest(session_id=session_id, layer_id="l", parameters=[
        pb.Parameter(name="weight", value=to_tensor(weight)),
        pb.Parameter(name="bias", value=to_tensor(weight[0]))])


def region(session_id, byte_size):
    return pb.CreateSharedMemoryRequest(session_id=session_id, byte_size=byte_size)


def refusal(call, *args, **fields):
    """The reason for which a call is refused, or None."""
    try:
        call(*args, **fields)
        return None
    except grpc.RpcError as error:
        return reason_of(error)


class OverStoresTest(unittest.TestCase):

    def serve(self, *flags):
        server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0", *flags))
        return server, self.enterContext(Client(server.address))

    def test_steps_of_numpy_have_a_quota(self):
        for store in each_store(self):
            with self.subTest(store.kind):
                self.check_quota(self.serve(store.flag, f"--max_steps_per_layer={STEPS}")[1])

    def check_quota(self, client):
        client.create_session("s", [numpy_layer()], seed=1)
        masks = [client.forward("s", "l", X, step=step).output.data for step in range(STEPS)]
        self.assertEqual(refusal(client.forward, "s", "l", X, step=STEPS), "QUOTA_STEPS")
        # A step that is there runs again, and a released one makes room.
        self.assertEqual(client.forward("s", "l", X, step=3).output.data, masks[3])
        client.release_steps("s", "l", 0)
        client.forward("s", "l", X, step=STEPS)

    def test_steps_that_a_store_keeps_are_not_refused(self):
        for store in each_store(self):
            with self.subTest(store.kind):
                _, client = self.serve(store.flag, f"--max_steps={STEPS}")
                for name in "st":
                    client.create_session(name, [dropout_layer("l")], seed=1)
                outputs = {(name, step): client.forward(name, "l", X, step=step).output
                           for name in "st" for step in range(STEPS)}
                for (name, step), output in outputs.items():
                    gradient = client.call("Backward", pb.BackwardRequest(
                        session_id=name, layer_id="l", step=step, output_gradient=to_tensor(X)))
                    self.assertEqual(gradient.input_gradient, output)

    @unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
    def test_a_full_server_serves_the_sessions_of_others(self):
        redis = RedisServer(self)
        limit = f"--max_parameter_bytes={STEPS * PARAMETER_BYTES}"
        (_, a), (_, b) = [self.serve(redis.flag, limit, f"--max_steps={STEPS}") for _ in range(2)]
        outputs = {}
        for client, name in ((a, "a"), (b, "b")):
            for i in range(STEPS):
                session = f"{name}{i}"
                client.create_session(session, [linear()], seed=i)
                client.call("SetParameters", parameters(session, i + 1))
                outputs[session] = client.forward(session, "l", X[:, :FEATURES], step=1).output
        for client in (a, b):
            for session, output in outputs.items():
                again = client.forward(session, "l", X[:, :FEATURES], step=1).output
                self.assertEqual(again, output)

    def test_a_refused_import_costs_nothing(self):
        concrete = [pb.Layer(layer_id="l", p=0.5, concrete=pb.Concrete())]
        with harness.Server() as server, Client(server.address) as client:
            client.create_session("s", concrete)
            snapshot = client.call("ExportSession", pb.ExportSessionRequest(
                session_id="s")).snapshot
        for store in [None, *each_store(self)]:
            with self.subTest(store.kind if store else "memory"):
                server, client = self.serve(*([store.flag] if store else []), "--max_sessions=1")
                client.create_session("only")
                for _ in range(3):
                    self.assertEqual(refusal(client.call, "ImportSession", pb.ImportSessionRequest(
                        snapshot=snapshot)), "QUOTA_SESSIONS")
                self.assertEqual(server.metric("dropoutd_parameter_bytes"), 0)
                self.assertEqual(len(client.list_sessions()), 1)


class Tenant:
    """A client whose calls show a tenant's token."""

    def __init__(self, client, token):
        self._client = client
        self._metadata = bearer(token)

    def call(self, rpc, request):
        return self._client.call(rpc, request, metadata=self._metadata)

    def create(self, session_id, *layers):
        self.call("CreateSession", pb.CreateSessionRequest(
            session_id=session_id, seed=1, layers=layers))

    def forward(self, session_id, step, x=X):
        return self.call("Forward", pb.ForwardRequest(
            session_id=session_id, layer_id="l", step=step, input=to_tensor(x))).output

    def backward(self, session_id, step, x=X):
        return self.call("Backward", pb.BackwardRequest(
            session_id=session_id, layer_id="l", step=step,
            output_gradient=to_tensor(x))).input_gradient


class TenantsTest(unittest.TestCase):

    def setUp(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        tokens = folder / "tokens"
        self.tokens = [make_token(tenant, tokens) for tenant in ("a", "b")]
        self.flag = f"--auth_tokens={tokens}"

    @contextlib.contextmanager
    def tenants(self, *flags):
        with harness.Server("--metrics_listen=127.0.0.1:0", self.flag, *flags) as server, \
                Client(server.address) as client:
            yield [Tenant(client, token) for token in self.tokens]

    def fill(self, call, reason, most=1000):
        """Calls with growing numbers until one is refused; that number."""
        for i in range(most):
            refused = refusal(call, i)
            if refused is not None:
                self.assertEqual(refused, reason)
                return i
        raise AssertionError(f"{most} calls, and none is refused")

    def test_sessions(self):
        details = set()  # Whatever the store, a full one says the same.
        for store in [None, *each_store(self)]:
            flags = [] if store is None else [store.flag]
            with self.subTest(store.kind if store else "memory"), \
                    self.tenants("--max_sessions=10", *flags) as (a, b):
                self.assertEqual(self.fill(lambda i: a.create(f"s{i}"), "QUOTA_SESSIONS"), 5)
                self.assertEqual(self.fill(lambda i: b.create(f"s{i}"), "QUOTA_SESSIONS"), 5)
                with self.assertRaises(grpc.RpcError) as raised:
                    a.create("one-more")
                details.add(raised.exception.details())
                a.call("DeleteSession", pb.DeleteSessionRequest(session_id="s0"))
                self.assertEqual(refusal(b.create, "one-more"), "QUOTA_SESSIONS")
                a.create("one-more")
        self.assertEqual(details, {
            "no room for 1 more sessions: --tenant_max_sessions allows 5, of which you have 5; "
            "delete sessions"})

    def test_sessions_by_a_flag(self):
        with self.tenants("--max_sessions=10", "--tenant_max_sessions=8") as (a, b):
            self.assertEqual(self.fill(lambda i: a.create(f"s{i}"), "QUOTA_SESSIONS"), 8)
            self.assertEqual(self.fill(lambda i: b.create(f"s{i}"), "QUOTA_SESSIONS"), 2)

    def test_steps(self):
        """Whoever has most of them forgets, and who has few keeps them."""
        with self.tenants("--max_steps=100") as (a, b):
            for tenant in (a, b):
                tenant.create("s", dropout_layer("l"))
            ran = {step: b.forward("s", step) for step in range(STEPS)}
            self.fill_or_turn_over(a)
            for step in range(STEPS, 2 * STEPS):
                ran[step] = b.forward("s", step)
            self.fill_or_turn_over(a)
            for step, output in ran.items():
                self.assertEqual(b.backward("s", step), output)

    @staticmethod
    def fill_or_turn_over(tenant):
        for step in range(300):
            refusal(tenant.forward, "s", step)

    def test_steps_of_numpy(self):
        with self.tenants("--max_steps=100") as (a, b):
            for tenant in (a, b):
                tenant.create("s", numpy_layer())
            self.fill(lambda i: a.forward("s", i), "QUOTA_STEPS")
            for step in range(STEPS):
                b.forward("s", step)

    def test_masks_of_numpy(self):
        x = np.ones((1, 8192), np.float32)  # 1 KiB of bits.
        with self.tenants("--mask_cache_bytes=32KiB") as (a, b):
            for tenant in (a, b):
                tenant.create("s", numpy_layer())
            self.fill(lambda i: a.forward("s", i, x), "QUOTA_MASK_CACHE")
            for step in range(STEPS):
                b.forward("s", step, x)

    def test_parameters(self):
        def make(tenant, i):
            tenant.create(f"s{i}", linear())
            tenant.call("SetParameters", parameters(f"s{i}"))

        with self.tenants(f"--max_parameter_bytes={20 * PARAMETER_BYTES}") as (a, b):
            self.assertLessEqual(self.fill(lambda i: make(a, i), "QUOTA_PARAMETER_BYTES"), 10)
            for i in range(5):
                make(b, i)

    def test_all_at_once(self):
        """One tenant is full of everything and asks for more; the other one does not notice."""
        with self.tenants("--max_sessions=20", "--max_steps=100", "--shared_memory",
                          f"--mask_cache_bytes={2 * HALF}", f"--input_cache_bytes={2 * HALF}",
                          f"--max_shared_memory_bytes={2 * HALF}",
                          f"--max_parameter_bytes={16 * PARAMETER_BYTES}") as (a, b):
            refused = self.fill_all(a)
            b.create("numpy", numpy_layer())
            b.create("plain", dropout_layer("l"))
            b.create("linear", linear())
            b.call("SetParameters", parameters("linear"))
            b.call("CreateSharedMemory", region("linear", HALF // 2))
            inputs = np.ones((HALF // 8 // 4 // FEATURES, FEATURES), np.float32)
            for step in range(STEPS):
                for reason, call in refused.items():
                    self.assertEqual(refusal(call), reason)
                for name, x in (("numpy", X), ("plain", X), ("linear", inputs)):
                    output = b.forward(name, step, x)
                    gradient = b.backward(name, step, x)
                    if name != "linear":
                        self.assertEqual(gradient, output)

    def fill_all(self, tenant):
        """Calls that are refused by now, by the reason."""
        new = itertools.count()
        masks = np.ones((1, 8192), np.float32)  # 1 KiB of bits.
        inputs = np.ones((HALF // 4 // 4 // FEATURES, FEATURES), np.float32)
        tenant.create("numpy", numpy_layer())
        last = self.fill(lambda i: tenant.create(f"s{i}", linear()), "QUOTA_SESSIONS") - 1
        self.assertEqual(last, self.fill(lambda i: tenant.call(
            "SetParameters", parameters(f"s{i}")), "QUOTA_PARAMETER_BYTES"))
        calls = {
            "QUOTA_SESSIONS": lambda: tenant.create("more"),
            "QUOTA_PARAMETER_BYTES": lambda: tenant.call("SetParameters", parameters(f"s{last}")),
            "QUOTA_MASK_CACHE": lambda: tenant.forward("numpy", next(new), masks),
            "QUOTA_SHARED_MEMORY": lambda: tenant.call("CreateSharedMemory", region("numpy", 4096))}
        for reason in ("QUOTA_MASK_CACHE", "QUOTA_SHARED_MEMORY"):
            self.fill(lambda _, reason=reason: calls[reason](), reason)
        for step in range(50):  # All steps that it may have, and more than all inputs.
            tenant.forward("s0", step, inputs)
        return calls


if __name__ == "__main__":
    unittest.main()
