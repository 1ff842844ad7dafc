"""Which step a module's next forward is, and which one a recomputation repeats."""

from __future__ import annotations

import contextlib
import sys
import threading
from types import CodeType
from typing import Any, Dict, FrozenSet, Iterator, NamedTuple, Optional, Set

import torch
import torch.utils.checkpoint
from torch.autograd.function import BackwardCFunction

from ..errors import RecomputationError

# How many forwards of one module are remembered at least, and at most twice as many: a
# recomputation finds its first forward among them.
REMEMBERED_FORWARDS = 4096


class Place(NamedTuple):
    """Where a forward's mask is, as the client's methods take it."""

    step: int
    sample_offset: int


class _Forward:
    """A forward that may be recomputed."""

    __slots__ = ("place", "is_repeated", "is_ambiguous")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.is_repeated = False
        self.is_ambiguous = False


class Steps:
    """The steps that one module takes, and the places of its last forwards.

    torch.utils.checkpoint runs a forward again inside the backward, with torch's random state as
    it was. A number drawn from that state is the forward's name: drawn again, it leads back to
    the first forward's place. Outside a backward a forward is always a new step, since equal
    numbers may also come from a generator that was seeded anew. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: Set[int] = set()  # Steps that were counted, and whose forward failed.
        self._recent: Dict[int, _Forward] = {}
        self._older: Dict[int, _Forward] = {}

    def __deepcopy__(self, memo: Any) -> "Steps":
        return Steps()

    @contextlib.contextmanager
    def next(self, count: torch.Tensor) -> Iterator[int]:
        """The next step. `count`, of the steps so far, has it from here on, unless the block
        fails: then a later call gets it."""
        with self._lock:
            step = self._take(count)
        try:
            yield step
        except BaseException:
            with self._lock:
                self._give_back(step, count)
            raise

    def _take(self, count: torch.Tensor) -> int:
        if self._failed:
            step = min(self._failed)
            self._failed.remove(step)
            return step
        step = int(count)
        count += 1
        return step

    def _give_back(self, step: int, count: torch.Tensor) -> None:
        self._failed.add(step)
        while int(count) - 1 in self._failed:
            count -= 1
            self._failed.remove(int(count))

    def restart(self) -> None:
        """The count was set anew."""
        with self._lock:
            self._failed.clear()

    def remember(self, number: int, place: Place) -> None:
        """The forward with this number, outside a backward, was at `place`."""
        forward = _Forward(place)
        with self._lock:
            before = self._find(number)
            # Equal numbers: the generator was seeded anew. One whose backward has begun is over;
            # of the others nobody can tell which one a recomputation repeats.
            forward.is_ambiguous = before is not None and not before.is_repeated
            self._recent[number] = forward
            if len(self._recent) >= REMEMBERED_FORWARDS:
                self._older, self._recent = self._recent, {}

    def place_of(self, number: int, layer_id: str) -> Place:
        """The place of the forward that this recomputation repeats. Raises RecomputationError."""
        with self._lock:
            forward = self._find(number)
            if forward is None:
                raise RecomputationError(
                    f"layer {layer_id!r}: this forward runs inside a backward and is none of the "
                    "module's last forwards, so its mask is unknown. torch.utils.checkpoint needs "
                    "preserve_rng_state=True, and no other thread may draw from torch's generator "
                    "meanwhile; or give each forward its step: module(x, step=n)")
            if forward.is_ambiguous:
                raise RecomputationError(
                    f"layer {layer_id!r}: this recomputation may be of several forwards, because "
                    "torch's generator was set to the same state before each. Seed it once, or "
                    "give each forward its step: module(x, step=n)")
            forward.is_repeated = True
            return forward.place

    def check_evaluation(self, layer_id: str) -> None:
        """Raises RecomputationError if this forward in eval(), inside a backward, recomputes one
        that was in train(): what it gives would belong to another gradient."""
        state = torch.get_rng_state()
        number = draw_number()
        torch.set_rng_state(state)
        with self._lock:
            is_known = self._find(number) is not None
        if is_known:
            raise RecomputationError(
                f"layer {layer_id!r}: this forward recomputes one that was in train(), and the "
                "module is in eval() now. Call eval() after the backward")

    def _find(self, number: int) -> Optional[_Forward]:
        return self._recent.get(number) or self._older.get(number)


def draw_number() -> int:
    """63 bits of torch's default generator on the CPU, whose state torch.utils.checkpoint keeps."""
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_())


def _codes_of_backward() -> FrozenSet[CodeType]:
    """Functions of torch that are on the stack while a backward runs: its callers, and what it
    calls on threads of its own."""
    functions = [torch.autograd.backward, torch.autograd.grad, BackwardCFunction.apply]
    codes = [function.__code__ for function in functions]
    without_reentrant = getattr(torch.utils.checkpoint, "_checkpoint_without_reentrant", None)
    if without_reentrant is not None:
        codes += [code for code in without_reentrant.__code__.co_consts
                  if isinstance(code, CodeType) and code.co_name == "unpack"]
    return frozenset(codes)


_CODES_OF_BACKWARD = _codes_of_backward()


def _has_backward_frame() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _CODES_OF_BACKWARD:
            return True
        frame = frame.f_back
    return False


def _has_graph_task() -> bool:
    return torch._C._current_graph_task_id() != -1


# Whether this thread executes a node of a backward. Debian's torch, 1.13, tells it only by an
# exception that takes a millisecond to make.
is_inside_backward = (_has_graph_task if hasattr(torch._C, "_current_graph_task_id")
                      else _has_backward_frame)
