"""Random calls of the contract, through real servers, each held against contract_model.py."""

import random
import threading
import time

import contract_model as model
import grpc
import harness
import numpy as np
from client_helpers import CALL_SECONDS, EVAL, TRAIN, dropout_layer, pb, reason_of, to_tensor

NAMES = ("a", "b")
SEEDS, RATES, STEPS = (1, 2, 3), (0.25, 0.5, 0.75), range(4)
ONES = to_tensor(np.ones(64, np.float32))
MODES = {model.TRAIN: TRAIN, model.EVAL: EVAL}
MODE_NAMES = {number: name for name, number in MODES.items()}
# A write is refused six seconds after it was sent; more for a slow machine.
LATE_SECONDS = 15
MOST_UNKNOWN = 3  # Of one session; each may double the model's worlds.
MOST_AT_ONCE = 3
HISTORY = 120


def masks():
    """What ones become, by seed, layer, step and p, as a server of its own says."""
    found = {}
    with harness.Server() as server, harness.channel(server.address) as channel:
        service = harness.stubs().service.DropoutServiceStub(channel)
        for seed in SEEDS:
            for p in RATES:
                session_id = f"{seed}-{p}"
                service.CreateSession(pb.CreateSessionRequest(
                    session_id=session_id, seed=seed,
                    layers=[dropout_layer(name, p=p) for name in NAMES]))
                for name in NAMES:
                    for step in STEPS:
                        answer = service.Forward(pb.ForwardRequest(
                            session_id=session_id, layer_id=name, step=step, input=ONES))
                        found[answer.output.data] = (name, step), (seed, p, model.TRAIN)
    assert len(found) == len(SEEDS) * len(RATES) * len(NAMES) * len(STEPS)
    return found


class Session:
    """One session's name, its model and what was said of it. Its functions take the lock."""

    def __init__(self, name, may_be_late, weights):
        self.name, self.weights = name, weights
        self._may_be_late = may_be_late
        self._lock = threading.Lock()
        self._model = model.SessionModel()
        self._under_way, self._unknown = 0, []
        self._history = []
        self.calls = self.unknown_calls = 0

    def try_begin(self, call, who):
        """Whether the call may be made: not where the model has enough to bear."""
        with self._lock:
            while self._unknown and self._unknown[0][0] < time.monotonic():
                self._model.forget(self._unknown.pop(0)[1])
            if self._under_way >= MOST_AT_ONCE or len(self._unknown) >= MOST_UNKNOWN:
                return False
            self._under_way += 1
            self.calls += 1
            self._model.begin(call)
            self._note(call, who, "begins")
            return True

    def end(self, call, who, answer):
        with self._lock:
            self._under_way -= 1
            self._note(call, who, answer or "may have been made")
            try:
                if answer is not None:
                    return self._model.end(call, answer)
                self.unknown_calls += 1
                self._model.end_unknown(call, self._may_be_late)
                if self._may_be_late and not call.reads:
                    self._unknown.append((time.monotonic() + LATE_SECONDS, call))
            except AssertionError as error:
                raise AssertionError("\n".join(
                    [f"session {self.name}", *self._history[-HISTORY:], str(error)])) from error

    def most_worlds(self):
        return self._model.most_worlds

    def _note(self, call, who, what):
        self._history.append(f"{time.monotonic():.3f} {who} {call.id}: {call}: {what}")


class Wire:
    """The model's calls over a server's wire, and its answers as the model's."""

    def __init__(self, channel, known_masks):
        self._service = harness.stubs().service.DropoutServiceStub(channel)
        self._masks = known_masks

    def answer(self, session_id, call):
        """None: UNAVAILABLE."""
        try:
            return getattr(self, type(call).__name__)(session_id, call)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return None
            if reason_of(error) is None:
                raise
            return (reason_of(error),)

    def _call(self, rpc, request):
        return getattr(self._service, rpc)(request, timeout=CALL_SECONDS, wait_for_ready=True)

    @staticmethod
    def _layer(layer):
        return layer.p, MODE_NAMES[layer.mode], layer.revision

    def _view(self, session):
        return "ok", (session.seed, MODE_NAMES[session.mode],
                      tuple((each.layer_id, *self._layer(each)) for each in session.layers))

    def Create(self, session_id, call):
        seed, p = call.spec
        return self._view(self._call("CreateSession", pb.CreateSessionRequest(
            session_id=session_id, seed=seed,
            layers=[dropout_layer(name, p=p) for name in call.names])))

    def Get(self, session_id, _):
        return self._view(self._call("GetSession", pb.GetSessionRequest(session_id=session_id)))

    def Delete(self, session_id, _):
        self._call("DeleteSession", pb.DeleteSessionRequest(session_id=session_id))
        return ("ok",)

    def SetMode(self, session_id, call):
        self._call("SetMode", pb.SetModeRequest(
            session_id=session_id, mode=MODES[call.mode], layer_ids=call.names))
        return ("ok",)

    def CreateLayer(self, session_id, call):
        return "ok", self._layer(self._call("CreateLayer", pb.CreateLayerRequest(
            session_id=session_id, layer=dropout_layer(call.name, p=call.p))))

    def UpdateLayer(self, session_id, call):
        return "ok", self._layer(self._call("UpdateLayer", pb.UpdateLayerRequest(
            session_id=session_id, layer=dropout_layer(call.name, p=call.p))))

    def DeleteLayer(self, session_id, call):
        self._call("DeleteLayer", pb.DeleteLayerRequest(
            session_id=session_id, layer_id=call.name))
        return ("ok",)

    def Forward(self, session_id, call):
        answer = self._call("Forward", pb.ForwardRequest(
            session_id=session_id, layer_id=call.name, step=call.step, input=ONES))
        seed, p, mode = self._mask(call, answer.output)
        said = MODE_NAMES[answer.mode]
        if said != mode or (mode == model.TRAIN and p != answer.p):
            return "ok", f"says {said} {answer.p}, and does {mode} {p}"
        return "ok", seed, answer.p, mode

    def Backward(self, session_id, call):
        answer = self._call("Backward", pb.BackwardRequest(
            session_id=session_id, layer_id=call.name, step=call.step, output_gradient=ONES,
            release=call.release))
        return "ok", *self._mask(call, answer.input_gradient)

    def Release(self, session_id, call):
        return "ok", self._call("ReleaseSteps", pb.ReleaseStepsRequest(
            session_id=session_id, through_step=call.through)).released_count

    def _mask(self, call, tensor):
        """(seed, p, mode) of what became of ones."""
        if tensor.data == ONES.data:
            return None, None, model.EVAL
        place, drawn = self._masks.get(tensor.data, (None, "a mask of nobody's"))
        return drawn if place == (call.name, call.step) else ("of", place, drawn)


