#!/usr/bin/env python3
"""The conformance suite through `buf curl`, which learns the contract by server reflection.

    $ buf_curl.py NODE_DIR ADDRESS [EVERY]

NODE_DIR has @bufbuild/buf installed. EVERY: one case in so many is run; each call is a process.
"""

import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))

import runner

SECONDS = 60
REASON = re.compile(r"^buf: < \(#\d+\) Dropout-Error-Reason: (\S+)$", re.MULTILINE)


def find_buf(node_dir):
    (program,) = pathlib.Path(node_dir).glob("node_modules/@bufbuild/buf-*/bin/buf")
    return str(program)


def snake(name):
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def renamed(value):
    """An answer with the proto's field names in place of JSON's."""
    if isinstance(value, dict):
        return {snake(name): renamed(field) for name, field in value.items()}
    return [renamed(one) for one in value] if isinstance(value, list) else value


class Driver:
    """A driver of runner.py."""

    def __init__(self, buf, address):
        self.buf, self.address = buf, address

    def call(self, rpc, request):
        done = subprocess.run(
            [self.buf, "curl", "--verbose", "--emit-defaults", "--protocol", "grpc",
             "--http2-prior-knowledge", "--data", "@-",
             f"http://{self.address}/dropout.v1.DropoutService/{rpc}"],
            input=json.dumps(request), text=True, capture_output=True, timeout=SECONDS)
        if done.returncode != 0:
            raise self.error(done)
        return renamed(json.loads(done.stdout)) if done.stdout.strip() else {}

    def error(self, done):
        """What a failed call says on standard error: the headers, and the status as JSON."""
        reason = REASON.search(done.stderr)
        status = re.search(r'^\{\n(?: .*\n)+\}', done.stderr, re.MULTILINE)
        if reason is None or status is None:
            return RuntimeError(f"buf failed:\n{done.stderr}")
        return runner.CallError(json.loads(status[0])["code"].upper(), reason[1])


def main(node_dir, address, every="1"):
    driver = Driver(find_buf(node_dir), address)
    info = driver.call("GetServerInfo", {})
    cases = runner.load_cases()[::int(every)]
    failures = ran = 0
    for case in cases:
        if runner.missing(case, info):
            continue
        ran += 1
        try:
            runner.run(case, driver)
        except runner.Failure as failure:
            failures += 1
            print(f"{case['name']}: {failure}")
    print(f"{ran} of {len(cases)} cases, {failures} failed")
    return 1 if failures or not ran else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
