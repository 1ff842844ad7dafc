"""Server reflection, for clients that bring no stubs of their own."""

import unittest

import grpc
import harness

METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
FILE_CONTAINING_SYMBOL = 4  # the number of this field of ServerReflectionRequest
SECONDS = 30


class ReflectionTest(unittest.TestCase):

    def test_the_service_is_described_by_its_own_file(self):
        symbol = b"dropout.v1.DropoutService"
        request = bytes([FILE_CONTAINING_SYMBOL << 3 | 2, len(symbol)]) + symbol
        with harness.Server() as server, harness.channel(server.address) as channel:
            try:
                answers = list(channel.stream_stream(METHOD)(iter([request]), timeout=SECONDS))
            except grpc.RpcError as error:
                self.fail(error)
        self.assertIn(b"dropout/v1/dropout_service.proto", answers[0])
        self.assertIn(b"ReleaseStepsRequest", answers[0])


if __name__ == "__main__":
    unittest.main()
