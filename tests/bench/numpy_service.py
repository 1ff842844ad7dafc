"""Baseline: the notebook's class as a gRPC service, as one writes it in an afternoon with grpcio.

Usage: numpy_service.py PROTO_DIR P. Serves DropoutService.Forward alone, whatever the session, and
prints `listening on ADDRESS`. Ends with its standard input.
"""

import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

import grpc
import numpy as np


class Dropout:
    def __init__(self, p):
        self.p = p

    def forward(self, x):
        self.mask = (np.random.rand(*x.shape) > self.p) / (1 - self.p)
        return x * self.mask


def load_stubs(proto_dir):
    out = tempfile.TemporaryDirectory()
    files = sorted(str(path) for path in pathlib.Path(proto_dir).rglob("*.proto"))
    subprocess.run(["protoc", f"-I{proto_dir}", f"--python_out={out.name}", *files], check=True)
    sys.path.insert(0, out.name)
    from dropout.v1 import step_pb2
    return out, step_pb2


def main():
    folder, messages = load_stubs(sys.argv[1])
    layer = Dropout(float(sys.argv[2]))

    def forward(request, _):
        x = np.frombuffer(request.input.data, np.float32).reshape(request.input.shape)
        y = layer.forward(x).astype(np.float32)
        response = messages.ForwardResponse()
        response.output.dtype = request.input.dtype
        response.output.shape.extend(y.shape)
        response.output.data = y.tobytes()
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        forward, request_deserializer=messages.ForwardRequest.FromString,
        response_serializer=messages.ForwardResponse.SerializeToString)
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(4),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        "dropout.v1.DropoutService", {"Forward": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(None)
    folder.cleanup()


main()
