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


def npy(header, data, version=1):
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


def npy_header(descr="<f4", shape="(2, 3)", order="False"):
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"


# A byte of options, and the file.
NPY_SEEDS = {
    "float32": b"\0" + npy(npy_header(), bytes(range(24))),
    "float64_scalar": b"\0" + npy(npy_header("<f8", "()"), bytes(8)),
    "big_endian": b"\0" + npy(npy_header(">f2", "(3,)"), bytes(6)),
    "bfloat16": b"\0" + npy(npy_header("<V2", "(3,)"), bytes(6)),
    "integers": b"\1" + npy(npy_header("<u2", "(3,)"), bytes(6)),
    "fortran": b"\0" + npy(npy_header(order="True"), bytes(range(24))),
    "version_2": b"\0" + npy(npy_header(), bytes(24), 2),
    "empty": b"\0" + npy(npy_header(shape="(0, 5)"), b""),
    "huge": b"\0" + npy(npy_header(shape="(9223372036854775807, 2)"), b""),
    "short": b"\0" + npy(npy_header(), bytes(23)),
    "rank_9": b"\0" + npy(npy_header(shape="(1,1,1,1,1,1,1,1,1)"), bytes(4)),
}

HASH = "sha256:" + "0123456789abcdef" * 4
TOKEN_SEEDS = {
    "one": f"red {HASH}\n",
    "comments": f"# tokens\n\n  red {HASH}\nblue sha256:{'f' * 64} expires=2030-01-01T00:00:00Z\n",
    "twice": f"red {HASH}\nblue {HASH}\n",
    "token_itself": "red dropout_" + "Zm9v" * 10 + "\n",
    "bad_time": f"red {HASH} expires=tomorrow\n",
    "no_tenant": f"{HASH}\n",
    "windows": f"red {HASH}\r\n",
}

CONFIG_SEEDS = {
    "plain": "listen = \"127.0.0.1:0\"\nmax_sessions = 5\ninsecure = true\n",
    "list": "listen = [\"127.0.0.1:0\", 'unix:x']\n",
    "section": "[server]\nmax_sessions = 5\n",
    "unknown": "colour = red\n",
    "range": "max_sessions = 99999999999999999999\n",
    "twice": "max_sessions = 1\nmax_sessions = 2\n",
    "comment": "# flags\n; and more\nmax_sessions=7 # seven\n",
    "unclosed": "listen = [\"127.0.0.1:0\"\n",
}

MORE, LAST = 1, 0


def request(kind, has_more, size, step_number=1, dtype=1, count=8):
    return (bytes([kind, has_more]) + struct.pack("<H", size) + bytes([step_number, dtype]) +
            struct.pack("<H", count) + b"\x3f")


def data(has_more, size):
    return bytes([2, has_more]) + struct.pack("<H", size) + b"\x3f"


EXCHANGE_SEEDS = {
    "whole": request(0, LAST, 32) + request(1, LAST, 32),
    "pieces": request(0, MORE, 0, count=300) + data(MORE, 700) + data(LAST, 500),
    "too_many": request(0, MORE, 16) + data(LAST, 17),
    "too_few": request(0, MORE, 16) + data(LAST, 15),
    "data_first": data(LAST, 5) + request(0, LAST, 32),
    "begun_twice": request(0, MORE, 16) + request(0, LAST, 32) + data(LAST, 16),
    "backward_of_nothing": request(1, MORE, 8, step_number=3) + data(LAST, 24),
    "half": request(0, MORE, 5, dtype=3, count=64) + data(MORE, 0) + data(LAST, 123),
    "not_a_message": bytes([3, 0]) + struct.pack("<H", 4) + b"\xff\xff\xff\xff",
    "unfinished": request(0, MORE, 16),
}


def text(value):
    return varint(len(value)) + value


def double(value):
    return struct.pack("<d", value)


def zigzag(value):
    return varint(((value << 1) ^ (value >> 63)) & ((1 << 64) - 1))


def layer(options=b"\0\0", schedule=b"\0", layer_id=b"layer"):
    return (varint(1) + text(layer_id) + b"\0" + double(0.25) + b"\0\0" + schedule + options)


def session(*layers):
    images = b"".join(varint(i + 1) + text(each) * 2 + b"\0\1\0"
                      for i, each in enumerate(layers))
    return (varint(1) + varint(99) + varint(7) + b"\1\1" + zigzag(3600) + zigzag(3600) +
            zigzag(-5) + b"\0" + varint(len(layers)) + b"".join(map(text, layers)) + b"\0" +
            varint(len(layers) + 1) + varint(len(layers)) + images)


