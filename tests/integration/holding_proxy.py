"""A proxy in front of Redis that keeps requests back, and lets them through when their client has
long given them up."""

import socket
import threading

RELEASE_SECONDS = 60


class _Pair:
    """A connection of a client's, and the one that goes on from here."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.held = None  # Bytes that wait; None: they go on as they come.
        self.client_is_gone = False
        self.is_over = threading.Event()  # The far end has answered all, and closed.


class HoldingProxy:
    """An address that leads to a port of this host. Thread-safe."""

    def __init__(self, port):
        self._target = port
        self._lock = threading.Lock()
        self._pairs = []
        self.late = 0  # Connections whose requests have been let through late.
        self._word, self._left = None, 0
        self._holds_all = False
        self._loses = lambda data: False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, word, index):
        """Of the requests from now on that have `word` in them, the one of this index waits, and
        with it all that its connection sends from then on."""
        with self._lock:
            self._word, self._left = word, index

    def hold_all(self):
        """From now on every connection waits, those to come too."""
        with self._lock:
            self._holds_all = True

    def lose(self, loses):
        """From now on each request for which loses(bytes) waits, and its client sees its connection
        end at once: so that it repeats the request on another one."""
        with self._lock:
            self._loses = loses

    def is_holding(self):
        with self._lock:
            return any(pair.held is not None for pair in self._pairs)

    def release(self):
        """Lets through what waits; back when Redis has made of it what it will."""
        with self._lock:
            self._word, self._holds_all, self._loses = None, False, lambda data: False
            late = [pair for pair in self._pairs if pair.held is not None]
            self.late += len(late)
            for pair in late:
                pair.far.sendall(pair.held)
                pair.held = None
                if pair.client_is_gone:
                    pair.far.shutdown(socket.SHUT_WR)
        for pair in late:
            if pair.client_is_gone and not pair.is_over.wait(RELEASE_SECONDS):
                raise AssertionError("Redis does not answer what was held")

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            pair = _Pair(near, socket.create_connection(("127.0.0.1", self._target)))
            with self._lock:
                self._pairs.append(pair)
            for run in (self._send_on, self._send_back):
                threading.Thread(target=run, args=(pair,), daemon=True).start()

    def _is_the_one(self, data):
        if self._holds_all:
            return True
        if self._word is None or self._word not in data:
            return False
        self._left -= 1
        return self._left == -1

    def _send_on(self, pair):
        try:
            while data := pair.near.recv(1 << 20):
                with self._lock:
                    if pair.held is None and self._loses(data):
                        pair.held = b""
                        pair.near.shutdown(socket.SHUT_RDWR)
                    if pair.held is None and self._is_the_one(data):
                        pair.held = b""
                    if pair.held is not None:
                        pair.held += data
                        continue
                pair.far.sendall(data)
        except OSError:
            pass
        with self._lock:
            pair.client_is_gone = True
            if pair.held is not None:
                return
        try:
            pair.far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def _send_back(pair):
        try:
            while data := pair.far.recv(1 << 20):
                try:
                    pair.near.sendall(data)
                except OSError:
                    pass  # What comes must be read all the same: its end tells that all is done.
        except OSError:
            pass
        pair.is_over.set()
        try:
            pair.near.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