KINDS = ("create", "delete", "get", "mode", "new", "update", "gone", "forward", "backward",
         "release one", "release")
AS_IN_TRAINING = (6, 2, 4, 6, 4, 10, 2, 30, 30, 6, 3)
SHORT_LIVED = (30, 20, 4, 2, 4, 10, 2, 20, 10, 4, 3)


def random_call(choose, weights):
    name, p, step = choose.choice(NAMES), choose.choice(RATES), choose.choice(STEPS)
    kind = choose.choices(KINDS, weights)[0]
    if kind == "create":
        return model.Create(spec=(choose.choice(SEEDS), p), names=NAMES)
    if kind == "mode":
        return model.SetMode(mode=choose.choice((model.TRAIN, model.TRAIN, model.EVAL)),
                             names=choose.choice(((), (name,))))
    return {
        "delete": lambda: model.Delete(),
        "get": lambda: model.Get(),
        "new": lambda: model.CreateLayer(name=name, p=p),
        "update": lambda: model.UpdateLayer(name=name, p=p),
        "gone": lambda: model.DeleteLayer(name=name),
        "forward": lambda: model.Forward(name=name, step=step),
        "backward": lambda: model.Backward(name=name, step=step, release=False),
        "release one": lambda: model.Backward(name=name, step=step, release=True),
        "release": lambda: model.Release(through=step),
    }[kind]()


class Load:
    """Threads that call, as long as `with` lasts; an answer that cannot be ends it. Each thread has
    a server of its own, so that one which hangs does not keep the others' clients.

    wires(): to servers that are up. may_be_late: whether what was answered UNAVAILABLE may be made
    later. seed: of what is called."""

    def __init__(self, wires, may_be_late, seed, sessions=12, threads=24):
        self._wires = wires
        self.sessions = [Session(f"session-{i}", may_be_late,
                                 SHORT_LIVED if i % 2 else AS_IN_TRAINING)
                         for i in range(sessions)]
        self._over = threading.Event()
        self.failures = []
        self._threads = [
            threading.Thread(target=self._run, args=(i, random.Random(1000 * seed + i)))
            for i in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def running(self, seconds):
        """Waits; false once something was wrong."""
        return not self._over.wait(seconds)

    def _run(self, number, choose):
        try:
            while not self._over.is_set():
                session = choose.choice(self.sessions)
                if not self._call(number, choose, session, random_call(choose, session.weights)):
                    self._over.wait(0.01)  # Enough is under way.
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(error)
            self._over.set()

    def _call(self, number, choose, session, call):
        """Whether it was made. Most clients repeat a call until it is answered."""
        is_patient = choose.random() < 0.7
        while not self._over.is_set():
            wires = self._wires()
            wire = wires[number % len(wires)]
            who = f"thread {number}"
            if not session.try_begin(call, who):
                return False
            answer = wire.answer(session.name, call)
            session.end(call, who, answer)
            if answer is not None or not is_patient:
                break
            call = call.again()
        return True

    def check_all(self):
        """Every server, asked for everything, says what the model does."""
        for wire in self._wires():
            for session in self.sessions:
                for call in (model.Get(), *(model.Backward(name=name, step=step, release=False)
                                            for name in NAMES for step in STEPS)):
                    self._settled(session, wire, call)

    @staticmethod
    def _settled(session, wire, call):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if not session.try_begin(call, "the end"):
                time.sleep(0.1)  # Until calls of an unknown fate have had their time.
                continue
            answer = wire.answer(session.name, call)
            session.end(call, "the end", answer)
            if answer is not None:
                return
            call = call.again()
        raise AssertionError(f"{call} is not answered")
