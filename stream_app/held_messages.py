"""Messages that are worked on beside each other: a bounded number, and those of one key in their order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from faust.types import EventT

log = logging.getLogger(__name__)

#: Messages that a worker holds, answered or not; the next ones wait at the broker.
HELD_MAX = 64
PAUSE_SECONDS = 5.0


class HeldMessages:
    """The messages at hand: all at once, but those of the same key one after the other."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(HELD_MAX)
        self._last: dict[bytes, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def take_in(self, event: EventT, work: Callable[[EventT], Awaitable[None]]) -> None:
        """Begin `work` on an event; returns at once while there is a place for it."""
        await self._places.acquire()
        key = event.message.key or b""
        task = asyncio.create_task(self._work(event, work, self._last.get(key) if key else None))
        self._tasks.add(task)
        if key:
            self._last[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    async def stop(self) -> None:
        """Let go of what is not answered yet: it was not acknowledged, so another worker gets it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(
        self, event: EventT, work: Callable[[EventT], Awaitable[None]], before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        while True:
            try:
                return await work(event)
            except Exception:  # not even a dead letter could be written: what is not acknowledged holds up the rest
                log.exception("%s: a message could not be worked on", event.message.topic)
                await asyncio.sleep(PAUSE_SECONDS)

    def _forget(self, key: bytes, task: asyncio.Task[None]) -> None:
        self._places.release()
        self._tasks.discard(task)
        if self._last.get(key) is task:
            del self._last[key]
