"""Who may call: TLS, client certificates, tokens, tenants; every RPC, found by reflection."""

import contextlib
import os
import pathlib
import signal
import tempfile
import time
import unittest

import grpc
import harness
import numpy as np
from client_helpers import REASON_METADATA, pb, to_tensor
from google.protobuf import descriptor_pb2
from security_helpers import Authority, bearer, make_token, secure_channel

SERVICE = "dropout.v1.DropoutService"
OPEN_SERVICES = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
CALL_SECONDS = 120
RELOAD_SECONDS = 120

X = to_tensor(np.ones((2, 3), np.float32))
LAYER = pb.Layer(layer_id="l", p=0.5, dropout=pb.Dropout())
AT = {"session_id": "s", "layer_id": "l", "step": 1}
FORWARD = pb.ForwardRequest(input=X, **AT)

# A right request for every RPC, on a session "s" with a layer "l" that has run step 1.
REQUESTS = {
    "CreateSession": pb.CreateSessionRequest(session_id="s", seed=1, layers=[LAYER]),
    "GetSession": pb.GetSessionRequest(session_id="s"),
    "ListSessions": pb.ListSessionsRequest(),
    "DeleteSession": pb.DeleteSessionRequest(session_id="s"),
    "ExportSession": pb.ExportSessionRequest(session_id="s"),
    "ImportSession": pb.ImportSessionRequest(session_id="s", snapshot=b"none"),
    "ForkSession": pb.ForkSessionRequest(session_id="s", new_session_id="fork"),
    "CreateLayer": pb.CreateLayerRequest(session_id="s", layer=LAYER),
    "UpdateLayer": pb.UpdateLayerRequest(session_id="s", layer=LAYER),
    "DeleteLayer": pb.DeleteLayerRequest(session_id="s", layer_id="l"),
    "SetMode": pb.SetModeRequest(session_id="s", mode=pb.MODE_EVAL),
    "Forward": FORWARD,
    "Backward": pb.BackwardRequest(output_gradient=X, **AT),
    "GetMask": pb.GetMaskRequest(**AT),
    "ReleaseSteps": pb.ReleaseStepsRequest(session_id="s", layer_id="l", through_step=1),
    "SetParameters": pb.SetParametersRequest(
        session_id="s", layer_id="l", parameters=[pb.Parameter(name="weight", value=X)]),
    "GetParameters": pb.GetParametersRequest(session_id="s", layer_id="l"),
    "CreateSharedMemory": pb.CreateSharedMemoryRequest(session_id="s", byte_size=4096),
    "DeleteSharedMemory": pb.DeleteSharedMemoryRequest(session_id="s", region_id="r"),
    "Exchange": pb.ExchangeRequest(forward=FORWARD),
    "GetServerInfo": pb.GetServerInfoRequest(),
}
# Those whose answer is about no one session.
NO_SESSION = {"CreateSession", "ImportSession", "ListSessions", "GetServerInfo"}


# --- Reflection, without its generated code -------------------------------------------------


def read_fields(data):
    """The (number, value) pairs of a message: bytes of strings and messages, integers."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        value = varint()
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        yield tag >> 3, value


def reflect(channel, number, text):
    call = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    request = bytes([number << 3 | 2, len(text)]) + text.encode()
    answer, = call(iter([request]), timeout=CALL_SECONDS)
    return dict(read_fields(answer))


def reflected_services(channel):
    listed = reflect(channel, 7, "*")[6]
    return {dict(read_fields(service))[1].decode() for _, service in read_fields(listed)}


def reflected_methods(channel, service):
    """The service's methods by their names."""
    for _, data in read_fields(reflect(channel, 4, service)[4]):
        file = descriptor_pb2.FileDescriptorProto.FromString(data)
        for found in file.service:
            if f"{file.package}.{found.name}" == service:
                return {method.name: method for method in found.method}
    raise AssertionError(f"{service} is not in its own file")


# --- Calls ----------------------------------------------------------------------------------


