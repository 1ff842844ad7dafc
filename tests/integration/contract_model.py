"""What a session may be, by what was answered of it: a model of sessions, layers, modes and steps.

Every call takes effect at one moment between its beginning and its end. What became of one that was
answered UNAVAILABLE is not known: it may still take effect for some seconds, but never over a
change that was answered since. So there is a set of worlds: a state, and how far each call has come
in it. An answer leaves the worlds that explain it; if none is left, it was wrong.
"""

import typing

TRAIN, EVAL = "train", "eval"
MOST_WORLDS = 20000

# Answers that are no "ok".
NO_SESSION, NO_LAYER, NO_STEP = "SESSION_NOT_FOUND", "LAYER_NOT_FOUND", "STEP_NOT_FOUND"
PASSES = "ok", None, None, EVAL
SESSION_TAKEN, LAYER_TAKEN = "SESSION_EXISTS", "LAYER_EXISTS"


class Layer(typing.NamedTuple):
    made: tuple  # Its name, and which call made it.
    first_p: float
    p: float
    mode: str
    revision: int

    def view(self):
        return self.p, self.mode, self.revision


class Record(typing.NamedTuple):
    token: int  # Which call wrote or removed it.
    p: typing.Optional[float]  # None: there is none.
    mode: typing.Optional[str]


class State(typing.NamedTuple):
    made: int = 0  # Which call made the session; 0: there is none.
    token: int = 0  # Which call changed it last, or removed it.
    spec: tuple = ()  # (seed, p of the first layers)
    mode: str = TRAIN
    layers: tuple = ()  # (name, Layer), sorted
    records: tuple = ()  # ((Layer.made, step), Record), sorted

    def layer(self, name):
        return dict(self.layers).get(name)

    def record(self, layer, step):
        return dict(self.records).get((layer.made, step), Record(0, None, None))

    def view(self):
        return self.spec[0], self.mode, tuple((name, *each.view()) for name, each in self.layers)

    def with_layer(self, name, layer):
        """`layer` None: without it, and without its steps."""
        layers, records = dict(self.layers), self.records
        before = layers.pop(name, None)
        if layer is not None:
            layers[name] = layer
        elif before is not None:
            records = tuple(each for each in records if each[0][0] != before.made)
        return self._replace(layers=tuple(sorted(layers.items())), records=records)

    def with_record(self, layer, step, record):
        records = dict(self.records)
        records[layer.made, step] = record
        return self._replace(records=tuple(sorted(records.items())))


class Call:
    """A call of a client's. `moves` says what it may do next in a state, as (state, stage, answer):
    stage None before its first move, answer None before its last."""

    reads = False  # It changes nothing.

    def __init__(self, **fields):
        self.id = None  # The model's to give.
        self.__dict__.update(fields)
        self._text = f"{type(self).__name__} " + " ".join(f"{k}={v}" for k, v in fields.items())

    def __str__(self):
        return self._text

    def again(self):
        """The same call, as a client repeats it."""
        fields = {name: value for name, value in self.__dict__.items()
                  if name not in ("id", "reads", "_text")}
        return type(self)(**fields)

    def fence(self, state, _stage):
        """What must still be so when it takes effect late: what its last request names."""
        return state.made, state.token

    def late_stages(self, _state, stage):
        """Where it may go on from once its caller has given it up."""
        return [stage]

    def moves(self, state, stage):
        if not state.made:
            return [(state, None, (NO_SESSION,))]
        return [self.on_session(state, stage)]

    def on_session(self, state, stage):
        raise NotImplementedError


class Create(Call):  # spec

    def moves(self, state, stage):
        if state.made:
            same = state.spec == self.spec
            return [(state, None, ("ok", state.view()) if same else (SESSION_TAKEN,))]
        p = self.spec[1]
        layers = tuple((name, Layer((name, self.id), p, p, TRAIN, 1)) for name in self.names)
        made = State(self.id, self.id, self.spec, TRAIN, layers)
        return [(made, None, ("ok", made.view()))]


class Delete(Call):

    def fence(self, state, _stage):
        return state.made

    def on_session(self, state, stage):
        return State(token=self.id), None, ("ok",)


class Get(Call):
    reads = True

    def on_session(self, state, stage):
        return state, None, ("ok", state.view())


