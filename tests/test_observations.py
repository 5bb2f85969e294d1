"""The ring of what a worker saw of itself, and those who follow it."""

from __future__ import annotations

import asyncio

from stream_app.observations import Observations, columns


def test_only_the_last_observations_are_remembered() -> None:
    """However long the worker runs, it keeps as many as it was told."""
    ring = Observations(3)
    for number in range(10):
        ring.add(number, {"n": number}, {})

    assert [each.sequence for each in ring.since(0)] == [8, 9, 10]
    assert [each.numbers["n"] for each in ring.since(9)] == [9]


async def test_a_follower_is_woken_by_what_comes_next() -> None:
    """And is told nothing twice."""
    ring = Observations(3)
    ring.add(1, {}, {})
    waiting = asyncio.create_task(ring.newest_after(1, within_seconds=30))
    await asyncio.sleep(0)
    ring.add(2, {}, {})

    newest = await waiting

    assert newest is not None and (newest.sequence, newest.time_ms) == (2, 2)
    assert await ring.newest_after(2, within_seconds=0.01) is None


async def test_a_follower_that_was_away_gets_the_newest_at_once() -> None:
    """What it missed it finds in the ring."""
    ring = Observations(3)
    for number in (1, 2, 3):
        ring.add(number, {}, {})

    newest = await ring.newest_after(1, within_seconds=30)

    assert newest is not None and newest.sequence == 3


async def test_the_end_lets_go_of_all_who_wait() -> None:
    """A worker that is told to stop waits for no page."""
    ring = Observations(3)
    waiting = [asyncio.create_task(ring.newest_after(0, within_seconds=30)) for _ in range(3)]
    await asyncio.sleep(0)
    ring.close()

    assert await asyncio.gather(*waiting) == [None, None, None]
    assert ring.closed


def test_columns_have_one_value_for_each_time() -> None:
    """None where a number was not known, or had no name yet."""
    ring = Observations(3)
    ring.add(1, {"old": 1.0}, {})
    ring.add(2, {"old": None, "new": 2}, {})

    assert columns(ring.since(0)) == {"times_ms": [1, 2], "columns": {"old": [1.0, None], "new": [None, 2]}}
    assert columns([]) == {"times_ms": [], "columns": {}}
