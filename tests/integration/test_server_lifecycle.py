"""dropoutd as a process: flags, listeners, health, reflection, shutdown."""

import os
import signal
import socket
import stat
import tempfile
import time
import unittest

import grpc
import harness

FLAGS = ["listen", "store", "session_ttl", "max_sessions", "mask_cache_bytes", "max_message_bytes",
         "shared_memory", "shared_memory_dir", "tls_cert", "tls_key", "tls_client_ca",
         "auth_tokens", "metrics_listen", "insecure", "config"]
SERVICE = "dropout.v1.DropoutService"
CALL_SECONDS = 120
DRAIN_SECONDS = 120
MIB = 1 << 20


def field(number, text):
    """A protobuf field of type string, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(text)]) + text.encode()


def check_health(address, service):
    """The serving status, as grpc.health.v1 numbers it: 1 is SERVING."""
    with harness.channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        answer = check(field(1, service) if service else b"", timeout=CALL_SECONDS)
    if len(answer) != 2 or answer[0] != 0x08:
        raise AssertionError(f"not a HealthCheckResponse: {answer!r}")
    return answer[1]


def server_info(address):
    with harness.channel(address) as channel:
        service = harness.stubs().service.DropoutServiceStub(channel)
        return service.GetServerInfo(harness.stubs().messages.GetServerInfoRequest(),
                                     timeout=CALL_SECONDS)


class ListenTest(unittest.TestCase):

    def test_port_0_prints_the_port_that_was_picked(self):
        with harness.Server("--listen=127.0.0.1:0") as server:
            host, port = server.address.rsplit(":", 1)
            self.assertEqual(host, "127.0.0.1")
            self.assertGreater(int(port), 0)
            self.assertTrue(server_info(server.address).version)

    def test_several_listeners(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "dropoutd.sock")
            with harness.Server("--listen=127.0.0.1:0", f"--listen=unix:{path}") as server:
                self.assertEqual(len(server.addresses), 2)
                self.assertIn(f"unix:{path}", server.addresses)
                self.assertTrue(stat.S_ISSOCK(os.stat(path).st_mode))
                versions = [server_info(address).version for address in server.addresses]
                self.assertEqual(versions[0], versions[1])

    def test_address_in_use(self):
        with harness.Server() as first:
            second = harness.run_server(f"--listen={first.address}")
            self.assertEqual(second.returncode, 1, second.stderr)
            self.assertIn(first.address, second.stderr)
            self.assertEqual(second.stdout, "")
            self.assertTrue(server_info(first.address).version)

    def test_socket_in_use(self):
        with tempfile.TemporaryDirectory() as folder:
            address = "unix:" + os.path.join(folder, "dropoutd.sock")
            with harness.Server(f"--listen={address}") as first:
                second = harness.run_server(f"--listen={address}")
                self.assertEqual(second.returncode, 1, second.stderr)
                self.assertIn(f"{address}: another process listens there", second.stderr)
                self.assertTrue(server_info(first.address).version)
                first.kill()
                # What a crash leaves behind is no obstacle.
                with harness.Server(f"--listen={address}") as third:
                    self.assertTrue(server_info(third.address).version)

    def test_client_reaches_the_server(self):
        with harness.Server() as server:
            done = harness.ctl(f"--address={server.address}", "info", "--json")
            self.assertIn(server_info(server.address).version, done.stdout.decode())


class ServicesTest(unittest.TestCase):

    def test_health(self):
        with harness.Server() as server:
            self.assertEqual(check_health(server.address, ""), 1)
            self.assertEqual(check_health(server.address, SERVICE), 1)
            with self.assertRaises(grpc.RpcError) as caught:
                check_health(server.address, "dropout.v1.Nothing")
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_reflection_lists_the_service(self):
        with harness.Server() as server, harness.channel(server.address) as channel:
            reflect = channel.stream_stream(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
            list_services = field(7, "*")
            answers = list(reflect(iter([list_services]), timeout=CALL_SECONDS))
            self.assertEqual(len(answers), 1)
            self.assertIn(field(1, SERVICE), answers[0])


class ShutdownTest(unittest.TestCase):

    def test_sigterm_and_sigint_exit_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number), harness.Server() as server:
                server.signal(number)
                self.assertEqual(server.wait(), 0, server.stderr)

    def test_idle_connection_does_not_delay_the_exit(self):
        with harness.Server() as server, harness.channel(server.address) as channel:
            grpc.channel_ready_future(channel).result(CALL_SECONDS)
            self.assertEqual(server.terminate(), 0, server.stderr)

    def test_unix_socket_is_removed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "dropoutd.sock")
            with harness.Server(f"--listen=unix:{path}") as server:
                self.assertEqual(server.terminate(), 0, server.stderr)
            self.assertFalse(os.path.exists(path))

    def test_call_in_flight_finishes(self):
        messages = harness.stubs().messages
        payload = os.urandom(16 * MIB)
        request = messages.ForwardRequest(
            session_id="s", layer_id="l",
            input=messages.Tensor(dtype=messages.DATA_TYPE_FLOAT32, shape=[len(payload) // 4],
                                  data=payload))
        # A window that does not grow, so that the answer does not fit in it.
        options = {"http2.bdp_probe": 0}
        with harness.Server(f"--max_message_bytes={64 * MIB}") as server, harness.channel(
                server.address, **options) as channel:
            service = harness.stubs().service.DropoutServiceStub(channel)
            layer = messages.Layer(layer_id="l", p=0.5, dropout=messages.Dropout())
            service.CreateSession(messages.CreateSessionRequest(
                session_id="s", layers=[layer], mode=messages.MODE_EVAL), timeout=CALL_SECONDS)
            # Read as a stream, the answer stays behind flow control until it is asked for: its
            # first bytes show that the call was taken, and it cannot have ended.
            forward = channel.unary_stream(
                f"/{SERVICE}/Forward", request_serializer=messages.ForwardRequest.SerializeToString,
                response_deserializer=messages.ForwardResponse.FromString)
            call = forward(request, timeout=CALL_SECONDS + DRAIN_SECONDS)
            call.initial_metadata()
            server.signal(signal.SIGTERM)
            self.await_drain(server.address)
            # A new call does not come in over the old connection either, while it still stands.
            with self.assertRaises(grpc.RpcError) as raised:
                service.GetSession(messages.GetSessionRequest(session_id="s"),
                                   timeout=CALL_SECONDS)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
            answers = list(call)
            self.assertEqual(call.code(), grpc.StatusCode.OK)
            self.assertEqual(len(answers), 1)
            self.assertEqual(answers[0].output.data, payload)
            self.assertEqual(server.wait(), 0, server.stderr)

    def await_drain(self, address):
        """Returns when a new call is refused."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            # A pool of its own, so that no connection from before SIGTERM is used.
            with harness.channel(address, use_local_subchannel_pool=1) as channel:
                service = harness.stubs().service.DropoutServiceStub(channel)
                try:
                    service.GetSession(
                        harness.stubs().messages.GetSessionRequest(session_id="s"),
                        timeout=CALL_SECONDS)
                except grpc.RpcError as error:
                    self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
                    return
        self.fail("the server goes on taking calls after SIGTERM")


