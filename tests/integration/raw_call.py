"""Calls in HTTP/2 by hand: messages with any encoding and any flag, as gRPC's own clients do not send
them."""

import collections
import io
import socket
import struct
import zlib

from http2_wire import (ACK, DATA, END_HEADERS, END_STREAM, FRAME_BYTES, GOAWAY, HEADERS,
                        INITIAL_WINDOW_SIZE, MOST_WINDOW, PING, PREFACE, RST_STREAM, SETTINGS,
                        SOCKET_SECONDS, WINDOW, WINDOW_UPDATE, call_headers, frame)

PADDED, PRIORITY = 0x8, 0x20
STATIC_ENTRIES = 61  # Of HPACK's table (RFC 7541, appendix A).

# codes: of gRPC. headers: the first ones, and trailers. messages: bodies without their five bytes.
Answer = collections.namedtuple("Answer", ["code", "headers", "trailers", "messages"])


class HeaderReader:
    """Decodes what gRPC's core sends: HPACK without Huffman codes and without names of the static table
    that a test would ask for."""

    def __init__(self):
        self._entries = []  # The dynamic table, newest first.

    def read(self, block):
        stream, fields = io.BytesIO(block), []
        while first := stream.read(1):
            byte = first[0]
            if byte & 0x80:
                fields.append(self._entry(self._number(stream, byte, 7)))
            elif byte & 0x40:
                field = self._literal(stream, self._number(stream, byte, 6))
                self._entries.insert(0, field)
                fields.append(field)
            elif byte & 0x20:
                self._number(stream, byte, 5)  # A new size of the table.
            else:
                fields.append(self._literal(stream, self._number(stream, byte, 4)))
        return dict(fields)

    def _entry(self, index):
        if index <= STATIC_ENTRIES:
            return f"static-{index}", ""
        return self._entries[index - STATIC_ENTRIES - 1]

    def _literal(self, stream, index):
        name = self._entry(index)[0] if index else self._string(stream)
        return name, self._string(stream)

    def _string(self, stream):
        first = stream.read(1)[0]
        if first & 0x80:
            raise ValueError("a Huffman code")
        return stream.read(self._number(stream, first, 7)).decode("latin-1")

    @staticmethod
    def _number(stream, first, bits):
        most = (1 << bits) - 1
        number = first & most
        if number < most:
            return number
        shift = 0
        while True:
            byte = stream.read(1)[0]
            number += (byte & 0x7f) << shift
            shift += 7
            if not byte & 0x80:
                return number


class RawCall:
    """One connection with one call of the service. Use as a context manager."""

    def __init__(self, address, rpc, metadata=(), encoding=None, service="dropout.v1.DropoutService"):
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=SOCKET_SECONDS)
        self._in = self._socket.makefile("rb")
        self._window = self._stream_window = WINDOW
        self._reader = HeaderReader()
        self._parts, self._data, self._ended = [], b"", False
        settings = struct.pack(">HI", INITIAL_WINDOW_SIZE, MOST_WINDOW)
        self._socket.sendall(
            PREFACE + frame(SETTINGS, 0, 0, settings)
            + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", MOST_WINDOW - WINDOW))
            + frame(HEADERS, END_HEADERS, 1, call_headers(rpc, metadata, encoding, service)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._in.close()
        self._socket.close()

    def send(self, body, compressed=False, announced=None):
        """Sends a message, as far as the server lets it. announced: the size in front of it."""
        size = len(body) if announced is None else announced
        data = bytes([compressed]) + struct.pack(">I", size) + body
        try:
            while data and not self._ended:
                room = min(self._window, self._stream_window, FRAME_BYTES)
                if room <= 0:
                    self._take()
                    continue
                self._socket.sendall(frame(DATA, 0, 1, data[:room]))
                self._window -= room
                self._stream_window -= room
                data = data[room:]
        except (BrokenPipeError, ConnectionResetError):
            pass  # The answer may be there all the same.

    def finish(self, half_close=True):
        """Half-closes the call; returns its Answer, with code None if the connection ended before."""
        try:
            if half_close and not self._ended:
                self._socket.sendall(frame(DATA, END_STREAM, 1, b""))
            while not self._ended:
                self._take()
        except (BrokenPipeError, ConnectionResetError, EOFError):
            pass
        trailers = self._parts[-1] if self._parts else {}
        code = int(trailers["grpc-status"]) if "grpc-status" in trailers else None
        return Answer(code, self._parts[0] if self._parts else {}, trailers, self._messages())

    def _messages(self):
        messages, data = [], self._data
        while data:
            size = int.from_bytes(data[1:5], "big")
            messages.append(data[5:5 + size])
            data = data[5 + size:]
        return messages

    def _take(self):
        head = self._in.read(9)
        if len(head) < 9:
            raise EOFError
        kind, flags = head[3], head[4]
        stream = int.from_bytes(head[5:9], "big") & 0x7fffffff
        payload = self._in.read(int.from_bytes(head[:3], "big"))
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                number, value = struct.unpack(">HI", payload[at:at + 6])
                if number == INITIAL_WINDOW_SIZE:
                    self._stream_window += value - WINDOW
            self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == WINDOW_UPDATE:
            increment = int.from_bytes(payload, "big") & 0x7fffffff
            if stream:
                self._stream_window += increment
            else:
                self._window += increment
        elif kind == PING and not flags & ACK:
            self._socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == HEADERS:
            if flags & (PADDED | PRIORITY) or not flags & END_HEADERS:
                raise ValueError("headers of a kind that this client does not read")
            self._parts.append(self._reader.read(payload))
        elif kind == DATA:
            self._data += payload
        if stream == 1 and (kind == RST_STREAM or kind in (DATA, HEADERS) and flags & END_STREAM):
            self._ended = True
        if kind == GOAWAY and int.from_bytes(payload[4:8], "big"):
            raise EOFError


def call(address, rpc, body, compressed=True, encoding="gzip", metadata=()):
    """The Answer to one message."""
    with RawCall(address, rpc, metadata, encoding) as one:
        one.send(body, compressed)
        return one.finish()


def gzip_zeros(size, head=b""):
    """gzip of `head` and so many zeros, made without holding them."""
    compress = zlib.compressobj(9, wbits=31)
    out = [compress.compress(head)]
    block = bytes(1 << 20)
    for at in range(0, size, len(block)):
        out.append(compress.compress(block[:min(len(block), size - at)]))
    out.append(compress.flush())
    return b"".join(out)
