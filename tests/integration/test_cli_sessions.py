"""dropoutctl session, layer and mode, command by command."""

import datetime
import json
import re
import unittest

from cli_helpers import CliTest
from client_helpers import Client

MANY = 123
DEFAULT_PAGE = 50
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
UTC = {"TZ": "UTC"}


def rows(table):
    """A table's cells: its columns stand at least two spaces apart."""
    return [re.split(r" {2,}", line) for line in table.splitlines()]


class SessionTest(CliTest):

    def test_create_prints_fields_and_layers(self):
        text = self.ctl("session", "create", "--id=shown", "--seed=7", "--mode=eval", "--ttl=1h30m",
                        "--layer=a,p=0.5,mode=train", "--layer=b,p=0.25,scaling=none", env=UTC)
        fields, layers = text.split("\n\n")
        self.assertRegex(fields, rf"""\Asession +shown
seed +7
mode +eval
ttl +1h30m
created +{TIME}
expires +{TIME} \(in 1h30m\)
layers +2\Z""")
        self.assertEqual(rows(layers), [
            ["LAYER", "P", "MODE", "GENERATOR", "SCALING", "REVISION", "VARIANT"],
            ["a", "0.5", "train", "philox", "inverted", "1", "dropout"],
            ["b", "0.25", "eval", "philox", "none", "1", "dropout"]])
        # A value of every line and column stands in one place.
        self.assertEqual(len({re.match(r"\S+ +", line).end() for line in fields.splitlines()}), 1)
        self.assertFalse(re.search(r" $", text, re.MULTILINE))
        self.ctl("session", "delete", "shown")

    def test_create_as_json(self):
        before = datetime.datetime.now(datetime.timezone.utc)
        session = self.ctl_json(
            "session", "create", "--id=json", "--seed=18446744073709551615", "--ttl=2500ms",
            "--layer=a,p=0.1,broadcast_axes=1:-1", "--layer=ä b,p=0.5,scaling=eval,mode=eval")
        created = datetime.datetime.fromisoformat(session.pop("create_time").replace("Z", "+00:00"))
        expires = datetime.datetime.fromisoformat(session.pop("expire_time").replace("Z", "+00:00"))
        self.assertLess(abs(created - before), datetime.timedelta(minutes=1))
        self.assertGreater(expires, created)
        plain = {"revision": "1", "generator": "philox", "variant": "dropout"}
        self.assertEqual(session, {
            "session_id": "json", "seed": str(2**64 - 1), "mode": "train", "ttl": "2.5s", "layers": [
                {**plain, "layer_id": "a", "mode": "train", "p": 0.1, "scaling": "inverted",
                 "dropout": {"broadcast_axes": [1, -1]}},
                {**plain, "layer_id": "ä b", "mode": "eval", "p": 0.5, "scaling": "eval",
                 "dropout": {"broadcast_axes": []}}]})

    def test_what_json_shows_is_exact_in_javascript(self):
        # Numbers that a float64 cannot hold, as JavaScript and jq read JSON.
        def read(text):
            return json.loads(text, parse_int=lambda digits: int(float(digits)))

        def mask(session):
            return self.ctl_json("mask", session, "a", "--step=1", "--shape=999")["kept"]

        for seed in (2**53 + 1, 2**60 + 1, 2**64 - 1):
            first = read(self.ctl("--json", "session", "create", f"--seed={seed}", "--layer=a,p=0.5,"
                                  f"schedule=linear:0.5:0.4:{seed - 1}:{seed}"))
            ramp = first["layers"][0]["schedule"]["linear"]
            again = read(self.ctl(
                "--json", "session", "create", f"--seed={first['seed']}",
                f"--layer=a,schedule=linear:0.5:0.4:{ramp['start_step']}:{ramp['end_step']}"))
            self.assertEqual(first["seed"], str(seed))
            self.assertEqual(mask(first["session_id"]), mask(again["session_id"]))
            for session in (first, again):
                self.ctl("session", "delete", session["session_id"])

    def test_create_without_options(self):
        first, second = (self.ctl_json("session", "create") for _ in range(2))
        self.assertNotEqual(first["session_id"], second["session_id"])
        self.assertNotEqual(first["seed"], second["seed"])
        self.assertEqual((first["mode"], first["layers"], first["ttl"]), ("train", [], "3600s"))
        for session in (first, second):
            self.ctl("session", "delete", session["session_id"])

    def test_create_again_is_the_same_session_or_an_error(self):
        same = ["session", "create", f"--id={self.session_id}", "--seed=1", "--layer=a,p=0.5"]
        first = self.ctl_json(*same)
        again = self.ctl_json(*same)
        self.assertEqual(again["create_time"], first["create_time"])
        self.assert_refused("ALREADY_EXISTS", "SESSION_EXISTS", *same[:-1])
        self.assert_refused("ALREADY_EXISTS", "LAYER_EXISTS", *same[:2], "--layer=a,p=0",
                            "--layer=a,p=0.5")

    def test_get(self):
        self.create_session("a,p=0.5", seed=99)
        text = self.ctl("session", "get", self.session_id, env=UTC)
        self.assertRegex(text, rf"\Asession +{self.session_id}\nseed +99\n")
        self.assertEqual(rows(text)[-1][:2], ["a", "0.5"])
        self.assertEqual(self.ctl_json("session", "get", self.session_id)["seed"], "99")
        message = self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "session", "get", "nobody")
        self.assertIn("nobody", message)

    def test_delete(self):
        self.create_session()
        self.assertEqual(self.ctl("session", "delete", self.session_id),
                         f"deleted session {self.session_id}\n")
        self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "session", "delete", self.session_id)
        self.create_session()
        self.assertEqual(self.ctl_json("session", "delete", self.session_id), {})

    def test_refusals(self):
        for reason, options in [("INVALID_SESSION", ["--id=a/b"]),
                                ("INVALID_SESSION", ["--ttl=10000h"]),
                                ("INVALID_LAYER", ["--layer=a,p=1"]),
                                ("INVALID_LAYER", ["--layer=,p=0.5"]),
                                ("INVALID_LAYER", ["--layer=a,p=0.5,broadcast_axes=8"]),
                                ("INVALID_LAYER", [f"--seed={2**32}",
                                                   "--layer=a,p=0.5,generator=numpy_legacy"])]:
            with self.subTest(options):
                self.assert_refused("INVALID_ARGUMENT", reason, "session", "create", *options)

    def test_wrong_usage(self):
        for word, args in [("--seed", ["create", "--seed=-1"]), ("--ttl", ["create", "--ttl=5"]),
                           ("--layer", ["create", "--layer=a,p=x"]),
                           ("given twice", ["create", "--layer=a,p=0.1,p=0.2"]),
                           ("--mode", ["create", "--mode=TRAIN"]), ("session", ["get"]),
                           ("more", ["get", "s", "more"]), ("subcommand", []),
                           ("--page-size", ["list", "--page-size=many"])]:
            with self.subTest(args):
                self.assert_usage(word, "session", *args)


