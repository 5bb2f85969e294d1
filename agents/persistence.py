"""Doing a batch until it is done: an agent never drops an event, and never acknowledges one too early."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from faust.types import EventT

from stream_app.tables import PartitionMoved, is_left_behind, require_own

log = logging.getLogger(__name__)

#: After so many failures of a whole batch its events are tried one at a time, to find the one at fault.
BATCH_TRIES = 3
SINGLE_TRIES = 2
PAUSE_SECONDS_MAX = 10.0

Work = Callable[[Sequence[EventT]], Awaitable[None]]


class Pile(Protocol):
    """Where events are put aside."""

    async def put(self, event: EventT, stage: str, reason: str) -> None:
        """Return when the event and the reason are durable."""
        ...


async def do_batch(work: Work, events: Sequence[EventT], stage: str, dead_letters: Pile) -> None:
    """Return when `work` is through with every one of `events`, each acknowledged.

    A batch that fails is tried again as a whole, then event by event; an event that fails on its own too is a
    dead letter. `work` must be safe to repeat. Where the partitions have moved meanwhile, or where the work fails
    because the worker ends, it returns without an acknowledgement: whoever has them then reads the events again.
    """
    # What was left behind may share a batch with what was read since, which nobody would read again.
    own = [event for event in events if not is_left_behind(event)]
    with suppress(PartitionMoved):
        await _do(work, own, stage, dead_letters)


async def _do(work: Work, events: Sequence[EventT], stage: str, dead_letters: Pile) -> None:
    if events and await _tried(work, events, stage, BATCH_TRIES) is not None:
        for event in events:
            if (failure := await _tried(work, [event], stage, SINGLE_TRIES)) is not None:
                await dead_letters.put(event, stage, f"unexpected {type(failure).__name__}: {failure}")
    for event in events:
        require_own(event)  # a late word would be taken for one about all events before this one
        event.ack()


async def _tried(work: Work, events: Sequence[EventT], stage: str, tries: int) -> Exception | None:
    """None when `work` went through within `tries`, otherwise its last failure."""
    failure: Exception | None = None
    for attempt in range(tries):
        try:
            await work(events)
            return None
        except PartitionMoved:
            raise
        except Exception as error:  # whatever it is, the stream must go on: that is what this file is for
            if events[0].app.should_stop:  # what the work stands on goes piece by piece: the events are not at fault
                raise PartitionMoved from error
            failure = error
            log.exception("%s: a batch of %d failed, attempt %d of %d", stage, len(events), attempt + 1, tries)
            await asyncio.sleep(min(PAUSE_SECONDS_MAX, 0.2 * 4**attempt))
    return failure
