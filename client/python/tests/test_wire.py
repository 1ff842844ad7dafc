"""Messages beside protobuf's own encoder and decoder."""

import unittest

import numpy as np
from google.protobuf.message import DecodeError

import support  # noqa: F401
from dropout_client import DataType, Tensor, _wire, tensor
from dropout_client._stubs.dropout.v1 import step_pb2, tensor_pb2

INPUT = step_pb2.ForwardRequest.INPUT_FIELD_NUMBER
OUTPUT = step_pb2.ForwardResponse.OUTPUT_FIELD_NUMBER


def response(**output):
    return step_pb2.ForwardResponse(
        output=tensor_pb2.Tensor(**output), mode=1, p=0.25,
        mask=step_pb2.Mask(shape=[2, 1], scale=1.5, bits=b"\x03"))


class EncodeTest(unittest.TestCase):

    def test_protobuf_reads_what_is_written(self):
        request = step_pb2.ForwardRequest(session_id="s", layer_id="l", step=2**64 - 1)
        for size in (0, 1, 2, 31, 32, 5000, 70000):
            values = np.arange(size, dtype=np.float32)
            encoded = _wire.with_tensor(request, INPUT, DataType.FLOAT32, values.shape,
                                        tensor.bytes_of(values))
            read = step_pb2.ForwardRequest.FromString(encoded)
            self.assertEqual(read.input.data, values.tobytes())
            self.assertEqual(list(read.input.shape), [size])
            self.assertEqual((read.session_id, read.layer_id, read.step), ("s", "l", 2**64 - 1))

    def test_bad_shapes_go_out_as_they_are(self):
        encoded = _wire.with_tensor(step_pb2.ForwardRequest(), INPUT, 0, (-1, 2**62), b"abc")
        read = step_pb2.ForwardRequest.FromString(encoded).input
        self.assertEqual((read.dtype, list(read.shape), read.data), (0, [-1, 2**62], b"abc"))


class DecodeTest(unittest.TestCase):

    def split(self, encoded):
        return _wire.split_tensor(encoded, step_pb2.ForwardResponse, OUTPUT)

    def check(self, encoded, shape, data):
        message, output = self.split(encoded)
        self.assertEqual((output.dtype, output.shape, bytes(output.data)), (1, shape, data))
        self.assertEqual((message.mode, message.p, message.mask.bits), (1, 0.25, b"\x03"))

    def test_reads_what_protobuf_writes(self):
        for size in (1, 2, 31, 32, 5000, 70000):
            data = bytes(range(256)) * (size // 64 + 1)
            encoded = response(dtype=1, shape=[size, 1], data=data).SerializeToString()
            self.check(encoded, (size, 1), data)

    def test_nothing_is_copied(self):
        encoded = response(dtype=1, shape=[1000], data=bytes(4000)).SerializeToString()
        _, output = self.split(encoded)
        self.assertIs(output.data.obj, encoded)

    def test_tensor_in_parts_is_merged(self):
        whole = response(dtype=1, shape=[2], data=b"12345678")
        first, second = response(dtype=1, shape=[2]), step_pb2.ForwardResponse(
            output=tensor_pb2.Tensor(data=b"12345678"))
        self.check(first.SerializeToString() + second.SerializeToString(), (2,), b"12345678")
        twice = whole.SerializeToString() + step_pb2.ForwardResponse(
            output=tensor_pb2.Tensor(data=b"abcdefgh")).SerializeToString()
        self.check(twice, (2,), b"abcdefgh")

    def test_empty_and_absent_tensors(self):
        self.check(response(dtype=1, shape=[0]).SerializeToString(), (0,), b"")
        self.assertIsNone(self.split(step_pb2.ForwardResponse(p=0.5).SerializeToString())[1])
        shared = response(dtype=1, shape=[2],
                          shared_memory=tensor_pb2.SharedMemoryRef(region_id="r"))
        self.assertIsNone(self.split(shared.SerializeToString())[1])

    def test_unknown_fields_are_passed_over(self):
        encoded = response(dtype=1, shape=[2], data=b"12345678").SerializeToString()
        for extra in (b"\xa0\x06\x01", b"\xa1\x06" + bytes(8), b"\xa5\x06" + bytes(4),
                      b"\xa2\x06\x02ab"):
            self.check(extra + encoded + extra, (2,), b"12345678")

    def test_malformed_messages(self):
        good = response(dtype=1, shape=[2], data=b"12345678").SerializeToString()
        for bad in (good[:-1], good + b"\x0a", good + b"\x0a\xff", good + b"\x07",
                    good + b"\xff" * 11):
            self.assertRaises((ValueError, DecodeError), self.split, bad)


class TensorTest(unittest.TestCase):

    def test_arrays_that_must_be_copied(self):
        x = np.arange(12, dtype=np.float32).reshape(3, 4)
        for view in (x.T, x[:, ::2], x.astype(">f4"), np.asfortranarray(x)):
            made = tensor.as_contiguous(view)
            self.assertEqual(made.tolist(), view.tolist())
            self.assertEqual(bytes(tensor.bytes_of(made)), view.astype("<f4").tobytes())

    def test_arrays_that_need_not_be_copied(self):
        for dtype in (np.float16, np.float32, np.float64):
            x = np.zeros((3, 4), dtype)
            self.assertIs(tensor.as_contiguous(x), x)
            self.assertEqual(tensor.bytes_of(x).nbytes, x.nbytes)
        self.assertEqual(tensor.bytes_of(np.float32(1.5).reshape(())).nbytes, 4)

    def test_types_that_the_service_does_not_have(self):
        for x in ([1, 2], [True], np.zeros(2, np.complex64), ["a"], np.zeros(2, np.longdouble)):
            self.assertRaises(TypeError, tensor.as_contiguous, x)

    def test_bfloat16_is_bits(self):
        value = Tensor(DataType.BFLOAT16, (2,), b"\x80\x3f\x00\xc0").numpy()
        self.assertEqual(value.tolist(), [0x3F80, 0xC000])


if __name__ == "__main__":
    unittest.main()
