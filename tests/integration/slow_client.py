"""Connections that send a huge message very slowly: HTTP/2 by hand, because gRPC's own clients
send as fast as they can."""

import socket
import struct
import time

from http2_wire import (ACK, DATA, END_HEADERS, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE,
                        RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE, call_headers, frame)


class SlowCall:
    """One connection with one call, whose message says that it has `message_bytes`."""

    def __init__(self, address, rpc, message_bytes):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setblocking(False)
        self.open = True
        self.sent = 0  # Bytes of DATA.
        self._in = b""
        self._out = b""
        self._window = self._stream_window = WINDOW
        self._out += PREFACE + frame(SETTINGS, 0, 0, b"") + frame(
            HEADERS, END_HEADERS, 1, call_headers(rpc))
        self._send_data(b"\0" + struct.pack(">I", message_bytes))

    def pump(self, count):
        """Sends `count` more bytes, as far as the windows and the socket let it."""
        if not self.open:
            return
        try:
            self._receive()
            self._send_data(bytes(max(0, min(count, self._window, self._stream_window))))
            while self._out:
                self._out = self._out[self.socket.send(self._out):]
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def close(self):
        self.open = False
        self.socket.close()

    def _send_data(self, data):
        if data:
            self._out += frame(DATA, 0, 1, data)
            self._window -= len(data)
            self._stream_window -= len(data)
            self.sent += len(data)

    def _receive(self):
        try:
            while data := self.socket.recv(65536):
                self._in += data
            raise ConnectionError("the server has closed the connection")
        except BlockingIOError:
            pass
        while len(self._in) >= 9:
            size = int.from_bytes(self._in[:3], "big")
            if len(self._in) < 9 + size:
                break
            kind, flags = self._in[3], self._in[4]
            stream = int.from_bytes(self._in[5:9], "big")
            self._take(kind, flags, stream, self._in[9:9 + size])
            self._in = self._in[9 + size:]

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                number, value = struct.unpack(">HI", payload[at:at + 6])
                if number == INITIAL_WINDOW_SIZE:
                    self._stream_window += value - WINDOW
            self._out += frame(SETTINGS, ACK, 0, b"")
        elif kind == WINDOW_UPDATE:
            increment = int.from_bytes(payload, "big") & 0x7fffffff
            if stream:
                self._stream_window += increment
            else:
                self._window += increment
        elif kind == PING and not flags & ACK:
            self._out += frame(PING, ACK, 0, payload)
        elif kind in (RST_STREAM, GOAWAY):
            raise ConnectionError("the server has ended the call")


def send_slowly(calls, bytes_per_second, seconds, on_tick=lambda: None, tick=0.5):
    """Sends on all calls at this rate each; calls on_tick between rounds."""
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        for call in calls:
            call.pump(int(bytes_per_second * tick))
        on_tick()
        time.sleep(max(0, tick - (time.monotonic() - now)))
