"""Certificates and token files that change while clients are at work."""

import pathlib
import shutil
import ssl
import tempfile
import threading
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import pb, to_tensor
from security_helpers import Authority, bearer, make_token, secure_channel

CALL_SECONDS = 120
RELOAD_SECONDS = 120
ROTATIONS = 100
CERTIFICATES = 4  # That take turns.
POLL_SECONDS = 0.005

X = np.arange(1024, dtype=np.float32)
FORWARD = pb.ForwardRequest(session_id="s", layer_id="l", step=1, input=to_tensor(X))


class Load:
    """Clients that call until they are told to stop: one keeps its connection, one makes a new
    one for each call."""

    def __init__(self, connect, metadata):
        self._connect = connect
        self._metadata = metadata
        self._stop = threading.Event()
        self.calls = 0
        self.failures = []
        self._threads = [threading.Thread(target=self._keep), threading.Thread(target=self._renew)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, channel):
        stub = harness.stubs().service.DropoutServiceStub(channel)
        try:
            stub.Forward(FORWARD, metadata=self._metadata, timeout=CALL_SECONDS)
            self.calls += 1
        except grpc.RpcError as error:
            self.failures.append(error)

    def _keep(self):
        with self._connect() as channel:
            while not self._stop.is_set():
                self._call(channel)

    def _renew(self):
        while not self._stop.is_set():
            with self._connect() as channel:
                self._call(channel)


class RotationsTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dropout-rotations-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def install(self, source, path):
        new = self.folder / "new"
        shutil.copyfile(source, new)
        new.rename(path)

    def await_true(self, condition):
        deadline = time.monotonic() + RELOAD_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(POLL_SECONDS)

    def make_session(self, connect, metadata=()):
        with connect() as channel:
            harness.stubs().service.DropoutServiceStub(channel).CreateSession(
                pb.CreateSessionRequest(session_id="s", layers=[pb.Layer(
                    layer_id="l", p=0.5, dropout=pb.Dropout())]),
                metadata=metadata, timeout=CALL_SECONDS)

    def test_certificates_are_replaced_under_load(self):
        authority = Authority(self.folder)
        pairs = [authority.issue("server") for _ in range(CERTIFICATES)]
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"

        def install(pair):
            self.install(pair[0], cert)
            self.install(pair[1], key)

        install(pairs[0])
        with harness.Server(f"--tls_cert={cert}", f"--tls_key={key}") as server:
            connect = lambda: secure_channel(server.address, authority.certificate)
            host, port = server.address.rsplit(":", 1)
            served = lambda: ssl.get_server_certificate((host, int(port)))
            self.make_session(connect)
            with Load(connect, ()) as load:
                for i in range(1, ROTATIONS + 1):
                    pair = pairs[i % CERTIFICATES]
                    install(pair)
                    server.signal(harness.signal.SIGHUP)
                    wanted = ssl.PEM_cert_to_DER_cert(pair[0].read_text())
                    self.await_true(lambda: ssl.PEM_cert_to_DER_cert(served()) == wanted)
            self.assertEqual(load.failures, [])
            self.assertGreater(load.calls, ROTATIONS)
            self.assertEqual(server.terminate(), 0)

    def test_tokens_are_reloaded_under_load(self):
        tokens = self.folder / "tokens"
        red = make_token("red", tokens)
        always = tokens.read_text()
        blue = make_token("blue", tokens)
        both = tokens.read_text()
        with harness.Server(f"--auth_tokens={tokens}") as server:
            connect = lambda: harness.channel(server.address)
            self.make_session(connect, bearer(red))

            def accepts_blue():
                with connect() as channel:
                    try:
                        harness.stubs().service.DropoutServiceStub(channel).GetServerInfo(
                            pb.GetServerInfoRequest(), metadata=bearer(blue), timeout=CALL_SECONDS)
                    except grpc.RpcError as error:
                        self.assertEqual(error.code(), grpc.StatusCode.UNAUTHENTICATED)
                        return False
                    return True

            with Load(connect, bearer(red)) as load:
                for i in range(ROTATIONS):
                    (self.folder / "new").write_text(always if i % 2 == 0 else both)
                    (self.folder / "new").rename(tokens)
                    server.signal(harness.signal.SIGHUP)
                    self.await_true(lambda: accepts_blue() == (i % 2 == 1))
            self.assertEqual(load.failures, [])
            self.assertGreater(load.calls, ROTATIONS)
            self.assertEqual(server.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
