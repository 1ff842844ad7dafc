"""A session from Python with the generated stubs alone: what a user would write."""

import unittest

import harness
import numpy as np

pb = harness.stubs().messages

X = np.arange(20).reshape(4, 5) / 20
DY = np.arange(20).reshape(4, 5) / 50
P = 0.5
SEED = 1

# np.random.seed(1); np.random.rand(4, 5) > 0.5
KEPT = ["01000",
        "00001",
        "01010",
        "10100"]


def tensor(x):
    return pb.Tensor(dtype=pb.DATA_TYPE_FLOAT64, shape=x.shape, data=x.astype("<f8").tobytes())


def array(t):
    return np.frombuffer(t.data, "<f8").reshape(tuple(t.shape))


class PythonStubsTest(unittest.TestCase):

    def test_forward_and_backward_are_numpys_to_the_last_bit(self):
        with harness.Server() as server, harness.channel(server.address) as channel:
            dropout = harness.stubs().service.DropoutServiceStub(channel)

            session = dropout.CreateSession(pb.CreateSessionRequest(
                seed=SEED,
                layers=[pb.Layer(layer_id="drop", p=P, generator=pb.GENERATOR_NUMPY_LEGACY,
                                 dropout=pb.Dropout())]))
            forward = dropout.Forward(pb.ForwardRequest(
                session_id=session.session_id, layer_id="drop", step=0, input=tensor(X),
                return_mask=True))
            backward = dropout.Backward(pb.BackwardRequest(
                session_id=session.session_id, layer_id="drop", step=0,
                output_gradient=tensor(DY)))
            dropout.SetMode(pb.SetModeRequest(
                session_id=session.session_id, mode=pb.MODE_EVAL))
            evaluated = dropout.Forward(pb.ForwardRequest(
                session_id=session.session_id, layer_id="drop", input=tensor(X)))
            dropout.DeleteSession(pb.DeleteSessionRequest(session_id=session.session_id))

        np.random.seed(SEED)
        mask = (np.random.rand(4, 5) > P) / P
        self.assertEqual(array(forward.output).tobytes(), (X * mask).tobytes())
        self.assertEqual(array(backward.input_gradient).tobytes(), (DY * mask).tobytes())
        self.assertEqual(array(evaluated.output).tobytes(), X.tobytes())

        self.assertEqual(forward.mode, pb.MODE_TRAIN)
        self.assertEqual(evaluated.mode, pb.MODE_EVAL)
        self.assertEqual(forward.p, P)
        self.assertEqual(forward.mask.scale, 2.0)
        self.assertEqual(list(forward.mask.shape), [4, 5])
        bits = np.unpackbits(np.frombuffer(forward.mask.bits, np.uint8), bitorder="little")[:20]
        rows = ["".join(map(str, row)) for row in bits.reshape(4, 5)]
        self.assertEqual(rows, KEPT)


if __name__ == "__main__":
    unittest.main()
