"""Memory against clients that send huge messages slowly."""

import re
import resource
import unittest

import grpc
import harness
import numpy as np
from client_helpers import Client, pb
from slow_client import SlowCall, send_slowly

MIB = 1 << 20
CONNECTIONS = 1000
MESSAGE_BYTES = 64 * MIB
BYTES_PER_SECOND = 10 << 10
SECONDS = 20
IN_FLIGHT = 32 * MIB
# gRPC's quota is twice the bytes in flight; program, libraries and connections need the rest.
BOUND = 2 * IN_FLIGHT + IN_FLIGHT + 64 * MIB


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) << 10


class SlowClientsTest(unittest.TestCase):

    def test_memory_stays_bounded_and_others_are_served(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        x = np.ones((64, 1024), np.float32)
        with harness.Server(f"--max_bytes_in_flight={IN_FLIGHT}") as server, \
                Client(server.address) as client:
            if server.has_sanitizer():
                self.skipTest("a sanitizer's memory is its own")
            client.create_session("s", [pb.Layer(layer_id="l", p=0.5, dropout=pb.Dropout())])
            expected = client.forward("s", "l", x, step=0).output.data
            peak = served = 0

            def tick():
                nonlocal peak, served
                peak = max(peak, resident_bytes(server.pid))
                for _ in range(3):
                    try:
                        self.assertEqual(client.forward("s", "l", x, step=0).output.data, expected)
                        served += 1
                    except grpc.RpcError as error:
                        # Whoever is ended to make room may come again.
                        self.assertIn(error.code(), (grpc.StatusCode.UNAVAILABLE,
                                                     grpc.StatusCode.RESOURCE_EXHAUSTED))

            calls = [SlowCall(server.address, "Forward", MESSAGE_BYTES)
                     for _ in range(CONNECTIONS)]
            try:
                send_slowly(calls, BYTES_PER_SECOND, SECONDS, tick)
            finally:
                for call in calls:
                    call.close()
            sent = sum(call.sent for call in calls)
            print(f"\n{CONNECTIONS} connections sent {sent / MIB:.0f} MiB; "
                  f"peak memory {peak / MIB:.0f} MiB, bound {BOUND / MIB:.0f} MiB; "
                  f"{served} calls of another client served", flush=True)
            self.assertGreater(sent, 2 * IN_FLIGHT)  # Enough to pass the bound if all were kept.
            self.assertLess(peak, BOUND)
            self.assertGreater(served, 0)
            self.assertEqual(client.forward("s", "l", x, step=0).output.data, expected)


if __name__ == "__main__":
    unittest.main()