def step_record(payload=b"", flags=b"\0\0"):
    head = (varint(1) + varint(3) + b"\0" + double(0.25) + double(0.75) + double(0.0) +
            varint(2) + zigzag(4) + zigzag(8) + varint(2) + flags + varint(12345))
    return text(head) + payload


DROP_BLOCK = b"\5" + varint(1) + zigzag(7) + zigzag(1) + b"\0\0\0"
LINEAR_SCHEDULE = b"\1" + double(0.1) + double(0.5) + varint(0) + varint(1000)

# A byte for the kind of record, and the record of format 1. Beside these stand snapshot_*: the
# inside of an export of each variant, as tests/integration/test_forged_sessions.py makes them, and
# format2_*: the same of format 2, as the codecs made them.
SESSION_CODEC_SEEDS = {
    "session": b"\0" + session(layer(), layer(DROP_BLOCK, layer_id=b"block"),
                                 layer(schedule=LINEAR_SCHEDULE, layer_id=b"scheduled")),
    "session_empty": b"\0" + session(),
    "step": b"\1" + step_record(),
    "step_with_payload": b"\1" + step_record(b"payload", b"\1\0"),
    "layer": b"\2" + layer(),
    "layer_drop_block": b"\2" + layer(DROP_BLOCK),
    "layer_schedule": b"\2" + layer(schedule=LINEAR_SCHEDULE),
    "parameters": b"\3" + varint(1) + varint(1) + text(b"weight") + b"\0" + varint(1) + zigzag(2) +
                  text(bytes(8)),
}


# --- Records of a store, taken from the exports among the seeds ------------------------------

PART, FIELD = 0, 1
STORED_EXPORT = {3: PART, 4: FIELD}
SNAPSHOT_KIND = 6  # Of session_codec_fuzz.


class Reader:
    def __init__(self, data):
        self._data = data

    def __bool__(self):
        return bool(self._data)

    def bytes(self, count):
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.bytes(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def text(self):
        return self.bytes(self.varint())


def delimited_fields(data):
    """The (number, bytes) of a message that has no others."""
    reader = Reader(data)
    while reader:
        yield reader.varint() >> 3, reader.text()


def records_of(snapshot):
    """The parts and fields in the inside of an export of either format."""
    reader = Reader(snapshot)
    if reader.bytes(1) == b"\1":
        reader.varint()  # Which export it is.
        yield PART, b"document", reader.text()
        for _ in range(reader.varint()):
            name = reader.text()
            reader.bytes(1)  # That there is a value.
            yield FIELD, name, reader.text()
        return
    for field, entry in delimited_fields(snapshot[1:]):
        if field in STORED_EXPORT:
            values = dict(delimited_fields(entry))
            yield STORED_EXPORT[field], values.get(1, b""), values.get(2, b"")


def store_record_seeds():
    """Each export as a session of a server's own store and, of format 2, of a shared one."""
    folder = pathlib.Path(__file__).parent / "corpus" / "session_codec_fuzz"
    for path in sorted(folder.glob("*snapshot*")):
        kind, snapshot = path.read_bytes()[0], path.read_bytes()[1:]
        if kind % 8 != SNAPSHOT_KIND:
            continue
        seed = b"".join(
            bytes([kind, len(name)]) + name + struct.pack("<H", len(value)) + value
            for kind, name, value in records_of(snapshot))
        name = path.name.replace("snapshot", "session")
        yield name, b"\0" + seed
        if name.startswith("format2"):
            yield "shared_" + name, b"\1" + seed


def main():
    write("session_codec_fuzz", SESSION_CODEC_SEEDS)
    write("step_message_fuzz", {name: bytes([kind, length]) + message
                                for name, (kind, length, message) in SEEDS.items()})
    write("npy_fuzz", NPY_SEEDS)
    write("token_table_fuzz", {name: text.encode() for name, text in TOKEN_SEEDS.items()})
    write("config_file_fuzz", {name: text.encode() for name, text in CONFIG_SEEDS.items()})
    write("exchange_fuzz", EXCHANGE_SEEDS)
    write("store_record_fuzz", dict(store_record_seeds()))


def write(target, seeds):
    folder = pathlib.Path(__file__).parent / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)


main()