class ListTest(CliTest):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ids = [f"s{number:03}" for number in range(MANY)]
        with Client(cls.server.address) as client:
            for session_id in reversed(cls.ids):
                client.create_session(session_id, seed=1)

    def list_page(self, *options):
        """The ids of a page in a table, and the hint for the next one."""
        done = self.run_ctl("session", "list", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = rows(done.stdout.decode())
        self.assertEqual(lines[0],
                         ["SESSION", "SEED", "MODE", "LAYERS", "TTL", "CREATED", "EXPIRES"])
        return [line[0] for line in lines[1:]], done.stderr.decode()

    def test_first_page_and_how_to_go_on(self):
        ids, hint = self.list_page()
        self.assertEqual(ids, self.ids[:DEFAULT_PAGE])
        self.assertRegex(hint, r"There are more sessions: --all .* --page-token \S+ ")
        token = re.search(r"--page-token (\S+)", hint)[1]
        ids, hint = self.list_page("--page-token", token, "--page-size=1000")
        self.assertEqual(ids, self.ids[DEFAULT_PAGE:])
        self.assertEqual(hint, "")

    def test_page_by_page_as_json(self):
        ids, token = [], ""
        while True:
            page = self.ctl_json("session", "list", "--page-size=17", f"--page-token={token}")
            ids += [session["session_id"] for session in page["sessions"]]
            token = page["next_page_token"]
            if not token:
                break
            self.assertEqual(len(page["sessions"]), 17)
        self.assertEqual(ids, self.ids)

    def test_all(self):
        for options in [["--all"], ["--all", "--page-size=1"], ["--all", "--page-size=1000"]]:
            with self.subTest(options):
                self.assertEqual(self.list_page(*options), (self.ids, ""))
        every = self.ctl_json("session", "list", "--all")
        self.assertEqual(every["next_page_token"], "")
        self.assertEqual([session["session_id"] for session in every["sessions"]], self.ids)
        # From the middle on.
        token = self.ctl_json("session", "list", "--page-size=100")["next_page_token"]
        self.assertEqual(self.list_page("--all", "--page-token", token)[0], self.ids[100:])

    def test_refusals(self):
        self.assert_refused("INVALID_ARGUMENT", "INVALID_REQUEST", "session", "list",
                            "--page-size=-1")
        self.assert_refused("INVALID_ARGUMENT", "INVALID_REQUEST", "session", "list",
                            "--page-token=stray")


class EmptyListTest(CliTest):

    def test_no_sessions(self):
        self.assertEqual(len(rows(self.ctl("session", "list"))), 1)
        self.assertEqual(self.ctl_json("session", "list", "--all"),
                         {"sessions": [], "next_page_token": "", "corrupt_session_ids": []})


class LayerTest(CliTest):

    def layer(self, command, layer_id, *options):
        return self.ctl_json("layer", command, self.session_id, layer_id, *options)

    def test_create(self):
        self.create_session()
        text = self.ctl("layer", "create", self.session_id, "hidden", "--p=0.5",
                        "--generator=numpy_legacy", "--scaling=eval", "--broadcast-axes=0,-1",
                        "--mode=eval", "--variant=dropout")
        self.assertEqual(text, """\
LAYER     P  MODE  GENERATOR     SCALING  REVISION  VARIANT
hidden  0.5  eval  numpy_legacy  eval            1  dropout, broadcast_axes 0:-1
""")
        self.assertEqual(self.layer("create", "plain", "--p=0"), {
            "layer_id": "plain", "mode": "train", "revision": "1", "p": 0, "generator": "philox",
            "scaling": "inverted", "variant": "dropout", "dropout": {"broadcast_axes": []}})
        # Again, with the same contents and with others.
        self.assertEqual(self.layer("create", "plain", "--p=0")["revision"], "1")
        self.assert_refused("ALREADY_EXISTS", "LAYER_EXISTS", "layer", "create", self.session_id,
                            "plain", "--p=0.5")

    def test_update_keeps_what_is_not_given(self):
        self.create_session("hidden,p=0.5,scaling=none,broadcast_axes=1")
        layer = self.layer("update", "hidden", "--p=0.25")
        self.assertEqual((layer["p"], layer["scaling"], layer["revision"]), (0.25, "none", "2"))
        self.assertEqual(layer["dropout"]["broadcast_axes"], [1])
        layer = self.layer("update", "hidden", "--broadcast-axes=none", "--mode=eval")
        self.assertEqual((layer["p"], layer["mode"], layer["revision"]), (0.25, "eval", "3"))
        self.assertEqual(layer["dropout"]["broadcast_axes"], [])
        self.assertEqual(self.layer("update", "hidden", "--p=0.25")["revision"], "3")
        self.assertEqual(self.layer("get", "hidden"), layer)
        self.assert_refused("INVALID_ARGUMENT", "INVALID_LAYER", "layer", "update",
                            self.session_id, "hidden", "--p=1")
        self.assertEqual(self.layer("get", "hidden"), layer)

    def test_get_and_list(self):
        self.create_session("b,p=0.5", "a,p=0.125")
        self.assertEqual(rows(self.ctl("layer", "get", self.session_id, "b"))[1][:2], ["b", "0.5"])
        self.assertEqual([row[:2] for row in rows(self.ctl("layer", "list", self.session_id))],
                         [["LAYER", "P"], ["a", "0.125"], ["b", "0.5"]])
        listed = self.ctl_json("layer", "list", self.session_id)["layers"]
        self.assertEqual(listed, [self.layer("get", "a"), self.layer("get", "b")])

    def test_delete(self):
        self.create_session("a,p=0.5", "b,p=0.5")
        self.assertEqual(self.ctl("layer", "delete", self.session_id, "a"), "deleted layer a\n")
        self.assertEqual(self.layer("delete", "b"), {})
        self.assertEqual(self.ctl_json("layer", "list", self.session_id), {"layers": []})
        self.assertEqual(len(rows(self.ctl("layer", "list", self.session_id))), 1)

    def test_what_is_not_there(self):
        self.create_session()
        for command in ["get", "update", "delete"]:
            with self.subTest(command):
                self.assert_refused("NOT_FOUND", "LAYER_NOT_FOUND", "layer", command,
                                    self.session_id, "nothing")
        for command in ["create", "get", "update", "delete"]:
            with self.subTest(command):
                options = ["--p=0.5"] if command == "create" else []
                self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "layer", command, "nobody",
                                    "a", *options)
        self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "layer", "list", "nobody")

    def test_refusals_and_wrong_usage(self):
        self.create_session()
        for options in [["--p=1"], ["--p=-0.1"], ["--p=nan"],
                        ["--p=0.5", "--broadcast-axes=-9"]]:
            with self.subTest(options):
                self.assert_refused("INVALID_ARGUMENT", "INVALID_LAYER", "layer", "create",
                                    self.session_id, "a", *options)
        for word, options in [("--p", ["--p=half"]), ("--generator", ["--generator=dice"]),
                              ("--scaling", ["--scaling=2"]),
                              ("broadcast_axes", ["--broadcast-axes=1;2"]),
                              ("--variant", ["--variant=nothing"]), ("--dtype", ["--dtype=f4"])]:
            with self.subTest(options):
                self.assert_usage(word, "layer", "create", self.session_id, "a", *options)
        self.assertEqual(self.ctl_json("layer", "list", self.session_id), {"layers": []})


