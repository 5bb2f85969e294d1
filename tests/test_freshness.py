"""How long photos take until a search can find them."""

from __future__ import annotations

import pytest

from stream_app.freshness import SAMPLES_MAX, UNDER_WAY_MAX, WINDOW_SECONDS, Freshness
from stream_app.versions import Version

NOW_MS = 1_795_000_000_000.0


def version(partition: int, offset: int) -> Version:
    """Of an event at that place, whatever time it claims."""
    return Version(5, 0, partition, offset)


def test_waits_are_counted_from_the_brokers_time() -> None:
    """Not from the time that the event claims."""
    freshness = Freshness()
    for offset in range(100):
        freshness.came(1, offset, NOW_MS)
        freshness.findable([version(1, offset)], NOW_MS + 1000 * (offset + 1))

    seen = freshness.percentiles(NOW_MS + 100_000)

    assert (seen["p50"], seen["p90"], seen["count"]) == (pytest.approx(50.5), pytest.approx(90.1), 100)
    assert seen["p99"] == pytest.approx(99.01)


def test_what_came_before_the_worker_began_is_not_counted() -> None:
    """Its time is not known; a replay would look like the slowest of all."""
    freshness = Freshness()
    freshness.findable([version(0, 7)], NOW_MS)

    assert freshness.percentiles(NOW_MS) == {"p50": None, "p90": None, "p99": None, "count": 0}


def test_a_photo_that_is_indexed_again_counts_once() -> None:
    """A batch that was tried again would otherwise look like slow photos."""
    freshness = Freshness()
    freshness.came(0, 1, NOW_MS)
    freshness.findable([version(0, 1)], NOW_MS + 1000)
    freshness.findable([version(0, 1)], NOW_MS + 9000)

    assert freshness.percentiles(NOW_MS)["count"] == 1


def test_percentiles_forget() -> None:
    """A slow hour ago says nothing of now."""
    freshness = Freshness()
    freshness.came(0, 1, NOW_MS)
    freshness.findable([version(0, 1)], NOW_MS + 1000)

    assert freshness.percentiles(NOW_MS + 1000)["count"] == 1
    assert freshness.percentiles(NOW_MS + 1001 + 1000 * WINDOW_SECONDS)["p50"] is None


def test_a_clock_that_runs_behind_makes_no_negative_wait() -> None:
    """The broker's clock and ours are two."""
    freshness = Freshness()
    freshness.came(0, 1, NOW_MS)
    freshness.findable([version(0, 1)], NOW_MS - 50)

    assert freshness.percentiles(NOW_MS)["p99"] == 0.0


def test_neither_events_without_a_photo_nor_samples_pile_up() -> None:
    """Edits are never asked for again, and a flood is only so many samples."""
    freshness = Freshness()
    for offset in range(UNDER_WAY_MAX + 1):
        freshness.came(0, offset, NOW_MS)
    freshness.findable([version(0, 0)], NOW_MS)  # the oldest was forgotten
    assert freshness.percentiles(NOW_MS)["count"] == 0

    freshness.findable([version(0, offset) for offset in range(1, UNDER_WAY_MAX + 1)], NOW_MS)
    assert freshness.percentiles(NOW_MS)["count"] == SAMPLES_MAX
