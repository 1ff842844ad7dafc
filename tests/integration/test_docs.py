"""Runs the examples of docs/api.md and docs/variants.md as they stand."""

import fnmatch
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import harness

DOCS = pathlib.Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "api.md"
CLIENTS = DOCS / "clients.md"
VARIANTS = DOCS / "variants.md"
SECONDS = 60


def blocks(language, page=GUIDE):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def console_steps(text):
    """The commands of a console block and what each must print."""
    steps = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def matches(expected, printed):
    """Whether `printed` is as the guide has it; a line "..." stands for any lines."""
    pattern = "\n".join("*" if line == "..." else re.sub(r"([\[*?])", r"[\1]", line)
                        for line in expected)
    return fnmatch.fnmatchcase(printed.rstrip("\n"), pattern)


class DocsTest(unittest.TestCase):

    def test_matches_can_fail(self):
        self.assertTrue(matches(["a", "..."], "a\nb\nc\n"))
        self.assertFalse(matches(["a"], "b\n"))
        self.assertFalse(matches([], "something\n"))

    def test_console_examples(self):
        self.check_console(blocks("console"), at_least=2)

    def test_pictures_of_the_variants(self):
        self.check_console(blocks("console", VARIANTS), at_least=11)

    def check_console(self, found, at_least):
        self.assertGreaterEqual(len(found), at_least)
        with harness.Server() as server, tempfile.TemporaryDirectory() as folder:
            programs = pathlib.Path(os.environ["DROPOUTCTL_BIN"]).parent
            environment = {**harness.clean_environment(), "DROPOUTCTL_ADDRESS": server.address,
                           "PATH": f"{programs}:/usr/bin:/bin"}
            for block in found:
                for command, expected in console_steps(block):
                    with self.subTest(command=command):
                        done = subprocess.run(
                            ["bash", "-c", command], cwd=folder, env=environment, text=True,
                            capture_output=True, timeout=SECONDS)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        self.assertTrue(matches(expected, done.stdout), done.stdout)

    def test_python_examples(self):
        found = blocks("python")
        self.assertGreaterEqual(len(found), 3)
        harness.stubs()
        with harness.Server("--shared_memory") as server:
            names = {"address": server.address}
            for block in found:  # One program, in the order of the page.
                exec(compile(block, str(GUIDE), "exec"), names)  # pylint: disable=exec-used
            names["channel"].close()

    def test_links_lead_somewhere(self):
        pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
        for page in pages:
            prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", prose):
                self.assertTrue((page.parent / target).exists(), f"{page}: {target}")

    def test_clients_page_has_the_programs_that_are_run(self):
        page = CLIENTS.read_text()
        programs = re.findall(r"^\*\*.*\*\* \(\[.*\]\((.*)\)\)$", page, re.MULTILINE)
        self.assertEqual(len(programs), 5)
        for program in programs:
            text = (DOCS / program).read_text().expandtabs(4)
            self.assertIn(f"\n{text}```\n", page)

    def test_cpp_example(self):
        with harness.Server() as server:
            done = subprocess.run(
                [os.environ["DOCS_EXAMPLE_BIN"]], text=True, capture_output=True, timeout=SECONDS,
                env={**harness.clean_environment(), "DROPOUTCTL_ADDRESS": server.address})
        self.assertEqual(done.returncode, 0, done.stderr)
        values = done.stdout.split()
        self.assertEqual(len(values), 32)
        self.assertEqual(set(values), {"0", "2"})


if __name__ == "__main__":
    unittest.main()
