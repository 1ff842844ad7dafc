"""Exports with wrong bytes under a right checksum: whatever an import takes, the server lives."""

import os
import pathlib
import random
import re
import shutil
import tempfile
import time
import unittest
import urllib.request

import grpc
import harness
import numpy as np
from client_helpers import Client, pb, reason_of, to_tensor
from redis_server import Redis

# How many changes are tried of each export; 0: of every byte, to all of VALUES. Without it: in memory
# of every byte to two values, but of a longer export (NumPy's state) only so many; in a store some.
CHANGES = os.environ.get("DROPOUTD_FORGED_CHANGES")
CHANGES_IN_MEMORY = 3000
CHANGES_IN_A_STORE = 100
FEW_VALUES = (lambda old: 0, lambda old: old ^ 1)
VALUES = (lambda old: 0, lambda old: 1, lambda old: 0xFF, lambda old: old ^ 1,
          lambda old: old ^ 0x80, lambda old: old + 1 & 0xFF, lambda old: old ^ 0x10)
CHECKSUM_BYTES = 4
MAGIC_BYTES = len(b"dropout session\n")
SHAPE = (2, 2, 2, 2)
OUT_FEATURES = 3
STEPS = (1, 2, 3)
NEW_STEP = 9
SEQUENCE = 5
SHORT_SECONDS = 60  # A changed byte may leave a ttl of nanoseconds.
SWEEP_SECONDS = 120
SERVER_FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE,
                 grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


def variants():
    def layer(p=0.3, **fields):
        return pb.Layer(layer_id="l", p=p, **fields)

    yield "dropout", layer(dropout=pb.Dropout(broadcast_axes=[1]))
    yield "numpy_legacy", layer(dropout=pb.Dropout(), generator=pb.GENERATOR_NUMPY_LEGACY)
    yield "gaussian", layer(gaussian=pb.Gaussian())
    yield "alpha", layer(alpha=pb.Alpha())
    yield "feature_alpha", layer(feature_alpha=pb.FeatureAlpha())
    yield "spatial", layer(spatial=pb.Spatial(), scaling=pb.SCALING_EVAL)
    yield "drop_block", layer(drop_block=pb.DropBlock(block_size=[2]))
    yield "concrete", layer(concrete=pb.Concrete())
    yield "concrete_with_p_0", layer(p=0.0, concrete=pb.Concrete())
    yield "drop_connect", layer(drop_connect=pb.DropConnect(
        in_features=SHAPE[-1], out_features=OUT_FEATURES))
    yield "drop_connect_weights", layer(drop_connect=pb.DropConnect(
        target=pb.CONNECT_TARGET_WEIGHTS))
    yield "variational", layer(variational=pb.Variational(time_axis=1))
    yield "recurrent", layer(recurrent=pb.Recurrent())
    yield "stochastic_depth", layer(stochastic_depth=pb.StochasticDepth(
        depth_index=1, depth_count=2))
    for name, schedule in {
            "linear": pb.Schedule(linear=pb.LinearSchedule(
                start_p=0.1, end_p=0.5, start_step=0, end_step=10)),
            "cosine": pb.Schedule(cosine=pb.CosineSchedule(
                start_p=0.1, end_p=0.5, start_step=0, end_step=10)),
            "curriculum": pb.Schedule(curriculum=pb.CurriculumSchedule(end_p=0.5, gamma=0.1)),
            "piecewise": pb.Schedule(piecewise=pb.PiecewiseSchedule(
                boundaries=[2], values=[0.1, 0.5])),
    }.items():
        yield f"{name}_schedule", layer(dropout=pb.Dropout(), schedule=schedule)


class Layer:
    """The one layer of a session, and calls on it."""

    def __init__(self, client, session_id, kind):
        self._client = client
        self._at = {"session_id": session_id, "layer_id": "l", "sequence_id": SEQUENCE}
        self._shape = SHAPE[:2] if kind == "drop_connect_weights" else SHAPE
        self._out = SHAPE[:-1] + (OUT_FEATURES,) if kind == "drop_connect" else self._shape

    def forward(self, step):
        self._client.call("Forward", pb.ForwardRequest(
            **self._at, step=step, input=to_tensor(np.ones(self._shape, np.float32))))

    def backward(self, step):
        self._client.call("Backward", pb.BackwardRequest(
            **self._at, step=step, output_gradient=to_tensor(np.ones(self._out, np.float32))))

    def get_mask(self, step):
        self._client.call("GetMask", pb.GetMaskRequest(**self._at, step=step))


# --- CRC-32C ------------------------------------------------------------------------------


def _shift_byte(crc):
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


TABLE = [_shift_byte(byte) for byte in range(256)]


def _update(crc, byte):
    return crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]


