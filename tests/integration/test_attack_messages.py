"""Messages of tiny submessages, and operations of streams that are begun and never ended."""

import queue
import struct
import threading
import time
import unittest

import attack
import grpc
from client_helpers import Client, pb, reason_of
from security_helpers import bearer
from test_forged_sessions import TABLE

MIB = 1 << 20
MESSAGE_BYTES = attack.MESSAGE_MIB * MIB
CALLS = 4  # At once.
STREAMS = 64
HOLD_SECONDS = 5
CALL_SECONDS = 60
REFUSED = {"QUOTA_MESSAGE_BYTES", "QUOTA_BYTES_IN_FLIGHT", "INVALID_REQUEST", "INVALID_SESSION",
           "INVALID_LAYER"}


def reason(call):
    error = call.exception()
    return "OK" if error is None else reason_of(error) or error.code().name


# --- CRC-32C of many copies of a few bytes --------------------------------------------------


def through(columns, state):
    """A linear map of 32 bits, given by what it makes of each bit."""
    out = 0
    for bit, column in enumerate(columns):
        if state >> bit & 1:
            out ^= column
    return out


def crc_of_copies(state, piece, copies):
    """The CRC's state after so many copies of the piece: each is an affine map of the state."""
    def step(value):
        for byte in piece:
            value = value >> 8 ^ TABLE[(value ^ byte) & 0xFF]
        return value

    constant = step(0)
    columns = [step(1 << bit) ^ constant for bit in range(32)]
    while copies:
        if copies & 1:
            state = through(columns, state) ^ constant
        constant = through(columns, constant) ^ constant
        columns = [through(columns, column) for column in columns]
        copies >>= 1
    return state


def snapshot(head, piece, copies):
    """An export of these bytes and copies, with its checksum."""
    state = crc_of_copies(0xFFFFFFFF, head, 1)
    crc = crc_of_copies(state, piece, copies) ^ 0xFFFFFFFF
    return head + piece * copies + struct.pack("<I", crc)


# --- Attacks --------------------------------------------------------------------------------


