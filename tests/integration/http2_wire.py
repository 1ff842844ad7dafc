"""HTTP/2 by hand: frames, headers, and a connection that does what gRPC's own clients do not."""

import collections
import socket
import struct
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = (
    0, 1, 3, 4, 6, 7, 8, 9)
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE = 4  # A setting.
WINDOW = 65535  # Of a stream and a connection until SETTINGS say otherwise.
MOST_WINDOW = 2**31 - 1
FRAME_BYTES = 16384
CANCEL = 8  # A reason of RST_STREAM.
SOCKET_SECONDS = 120


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


def number(value, bits, first=0):
    """An integer with a prefix of so many bits (RFC 7541, section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def header(name, value):
    """A literal header that is not indexed (RFC 7541, section 6.2.2)."""
    return b"\0" + number(len(name), 7) + name.encode() + number(len(value), 7) + value.encode()


def call_headers(rpc, metadata=(), encoding=None, service="dropout.v1.DropoutService"):
    """The block of headers with which a call begins."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", f"/{service}/{rpc}"),
              (":authority", "test"), ("te", "trailers"), ("content-type", "application/grpc"),
              *([("grpc-encoding", encoding)] if encoding else []), *metadata]
    return b"".join(header(*field) for field in fields)


def message(body):
    """A message as gRPC frames it."""
    return b"\0" + struct.pack(">I", len(body)) + body


class Connection:
    """One connection with any number of calls, which keeps only to the rules that it is told.

    window: that of each of its streams, for the server's answers; it is never made larger.
    acknowledge: whether it answers SETTINGS and PING.
    reads: whether it reads at all.
    source: the host that it comes from; None: any of this machine.
    patience: whole seconds that it waits to send; then it raises OSError. A peer that has closed with
        its buffer full never says so.
    """

    def __init__(self, address, window=WINDOW, acknowledge=True, reads=True, source=None,
                 patience=0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), SOCKET_SECONDS,
                                               source and (source, 0))
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                               struct.pack("@ll", patience, 0))
        self.frames = collections.Counter()  # That came, by kind.
        self.ended = threading.Event()  # The server has closed it.
        self.acknowledged = threading.Event()  # It has the server's limits, and the server knows.
        self._acknowledge = acknowledge
        self._next = 1
        self._lock = threading.Lock()
        self._write(PREFACE + frame(SETTINGS, 0, 0,
                                    struct.pack(">HI", INITIAL_WINDOW_SIZE, window)))
        if reads:
            threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def ping(self):
        self._write(frame(PING, 0, 0, bytes(8)))

    def call(self, headers, body=None, end=True):
        """Begins a call with this block of headers, perhaps a short message; returns its stream."""
        stream = self._next
        self._next += 2
        data = b"" if body is None else frame(DATA, END_STREAM if end else 0, stream, message(body))
        self._write(frame(HEADERS, END_HEADERS, stream, headers) + data)
        return stream

    def calls(self, count, headers, body=None, reset=False):
        """So many calls at once, each ended with its message, or reset in the same breath."""
        block = struct.pack(">I", len(headers))[1:] + bytes([HEADERS, END_HEADERS])
        data = frame(RST_STREAM, 0, 0, struct.pack(">I", CANCEL)) if reset else frame(
            DATA, END_STREAM, 0, message(body))
        tail, rest = data[:5], data[9:]
        parts = []
        for stream in range(self._next, self._next + 2 * count, 2):
            name = struct.pack(">I", stream)
            parts += (block, name, headers, tail, name, rest)
        self._next += 2 * count
        self._write(b"".join(parts))

    def _write(self, data):
        with self._lock:
            self.socket.sendall(data)

    def _read(self):
        source = self.socket.makefile("rb")
        try:
            while len(head := source.read(9)) == 9:
                payload = source.read(int.from_bytes(head[:3], "big"))
                kind, flags = head[3], head[4]
                self.frames[kind] += 1
                if self._acknowledge and kind in (SETTINGS, PING) and not flags & ACK:
                    self._write(frame(kind, ACK, 0, payload if kind == PING else b""))
                    self.acknowledged.set()
        except (OSError, ValueError):
            pass
        self.ended.set()
