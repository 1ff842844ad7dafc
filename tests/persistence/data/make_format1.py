"""Made the data of format 1 that stand beside it, with the last server that wrote that format.

  make_format1.py BIN_FOLDER

Writes two sessions with the same calls, one kept in memory and one in SQLite:
format1_memory.session and format1_sqlite.session are their exports, format1_store.txt is what
SQLite kept of the second (names and values without their frames, in hexadecimal), and
format1_backward.txt what Backward of ones answers for each step: layer, step, sequence_id, shape,
and the gradient in hexadecimal.
"""

import base64
import json
import pathlib
import sqlite3
import struct
import subprocess
import sys
import tempfile

BIN = pathlib.Path(sys.argv[1])
HERE = pathlib.Path(__file__).parent
FRAME_BYTES = 5  # A format's byte and a checksum.

RAMP = {"startP": 0.1, "endP": 0.5, "startStep": "1", "endStep": "9"}
LAYERS = [
    {"p": 0.25, "dropout": {"broadcastAxes": [0]}},
    {"p": 0.25, "gaussian": {}},
    {"p": 0.25, "alpha": {}},
    {"p": 0.25, "featureAlpha": {"channelAxis": -1}},
    {"p": 0.25, "spatial": {"channelAxis": 1}},
    {"p": 0.1, "dropBlock": {"blockSize": ["3", "1"], "gamma": "GAMMA_PAPER",
                             "normalization": "NORMALIZATION_BATCH", "shareChannels": True}},
    {"p": 0.2, "concrete": {"temperature": 0.2, "weightRegularizer": 1e-6,
                            "dropoutRegularizer": 1e-5}},
    {"p": 0.25, "dropConnect": {"inFeatures": "4", "outFeatures": "3", "bias": True}},
    {"p": 0.25, "variational": {"timeAxis": 1}},
    {"p": 0.25, "recurrent": {"maskScope": "MASK_SCOPE_SEQUENCE"}},
    {"p": 0.25, "stochasticDepth": {"mode": "DEPTH_MODE_BATCH", "depthIndex": "2",
                                    "depthCount": "3"}},
    {"schedule": {"linear": RAMP}, "dropout": {}},
    {"schedule": {"cosine": RAMP}, "dropout": {}},
    {"schedule": {"curriculum": {"endP": 0.5, "gamma": 0.5}}, "dropout": {}},
    {"schedule": {"piecewise": {"boundaries": ["2", "4"], "values": [0.1, 0.2, 0.3]}},
     "dropout": {}},
    {"p": 0.5, "dropout": {}, "generator": "GENERATOR_NUMPY_LEGACY", "scaling": "SCALING_EVAL",
     "mode": "MODE_TRAIN"},
]
SHAPE = [2, 3, 4, 4]
SEQUENCES = ("variational", "recurrent")


def name_of(layer):
    if "generator" in layer:
        return "numpy"
    named = layer.get("schedule", layer)
    return next(key for key in named if key != "p")


def tensor(shape, value):
    count = 1
    for size in shape:
        count *= size
    return {"dtype": "DATA_TYPE_FLOAT32", "shape": [str(size) for size in shape],
            "data": base64.b64encode(struct.pack(f"<{count}f", *[value] * count)).decode()}


class Server:
    def __init__(self, *arguments):
        command = [BIN / "dropoutd", "--listen=127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1]

    def call(self, method, message):
        done = subprocess.run([BIN / "dropoutctl", f"--address={self.address}", "call", method,
                               json.dumps({"sessionId": "old", **message})],
                              check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout or "{}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def place(layer, step):
    sequence = {"sequenceId": "5"} if name_of(layer) in SEQUENCES else {}
    return {"layerId": name_of(layer), "step": str(step), **sequence}


def run_step(server, layer, step):
    server.call("Forward", {**place(layer, step), "input": tensor(SHAPE, 1.5)})


def fill(server):
    layers = [{**layer, "layerId": name_of(layer)} for layer in LAYERS]
    server.call("CreateSession", {"seed": "12345", "layers": layers})
    weights = [{"name": "weight", "value": tensor([3, 4], 0.5)},
               {"name": "bias", "value": tensor([3], 0.25)}]
    server.call("SetParameters", {"layerId": "dropConnect", "parameters": weights})
    for layer in LAYERS:
        run_step(server, layer, 1)
    # The second step has another configuration, and other parameters.
    server.call("UpdateLayer", {"layer": {**layers[0], "p": 0.5}})
    weights[0]["value"] = tensor([3, 4], 2.0)
    server.call("SetParameters", {"layerId": "dropConnect", "parameters": weights})
    for layer in LAYERS:
        run_step(server, layer, 2)


def export(server, name):
    subprocess.run([BIN / "dropoutctl", f"--address={server.address}", "session", "export", "old",
                    "--output", HERE / name], check=True)


def gradients(server):
    for layer in LAYERS:
        shape = SHAPE[:-1] + [3] if name_of(layer) == "dropConnect" else SHAPE
        for step in (1, 2):
            ones = {"outputGradient": tensor(shape, 1.0)}
            answer = server.call("Backward", {**place(layer, step), **ones})
            data = base64.b64decode(answer["input_gradient"]["data"]).hex()
            sequence = place(layer, step).get("sequenceId", "0")
            yield f"{name_of(layer)} {step} {sequence} {','.join(map(str, shape))} {data}\n"


def main():
    with Server() as memory:
        fill(memory)
        export(memory, "format1_memory.session")
        backward = list(gradients(memory))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "store"
        with Server(f"--store=sqlite:{path}") as stored:
            fill(stored)
            export(stored, "format1_sqlite.session")
            assert list(gradients(stored)) == backward
        db = sqlite3.connect(path)
        rows = [(b"document", db.execute("SELECT document FROM sessions").fetchone()[0])]
        rows += db.execute("SELECT name, value FROM fields ORDER BY name").fetchall()
    lines = [f"{name.hex()} {value[FRAME_BYTES:].hex()}\n" for name, value in rows]
    (HERE / "format1_store.txt").write_text("".join(lines))
    (HERE / "format1_backward.txt").write_text("".join(backward))


main()
