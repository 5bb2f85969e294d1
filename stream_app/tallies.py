"""What the worker has counted since it began, as one mapping, and how quickly that grows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from stream_app.metrics import (
    ACTIVITY_ACCEPTED,
    EMBEDDINGS_INDEXED,
    ENCODER_CIRCUIT_OPEN,
    PHOTOS_EMBEDDED,
    PHOTOS_REJECTED,
    SEARCH_SECONDS,
    THUMBNAIL_BYTES,
    THUMBNAILS,
)
from stream_app.observations import Number


def tallies() -> dict[str, float]:
    """By name, as /metrics has them: events accepted, photos embedded, rejected by stage, searches and thumbnails."""
    counted = {
        "accepted": _total(ACTIVITY_ACCEPTED),
        "embedded": _total(PHOTOS_EMBEDDED),
        "indexed": _total(EMBEDDINGS_INDEXED),
        "rejected": _total(PHOTOS_REJECTED),
    }
    counted |= {f"rejected.{stage}": count for stage, count in _by_label(PHOTOS_REJECTED, "stage").items()}
    counted |= {f"thumbnails.{outcome}": count for outcome, count in _by_label(THUMBNAILS, "outcome").items()}
    searches = {sample.name: sample.value for metric in SEARCH_SECONDS.collect() for sample in metric.samples}
    counted["searches"] = searches["sightline_search_seconds_count"]
    counted["search_seconds"] = searches["sightline_search_seconds_sum"]
    return counted


def gauges() -> dict[str, Number]:
    """What is measured elsewhere, as of now: bytes of thumbnails, None before they were counted."""
    now = {
        name: _value(gauge)
        for name, gauge in (("thumbnails.bytes", THUMBNAIL_BYTES), ("encoder.away", ENCODER_CIRCUIT_OPEN))
    }
    return {name: None if math.isnan(value) else value for name, value in now.items()}


def per_second(before: Mapping[str, float], now: Mapping[str, float], seconds: float) -> dict[str, Number]:
    """How much of each came in a second, as `rate.NAME`; and how long a search took, None where there was none."""
    grown = {name: count - before.get(name, 0.0) for name, count in now.items()}
    took = grown.pop("search_seconds")
    rates: dict[str, Number] = {f"rate.{name}": more / seconds for name, more in grown.items()}
    return rates | {"search.mean_ms": 1000 * took / grown["searches"] if grown["searches"] else None}


def _by_label(counter: Counter, label: str) -> dict[str, float]:
    return {
        sample.labels[label]: sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def _value(gauge: Gauge) -> float:
    return next(sample.value for metric in gauge.collect() for sample in metric.samples)


def _total(counter: Counter) -> float:
    return sum(
        sample.value for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total")
    )
