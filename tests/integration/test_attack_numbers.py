"""Numbers of a client: rates at which a solver did not end, and forged bytes of an export."""

import concurrent.futures
import os
import unittest

import attack
import grpc
import numpy as np
from client_helpers import Client, pb, reason_of, to_tensor
from security_helpers import bearer
from test_forged_sessions import FEW_VALUES, SHAPE, SHORT_SECONDS, Forger, Layer, variants

CALL_SECONDS = 30
THREADS = 2 * (os.cpu_count() or 1) + 8  # More calls than the server has threads.
# (p, block) that the solver did not end on.
RATES = [(1e-300, 3), (2e-308, 3), (1e-310, 3), (1.3e-315, 3), (5e-324, 1)]
CHANGES = 400  # Of each of the exports.
FORGED = ("concrete", "concrete_with_p_0", "drop_connect", "numpy_legacy")


def outcome(call):
    error = call.exception()
    return "OK" if error is None else reason_of(error) or error.code().name


def ask_for_tiny_rates(address, token):
    """A Forward and a GetMask of each rate, all at once, of as many layers as there are threads."""
    with Client(address) as client:
        client.call("CreateSession", pb.CreateSessionRequest(session_id="s", layers=[
            pb.Layer(layer_id=f"{number}", p=p, drop_block=pb.DropBlock(block_size=[block]))
            for number, (p, block) in enumerate(RATES)]), metadata=bearer(token))
        x = to_tensor(np.ones((1, 1, 8, 8), np.float32))
        calls = []
        for number in range(THREADS):
            at = {"session_id": "s", "layer_id": f"{number % len(RATES)}", "step": number}
            calls.append(client.service.Forward.future(
                pb.ForwardRequest(input=x, **at), timeout=CALL_SECONDS, metadata=bearer(token)))
            calls.append(client.service.GetMask.future(
                pb.GetMaskRequest(shape=[1, 1, 8, 8], **at), timeout=CALL_SECONDS,
                metadata=bearer(token)))
        outcomes = [outcome(call) for call in calls]
    return {one: outcomes.count(one) for one in set(outcomes)}


class Caller(Client):
    """A client whose calls carry a token, as Layer and others call."""

    def __init__(self, address, token):
        super().__init__(address, use_local_subchannel_pool=1)
        self._token = token

    def call(self, rpc, request, **options):
        return super().call(rpc, request, metadata=bearer(self._token), **options)


def make_export(client, kind, layer):
    """The bytes of a session with a step and, where it has some, parameters."""
    client.create_session(kind, [layer], seed=7)
    if kind == "drop_connect":
        weight = np.ones((3, SHAPE[-1]), np.float32)
        client.call("SetParameters", pb.SetParametersRequest(
            session_id=kind, layer_id="l", parameters=[
                pb.Parameter(name="weight", value=to_tensor(weight)),
                pb.Parameter(name="bias", value=to_tensor(weight[:, 0]))]))
    Layer(client, kind, kind).forward(1)
    return client.call("ExportSession", pb.ExportSessionRequest(session_id=kind)).snapshot


def forge(address, token):
    """Imports of changed exports, and uses of what was taken; counts the outcomes."""
    layers, counts = dict(variants()), {}

    def attempt(call, *arguments):
        try:
            call(*arguments)
            what = "OK"
        except grpc.RpcError as error:
            what = reason_of(error) or error.code().name
        counts[what] = counts.get(what, 0) + 1
        return what == "OK"

    def use(number, kind, snapshot):
        client, name = clients[number % len(clients)], f"{kind}-{number}"
        made = []
        if not attempt(lambda: made.append(client.call("ImportSession", pb.ImportSessionRequest(
                session_id=name, snapshot=snapshot)))):
            return
        layer = Layer(client, name, kind)
        for call, step in ((layer.backward, 1), (layer.get_mask, 1), (layer.forward, 2),
                           (layer.backward, 2)):
            attempt(call, step)
        if made[0].ttl.ToSeconds() >= SHORT_SECONDS:
            client.delete_session(name)

    clients = [Caller(address, token) for _ in range(4)]
    for kind in FORGED:
        forger = Forger(make_export(clients[0], kind, layers[kind]))
        changes = forger.changes(CHANGES, FEW_VALUES)
        with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
            list(pool.map(lambda item: use(item[0], kind, forger.forge(*item[1])),
                          enumerate(changes)))
    return counts


class AttackNumbersTest(attack.AttackTest):

    def test_rates_of_drop_block(self):
        self.serve()
        outcomes = self.attack(ask_for_tiny_rates)
        self.assertEqual(outcomes, {"OK": 2 * THREADS})

    def test_forged_exports(self):
        self.serve("--session_ttl=1m")
        counts = self.attack(forge)
        self.assertGreater(counts["OK"], CHANGES)
        self.assertEqual({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}
                         & set(counts), set(), counts)


if __name__ == "__main__":
    unittest.main()
