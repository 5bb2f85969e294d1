"""A circuit breaker: after several failures in a row nobody is asked any more, until one trial goes well.

It knows no network. The libraries that there are let every caller through at once when the pause is over, or need
Tornado; here exactly one is let through, so that a server that has just come up is not met by all that waited.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FAILURES_MAX = 5
OPEN_SECONDS = 5.0


class CircuitOpen(Exception):
    """Nobody was asked: the circuit is open, or its one trial is on its way."""


class CircuitBreaker:
    """Counts failures in a row. `counted` are the exceptions that are failures; any other is an answer as well."""

    def __init__(
        self,
        counted: tuple[type[Exception], ...],
        *,
        failures_max: int = FAILURES_MAX,
        open_seconds: float = OPEN_SECONDS,
        changed: Callable[[bool], None] = lambda is_open: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counted, self._failures_max, self._open_seconds = counted, failures_max, open_seconds
        self._changed, self._clock = changed, clock
        self._failures = 0
        self._trial_at: float | None = None  # when the next trial may be; None while the circuit is closed
        self._on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether failures have opened the circuit, and no trial has closed it since."""
        return self._trial_at is not None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Around one attempt; raises CircuitOpen instead when none may be made now."""
        trial = self._enter()
        try:
            yield
        except self._counted:
            self._fail()
            raise
        except Exception:
            self._succeed()
            raise
        else:
            self._succeed()
        finally:  # a trial that was cancelled has no outcome: the next one may begin at once
            if trial:
                self._on_trial = False

    def _enter(self) -> bool:
        """Whether the attempt is the trial of an open circuit."""
        if self._trial_at is None:
            return False
        if self._on_trial or self._clock() < self._trial_at:
            raise CircuitOpen
        self._on_trial = True
        return True

    def _succeed(self) -> None:
        self._failures = 0
        self._set(None)

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= self._failures_max:
            self._set(self._clock() + self._open_seconds)

    def _set(self, trial_at: float | None) -> None:
        was_open, self._trial_at = self.is_open, trial_at
        if was_open != self.is_open:
            self._changed(self.is_open)
