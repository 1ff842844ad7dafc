"""What docker/ ships, for tests that run what the user runs."""

import pathlib
import re

COMPOSE = pathlib.Path(__file__).parents[2] / "docker" / "compose.yaml"


def replica_flags(store):
    """The flags of a replica in compose.yaml, over `store`, with ports of the system's choice. The
    listener is the harness's."""
    replica = COMPOSE.read_text(encoding="utf-8").partition("\nservices:")[0]
    flags = re.findall(r"^    - (--\w+(?:=.*)?)$", replica, re.MULTILINE)
    assert any(flag.startswith("--store=redis:") for flag in flags), flags
    kept = [flag for flag in flags if not flag.startswith(("--listen=", "--store="))]
    return [f"--store={store}", *(re.sub(r"=0\.0\.0\.0:\d+$", "=127.0.0.1:0", flag)
                                  for flag in kept)]
