"""What a store holds, and what it is sent, is in proportion to what is of use."""

import itertools
import os
import re
import shutil
import time
import unittest

import harness
import numpy as np
from client_helpers import Client, dropout_layer, pb, to_tensor
from holding_proxy import HoldingProxy
from store_helpers import RedisServer, each_store

X = np.ones((1, 64), np.float32)
UPDATES = int(os.environ.get("DROPOUTD_UPDATES", "1000"))
LAYERS = 1000
LARGE = to_tensor(np.ones((512, 1024), np.float32))  # 2 MiB.
MOST_FIELDS = 20
MOST_BYTES = 64 << 10
MOST_BYTES_OF_A_CHANGE = 8 << 10


def needs_redis(test):
    return unittest.skipUnless(shutil.which("redis-server"), "no redis-server")(test)


class StoreLeftoversTest(unittest.TestCase):

    def serve(self, *flags):
        server = self.enterContext(harness.Server("--metrics_listen=127.0.0.1:0", *flags))
        return self.enterContext(Client(server.address))

    @needs_redis
    def test_a_layer_that_goes_in_mid_forward_leaves_nothing(self):
        """One server writes a step, whose gradient needs the input, while another deletes its
        layer; of what the first one sends, each request comes later in turn."""
        redis = RedisServer(self)
        proxy = HoldingProxy(redis.port)
        self.addCleanup(proxy.close)
        writer = self.serve(f"--store=redis://127.0.0.1:{proxy.port}")
        other = self.serve(redis.flag)
        for index in itertools.count():
            name = f"a-session-of-its-own-{index}"
            other.create_session(name, [pb.Layer(layer_id="l", p=0.5, concrete=pb.Concrete())])
            writer.forward(name, "l", X, step=1)  # It has a copy.
            _, before = redis.count()
            proxy.hold(name.encode(), index)
            call = writer.service.Forward.future(pb.ForwardRequest(
                session_id=name, layer_id="l", step=2, input=LARGE), timeout=120)
            while not (call.done() or proxy.is_holding()):
                time.sleep(0.001)
            if call.done():
                self.assertGreater(index, 0)
                return
            other.delete_layer(name, "l")
            proxy.release()
            with self.subTest(f"request {index}"):
                print(f"{call.code()}, {redis.count()[1] - before} bytes more")
                self.assertLess(redis.count()[1] - before, MOST_BYTES)

    def test_updates_leave_nothing_once_their_steps_are_gone(self):
        for store in each_store(self):
            with self.subTest(store.kind):
                client = self.serve(store.flag)
                client.create_session("s", [dropout_layer("l")])
                for step in range(UPDATES):
                    client.update_layer("s", dropout_layer("l", p=0.1 + step % 8 / 10))
                    client.forward("s", "l", X, step=step)
                client.release_steps("s", "l", UPDATES - 2)
                count, total = store.count()
                print(f"{store.kind}: {count} values, {total:.0f} bytes")
                self.assertLess(count, MOST_FIELDS)

    @needs_redis
    def test_a_change_of_one_layer_does_not_send_the_others(self):
        redis = RedisServer(self)
        clients = [self.serve(redis.flag) for _ in range(2)]
        clients[0].create_session("s", [dropout_layer(f"l{i}") for i in range(LAYERS)])
        for client in clients:
            client.get_session("s")

        def bytes_now():
            """Sent to Redis, and by it."""
            stats = redis.run("info", "stats")
            return np.array([int(re.search(rf"^{name}:(\d+)", stats, re.MULTILINE)[1]) for name in (
                "total_net_input_bytes", "total_net_output_bytes")])

        before = bytes_now()
        changes = 20
        for i in range(changes):
            writer, reader = clients[i % 2], clients[1 - i % 2]
            writer.update_layer("s", dropout_layer(f"l{i}", p=0.1))
            reader.forward("s", f"l{i}", X, step=1)
        sent, received = (bytes_now() - before) / changes
        print(f"{sent:.0f} bytes a change to Redis, {received:.0f} from it")
        self.assertLess(sent, MOST_BYTES_OF_A_CHANGE)
        self.assertLess(received, MOST_BYTES_OF_A_CHANGE)


if __name__ == "__main__":
    unittest.main()
