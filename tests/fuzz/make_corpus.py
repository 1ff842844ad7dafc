"""Writes the seeds of the fuzz targets to tests/fuzz/corpus/; they are kept in the repository.

A seed of step_message_fuzz: a byte for the type (0 forward, 1 backward, 2 exchange), a byte for the
length of the fragments (0: one), and the message.
"""

import pathlib
import struct

FORWARD, BACKWARD, EXCHANGE = range(3)
VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(value, extra=0):
    out = []
    while value >= 0x80 or extra > len(out):
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + [value])


def tag(number, kind):
    return varint(number << 3 | kind)


def number(field, value):
    return tag(field, VARINT) + varint(value)


def delimited(field, value):
    return tag(field, DELIMITED) + varint(len(value)) + value


def tensor(shape=(2, 4), data=bytes(32), field=4):
    packed = b"".join(varint(size) for size in shape)
    return delimited(field, number(1, 1) + delimited(2, packed) + delimited(3, data))


def place(field, region=b"0123456789abcdef", offset=64):
    return delimited(field, delimited(1, region) + number(2, offset))


def step(*more):
    return delimited(1, b"session") + delimited(2, b"layer") + number(3, 7) + b"".join(more)


WHOLE = step(tensor(), number(5, 32), number(6, 3), number(7, 1), place(8))
SEEDS = {
    "empty": (FORWARD, 0, b""),
    "forward": (FORWARD, 0, WHOLE),
    "forward_in_pieces": (FORWARD, 5, WHOLE),
    "backward": (BACKWARD, 0, WHOLE + tag(9, FIXED64) + struct.pack("<d", 1.5)),
    "backward_in_bytes": (BACKWARD, 1, WHOLE + tag(9, FIXED64) + struct.pack("<d", float("nan"))),
    "norm_in_forward": (FORWARD, 0, WHOLE + tag(9, FIXED64) + bytes(8)),
    "shared_memory": (FORWARD, 3, step(delimited(4, number(1, 1) + number(2, 8) + place(4)))),
    "merged_tensors": (FORWARD, 0, step(tensor(), tensor((3,)), delimited(4, place(4)),
                                        delimited(4, place(4, b"other")))),
    "storage_replaced": (FORWARD, 0, step(delimited(4, place(4) + delimited(3, b"xy") +
                                                    place(4, b"", 1)))),
    "unpacked_shape": (FORWARD, 0, step(delimited(4, number(2, 8) + number(2, 1 << 63)))),
    "many_sizes": (FORWARD, 0, step(tensor(range(40), b""))),
    "group": (FORWARD, 2, WHOLE + tag(20, START_GROUP) + number(1, 1) + tag(20, END_GROUP)),
    "group_unclosed": (FORWARD, 0, tag(20, START_GROUP) + number(1, 1)),
    "group_closed_wrong": (FORWARD, 0, tag(20, START_GROUP) + tag(21, END_GROUP)),
    "groups_100": (FORWARD, 0, tag(2, START_GROUP) * 100 + tag(2, END_GROUP) * 100),
    "groups_101": (FORWARD, 0, tag(2, START_GROUP) * 101 + tag(2, END_GROUP) * 101),
    "bad_utf8": (FORWARD, 0, delimited(1, b"\xed\xa0\x80")),
    "good_utf8": (FORWARD, 1, delimited(1, "\u00e9\u20ac\U0001f600".encode())),
    "long_varint": (FORWARD, 0, tag(3, VARINT) + varint(1, 9)),
    "too_long_varint": (FORWARD, 0, tag(3, VARINT) + varint(1, 10)),
    "long_tag": (FORWARD, 0, varint(3 << 3, 4) + varint(1)),
    "too_long_tag": (FORWARD, 0, varint(3 << 3, 5) + varint(1)),
    "long_size": (FORWARD, 0, tag(1, DELIMITED) + varint(1, 4) + b"a"),
    "too_long_size": (FORWARD, 0, tag(1, DELIMITED) + varint(1, 5) + b"a"),
    "truncated": (FORWARD, 4, WHOLE[:-3]),
    "past_the_message": (FORWARD, 0, delimited(4, tag(3, DELIMITED) + varint(9) + b"short")),
    "wrong_types": (FORWARD, 0, number(1, 5) + delimited(3, b"x") + tag(4, FIXED32) + bytes(4)),
    "field_0": (FORWARD, 0, tag(0, VARINT) + b"\x01"),
    "exchange_forward": (EXCHANGE, 0, delimited(1, WHOLE) + number(4, 1)),
    "exchange_backward": (EXCHANGE, 7, delimited(2, WHOLE)),
    "exchange_data": (EXCHANGE, 3, delimited(3, bytes(64)) + number(4, 1)),
    "exchange_replaced": (EXCHANGE, 0, delimited(1, WHOLE) + delimited(2, b"") + delimited(1, b"")),
    "exchange_merged": (EXCHANGE, 0, delimited(1, WHOLE) + delimited(1, step(tensor()))),
}


def main():
    folder = pathlib.Path(__file__).parent / "corpus" / "step_message_fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (kind, length, message) in SEEDS.items():
        (folder / name).write_bytes(bytes([kind, length]) + message)


main()
