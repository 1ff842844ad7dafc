import sys
import numpy as np
from dropout_client import Client

with Client(sys.argv[1]) as client, client.create_session(seed=1) as session:
    layer = session.create_layer("hidden", p=0.5)
    x = np.ones(16, np.float32)
    y = layer.forward(x, step=0).output
    dx = layer.backward(x, step=0).input_gradient
    print(*y.astype(int), (dx == y).all())
