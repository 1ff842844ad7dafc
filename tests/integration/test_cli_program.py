"""dropoutctl as a program: info, call, demo, bench, completion, and what all commands share."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest

import harness
import numpy as np
from cli_helpers import OK, REFUSED, USAGE, CliTest, run_on_terminal

COMMANDS = {
    (): ["session", "layer", "mode", "forward", "backward", "release", "mask", "parameters",
         "shared-memory", "info", "demo", "bench", "call", "completion"],
    ("session",): ["create", "get", "list", "delete"],
    ("layer",): ["create", "get", "list", "update", "delete"],
    ("parameters",): ["set", "get"],
    ("shared-memory",): ["create", "delete"],
    ("completion",): ["bash", "zsh", "fish"],
}
UNREACHABLE = "127.0.0.1:1"  # A port that nobody listens on.


class InfoTest(CliTest):
    flags = ("--max_sessions=77", "--mask_cache_bytes=3MiB", "--session_ttl=90m")

    def test_fields(self):
        text = self.ctl("info")
        for name, value in [("address", re.escape(self.server.address)),
                            ("version", r"\d+\.\d+\.\d+"), ("simd target", r"\w+"),
                            ("store", "memory"), ("variants", r"dropout\b.*"),
                            ("generators", "philox, numpy_legacy"),
                            ("data types", "float32, float64, float16, bfloat16"),
                            ("default ttl", "1h30m"), ("max sessions", "77"),
                            ("mask cache", "3 MiB"), ("max message", "64 MiB")]:
            self.assertRegex(text, rf"(?m)^{name} +{value}$")

    def test_json(self):
        info = self.ctl_json("info")
        self.assertEqual((info["store"], info["limits"]["max_sessions"]), ("memory", "77"))
        self.assertEqual((info["limits"]["mask_cache_bytes"], info["limits"]["default_ttl"]),
                         (str(3 << 20), "5400s"))
        self.assertIn(info["simd_target"], info["simd_targets"])
        self.assertIn("dropout", info["variants"])


class CallTest(CliTest):

    def test_unary(self):
        request = {"sessionId": self.session_id, "seed": "18446744073709551615",
                   "layers": [{"layerId": "a", "p": 0.5, "dropout": {}}]}
        answer = json.loads(self.ctl("call", "CreateSession", json.dumps(request)))
        self.assertEqual((answer["session_id"], answer["seed"]), (self.session_id, str(2**64 - 1)))
        self.assertEqual(answer["layers"][0]["mode"], "MODE_TRAIN")
        # From a file and from standard input.
        (self.folder / "get.json").write_text(json.dumps({"session_id": self.session_id}))
        by_file = json.loads(self.ctl("call", "GetSession", f"@{self.path('get.json')}"))
        by_stdin = json.loads(self.ctl("call", "GetSession", "-",
                                       stdin=(self.folder / "get.json").read_bytes()))
        for again in (by_file, by_stdin):
            self.assertEqual(again["layers"], answer["layers"])
        self.assertEqual(json.loads(self.ctl("call", "DeleteSession",
                                             json.dumps({"session_id": self.session_id}))), {})

    def test_without_message(self):
        self.assertEqual(json.loads(self.ctl("call", "GetServerInfo"))["store"], "memory")

    def test_tensor(self):
        self.create_session("a,p=0.5,mode=eval")
        request = {"session_id": self.session_id, "layer_id": "a", "input": {
            "dtype": "DATA_TYPE_FLOAT32", "shape": [1], "data": "AACAPw=="}}  # 1.0
        answer = json.loads(self.ctl("call", "Forward", json.dumps(request)))
        self.assertEqual(answer["output"]["data"], "AACAPw==")

    def test_refusals_and_wrong_usage(self):
        self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "call", "GetSession", "{}")
        self.assert_refused("INVALID_ARGUMENT", "INVALID_REQUEST", "call", "ListSessions",
                            '{"page_size": -1}')
        for word, args in [("CreateSession", ["Dance"]), ("not JSON", ["GetSession", "{"]),
                           ("session", ["GetSession", '{"session": "s"}']),
                           ("nowhere", ["GetSession", f"@{self.path('nowhere')}"]),
                           ("page_size", ["ListSessions", '{"page_size": "many"}'])]:
            with self.subTest(args):
                self.assert_usage(word, "call", *args)


class DemoTest(CliTest):

    def test_notebook(self):
        text = self.ctl("demo")
        self.assertIn("Out[7]", text)
        self.assertIn("Out[8]", text)
        # Twice each row: the notebook's and the server's.
        for row in [r"\[\[0\., 2\., 0\., 0\., 0\.\],", r"\[2\., 0\., 2\., 0\., 0\.\]\]",
                    r"\[0\.6 , 0\.  , 0\.68, 0\.  , 0\.  \]\]"]:
            self.assertRegex(text, rf"{row} +{row}")
        self.assertEqual(text.count("equal to the last bit: yes"), 3)
        self.assertTrue(text.endswith("all cells agree with the notebook\n"))

    def test_json(self):
        answer = self.ctl_json("demo")
        self.assertTrue(answer["all_equal"])
        cells = {cell["cell"]: cell["dropoutd"]["data"] for cell in answer["cells"]}
        self.assertEqual(list(cells), ["Out[7]", "Out[8]", "eval"])
        # What NumPy makes of the notebook's code.
        np.random.seed(1)
        mask = (np.random.rand(4, 5) > 0.5) / 0.5
        np.testing.assert_array_equal(cells["Out[7]"], mask)
        np.testing.assert_array_equal(cells["Out[8]"], np.arange(20).reshape(4, 5) / 50 * mask)
        np.testing.assert_array_equal(cells["eval"], np.arange(20).reshape(4, 5) / 20)

    def test_leaves_no_session(self):
        self.ctl("demo")
        self.assertEqual(self.ctl_json("session", "list")["sessions"], [])


class BenchTest(CliTest):

    def test_table(self):
        text = self.ctl("bench", "--shape=8,16", "--seconds=0", "--concurrency=2", "--backward",
                        "--dtype=float16")
        head, empty, titles, *lines = text.splitlines()
        self.assertRegex(head, r"^dropout, p 0\.5, float16 \[8, 16\], inline, concurrency 2, \d")
        self.assertEqual((empty, titles.split()[:3]), ("", ["OPERATION", "CALLS", "CALLS/S"]))
        # Without time there is one call of each loop.
        self.assertEqual([line.split()[:2] for line in lines], [["forward", "2"],
                                                                ["backward", "2"]])

    def test_json(self):
        answer = self.ctl_json("bench", "--shape=4", "--seconds=0.2")
        self.assertEqual((answer["shape"], answer["dtype"], answer["concurrency"]),
                         ([4], "float32", 1))
        (forward,) = answer["operations"]
        self.assertEqual(forward["operation"], "forward")
        self.assertGreaterEqual(forward["calls"], 1)
        latency = forward["latency_us"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"]
                        <= latency["p99.9"] <= latency["max"])
        self.assertGreaterEqual(answer["seconds"], 0.2)

    def test_calls_that_arrive_at_a_rate(self):
        answer = self.ctl_json("bench", "--shape=4", "--seconds=2", "--rate=100",
                               "--concurrency=4")
        self.assertEqual(answer["rate"], 100)
        # Of 200 that are due: within 5 sigma of a Poisson process, or fewer from a slow machine.
        self.assertLess(answer["operations"][0]["calls"], 200 + 5 * 15)

    def test_every_variant(self):
        for name, *options in [
                ("gaussian",), ("alpha",), ("feature_alpha",), ("spatial",), ("variational",),
                ("recurrent",), ("stochastic_depth",), ("concrete",),
                ("drop_block", "--block-size=3", "--p=0.1"),
                ("drop_connect", "--in-features=8", "--out-features=3")]:
            answer = self.ctl_json("bench", f"--variant={name}", "--shape=2,4,8", "--seconds=0",
                                   "--backward", *options)
            self.assertEqual(answer["variant"], name)
            self.assertEqual([o["calls"] for o in answer["operations"]], [1, 1])

    def test_every_transport(self):
        with harness.Server("--shared_memory") as server:
            for transport in ("inline", "stream", "shm", "auto"):
                for flags, env in ([f"--transport={transport}"], None), (
                        [], {"DROPOUTCTL_TRANSPORT": transport}):
                    done = harness.ctl(f"--address={server.address}", "--json", *flags, "bench",
                                       "--shape=300000", "--seconds=0", "--backward", env=env)
                    self.assertEqual(json.loads(done.stdout)["transport"], transport)
        self.assert_refused("UNIMPLEMENTED", "RPC_UNSUPPORTED", "--transport=shm", "bench",
                            "--shape=4", "--seconds=0")

    def test_leaves_no_session(self):
        self.ctl("bench", "--shape=4", "--seconds=0")
        # Nor does one that is interrupted; it still says what it has measured.
        process = subprocess.Popen(
            [os.environ["DROPOUTCTL_BIN"], f"--address={self.server.address}", "bench",
             "--shape=4", "--seconds=600"], stdout=subprocess.PIPE, text=True,
            env=harness.clean_environment())
        try:
            while not self.ctl_json("session", "list")["sessions"]:
                self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            text, _ = process.communicate(timeout=harness.COMMAND_SECONDS)
        finally:
            process.kill()
            process.wait()
        self.assertEqual(process.returncode, OK)
        self.assertIn("forward", text)
        self.assertEqual(self.ctl_json("session", "list")["sessions"], [])

    def test_refusals_and_progress(self):
        self.assert_refused("RESOURCE_EXHAUSTED", "", "bench", "--shape=20000000", "--seconds=0")
        done, shown = run_on_terminal(
            [os.environ["DROPOUTCTL_BIN"], f"--address={self.server.address}", "bench",
             "--shape=4", "--seconds=0.1"], 2, env=harness.clean_environment())
        self.assertEqual(done.returncode, OK)
        self.assertRegex(shown, r"0\.0 of 0\.1 s, \d+ calls")
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))

    def assert_refused(self, code, reason, *args, **options):
        """gRPC itself refuses a message over the limit, without a reason."""
        if reason:
            return super().assert_refused(code, reason, *args, **options)
        done = self.run_ctl(*args, **options)
        self.assertEqual((done.returncode, done.stdout), (REFUSED, b""))
        self.assertRegex(done.stderr.decode(), rf"\Aerror: {code}: ")
        return done.stderr.decode()


class UnbuiltTest(CliTest):
    """Commands for RPCs that a server may not have; when one is built, its tests go elsewhere."""

    def test_the_server_says_so(self):
        self.create_session("a,p=0.5")
        weight = self.save("weight.npy", np.ones((2, 2), np.float32))
        unsupported = self.ctl_json("info")["unsupported_rpcs"]
        for rpc, args in [
                ("SetParameters", ["parameters", "set", self.session_id, "a", f"weight={weight}"]),
                ("GetParameters", ["parameters", "get", self.session_id, "a"]),
                ("CreateSharedMemory", ["shared-memory", "create", self.session_id, "4096"]),
                ("DeleteSharedMemory", ["shared-memory", "delete", self.session_id, "r"]),
                ("Exchange", ["call", "Exchange", "{}"])]:
            if rpc in unsupported:
                with self.subTest(rpc):
                    message = self.assert_refused("UNIMPLEMENTED", "RPC_UNSUPPORTED", *args)
                    self.assertIn("shared memory" if "SharedMemory" in rpc else rpc, message)

    def test_wrong_usage(self):
        weight = self.save("weight.npy", np.ones((2, 2), np.float32))
        for word, args in [("NAME=FILE", ["parameters", "set", "s", "a", weight]),
                           ("NAME=FILE", ["parameters", "set", "s", "a", f"={weight}"]),
                           ("nowhere", ["parameters", "set", "s", "a", "weight=nowhere.npy"]),
                           ("--output", ["parameters", "get", "s", "a", "--output=-"]),
                           ("bytes", ["shared-memory", "create", "s", "many"])]:
            with self.subTest(args):
                self.assert_usage(word, *args)


class CompletionTest(CliTest):

    def complete(self, *words):
        """What bash offers for the last of these words."""
        script = ('source <("$1" completion bash)\nshift\nCOMP_WORDS=(dropoutctl "$@")\n'
                  'COMP_CWORD=$#\n_dropoutctl\nprintf "%s\\n" "${COMPREPLY[@]}"\n')
        done = subprocess.run(["bash", "-euc", script, "bash", os.environ["DROPOUTCTL_BIN"], *words],
                              capture_output=True, text=True, timeout=harness.COMMAND_SECONDS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash(self):
        self.assertEqual(self.complete("se"), ["session"])
        self.assertLessEqual(set(COMMANDS[("layer",)]), set(self.complete("layer", "")))
        self.assertEqual(self.complete("layer", "u"), ["update"])
        self.assertEqual(self.complete("session", "create", "--se"), ["--seed"])
        self.assertEqual(self.complete("--address", "h:1", "mas"), ["mask"])

    def test_every_shell_can_read_its_script(self):
        for shell in ["bash", "zsh", "fish"]:
            with self.subTest(shell):
                script = self.ctl("completion", shell)
                for word in [*COMMANDS[()], *COMMANDS[("session",)], "sample-offset"]:
                    self.assertIn(word, script)
                if shutil.which(shell):
                    done = subprocess.run([shell, "-n"], input=script, text=True,
                                          capture_output=True, timeout=harness.COMMAND_SECONDS)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_needs_no_server(self):
        done = harness.ctl(f"--address={UNREACHABLE}", "completion", "bash")
        self.assertIn(b"complete -", done.stdout)

    def test_wrong_usage(self):
        self.assert_usage("unknown command or option sh", "completion", "sh")


class ProgramTest(CliTest):

    def test_help_of_every_command(self):
        for path, commands in COMMANDS.items():
            text = self.ctl(*path, "--help")
            for command in commands:
                with self.subTest([*path, command]):
                    self.assertRegex(text, rf"(?m)^  {command} +\S")
                    page = self.ctl(*path, command, "--help")
                    self.assertRegex(page, rf"(?m)^Usage: dropoutctl( \w+(-\w+)?)* ?{command}")
                    self.assertIn("Exit status: 0", page)

    def test_an_option_may_have_an_empty_value(self):
        """--name= does not take the next argument for its value."""
        self.create_session()
        listed = json.loads(self.ctl("session", "list", "--page-token=", "--json"))
        self.assertEqual(listed["next_page_token"], "")
        self.assert_usage("--seed", "session", "create", "--seed=", "--json")
        self.assert_usage("--address", "info", "--address=", "--json")

    def test_version(self):
        self.assertRegex(self.ctl("--version"), r"\Adropoutctl \d+\.\d+\.\d+\n\Z")

    def test_wrong_usage(self):
        for word, args in [("subcommand", []), ("subcommand", ["session"]),
                           ("unknown command or option nothing", ["nothing"]),
                           ("unknown command or option nothing", ["session", "nothing"]), ("--fast", ["--fast"]),
                           ("--address", ["info", "--address=nowhere"]),
                           ("--timeout", ["info", "--timeout=-1"]),
                           ("--timeout", ["info", "--timeout=soon"]),
                           ("more", ["info", "more"])]:
            with self.subTest(args):
                self.assert_usage(word, *args)
                self.assert_usage("--help", *args)

    def test_options_of_all_commands_fit_before_and_after(self):
        self.create_session()
        for args in [["--json", "session", "get", self.session_id],
                     ["session", "--json", "get", self.session_id],
                     ["session", "get", self.session_id, "--json", "--timeout=5"]]:
            self.assertEqual(json.loads(self.ctl(*args))["session_id"], self.session_id)

    def test_address_from_the_environment(self):
        env = {"DROPOUTCTL_ADDRESS": self.server.address}
        done = harness.ctl("info", env=env)
        self.assertIn(self.server.address, done.stdout.decode())
        # The option wins.
        done = harness.ctl("info", f"--address={UNREACHABLE}", "--timeout=0.5", env=env,
                           check=False)
        self.assertEqual(done.returncode, REFUSED)

    def test_unix_socket(self):
        with harness.Server(f"--listen=unix:{self.path('socket')}") as server:
            done = harness.ctl(f"--address={server.address}", "demo")
            self.assertIn(b"all cells agree", done.stdout)

    def test_server_that_is_away(self):
        away = [f"--address={UNREACHABLE}", "info", "--timeout=0.5"]
        done = harness.ctl(*away, check=False)
        self.assertEqual((done.returncode, done.stdout), (REFUSED, b""))
        self.assertRegex(done.stderr.decode(), r"\Aerror: UNAVAILABLE: .+refused"
                         r" \(tried \d+ times in 0\.\d s\)\n\Z")
        done = harness.ctl(*away, "--json", check=False)
        error = json.loads(done.stderr)["error"]
        self.assertEqual((done.returncode, error["code"], error["reason"]),
                         (REFUSED, "UNAVAILABLE", ""))

    def test_a_person_learns_why_nothing_happens(self):
        done, shown = run_on_terminal(
            [os.environ["DROPOUTCTL_BIN"], f"--address={UNREACHABLE}", "info", "--timeout=0.5"], 2,
            env=harness.clean_environment())
        self.assertEqual(done.returncode, REFUSED)
        self.assertRegex(shown, rf"\A{UNREACHABLE} is away \(.+refused\); trying again for up to "
                         r"0\.5 s \(--timeout\)\s+error: UNAVAILABLE: ")

    def test_server_that_does_not_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            done = harness.ctl(f"--address=127.0.0.1:{silent.getsockname()[1]}", "info",
                               "--timeout=0.2", check=False)
        self.assertEqual((done.returncode, done.stdout), (REFUSED, b""))
        self.assertRegex(done.stderr.decode(), r"\Aerror: (DEADLINE_EXCEEDED|UNAVAILABLE): ")

    def test_standard_output_that_is_full(self):
        for args in [["info"], ["session", "list", "--json"], ["completion", "bash"]]:
            with self.subTest(args), open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [os.environ["DROPOUTCTL_BIN"], f"--address={self.server.address}", *args],
                    stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                    timeout=harness.COMMAND_SECONDS, env=harness.clean_environment())
                self.assertEqual(done.returncode, USAGE)
                self.assertIn(b"cannot write to standard output", done.stderr)

    def test_progress_of_a_long_list(self):
        for number in range(3):
            self.ctl("session", "create", f"--id=listed-{number}")
        done, shown = run_on_terminal(
            [os.environ["DROPOUTCTL_BIN"], f"--address={self.server.address}", "session", "list",
             "--all", "--page-size=1"], 2, env=harness.clean_environment())
        self.assertEqual(done.returncode, OK)
        self.assertRegex(shown, r"listed \d+ sessions")
        self.assertTrue(shown.endswith("\r\x1b[K"), repr(shown))
        self.assertIn(b"listed-2", done.stdout)


if __name__ == "__main__":
    unittest.main()