class Forger:
    """Changes a byte of an export, and makes its checksum right again: the CRC is linear, so that a
    changed byte changes it by an amount of its own."""

    def __init__(self, export):
        self.body = export[:-CHECKSUM_BYTES]
        crc = 0xFFFFFFFF
        for byte in self.body:
            crc = _update(crc, byte)
        self._crc = crc ^ 0xFFFFFFFF
        assert self._crc.to_bytes(CHECKSUM_BYTES, "little") == export[-CHECKSUM_BYTES:]
        # What each bit of a byte adds, by how many bytes follow it.
        self._bits = [[TABLE[1 << bit] for bit in range(8)]]
        for _ in range(len(self.body)):
            self._bits.append([_update(crc, 0) for crc in self._bits[-1]])

    def changes(self, count, values):
        """(offset, value) of `count` changes to these values, or of all if that is 0."""
        every = [(at, value) for at in range(MAGIC_BYTES, len(self.body))
                 for value in sorted({change(self.body[at]) for change in values}
                                     - {self.body[at]})]
        if count == 0 or count >= len(every):
            return every
        return random.Random(len(every)).sample(every, count)

    def forge(self, at, value):
        crc = self._crc
        for bit, amount in enumerate(self._bits[len(self.body) - 1 - at]):
            if (self.body[at] ^ value) >> bit & 1:
                crc ^= amount
        return (self.body[:at] + bytes([value]) + self.body[at + 1:]
                + crc.to_bytes(CHECKSUM_BYTES, "little"))


class ForgedSessionsTest(unittest.TestCase):

    def serve(self, *flags):
        self.server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0", *flags))
        self.client = self.enterContext(Client(self.server.address))

    def export(self, kind, layer):
        """An export with parameters, with steps of two configurations and in both modes."""
        self.client.create_session(kind, [layer], seed=7)
        at = Layer(self.client, kind, kind)
        if kind == "drop_connect":
            weight = np.ones((OUT_FEATURES, SHAPE[-1]), np.float32)
            self.client.call("SetParameters", pb.SetParametersRequest(
                session_id=kind, layer_id="l", parameters=[
                    pb.Parameter(name="weight", value=to_tensor(weight)),
                    pb.Parameter(name="bias", value=to_tensor(weight[:, 0]))]))
        at.forward(STEPS[0])
        changed = pb.Layer()
        changed.CopyFrom(layer)
        changed.p = 0.5
        self.client.update_layer(kind, changed)
        at.forward(STEPS[1])
        self.client.set_mode(kind, pb.MODE_EVAL)
        at.forward(STEPS[2])
        self.client.set_mode(kind, pb.MODE_TRAIN)
        snapshot = self.client.call("ExportSession", pb.ExportSessionRequest(
            session_id=kind)).snapshot
        self.client.delete_session(kind)
        return snapshot

    def attempt(self, where, call, *args):
        """Whether the call was answered well; if not, with an error of the contract."""
        try:
            call(*args)
            return True
        except grpc.RpcError as error:
            self.assertNotIn(error.code(), SERVER_FAULTS, f"{where}: {error.details()}")
            self.assertIsNotNone(reason_of(error), f"{where}: {error.details()}")
            return False

    def import_and_use(self, kind, where, snapshot):
        """Whether it was imported, after a use of all that is in it."""
        made = []
        request = pb.ImportSessionRequest(session_id="forged", snapshot=snapshot)
        if not self.attempt(where, lambda: made.append(self.client.call("ImportSession", request))):
            return False
        layer = Layer(self.client, "forged", kind)
        for step in STEPS:
            self.attempt(where, layer.backward, step)
            self.attempt(where, layer.get_mask, step)
        for call in (layer.forward, layer.backward, layer.get_mask):
            self.attempt(where, call, NEW_STEP)
        if made[0].ttl.ToSeconds() < SHORT_SECONDS:
            self.attempt(where, self.client.delete_session, "forged")  # It may have ended.
        else:
            self.client.delete_session("forged")
        return True

    def figures(self):
        """What the server says that it holds, by the metrics' names."""
        with urllib.request.urlopen(f"http://{self.server.metrics_address}/metrics") as page:
            text = page.read().decode()
        return {name: float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1]) for name in (
            "dropoutd_sessions", "dropoutd_steps", "dropoutd_parameter_bytes")}

    def forge_all(self, count, values):
        if CHANGES is not None:
            count, values = int(CHANGES), VALUES
        tried = taken = 0
        for kind, layer in variants():
            with self.subTest(kind):
                snapshot = self.export(kind, layer)
                self.assertTrue(self.import_and_use(kind, kind, snapshot))
                forger = Forger(snapshot)
                for at, value in forger.changes(count, values):
                    tried += 1
                    taken += self.import_and_use(
                        kind, f"{kind}: byte {at} from {forger.body[at]} to {value}",
                        forger.forge(at, value))
        print(f"{tried} forged exports, {taken} taken")
        self.assertGreater(taken, 0)
        # Nothing is left of them, neither of those that were taken nor of the others.
        deadline = time.monotonic() + SWEEP_SECONDS
        while any(self.figures().values()) and time.monotonic() < deadline:
            time.sleep(0.05)  # Some have ended by themselves.
        self.assertEqual(sum(self.figures().values()), 0, self.figures())
        self.client.info()

    def test_in_memory(self):
        self.serve()
        self.forge_all(CHANGES_IN_MEMORY, FEW_VALUES)

    def test_over_sqlite(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.serve(f"--store=sqlite:{folder}/sessions.db")
        self.forge_all(CHANGES_IN_A_STORE, VALUES)

    @unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
    def test_over_redis(self):
        redis = Redis(pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())))
        redis.start()
        self.addCleanup(redis.kill)
        self.serve(f"--store=redis://127.0.0.1:{redis.port}")
        self.forge_all(CHANGES_IN_A_STORE, VALUES)


if __name__ == "__main__":
    unittest.main()