class ModeTest(CliTest):

    def modes(self):
        session = self.ctl_json("session", "get", self.session_id)
        return session["mode"], {layer["layer_id"]: layer["mode"] for layer in session["layers"]}

    def test_all_layers_and_later_ones(self):
        self.create_session("a,p=0.5", "b,p=0.5")
        self.assertEqual(self.ctl("mode", self.session_id, "eval"), "eval: a, b\n")
        self.ctl("layer", "create", self.session_id, "c", "--p=0.5")
        self.assertEqual(self.modes(), ("eval", {"a": "eval", "b": "eval", "c": "eval"}))

    def test_some_layers(self):
        self.create_session("a,p=0.5", "b,p=0.5", "c,p=0.5")
        self.assertEqual(self.ctl_json("mode", self.session_id, "eval", "c", "a"),
                         {"layer_ids": ["a", "c"], "mode": "eval"})
        self.assertEqual(self.modes(), ("train", {"a": "eval", "b": "train", "c": "eval"}))

    def test_no_layers_yet(self):
        self.create_session()
        self.assertEqual(self.ctl("mode", self.session_id, "eval"), "eval: no layers yet\n")
        self.assertEqual(self.modes(), ("eval", {}))

    def test_refusals_change_nothing(self):
        self.create_session("a,p=0.5")
        self.assert_refused("NOT_FOUND", "LAYER_NOT_FOUND", "mode", self.session_id, "eval", "a",
                            "nothing")
        self.assert_refused("NOT_FOUND", "SESSION_NOT_FOUND", "mode", "nobody", "eval")
        self.assert_usage("on", "mode", self.session_id, "on")
        self.assertEqual(self.modes(), ("train", {"a": "train"}))


if __name__ == "__main__":
    unittest.main()
