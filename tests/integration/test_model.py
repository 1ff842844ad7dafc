"""Random calls over a Redis that hears of some of them late, and over a SQLite file whose server is
killed: no answer but those that a model of the contract allows.

DROPOUTD_MODEL_SECONDS: how long each runs. DROPOUTD_MODEL_SEED: of what is called.
"""

import os
import random
import shutil
import threading
import unittest

import contract_model as model
import harness
import shipped
from contract_load import Load, Wire, masks
from holding_proxy import HoldingProxy
from store_helpers import RedisServer, SqliteFile

SECONDS = float(os.environ.get("DROPOUTD_MODEL_SECONDS", "8"))
SEED = int(os.environ.get("DROPOUTD_MODEL_SEED", "1"))
LOST_SHARE = 0.1
RECONNECT = {"initial_reconnect_backoff_ms": 20, "min_reconnect_backoff_ms": 20,
             "max_reconnect_backoff_ms": 50}


class RealStoreTest(unittest.TestCase):

    def setUp(self):
        print(f"seed {SEED}")
        self.masks = masks()
        self.choose = random.Random(SEED)

    def wire(self, address):
        channel = self.enterContext(harness.channel(address, **RECONNECT))
        return Wire(channel, self.masks)

    def run_load(self, load, disturb):
        """disturb(choose) runs again and again, until the time is over."""
        over = threading.Event()
        timer = threading.Timer(SECONDS, over.set)
        timer.start()
        with load:
            while not over.is_set() and load.running(0):
                disturb(self.choose, over)
        timer.cancel()
        self.check(load.failures)
        load.check_all()
        calls, unknown = [sum(getattr(each, name) for each in load.sessions)
                          for name in ("calls", "unknown_calls")]
        worlds = max(each.most_worlds() for each in load.sessions)
        print(f"{calls} calls, {unknown} of an unknown fate, at most {worlds} worlds")
        return unknown

    def check(self, failures):
        if failures:
            raise failures[0]

    @unittest.skipUnless(shutil.which("redis-server"), "no redis-server")
    def test_redis_that_hears_late(self):
        redis = RedisServer(self)
        proxies = [HoldingProxy(redis.port) for _ in range(2)]
        wires = []
        for proxy in proxies:
            self.addCleanup(proxy.close)
            flags = shipped.replica_flags(f"redis://127.0.0.1:{proxy.port}")
            wires.append(self.wire(self.enterContext(harness.Server(*flags)).address))

        def disturb(choose, over):
            """Some requests of a server's come late, or all, for longer than most calls wait."""
            proxy = choose.choice(proxies)
            if choose.random() < 0.2:
                proxy.hold_all()
                over.wait(choose.uniform(6, 12))
            else:
                proxy.lose(lambda data: choose.random() < LOST_SHARE)
                over.wait(choose.uniform(0.1, 4))
            proxy.release()

        self.run_load(Load(lambda: wires, may_be_late=True, seed=SEED), disturb)
        late = sum(proxy.late for proxy in proxies)
        print(f"{late} requests came late")
        self.assertGreater(late, 0)

    def test_sqlite_whose_server_is_killed(self):
        flags = [SqliteFile(self).flag, "--metrics_listen=127.0.0.1:0"]
        server = harness.Server(*flags).__enter__()
        listen = f"--listen={server.address}"
        self.addCleanup(lambda: server.__exit__())
        wire = self.wire(server.address)
        is_up, kills = threading.Event(), 0

        def wires():
            is_up.wait()
            return [wire]

        def disturb(choose, over):
            nonlocal server, kills
            is_up.set()
            over.wait(choose.uniform(0.05, 1.5))
            is_up.clear()  # Calls under way go on.
            server.__exit__()
            kills += 1
            server = harness.Server(*flags, listen).__enter__()
            is_up.set()

        unknown = self.run_load(Load(wires, may_be_late=False, seed=SEED), disturb)
        print(f"{kills} kills")
        self.assertGreater(unknown, 0)


class ModelTest(unittest.TestCase):
    """The model finds what it is there for."""

    def setUp(self):
        self.model = model.SessionModel()
        self.say(model.Create(spec=(1, 0.5), names=("a",)),
                 ("ok", (1, model.TRAIN, (("a", 0.5, model.TRAIN, 1),))))

    def say(self, call, answer):
        self.model.end(self.model.begin(call), answer)

    def refuse(self, call, answer):
        with self.assertRaises(model.Violation):
            self.say(call, answer)

    def test_a_lost_change(self):
        self.say(model.UpdateLayer(name="a", p=0.25), ("ok", (0.25, model.TRAIN, 2)))
        self.refuse(model.Get(), ("ok", (1, model.TRAIN, (("a", 0.5, model.TRAIN, 1),))))

    def test_another_steps_mask(self):
        self.say(model.Forward(name="a", step=1), ("ok", 1, 0.5, model.TRAIN))
        self.say(model.UpdateLayer(name="a", p=0.25), ("ok", (0.25, model.TRAIN, 2)))
        self.say(model.Backward(name="a", step=1, release=False), ("ok", 1, 0.5, model.TRAIN))
        self.refuse(model.Backward(name="a", step=1, release=False), ("ok", 1, 0.25, model.TRAIN))

    def test_a_released_step_that_comes_back(self):
        late = self.model.begin(model.Forward(name="a", step=1))
        self.model.end_unknown(late, may_be_late=True)
        self.say(model.Forward(name="a", step=1), ("ok", 1, 0.5, model.TRAIN))
        self.say(model.Release(through=1), ("ok", 1))
        self.refuse(model.Backward(name="a", step=1, release=False), ("ok", 1, 0.5, model.TRAIN))

    def test_a_late_change_undoes_none_that_was_answered(self):
        late = self.model.begin(model.UpdateLayer(name="a", p=0.75))
        self.model.end_unknown(late, may_be_late=True)
        get = lambda p, revision: ("ok", (1, model.TRAIN, (("a", p, model.TRAIN, revision),)))
        self.say(model.Get(), get(0.5, 1))
        self.say(model.UpdateLayer(name="a", p=0.25), ("ok", (0.25, model.TRAIN, 2)))
        self.refuse(model.Get(), get(0.75, 3))

    def test_a_late_change_may_be_made(self):
        late = self.model.begin(model.UpdateLayer(name="a", p=0.75))
        self.model.end_unknown(late, may_be_late=True)
        get = lambda p, revision: ("ok", (1, model.TRAIN, (("a", p, model.TRAIN, revision),)))
        self.say(model.Get(), get(0.5, 1))
        self.say(model.Get(), get(0.75, 2))
        self.refuse(model.Get(), get(0.5, 1))

    def test_a_removed_session_that_comes_back(self):
        late = self.model.begin(model.Create(spec=(2, 0.5), names=("a",)))
        self.model.end_unknown(late, may_be_late=True)
        self.say(model.Delete(), ("ok",))
        self.say(model.Get(), (model.NO_SESSION,))
        self.refuse(model.Get(), ("ok", (2, model.TRAIN, (("a", 0.5, model.TRAIN, 1),))))


if __name__ == "__main__":
    unittest.main()