class SetMode(Call):  # mode, names (empty: all)

    def on_session(self, state, stage):
        if any(state.layer(name) is None for name in self.names):
            return state, None, (NO_LAYER,)
        after = state if self.names else state._replace(mode=self.mode)
        for name in self.names or dict(state.layers):
            after = after.with_layer(name, state.layer(name)._replace(mode=self.mode))
        return after._replace(token=self.id), None, ("ok",)


class OfLayer(Call):  # name

    def on_session(self, state, stage):
        layer = state.layer(self.name)
        if layer is None:
            return state, None, (NO_LAYER,)
        return self.on_layer(state, layer, stage)

    def on_layer(self, state, layer, stage):
        raise NotImplementedError


class CreateLayer(Call):  # name, p

    def on_session(self, state, stage):
        layer = state.layer(self.name)
        if layer is not None and layer.first_p != self.p:
            return state, None, (LAYER_TAKEN,)
        layer = layer or Layer((self.name, self.id), self.p, self.p, state.mode, 1)
        after = state.with_layer(self.name, layer)
        return after._replace(token=self.id), None, ("ok", layer.view())


class UpdateLayer(OfLayer):  # p

    def on_layer(self, state, layer, stage):
        updated = layer._replace(p=self.p, mode=state.mode)
        if updated != layer:
            updated = updated._replace(revision=layer.revision + 1)
        after = state.with_layer(self.name, updated)
        return after._replace(token=self.id), None, ("ok", updated.view())


class DeleteLayer(OfLayer):

    def on_layer(self, state, layer, stage):
        return state.with_layer(self.name, None)._replace(token=self.id), None, ("ok",)


class Forward(OfLayer):  # step
    """It takes the layer as it is, and later keeps that under the step; a server that does not know
    what became of its first attempt to do so may begin again."""

    def moves(self, state, stage):
        if stage is None or stage[0] == "kept":
            first = super().moves(state, None)
            if stage is None:
                return first
            return [each for each in first if each[2] is None]
        _, seed, made, p, mode = stage
        layer = state.layer(self.name)
        if layer is None or layer.made != made:
            # Of the session or the layer nothing is left to keep it in.
            return [(state, None, (NO_LAYER if state.made else NO_SESSION,)),
                    (state, None, (NO_SESSION,))]
        if mode == TRAIN or state.record(layer, self.step).p is None:
            state = state.with_record(layer, self.step, Record(self.id, p, mode))
        return [(state, None, ("ok", seed if mode == TRAIN else None, p, mode))]

    def on_layer(self, state, layer, stage):
        return state, ("taken", state.spec[0], layer.made, layer.p, layer.mode), None

    def fence(self, state, stage):
        layer = state.layer(self.name)
        return state.made, state.token, layer and state.record(layer, self.step).token

    def late_stages(self, state, stage):
        now = [each[1] for each in super().moves(state, None) if each[2] is None]
        return now if stage is None else {stage, *now}


class Backward(OfLayer):  # step, release

    def __init__(self, **fields):
        super().__init__(**fields)
        self.reads = not self.release

    def on_layer(self, state, layer, stage):
        record = state.record(layer, self.step)
        answer = PASSES
        if record.p is None:
            return state, None, PASSES if layer.mode == EVAL else (NO_STEP,)
        if record.mode == TRAIN:
            answer = "ok", state.spec[0], record.p, TRAIN
        if self.release:
            return state, ("read", layer.made, record.token, answer), None
        return state, None, answer

    def moves(self, state, stage):
        if stage is None:
            return super().moves(state, None)
        _, made, token, answer = stage
        layer = state.layer(self.name)
        if layer is not None and layer.made == made:
            if state.record(layer, self.step).token == token:
                state = state.with_record(layer, self.step, Record(self.id, None, None))
        return [(state, None, answer)] + ([] if state.made else [(state, None, (NO_SESSION,))])

    def fence(self, state, stage):
        return None  # The token that it has read is all.

    def late_stages(self, _state, stage):
        return [] if stage is None else [stage]


class Release(Call):  # through

    def on_session(self, state, stage):
        count, records = 0, dict(state.records)
        for (made, step), record in state.records:
            if step <= self.through:
                count += record.p is not None
                records[made, step] = Record(self.id, None, None)
        state = state._replace(records=tuple(sorted(records.items())), token=self.id)
        return state, None, ("ok", count)


