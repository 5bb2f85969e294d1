"""Long batches in short turns: whatever else the event loop has to do must not wait for hundreds of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")

#: About ten milliseconds' work.
TURN = 50


async def in_turns(events: Sequence[T]) -> AsyncIterator[T]:
    """The events in their order, with a moment for others now and then."""
    for number, event in enumerate(events, 1):
        yield event
        if number % TURN == 0:
            await asyncio.sleep(0)
