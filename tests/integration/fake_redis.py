"""A Redis of another version, as far as dropoutd asks one when it starts."""

import socketserver
import threading


def _array(*items):
    return b"*%d\r\n" % len(items) + b"".join(items)


def _bulk(text):
    return b"$%d\r\n%s\r\n" % (len(text), text.encode())


def _words(stream):
    """The next command; none at the end."""
    words = []
    for _ in range(int(stream.readline()[1:] or 0)):
        size = int(stream.readline()[1:])
        words.append(stream.read(size + 2)[:-2].decode(errors="replace"))
    return words


class FakeRedis:
    """Answers as a lone primary, as the Sentinel that names it, or as a cluster of it alone.

    Use as a context manager; it listens on a port of the system's choice on 127.0.0.1.
    """

    def __init__(self, version):
        fake = self

        class Handler(socketserver.StreamRequestHandler):

            def handle(self):
                try:
                    while words := _words(self.rfile):
                        self.wfile.write(fake._answer(words[0].upper(), words[1:]))
                except OSError:
                    pass  # The server is gone.

        self._version = version
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.commands = []  # That it was asked, for the test to see that it was.

    @property
    def port(self):
        return self._server.server_address[1]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, name, words):
        self.commands.append(" ".join([name, *words]))
        if name == "PING":
            return b"+PONG\r\n"
        if name == "TIME":
            return _array(_bulk("1700000000"), _bulk("0"))
        if name == "INFO":
            return _bulk(f"# Server\r\nredis_version:{self._version}\r\n"
                         f"# Replication\r\nrole:master\r\nmaster_replid:{'a' * 40}\r\n"
                         f"master_replid2:{'0' * 40}\r\n")
        here = _array(_bulk("127.0.0.1"), _bulk(str(self.port)))
        if name == "SENTINEL" and words[0] == "GET-MASTER-ADDR-BY-NAME":
            return here
        if name == "SENTINEL":
            return _array()
        if name == "SUBSCRIBE":
            return _array(_bulk("subscribe"), _bulk(words[0]), b":1\r\n")
        if name == "CLUSTER":
            node = _array(_bulk("127.0.0.1"), b":%d\r\n" % self.port, _bulk("b" * 40))
            return _array(_array(b":0\r\n", b":16383\r\n", node))
        # What an old one says of a script whose first line it does not know.
        return b"-ERR unknown command, or a script that does not compile\r\n"
