"""What the worker was seen to be like: a ring of observations, and those who follow it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Number = float | int | None


@dataclass(frozen=True)
class Observation:
    """One moment: `numbers` are worth a plot, None where one is not known; `state` is worth only while it is the last.

    `sequence` counts the observations of one worker from 1.
    """

    sequence: int
    time_ms: int
    numbers: Mapping[str, Number]
    state: Mapping[str, Any]


class Observations:
    """The last `size_max` observations. Whoever is too slow for them misses some, and holds nobody up."""

    def __init__(self, size_max: int) -> None:
        self._ring: deque[Observation] = deque(maxlen=size_max)
        self._changed = asyncio.Event()
        self._count = 0
        self.closed = False

    def add(self, time_ms: int, numbers: Mapping[str, Number], state: Mapping[str, Any]) -> None:
        """Remember an observation and wake those who wait for it."""
        self._count += 1
        self._ring.append(Observation(self._count, time_ms, numbers, state))
        self._wake()

    def since(self, sequence: int) -> list[Observation]:
        """The remembered observations after `sequence`, oldest first."""
        return [each for each in self._ring if each.sequence > sequence]

    async def newest_after(self, sequence: int, within_seconds: float) -> Observation | None:
        """The newest observation, as soon as it comes after `sequence`; None when none came in time, or none will."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while not self.closed and self._count <= sequence:
                    await self._changed.wait()
        return self._ring[-1] if not self.closed and self._count > sequence else None

    def close(self) -> None:
        """No more will come: let go of all who wait."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def columns(observations: Sequence[Observation]) -> dict[str, Any]:
    """The numbers of several observations, by name, as one list each: {"times_ms": […], "columns": {name: […]}}."""
    names = dict.fromkeys(name for each in observations for name in each.numbers)
    return {
        "times_ms": [each.time_ms for each in observations],
        "columns": {name: [each.numbers.get(name) for each in observations] for name in names},
    }
