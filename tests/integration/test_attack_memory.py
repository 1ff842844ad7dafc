"""Little is sent, much is to be held: zeros in gzip, noise ahead of data, answers nobody reads."""

import concurrent.futures
import time
import unittest

import attack
import grpc
import raw_call
from client_helpers import Client, dropout_layer, pb
from http2_wire import Connection, call_headers
from security_helpers import bearer

MIB = 1 << 20
BOMB_MIB = 600
BOMBS = 8
STREAMS = 40
UNREAD = 60
UNREAD_CONNECTIONS = 4
HOLD_SECONDS = 5
# Of a mask as large as a message may be.
MASK_ELEMENTS = attack.MESSAGE_MIB * MIB * 8


def bombs(address, token, rpcs, with_token):
    """How many of them ended with which code."""
    metadata = bearer(token) if with_token else ()
    bomb = raw_call.gzip_zeros(BOMB_MIB * MIB)

    def send(number):
        return raw_call.call(address, rpcs[number % len(rpcs)], bomb, metadata=metadata).code

    with concurrent.futures.ThreadPoolExecutor(BOMBS) as pool:
        codes = list(pool.map(send, range(BOMBS)))
    return {str(code): codes.count(code) for code in set(codes)}


def announce(address, token, shape):
    """Exchange operations on tensors of which nothing comes."""
    with Client(address) as client:
        client.call("CreateSession", pb.CreateSessionRequest(session_id="s", layers=[
            pb.Layer(layer_id="l", p=0.5, spatial=pb.Spatial())]), metadata=bearer(token))
    request = pb.ExchangeRequest(has_more=True, forward=pb.ForwardRequest(
        session_id="s", layer_id="l", step=1,
        input=pb.Tensor(dtype=pb.DATA_TYPE_FLOAT32, shape=shape))).SerializeToString()
    headers = call_headers("Exchange", bearer(token))
    with Connection(address) as connection:
        for _ in range(STREAMS):
            connection.call(headers, request, end=False)
        time.sleep(HOLD_SECONDS)
        return {"frames": {str(kind): count for kind, count in connection.frames.items()}}


def leave_unread(address, token, rpc, request, connections, calls, reads):
    """Calls whose answers find no window, and on a connection that may not be read either."""
    headers = call_headers(rpc, bearer(token))
    body = bytes.fromhex(request)
    opened = [Connection(address, window=0, reads=reads) for _ in range(connections)]
    for _ in range(calls // connections):
        for connection in opened:
            connection.call(headers, body)
    time.sleep(HOLD_SECONDS)
    for connection in opened:
        connection.close()
    return {"sent": calls * len(body)}


class AttackMemoryTest(attack.AttackTest):

    def test_zeros_without_a_token(self):
        self.serve()
        codes = self.attack(bombs, rpcs=["Forward", "CreateSession", "Exchange"], with_token=False)
        self.assertEqual(set(codes), {str(grpc.StatusCode.UNAUTHENTICATED.value[0])})

    def test_zeros_with_a_token(self):
        self.serve()
        codes = self.attack(bombs, rpcs=["Forward", "CreateSession", "Exchange"], with_token=True)
        self.assertEqual(set(codes), {str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])})

    def test_noise_ahead_of_data(self):
        self.serve()
        self.attack(announce, shape=[MASK_ELEMENTS // 4, 4, 4])

    def ask_and_leave(self, rpc, request, reads, connections=UNREAD_CONNECTIONS):
        self.attack(leave_unread, rpc=rpc, request=request.SerializeToString().hex(),
                    connections=connections, calls=UNREAD, reads=reads)

    def test_masks_that_nobody_reads(self):
        self.serve()
        with Client(self.server.address) as client:
            client.call("CreateSession", pb.CreateSessionRequest(
                session_id="s", layers=[dropout_layer("l")]), metadata=self.metadata)
        self.ask_and_leave("GetMask", pb.GetMaskRequest(
            session_id="s", layer_id="l", step=1, shape=[MASK_ELEMENTS]), reads=True)

    def test_masks_on_a_connection_that_nobody_reads(self):
        self.serve()
        with Client(self.server.address) as client:
            client.call("CreateSession", pb.CreateSessionRequest(
                session_id="s", layers=[dropout_layer("l")]), metadata=self.metadata)
        self.ask_and_leave("GetMask", pb.GetMaskRequest(
            session_id="s", layer_id="l", step=1, shape=[MASK_ELEMENTS]), reads=False,
            connections=1)

    def export(self, rpc, make):
        """An answer of nearly the largest message: a weight as large as parameters may be."""
        self.serve("--max_parameter_bytes=32MiB")
        columns = (attack.MESSAGE_MIB - 1) * MIB // 4 // 16
        weight = pb.Tensor(dtype=pb.DATA_TYPE_FLOAT32, shape=[16, columns],
                           data=bytes(64 * columns))
        with Client(self.server.address) as client:
            client.call("CreateSession", pb.CreateSessionRequest(session_id="s", layers=[
                pb.Layer(layer_id="l", p=0.5, drop_connect=pb.DropConnect(
                    in_features=columns, out_features=16, bias=False))]), metadata=self.metadata)
            client.call("SetParameters", pb.SetParametersRequest(
                session_id="s", layer_id="l", parameters=[
                    pb.Parameter(name="weight", value=weight)]), metadata=self.metadata)
        self.ask_and_leave(rpc, make, reads=True)

    def test_exports_that_nobody_reads(self):
        self.export("ExportSession", pb.ExportSessionRequest(session_id="s"))

    def test_parameters_that_nobody_reads(self):
        self.export("GetParameters", pb.GetParametersRequest(session_id="s", layer_id="l"))


if __name__ == "__main__":
    unittest.main()
