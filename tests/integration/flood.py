"""Calls at a fixed rate, whatever becomes of them.

As a program: sends RATE Forwards a second of the layer "l" of the session "s" to the server ADDRESS,
with the token in FLOOD_TOKEN, until its standard input ends; then prints, as JSON, how many calls
had which reason. A process of its own, so that the caller's times are not those of this load.
"""

import collections
import json
import os
import sys
import threading
import time

import client_helpers as helpers
import numpy as np
from security_helpers import bearer

pb = helpers.pb

FORWARD = pb.ForwardRequest(session_id="s", layer_id="l", step=1,
                            input=helpers.to_tensor(np.ones(1024, np.float32)))


def reason(call):
    """Why a call failed, or "OK"."""
    error = call.exception()
    return "OK" if error is None else helpers.reason_of(error) or str(error.code())


def main():
    address, rate = sys.argv[1], float(sys.argv[2])
    metadata = bearer(os.environ["FLOOD_TOKEN"])
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with helpers.Client(address) as client:
        print("flooding", flush=True)
        pending = []
        due = time.monotonic()
        while not stop.is_set():
            pending.append(client.service.Forward.future(
                FORWARD, metadata=metadata, timeout=helpers.CALL_SECONDS))
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
        print(json.dumps(collections.Counter(reason(call) for call in pending)))


if __name__ == "__main__":
    main()