class FlagsTest(unittest.TestCase):

    def test_help_explains_every_flag(self):
        done = harness.run_server("--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        for flag in FLAGS:
            self.assertRegex(done.stdout, rf"--{flag}\b")

    def test_bad_flag_is_named(self):
        for args, name in [(["--no_such_flag=1"], "no_such_flag"),
                           (["--listen=nonsense"], "listen"),
                           (["--listen=127.0.0.1:99999"], "listen"),
                           (["--max_sessions=-1"], "max_sessions"),
                           (["--max_sessions=many"], "max_sessions"),
                           (["--session_ttl=abc"], "session_ttl"),
                           (["--mask_cache_bytes=-1"], "mask_cache_bytes"),
                           (["--store=bogus"], "store"),
                           (["stray"], "stray")]:
            with self.subTest(args):
                done = harness.run_server(*args)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(name, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_flags_from_the_environment(self):
        with harness.Server(env={"DROPOUTD_LISTEN": "127.0.0.1:0",
                                 "DROPOUTD_MAX_SESSIONS": "7"}) as server:
            self.assertEqual(server_info(server.address).limits.max_sessions, 7)

    def test_flag_goes_before_the_environment(self):
        with harness.Server("--max_sessions=3", env={"DROPOUTD_MAX_SESSIONS": "7"}) as server:
            self.assertEqual(server_info(server.address).limits.max_sessions, 3)

    def test_bad_environment_is_bad_usage(self):
        done = harness.run_server(env={"DROPOUTD_MAX_SESSIONS": "-1"})
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr.lower(), "max_sessions")


class ConfigFileTest(unittest.TestCase):

    def config(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "dropoutd.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_flags_from_a_file(self):
        path = self.config('# comment\nlisten = ["127.0.0.1:0", "127.0.0.2:0"]\n'
                           'max_sessions = 5\nsession_ttl = "30m"\nmask_cache_bytes = "1MiB"\n'
                           'reflection = false\n')
        with harness.Server("--listen=127.0.0.1:0", f"--config={path}") as server:
            limits = server_info(server.address).limits
            self.assertEqual(limits.max_sessions, 5)
            self.assertEqual(limits.default_ttl.seconds, 1800)
            self.assertEqual(limits.mask_cache_bytes, MIB)

    def test_the_environment_goes_before_the_file_and_a_flag_before_both(self):
        path = self.config("max_sessions = 5\nmax_layers_per_session = 6\nmax_steps = 7\n")
        with harness.Server("--max_sessions=50", env={
                "DROPOUTD_CONFIG": path, "DROPOUTD_MAX_SESSIONS": "500",
                "DROPOUTD_MAX_LAYERS_PER_SESSION": "60"}) as server:
            limits = server_info(server.address).limits
            self.assertEqual((limits.max_sessions, limits.max_layers_per_session,
                              limits.max_steps), (50, 60, 7))

    def test_what_is_wrong_in_a_file_is_named(self):
        for text, name in [("no_such_flag = 1\n", "no_such_flag"), ("max_sessions = -1\n",
                                                                    "max_sessions"),
                           ("[section]\nmax_sessions = 1\n", "section"),
                           ('listen = "0.0.0.0:0"\n', "--insecure")]:
            with self.subTest(text):
                done = harness.run_server(f"--config={self.config(text)}")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(name, done.stderr)

    def test_a_file_that_is_not_there(self):
        for flags, env in [(["--config=/no/such/file"], {}),
                           ([], {"DROPOUTD_CONFIG": "/no/such/file"})]:
            done = harness.run_server(*flags, env=env)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("/no/such/file", done.stderr)


class HarnessTest(unittest.TestCase):

    def test_server_that_cannot_start_is_an_error(self):
        with self.assertRaisesRegex(harness.ServerError, "--store"):
            with harness.Server("--store=bogus"):
                pass

    def test_server_is_gone_afterwards(self):
        with harness.Server() as server:
            host, port = server.address.rsplit(":", 1)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=CALL_SECONDS)


if __name__ == "__main__":
    unittest.main()
