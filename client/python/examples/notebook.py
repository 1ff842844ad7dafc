#!/usr/bin/env python3
"""The teaching notebook's cells over gRPC, with NumPy's results beside the server's.

    $ notebook.py [ADDRESS]
"""

import sys

import numpy as np

from dropout_client import Client, Generator


def main(address="127.0.0.1:50051"):
    x, gradient = (np.arange(20).reshape(4, 5) / divisor for divisor in (20, 50))
    with Client(address) as client, client.create_session(seed=1, ttl=60) as session:
        layer = session.create_layer("dropout", p=0.5, generator=Generator.NUMPY_LEGACY)
        output = layer.forward(x, step=0).output
        input_gradient = layer.backward(gradient, step=0).input_gradient
        session.eval()
        evaluated = layer.forward(x).output

    np.random.seed(1)
    mask = (np.random.rand(4, 5) > 0.5) / 0.5
    all_equal = True
    for name, notebook, server in (
            ("the output", x * mask, output),
            ("the gradient with respect to the input", gradient * mask, input_gradient),
            ("the output in eval, which is the input", x, evaluated)):
        equal = notebook.tobytes() == server.tobytes()
        all_equal = all_equal and equal
        print(f"{name}: " + ("equal to the last bit" if equal
                             else f"differs\n{notebook}\n{server}"))
    return 0 if all_equal else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
