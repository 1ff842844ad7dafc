"""A tenant that wants nothing but its calls answered, while somebody else attacks.

As a program: makes a session at the server ADDRESS with the token in ATTACK_TOKEN, then calls
Forward of 64 floats RATE times a second, whether the calls before are answered or not, until its
standard input ends. Then prints, as JSON, a list of (when it was due, seconds to its answer, "OK"
or why it failed). Times are those of CLOCK_MONOTONIC, which all processes share. A process of its
own, so that what it measures is not the attacker's use of the interpreter.
"""

import json
import os
import sys
import threading
import time

import client_helpers as helpers
import grpc
import numpy as np
from security_helpers import bearer, secure_channel

pb = helpers.pb
CALL_SECONDS = 20
RATE = 50


def outcome(call):
    error = call.exception()
    return "OK" if error is None else (
        f"{error.code().name} {helpers.reason_of(error)} {error.details()}")


def main():
    address = sys.argv[1]
    metadata = bearer(os.environ["ATTACK_TOKEN"])
    ca = os.environ.get("ATTACK_CA")
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    channel = secure_channel(address, ca) if ca else helpers.harness.channel(address)
    grpc.channel_ready_future(channel).result(helpers.CONNECT_SECONDS)
    service = helpers.harness.stubs().service.DropoutServiceStub(channel)
    service.CreateSession(pb.CreateSessionRequest(
        session_id="s", layers=[helpers.dropout_layer("l")]), metadata=metadata,
        timeout=helpers.CALL_SECONDS)
    request = pb.ForwardRequest(session_id="s", layer_id="l", step=1,
                                input=helpers.to_tensor(np.ones(64, np.float32)))
    print("calling", flush=True)
    calls, answers = [], []
    due = time.monotonic()
    while not stop.is_set():
        call = service.Forward.future(request, metadata=metadata, timeout=CALL_SECONDS)
        calls.append(call)
        call.add_done_callback(lambda done, due=due: answers.append(
            (due, time.monotonic() - due, outcome(done))))
        due += 1 / RATE
        time.sleep(max(0.0, due - time.monotonic()))
    for call in calls:
        call.exception()
    while len(answers) < len(calls):
        time.sleep(0.001)  # A callback runs just after its call has ended.
    print(json.dumps(answers))
    channel.close()


if __name__ == "__main__":
    main()
