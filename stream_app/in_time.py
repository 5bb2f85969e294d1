"""Answers within a time, so that no caller hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from stream_app.errors import ServiceUnavailable

Answer = TypeVar("Answer")

ANSWER_SECONDS_MAX = 30.0


async def in_time(answer: Awaitable[Answer]) -> Answer:
    """The answer; raises ServiceUnavailable when it takes too long."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return await answer
    except TimeoutError:
        raise ServiceUnavailable(
            "the album did not answer in time",
            expected=f"an answer within {ANSWER_SECONDS_MAX:.0f} s",
            remedy="Try again; /readyz and /api/stats say what the worker is doing.",
        ) from None
