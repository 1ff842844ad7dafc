"""When a call may be sent again, and after which pause."""

from __future__ import annotations

import dataclasses
import enum
import random
import time
from typing import Callable, Optional

from .errors import (CancelledError, DeadlineExceededError, DropoutError, NotFoundError,
                     UnavailableError, make_error)


class Idempotency(enum.Enum):
    SAFE = enum.auto()  # Sent again: the same answer.
    DELETION = enum.auto()  # Sent again: NOT_FOUND then means done.
    UNSAFE = enum.auto()  # Never sent again.


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """Limits of one call. All durations are in seconds."""

    # Time that one call may take, retries and pauses included: how long a server may be away.
    # None: no limit.
    timeout: Optional[float] = 60.0
    # How often a call that is safe to repeat is sent at most, when the server went away; 1
    # switches retries off. None: until the timeout.
    max_attempts: Optional[int] = None
    # Pause before the second attempt; it doubles up to max_backoff. Each pause is shortened by
    # a random share of up to a half.
    initial_backoff: float = 0.05
    max_backoff: float = 2.0

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout}, must be above 0 or None")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}, must be 1 or more, or None")
        if not (self.initial_backoff >= 0 and self.max_backoff >= 0):
            raise ValueError("initial_backoff and max_backoff must be 0 or more")


class Attempts:
    """The attempts of one call. Not thread-safe; one object a call."""

    def __init__(self, policy: RetryPolicy, idempotency: Idempotency,
                 timeout: Optional[float] = None,
                 clock: Callable[[], float] = time.monotonic,
                 uniform: Callable[[], float] = random.random) -> None:
        """timeout: of this call, in place of the policy's."""
        self._policy, self._idempotency = policy, idempotency
        self._clock, self._uniform = clock, uniform
        self._timeout = policy.timeout if timeout is None else timeout
        self._start = clock()
        self._failed = 0
        self._failure: Optional[DropoutError] = None  # Of the attempt before.

    @property
    def wait_for_ready(self) -> bool:
        """Whether the next attempt waits for a connection where there is none. The first fails at
        once, and says why; for later ones gRPC looks for the server while it waits."""
        return self._failed > 0

    def time_left(self) -> Optional[float]:
        """Seconds until the call's deadline, 0 or more; None: no limit."""
        if self._timeout is None:
            return None
        return max(0.0, self._timeout - (self._clock() - self._start))

    def after(self, error: DropoutError) -> Optional[float]:
        """What follows a failed attempt: the pause in seconds before the next one, or None if
        the failure means that the call has been carried out. Raises the error if it is final."""
        self._failed += 1
        if (self._failed > 1 and self._idempotency is Idempotency.DELETION
                and isinstance(error, NotFoundError)):
            return None
        if self._failure is not None and isinstance(error, DeadlineExceededError):
            raise self._gave_up(self._failure)
        went_away = isinstance(error, (UnavailableError, CancelledError))
        if (not went_away or self._idempotency is Idempotency.UNSAFE
                or self._failed == self._policy.max_attempts):
            raise error
        self._failure = error
        # The exponent's bound is far above any max_backoff.
        pause = min(self._policy.initial_backoff * 2.0 ** min(self._failed - 1, 100),
                    self._policy.max_backoff) * (0.5 + 0.5 * self._uniform())
        left = self.time_left()
        if left is not None and left <= pause:
            raise error if self._failed == 1 else self._gave_up(error)
        return pause

    def _gave_up(self, failure: DropoutError) -> DropoutError:
        """`failure`, which says why, with how often and how long the call was tried."""
        return make_error(
            failure.code, failure.reason, f"{failure.message} (tried {self._failed} times in "
            f"{self._clock() - self._start:.1f} s)")