def tiny(address, token, rpc, piece, size):
    """Messages of this size, of nothing but copies of one field; counts the reasons."""
    piece = bytes.fromhex(piece)
    if rpc == "ImportSession":
        inner = snapshot(b"dropout session\n\x02", piece, size // len(piece) - 100)
        body = pb.ImportSessionRequest(session_id="t", snapshot=inner).SerializeToString()
    else:
        body = pb.SetModeRequest(session_id="s").SerializeToString() + piece * (
            size // len(piece) - 8)
    clients = [Client(address, use_local_subchannel_pool=1) for _ in range(CALLS)]
    calls = [client.channel.unary_unary(f"/dropout.v1.DropoutService/{rpc}").future(
        body, timeout=CALL_SECONDS, metadata=bearer(token)) for client in clients]
    reasons = [reason(call) for call in calls]
    for client in clients:
        client.channel.close()
    return {one: reasons.count(one) for one in set(reasons)}


def begin_and_hold(address, token, layer, shape):
    """Operations whose last MiB does not come, on streams that stay open; counts the answers."""
    layer = pb.Layer.FromString(bytes.fromhex(layer))
    with Client(address) as client:
        client.call("CreateSession", pb.CreateSessionRequest(session_id="s", layers=[layer]),
                    metadata=bearer(token))
        if layer.WhichOneof("variant") == "drop_connect":
            columns, rows = layer.drop_connect.in_features, layer.drop_connect.out_features
            client.call("SetParameters", pb.SetParametersRequest(
                session_id="s", layer_id="l", parameters=[pb.Parameter(
                    name="weight", value=pb.Tensor(
                        dtype=pb.DATA_TYPE_FLOAT32, shape=[rows, columns],
                        data=bytes(4 * rows * columns)))]), metadata=bearer(token))
    piece = bytes(MIB)
    tensor = pb.Tensor(dtype=pb.DATA_TYPE_FLOAT32, shape=shape, data=piece)
    first = pb.ExchangeRequest(has_more=True, forward=pb.ForwardRequest(
        session_id="s", layer_id="l", step=1, input=tensor))
    pieces = [first] + [pb.ExchangeRequest(data=piece, has_more=True)] * (attack.MESSAGE_MIB - 2)
    answers, opened = [], []

    def read(stream):
        try:
            for answer in stream:
                answers.append(answer.error.reason if answer.HasField("error") else "data")
        except grpc.RpcError as error:
            answers.append(reason_of(error) or error.code().name)

    for _ in range(STREAMS // 8):
        client = Client(address, use_local_subchannel_pool=1)
        messages = [queue.SimpleQueue() for _ in range(8)]
        opened.append((client, messages))
        for each in messages:
            for one in pieces:
                each.put(one)
            stream = client.service.Exchange(iter(each.get, None), metadata=bearer(token),
                                             timeout=CALL_SECONDS)
            threading.Thread(target=read, args=(stream,), daemon=True).start()
    time.sleep(HOLD_SECONDS)
    counts = {one: answers.count(one) for one in set(answers)}
    for client, messages in opened:
        client.channel.close()
        for each in messages:
            each.put(None)
    return counts


class AttackMessagesTest(attack.AttackTest):

    def send_tiny(self, rpc, piece, size=MESSAGE_BYTES):
        self.serve()
        with Client(self.server.address) as client:
            client.call("CreateSession", pb.CreateSessionRequest(session_id="s", layers=[
                pb.Layer(layer_id="l", p=0.5, concrete=pb.Concrete())]), metadata=self.metadata)
        reasons = self.attack(tiny, rpc=rpc, piece=piece.hex(), size=size)
        self.assertLessEqual(set(reasons), REFUSED)

    def test_layers(self):
        self.send_tiny("CreateSession", b"\x1a\x00")

    def test_layers_within_the_limit_of_a_message(self):
        """CreateSession may have 1 MiB."""
        self.send_tiny("CreateSession", b"\x1a\x00", (1 << 20) - 1024)

    def test_layer_ids(self):
        self.send_tiny("SetMode", b"\x1a\x00")

    def test_unknown_fields(self):
        """What a client of a later version may send is kept apart by protobuf."""
        self.send_tiny("SetMode", b"\xfa\x06\x00")

    def test_axes(self):
        """Of one layer of an UpdateLayer: numbers that are not packed."""
        self.send_tiny("UpdateLayer", b"\x12\x05\x82\x01\x02\x08\x00")

    def test_parameters(self):
        self.send_tiny("SetParameters", b"\x1a\x00")

    def test_parts_of_a_snapshot(self):
        self.send_tiny("ImportSession", b"\x1a\x00")

    def test_fields_of_a_snapshot(self):
        self.send_tiny("ImportSession", b"\x22\x00")

    def begin(self, layer, shape):
        self.serve("--max_parameter_bytes=32MiB")
        counts = self.attack(begin_and_hold, layer=layer.SerializeToString().hex(), shape=shape)
        self.assertLessEqual(set(counts) - {"data"}, {"QUOTA_BYTES_IN_FLIGHT", "QUOTA_STREAMS"})

    def test_drop_connect_without_an_end(self):
        self.begin(pb.Layer(layer_id="l", p=0.5, drop_connect=pb.DropConnect(
            in_features=1024, out_features=16, bias=False)), [MESSAGE_BYTES // 4096, 1024])

    def test_concrete_without_an_end(self):
        self.begin(pb.Layer(layer_id="l", p=0.5, concrete=pb.Concrete()),
                   [MESSAGE_BYTES // 4096, 1024])

    def test_dropout_without_an_end(self):
        self.begin(pb.Layer(layer_id="l", p=0.5, dropout=pb.Dropout()),
                   [MESSAGE_BYTES // 4096, 1024])


if __name__ == "__main__":
    unittest.main()
