"""Keeps the tree's rules (rules.py), and proves of each rule that it can fail."""

import os
import pathlib
import subprocess
import unittest

import rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
IGNORED = {".git", "__pycache__", "node_modules"}


def git_files():
    """Tracked files and new ones that are not ignored; None outside of a git checkout."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return sorted(set(listing.decode().rstrip("\0").split("\0")))


def walked_files():
    """What git would list, as far as that can be told without it."""
    for folder, folders, files in os.walk(ROOT):
        top = pathlib.Path(folder) == ROOT
        folders[:] = [name for name in folders
                      if name not in IGNORED and not (top and name.startswith("build"))]
        for name in files:
            if not name.endswith(".pyc"):
                yield str((pathlib.Path(folder) / name).relative_to(ROOT))


def project_files():
    files = git_files()
    return [path for path in (walked_files() if files is None else files)
            if (ROOT / path).is_file()]


class TreeTest(unittest.TestCase):

    def test_tree_keeps_the_rules(self):
        paths = project_files()
        self.assertIn("tests/tidy/tidy_test.py", paths)
        found = []
        for path in paths:
            try:
                text = (ROOT / path).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                text = ""  # binary: only its place is checked
            found += rules.violations(path, text)
        if found:
            self.fail("\n" + "\n".join(found))

    def test_every_file_is_found_without_git(self):
        listed = git_files()
        if listed is None:
            self.skipTest("not a git checkout")
        walked = set(walked_files())
        missed = [path for path in listed if (ROOT / path).is_file() and path not in walked]
        self.assertFalse(missed)


class IncludeRuleTest(unittest.TestCase):

    def check(self, path, include):
        return list(rules.check_includes(path, f"// A comment.\n#include {include}\n"))

    def test_allowed(self):
        for path, include in [
                ("include/dropout/types.h", "<vector>"),
                ("include/dropout/eigen.h", "<Eigen/Core>"),
                ("include/dropout/client.h", '"dropout/types.h"'),
                ("client/client.cc", '"dropout/client.h"'),
                ("client/convert.cc", '"dropout/v1/layer.pb.h"'),
                ("client/cli/main.cc", "<CLI/CLI.hpp>"),
                ("server/base/error.h", '"absl/status/status.h"'),
                ("server/kernels/philox.cc", "<hwy/highway.h>"),
                ("server/random/philox.h", '"server/kernels/philox.h"'),
                ("server/dropout/plan.cc", '"server/random/philox.h"'),
                ("server/dropout/plan.cc", '"server/base/error.h"'),
                ("server/dropout/connect.cc", "<Eigen/Core>"),
                ("server/store/memory_store.cc", '"server/store/store.h"'),
                ("server/store/memory_store.cc", '"server/store/memory_store.h"'),
                ("server/store/sqlite_store.cc", "<sqlite3.h>"),
                ("server/persistence/store_repository.h", '"server/store/store.h"'),
                ("server/persistence/session_codec.cc", '"server/persistence/stored.pb.h"'),
                ("server/engine/engine.h", '"server/persistence/repository.h"'),
                ("server/service/service.h", '"server/engine/engine.h"'),
                ("server/store/file_store.cc", "<unistd.h>"),
                ("server/service/service.h", '"dropout/v1/dropout_service.grpc.pb.h"'),
                ("server/service/service.h", '"server/session/session.h"'),
                ("server/main/main.cc", '"server/store/memory_store.h"'),
                ("server/main/flags.cc", "<CLI/CLI.hpp>"),
                ("tests/session/session_test.cc", '"server/session/session.h"')]:
            self.assertEqual(self.check(path, include), [], f"{path} {include}")

    def test_forbidden(self):
        for path, include in [
                ("include/dropout/types.h", "<Eigen/Core>"),
                ("include/dropout/client.h", "<grpcpp/channel.h>"),
                ("include/dropout/client.h", '"dropout/v1/layer.pb.h"'),
                ("include/dropout/client.h", '"client/status.h"'),
                ("client/client.cc", '"server/base/error.h"'),
                ("client/client.cc", '"server/store/store.h"'),
                ("client/cli/main.cc", '"server/kernels/philox.h"'),
                ("server/base/error.h", '"server/dropout/plan.h"'),
                ("server/base/error.h", "<grpcpp/support/status.h>"),
                ("server/kernels/scale.cc", '"absl/status/status.h"'),
                ("server/kernels/scale.cc", '"server/base/error.h"'),
                ("server/kernels/scale.cc", "<immintrin.h>"),
                ("server/random/philox.h", '"server/dropout/plan.h"'),
                ("server/random/philox.h", "<hwy/highway.h>"),
                ("server/dropout/plan.cc", '"server/session/session.h"'),
                ("server/dropout/plan.cc", "<unistd.h>"),
                ("server/dropout/plan.cc", '"dropout/types.h"'),
                ("server/store/memory_store.cc", '"server/session/session.h"'),
                ("server/store/memory_store.cc", '"dropout/v1/layer.pb.h"'),
                ("server/session/session.h", '"server/store/store.h"'),
                ("server/session/session.h", '"server/persistence/repository.h"'),
                ("server/persistence/store_repository.h", '"server/store/redis_store.h"'),
                ("server/engine/engine.h", '"server/persistence/stored.pb.h"'),
                ("server/service/service.h", '"server/persistence/repository.h"'),
                ("server/session/session.h", '"server/kernels/philox.h"'),
                ("server/session/session.h", "<google/protobuf/duration.pb.h>"),
                ("server/service/service.h", '"server/store/store.h"'),
                ("server/service/service.h", '"server/kernels/philox.h"'),
                ("server/service/service.h", '"server/main/flags.h"'),
                ("server/main/main.cc", '"client/status.h"'),
                ("server/newroom/x.cc", "<vector>")]:
            found = self.check(path, include)
            self.assertEqual([line for line, _ in found], [2], f"{path} {include}")

    def test_style(self):
        self.assertIn("quotes", self.check("server/main/main.cc", "<server/main/flags.h>")[0][1])
        for include in ('"flags.h"', '"../base/error.h"', '"./flags.h"'):
            found = self.check("server/main/main.cc", include)
            self.assertIn("not relative to the root", found[0][1])

    def test_every_room_is_named(self):
        rooms = [f"server/{entry.name}/" for entry in (ROOT / "server").iterdir() if entry.is_dir()]
        self.assertTrue(rooms)
        for room in rooms + ["client/", "include/dropout/", "tests/"]:
            self.assertEqual(rules.room_of(room + "x.cc"), room)


class FormRuleTest(unittest.TestCase):

    def guarded(self, guard):
        return f"// Purpose.\n#ifndef {guard}\n#define {guard}\n#endif  // {guard}\n"

    def test_guard(self):
        for path, guard in [("server/kernels/x.h", "DROPOUTD_SERVER_KERNELS_X_H_"),
                            ("include/dropout/x.h", "DROPOUT_X_H_"),
                            ("client/x.h", "DROPOUTD_CLIENT_X_H_"),
                            ("tests/base/x.h", "DROPOUTD_TESTS_BASE_X_H_")]:
            self.assertEqual(list(rules.check_guard(path, self.guarded(guard))), [])
            for text in (self.guarded("X_H_"), "#pragma once\n", "", "#include <vector>\n",
                         f"#ifndef {guard}\n#define OTHER\n#endif\n"):
                self.assertEqual(len(list(rules.check_guard(path, text))), 1, text)
        self.assertEqual(list(rules.check_guard("client/x.cc", "")), [])

    def test_guard_of_highway(self):
        guard = "DROPOUTD_SERVER_KERNELS_X_INL_H_"
        text = (f"#if defined({guard}) == defined(HWY_TARGET_TOGGLE)\n#ifdef {guard}\n"
                f"#undef {guard}\n#else\n#define {guard}\n#endif\n#endif\n")
        self.assertEqual(list(rules.check_guard("server/kernels/x-inl.h", text)), [])
        wrong = text.replace("X_INL", "Y_INL")
        self.assertEqual(len(list(rules.check_guard("server/kernels/x-inl.h", wrong))), 1)

    def test_length(self):
        for path, limit in [("server/main/main.cc", rules.MAX_LINES),
                            ("tests/main/main_test.cc", rules.MAX_TEST_LINES)]:
            self.assertEqual(list(rules.check_length(path, "\n" * limit)), [])
            found = list(rules.check_length(path, "\n" * (limit + 1)))
            self.assertEqual(found[0][0], limit + 1)

    def test_interfaces(self):
        for text, count in [
                ("class A {\n  virtual ~A() = default;\n  virtual int b() const = 0;\n};\n", 0),
                ("  virtual std::vector<int> Get(\n      std::size_t limit) = 0;\n", 0),
                ("  virtual int b() const { return 0; }\n", 1),
                ("  virtual int b(int c,\n                int d);\n", 1),
                ("// A virtual machine { answers slowly.\n", 0),
        ]:
            self.assertEqual(len(list(rules.check_interfaces("server/a.h", text))), count, text)

    def test_tabs(self):
        self.assertEqual(list(rules.check_tabs("a.cc", "int a;\n")), [])
        self.assertEqual(list(rules.check_tabs("a.cc", "int a;\n\tint b;\n")), [(2, "tab")])

    def test_trailing_space(self):
        self.assertEqual(list(rules.check_trailing_space("a.cc", "int a;\n")), [])
        self.assertEqual(list(rules.check_trailing_space("a.cc", "")), [])
        for text in ("int a;\nint b; \n", "int a;\nint b;\r\n", "int a;\nint b;"):
            self.assertEqual([line for line, _ in rules.check_trailing_space("a.cc", text)], [2])

    def test_machine(self):
        for text in ("cd /" + "work/main", "HOME=/" + "root/x", "'/home/" + "me/x'",
                     "deb http://deb." + "debian.org/debian", "https://registry." + "npmjs.org/x"):
            self.assertEqual(len(list(rules.check_machine("README.md", "\n" + text))), 1, text)
        for text in ("frame/work/x", "https://example.com/work/x", "/usr/bin/python3",
                     "$HOME/root/x", "debian.org"):
            self.assertEqual(list(rules.check_machine("README.md", text)), [], text)

    def test_top_level(self):
        for path in ("dev", "server/main/main.cc", ".clang-tidy", ".ci/run", "README.md"):
            self.assertEqual(list(rules.check_top_level(path)), [])
        for path in ("notes.txt", "src/main.cc", "Makefile"):
            self.assertEqual(len(list(rules.check_top_level(path))), 1)


class ReportTest(unittest.TestCase):

    def test_names_file_line_and_rule(self):
        found = rules.violations("server/kernels/x.cc", "// X.\n#include <grpc/grpc.h>\n\tint a;\n")
        self.assertEqual(found, ["server/kernels/x.cc:2: server/kernels/ must not include grpc/grpc.h",
                                 "server/kernels/x.cc:3: tab"])

    def test_every_rule_is_applied(self):
        for rule in rules.CPP_RULES + [rules.check_machine, rules.check_tabs,
                                       rules.check_trailing_space]:
            self.assertIn(rule, rules.rules_for("server/main/x.h"))
        self.assertIn(rules.check_trailing_space, rules.rules_for("dev"))
        self.assertNotIn(rules.check_tabs, rules.rules_for("client/go/main.go"))


if __name__ == "__main__":
    unittest.main()
