"""What is counted, and how quickly it grows."""

from __future__ import annotations

import math

from stream_app.metrics import ACTIVITY_ACCEPTED, PHOTOS_REJECTED, SEARCH_SECONDS, THUMBNAIL_BYTES
from stream_app.tallies import gauges, per_second, tallies


def test_rates_are_what_came_since_in_a_second() -> None:
    """Also of a stage that rejected nothing before."""
    before = {"accepted": 10.0, "rejected": 0.0, "searches": 1.0, "search_seconds": 0.5}
    now = {"accepted": 30.0, "rejected": 4.0, "rejected.fetch": 4.0, "searches": 5.0, "search_seconds": 0.9}

    rates = per_second(before, now, 4.0)

    assert (rates["rate.accepted"], rates["rate.rejected"], rates["rate.rejected.fetch"]) == (5.0, 1.0, 1.0)
    assert round(rates["search.mean_ms"] or 0, 6) == 100.0


def test_no_search_has_no_mean_time() -> None:
    """Zero would look like a very quick one."""
    same = {"accepted": 1.0, "searches": 5.0, "search_seconds": 0.9}

    assert per_second(same, same, 2.0) == {"rate.accepted": 0.0, "rate.searches": 0.0, "search.mean_ms": None}


def test_tallies_are_what_prometheus_is_told() -> None:
    """All stages of rejection together, and each."""
    before = tallies()
    ACTIVITY_ACCEPTED.inc(3)
    PHOTOS_REJECTED.labels("fetch").inc()
    PHOTOS_REJECTED.labels("decode").inc()
    SEARCH_SECONDS.observe(0.25)
    now = tallies()

    assert now["accepted"] - before["accepted"] == 3
    assert now["rejected"] - before["rejected"] == 2
    assert now["rejected.fetch"] - before.get("rejected.fetch", 0.0) == 1
    assert (now["searches"] - before["searches"], now["search_seconds"] - before["search_seconds"]) == (1, 0.25)


def test_what_was_not_measured_yet_is_not_zero() -> None:
    """A folder that nobody looked into may be full."""
    THUMBNAIL_BYTES.set(math.nan)
    assert gauges()["thumbnails.bytes"] is None

    THUMBNAIL_BYTES.set(5.0)
    assert gauges()["thumbnails.bytes"] == 5.0