def call(channel, rpc, metadata=(), request=None):
    """The call's "OK", or its code and reason, and the answer."""
    request = REQUESTS[rpc] if request is None else request
    stub = harness.stubs().service.DropoutServiceStub(channel)
    method = getattr(stub, rpc)
    try:
        if rpc != "Exchange":
            return "OK", method(request, metadata=metadata, timeout=CALL_SECONDS)
        for answer in method(iter([request]), metadata=metadata, timeout=CALL_SECONDS):
            if answer.WhichOneof("message") == "error":
                return f"{grpc_code(answer.error.code)} {answer.error.reason}", None
            return "OK", answer
    except grpc.RpcError as error:
        trailing = dict(error.trailing_metadata() or ())
        return f"{error.code().name} {trailing.get(REASON_METADATA, '')}".strip(), None


def grpc_code(number):
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)


class SecurityTest(unittest.TestCase):
    """Files of a server's secrets, in a folder of the test's own."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="dropout-security-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.authority = Authority(cls.folder)
        cls.other_authority = Authority(cls.folder, "other")
        cls.cert, cls.key = cls.authority.issue("server")
        cls.tokens = cls.folder / "tokens"
        cls.red = make_token("red", cls.tokens)
        cls.blue = make_token("blue", cls.tokens)

    def tls_flags(self):
        return [f"--tls_cert={self.cert}", f"--tls_key={self.key}"]

    def channel(self, server, **options):
        return secure_channel(server.address, self.authority.certificate, **options)

    def client_channel(self, server, tenant, authority=None, **options):
        certificate, key = (authority or self.authority).issue(tenant, **options)
        return self.channel(server, certificate=certificate, key=key)


class TenantsTest(SecurityTest):

    def setUp(self):
        server = harness.Server(*self.tls_flags(), f"--auth_tokens={self.tokens}")
        self.server = self.enterContext(server)
        self.tls = self.enterContext(self.channel(self.server))

    def enterContext(self, context):  # Of Python 3.11 on.
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def test_there_is_no_service_beside_those_that_are_tested(self):
        self.assertEqual(reflected_services(self.tls), OPEN_SERVICES | {SERVICE})
        self.assertEqual(set(reflected_methods(self.tls, SERVICE)), set(REQUESTS))

    def test_every_rpc_refuses_a_call_without_a_right_token(self):
        for rpc in reflected_methods(self.tls, SERVICE):
            for metadata in [(), bearer(""), bearer("wrong"), bearer(self.red + "x"),
                             bearer(self.red[:-1]), (("authorization", f"Basic {self.red}"),),
                             (("authorization", self.red),),
                             bearer(self.red) + bearer(self.red), bearer(self.red) + bearer("x")]:
                with self.subTest(rpc=rpc, metadata=metadata):
                    status, _ = call(self.tls, rpc, metadata)
                    self.assertEqual(status, "UNAUTHENTICATED UNAUTHENTICATED")

    def test_no_rpc_reaches_another_tenants_session(self):
        red, blue = bearer(self.red), bearer(self.blue)
        self.assertEqual(call(self.tls, "CreateSession", red)[0], "OK")
        self.assertEqual(call(self.tls, "Forward", red)[0], "OK")
        before = call(self.tls, "GetSession", red)[1]
        _, info = call(self.tls, "GetServerInfo", blue)
        for rpc in reflected_methods(self.tls, SERVICE):
            if rpc in NO_SESSION:
                continue
            for session in ["s", "red/s", "/s", "../red/s"]:
                with self.subTest(rpc=rpc, session=session):
                    request = type(REQUESTS[rpc]).FromString(REQUESTS[rpc].SerializeToString())
                    target = request.forward if rpc == "Exchange" else request
                    target.session_id = session
                    wanted = ("UNIMPLEMENTED RPC_UNSUPPORTED" if rpc in info.unsupported_rpcs
                              else "NOT_FOUND SESSION_NOT_FOUND")
                    self.assertEqual(call(self.tls, rpc, blue, request)[0], wanted)
        after = call(self.tls, "GetSession", red)[1]
        before.ClearField("expire_time")
        after.ClearField("expire_time")
        self.assertEqual(before, after)
        self.assertEqual(call(self.tls, "Backward", red)[0], "OK")

    def test_tenants_may_use_the_same_ids(self):
        seeds = {}
        for name, token, seed in [("red", self.red, 1), ("blue", self.blue, 2)]:
            request = pb.CreateSessionRequest(session_id="s", seed=seed, layers=[LAYER])
            self.assertEqual(call(self.tls, "CreateSession", bearer(token), request)[0], "OK")
            seeds[name] = seed
        for name, token in [("red", self.red), ("blue", self.blue)]:
            _, session = call(self.tls, "GetSession", bearer(token))
            self.assertEqual((session.session_id, session.seed), ("s", seeds[name]))
            _, listed = call(self.tls, "ListSessions", bearer(token))
            self.assertEqual([(s.session_id, s.seed) for s in listed.sessions],
                             [("s", seeds[name])])

    def test_pages_hold_the_tenants_sessions_only(self):
        for token in (self.red, self.blue):
            for i in range(5):
                call(self.tls, "CreateSession", bearer(token),
                     pb.CreateSessionRequest(session_id=f"{i}"))
        ids, page_token = [], ""
        while True:
            status, page = call(self.tls, "ListSessions", bearer(self.blue),
                                pb.ListSessionsRequest(page_size=2, page_token=page_token))
            self.assertEqual(status, "OK")
            ids += [session.session_id for session in page.sessions]
            page_token = page.next_page_token
            self.assertNotIn("blue", page_token)
            if not page_token:
                break
        self.assertEqual(ids, list("01234"))

    def test_ids_that_the_server_picks_bear_no_tenant(self):
        _, session = call(self.tls, "CreateSession", bearer(self.red), pb.CreateSessionRequest())
        self.assertRegex(session.session_id, r"\A[0-9a-f]{32}\Z")

    def test_health_and_reflection_need_no_token(self):
        check = self.tls.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b"", timeout=CALL_SECONDS), b"\x08\x01")
        self.assertIn(SERVICE, reflected_services(self.tls))

    def test_dropoutctl_shows_its_token(self):
        address = [f"--address={self.server.address.replace('127.0.0.1', 'localhost')}",
                   f"--tls_ca={self.authority.certificate}"]
        token_file = self.folder / "red.token"
        token_file.write_text(self.red + "\n")
        for token in (f"--token={self.red}", f"--token_file={token_file}"):
            harness.ctl(*address, token, "info")
            harness.ctl(*address, token, "call", "GetServerInfo")
        refused = harness.ctl(*address, "--token=wrong", "info", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(b"UNAUTHENTICATED", refused.stderr)

    def test_reflection_can_be_switched_off(self):
        with harness.Server("--reflection=false") as server:
            with harness.channel(server.address) as channel:
                with self.assertRaises(grpc.RpcError) as caught:
                    reflected_services(channel)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)


class CertificatesTest(SecurityTest):

    def server(self):
        return harness.Server(*self.tls_flags(), f"--tls_client_ca={self.authority.certificate}")

    def test_a_certificate_names_the_tenant(self):
        with self.server() as server, self.client_channel(server, "red") as red, \
                self.client_channel(server, "blue") as blue:
            self.assertEqual(call(red, "CreateSession")[0], "OK")
            self.assertEqual(call(red, "GetSession")[0], "OK")
            self.assertEqual(call(blue, "GetSession")[0], "NOT_FOUND SESSION_NOT_FOUND")

    def test_a_common_name_that_is_no_tenant_is_refused(self):
        with self.server() as server, self.client_channel(server, "not a tenant") as channel:
            self.assertEqual(call(channel, "GetServerInfo")[0], "UNAUTHENTICATED UNAUTHENTICATED")

    def test_every_rpc_refuses_what_is_no_right_certificate(self):
        with self.server() as server, contextlib.ExitStack() as stack:
            channels = {
                "none": self.channel(server),
                "expired": self.client_channel(server, "red", expired=True),
                "wrong authority": self.client_channel(server, "red", self.other_authority),
                "no TLS": harness.channel(server.address, use_local_subchannel_pool=1),
            }
            right = stack.enter_context(self.client_channel(server, "red"))
            for name, channel in channels.items():
                stack.enter_context(channel)
                for rpc in reflected_methods(right, SERVICE):
                    with self.subTest(rpc=rpc, certificate=name):
                        self.assertEqual(call(channel, rpc)[0], "UNAVAILABLE")

    def test_a_token_is_required_beside_the_certificate_where_both_are_set(self):
        with harness.Server(*self.tls_flags(), f"--tls_client_ca={self.authority.certificate}",
                            f"--auth_tokens={self.tokens}") as server:
            with self.client_channel(server, "proxy") as channel:
                self.assertEqual(call(channel, "CreateSession")[0],
                                 "UNAUTHENTICATED UNAUTHENTICATED")
                self.assertEqual(call(channel, "CreateSession", bearer(self.red))[0], "OK")
                self.assertEqual(call(channel, "GetSession", bearer(self.red))[0], "OK")
                self.assertEqual(call(channel, "GetSession", bearer(self.blue))[0],
                                 "NOT_FOUND SESSION_NOT_FOUND")
            with self.channel(server) as channel:
                self.assertEqual(call(channel, "GetServerInfo", bearer(self.red))[0],
                                 "UNAVAILABLE")

    def test_clients_refuse_a_server_of_another_authority(self):
        with self.server() as server:
            with secure_channel(server.address, self.other_authority.certificate) as channel:
                self.assertEqual(call(channel, "GetServerInfo")[0], "UNAVAILABLE")

    def test_dropoutctl_shows_its_certificate(self):
        certificate, key = self.authority.issue("red")
        with self.server() as server:
            harness.ctl(f"--address={server.address}", f"--tls_ca={self.authority.certificate}",
                        f"--tls_cert={certificate}", f"--tls_key={key}", "info")


class ReloadTest(SecurityTest):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dropout-reload-")
        self.addCleanup(folder.cleanup)
        self.own = pathlib.Path(folder.name)

    def await_status(self, make_channel, wanted, metadata=()):
        """Returns when a call on a new connection has the wanted status."""
        deadline = time.monotonic() + RELOAD_SECONDS
        while True:
            with make_channel() as channel:
                status, _ = call(channel, "GetServerInfo", metadata)
            if status == wanted:
                return
            self.assertLess(time.monotonic(), deadline, f"{status}, not {wanted}")

    def test_tokens_come_and_go(self):
        tokens = self.own / "tokens"
        red = make_token("red", tokens)
        with harness.Server(f"--auth_tokens={tokens}") as server:
            connect = lambda: harness.channel(server.address)
            self.await_status(connect, "OK", bearer(red))
            first = tokens.read_text()
            blue = make_token("blue", tokens)
            self.await_status(connect, "OK", bearer(blue))
            tokens.write_text(tokens.read_text().removeprefix(first))  # Red's is revoked.
            self.await_status(connect, "UNAUTHENTICATED UNAUTHENTICATED", bearer(red))
            self.await_status(connect, "OK", bearer(blue))

    def test_sighup_reloads(self):
        tokens = self.own / "tokens"
        make_token("red", tokens)
        with harness.Server(f"--auth_tokens={tokens}") as server:
            blue = make_token("blue", tokens)
            server.signal(signal.SIGHUP)
            self.await_status(lambda: harness.channel(server.address), "OK", bearer(blue))
            self.assertEqual(server.terminate(), 0)

    def test_a_broken_token_file_changes_nothing(self):
        tokens = self.own / "tokens"
        red = make_token("red", tokens)
        with harness.Server(f"--auth_tokens={tokens}") as server:
            tokens.write_text(f"red {red}\n")  # The token itself, by mistake.
            server.signal(signal.SIGHUP)
            deadline = time.monotonic() + RELOAD_SECONDS
            while "reload_failed" not in server.stderr:
                self.assertLess(time.monotonic(), deadline)
            self.await_status(lambda: harness.channel(server.address), "OK", bearer(red))
            self.assertNotIn(red, server.stderr)

    def test_a_certificate_is_replaced(self):
        cert, key = self.own / "cert.pem", self.own / "key.pem"

        def install(authority):
            for made, path in zip(authority.issue("server"), (cert, key)):
                made.rename(self.own / "new")
                (self.own / "new").rename(path)

        install(self.authority)
        with harness.Server(f"--tls_cert={cert}", f"--tls_key={key}") as server:
            old = self.channel(server)
            self.assertEqual(call(old, "GetServerInfo")[0], "OK")
            install(self.other_authority)
            self.await_status(
                lambda: secure_channel(server.address, self.other_authority.certificate), "OK")
            # What is connected stays so.
            self.assertEqual(call(old, "GetServerInfo")[0], "OK")
            old.close()
            self.await_status(lambda: self.channel(server), "UNAVAILABLE")


class StartTest(SecurityTest):

    def test_without_tls_only_this_machine_is_listened_to(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
            done = harness.run_server(f"--listen={address}")
            self.assertEqual(done.returncode, 2, address)
            self.assertIn("--insecure", done.stderr)
            self.assertIn(address, done.stderr)
        with harness.Server("--listen=0.0.0.0:0", "--insecure") as server:
            with harness.channel(server.address.replace("0.0.0.0", "127.0.0.1")) as channel:
                self.assertEqual(call(channel, "GetServerInfo")[0], "OK")
        with harness.Server("--listen=0.0.0.0:0", *self.tls_flags()) as server:
            address = server.address.replace("0.0.0.0", "127.0.0.1")
            with secure_channel(address, self.authority.certificate) as channel:
                self.assertEqual(call(channel, "GetServerInfo")[0], "OK")

    def test_flags_that_do_not_fit_together(self):
        cert, key = self.tls_flags()
        ca = f"--tls_client_ca={self.authority.certificate}"
        for flags, named in [([cert], "--tls_key"), ([key], "--tls_cert"), ([ca], "--tls_cert"),
                             (["--tls_cert=/no/such/file", key], "tls_cert"),
                             (["--auth_tokens=/no/such/file"], "auth_tokens"),
                             ([cert, key, ca, "--listen=unix:/tmp/x"], "--auth_tokens")]:
            with self.subTest(flags):
                done = harness.run_server("--listen=127.0.0.1:0", *flags)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(named, done.stderr)

    def test_files_that_hold_something_else(self):
        other_key = self.authority.issue("other")[1]
        wrong = self.folder / "wrong"
        wrong.write_text("wrong")
        for flags, named in [([f"--tls_cert={wrong}", f"--tls_key={self.key}"], "tls_cert"),
                             ([f"--tls_cert={self.cert}", f"--tls_key={wrong}"], "tls_key"),
                             ([f"--tls_cert={self.cert}", f"--tls_key={other_key}"], "tls_key"),
                             ([*self.tls_flags(), f"--tls_client_ca={wrong}"], "tls_client_ca"),
                             ([f"--auth_tokens={wrong}"], "auth_tokens")]:
            with self.subTest(flags):
                done = harness.run_server("--listen=127.0.0.1:0", *flags)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(named, done.stderr)

    def test_a_token_does_not_cross_a_network_in_the_open(self):
        done = harness.ctl("--address=192.0.2.1:1", f"--token={self.red}", "info", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"unencrypted", done.stderr)
        self.assertNotIn(self.red.encode(), done.stderr)


class TokenCommandTest(unittest.TestCase):

    def test_tokens_differ_and_their_hashes_stand_in_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tokens")
            tokens = {make_token("red", path) for _ in range(3)}
            self.assertEqual(len(tokens), 3)
            text = pathlib.Path(path).read_text()
            self.assertRegex(text, r"\A(red sha256:[0-9a-f]{64}\n){3}\Z")
            for token in tokens:
                self.assertNotIn(token, text)

    def test_an_expired_token_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokens"
            token = make_token("red", path)
            path.write_text(path.read_text().strip() + " expires=2020-01-01T00:00:00Z\n")
            with harness.Server(f"--auth_tokens={path}") as server:
                with harness.channel(server.address) as channel:
                    self.assertEqual(call(channel, "GetServerInfo", bearer(token))[0],
                                     "UNAUTHENTICATED UNAUTHENTICATED")

    def test_a_wrong_tenant_is_wrong_usage(self):
        for args in (["a b"], [""], ["x" * 65], ["red", "--expires_in=-1h"]):
            self.assertEqual(harness.ctl("token", "create", *args, check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main()