class Way(typing.NamedTuple):
    """How far a call has come in a world."""

    stage: typing.Optional[tuple] = None
    answer: typing.Optional[tuple] = None  # Once it has had its effect.
    late: bool = False  # Its caller has given it up; then `fence` must still hold.
    fence: typing.Any = None


class Violation(AssertionError):
    """Something was answered that no world explains."""


class SessionModel:
    """The worlds of one session's name. Not thread-safe."""

    def __init__(self):
        self._next = 1
        self._calls = {}
        self._worlds = {(State(), ())}
        self.most_worlds = 1

    def begin(self, call):
        call.id = self._next
        self._next += 1
        self._calls[call.id] = call
        self._worlds = {(state, (*ways, (call.id, Way()))) for state, ways in self._worlds}
        return call

    def end(self, call, answer):
        """Raises Violation."""
        explained = set()
        for state, ways in self._reachable(call.id):
            if dict(ways)[call.id].answer == answer:
                explained.add(self._without(state, ways, call.id))
        if not explained:
            raise Violation(f"{call}: {answer} cannot be; the session could be\n" + "\n".join(
                f"  {state}" for state in sorted({state for state, _ in self._worlds})))
        del self._calls[call.id]
        self._show(explained)

    def end_unknown(self, call, may_be_late):
        """Its fate is not known. `may_be_late`: and not settled, until `forget`."""
        if call.reads or not may_be_late:
            return self.forget(call)
        worlds = set()
        for state, ways in self._reachable(None):
            way = dict(ways)[call.id]
            worlds.add(self._without(state, ways, call.id))
            stages = [] if way.answer and not isinstance(call, Forward) else (
                call.late_stages(state, None if way.answer else way.stage))
            for stage in stages:
                late = Way(stage, None, True, call.fence(state, stage))
                worlds.add((state, tuple((i, late if i == call.id else each) for i, each in ways)))
        return self._show(worlds)

    def forget(self, call):
        """From now on it takes no effect any more."""
        worlds = {self._without(state, ways, call.id)
                  for state, ways in self._reachable(None)}
        del self._calls[call.id]
        self._show(worlds)

    def _show(self, worlds):
        self._worlds = {(state, self._alive(state, ways)) for state, ways in worlds}
        self.most_worlds = max(self.most_worlds, len(self._worlds))
        if len(self._worlds) > MOST_WORLDS:
            raise AssertionError("too many calls of an unknown fate for the model")

    def _alive(self, state, ways):
        """Without late calls that have lost for good: no fence comes back."""
        return tuple((i, way) for i, way in ways
                     if not way.late or self._calls[i].fence(state, way.stage) == way.fence)

    @staticmethod
    def _without(state, ways, call_id):
        return state, tuple(each for each in ways if each[0] != call_id)

    def _reachable(self, target):
        """The worlds that come of these by moves of the calls under way. Where there is a target,
        those in which it has just had its effect, or had it already."""
        seen, found, todo = set(self._worlds), set(), list(self._worlds)
        while todo:
            world = todo.pop()
            if target is None:
                found.add(world)
            elif dict(world[1])[target].answer is not None:
                found.add(world)
                continue
            for next_world in self._next_worlds(world):
                if next_world not in seen:
                    seen.add(next_world)
                    todo.append(next_world)
                    if len(seen) > 10 * MOST_WORLDS:
                        raise AssertionError("too many worlds for the model")
        return found

    def _next_worlds(self, world):
        state, ways = world
        for at, (call_id, way) in enumerate(ways):
            call = self._calls[call_id]
            stage = way.stage
            if way.answer is not None:
                # See Forward.
                if not isinstance(call, Forward) or way.late or stage == ("again",):
                    continue
                stage = ("kept",)
            for after, next_stage, answer in call.moves(state, stage):
                if way.answer is not None:
                    # Its second attempt, at once.
                    for kept, _, second in call.moves(after, next_stage):
                        yield self._moved(kept, ways, at, Way(("again",), second))
                elif way.late and answer is not None:
                    yield after, self._alive(after, ways[:at] + ways[at + 1:])
                else:
                    yield self._moved(after, ways, at, way._replace(
                        stage=next_stage, answer=answer))

    def _moved(self, state, ways, at, way):
        return state, self._alive(state, ways[:at] + ((ways[at][0], way),) + ways[at + 1:])
