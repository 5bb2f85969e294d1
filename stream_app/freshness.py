"""Freshness: how long photos take from their activity, by the broker's clock, until a search can find them."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterable

import numpy as np

from stream_app.metrics import FRESHNESS_SECONDS
from stream_app.versions import Version

PERCENTILES = (50, 90, 99)
#: How far back percentiles look.
WINDOW_SECONDS = 120.0
#: More samples than this within the window are thinned out by age.
SAMPLES_MAX = 10_000
#: Events on their way that are remembered. Those that make no photo findable, as edits do, are never asked for again.
UNDER_WAY_MAX = 20_000


class Freshness:
    """Waits of photos on their way. What came in before this worker began is not known to it, and not counted."""

    def __init__(self) -> None:
        self._came_ms: OrderedDict[tuple[int, int], float] = OrderedDict()
        self._waits: deque[tuple[float, float]] = deque(maxlen=SAMPLES_MAX)

    def came(self, partition: int, offset: int, time_ms: float) -> None:
        """An event of photo activity came in, which the broker had at `time_ms`."""
        self._came_ms[partition, offset] = time_ms
        if len(self._came_ms) > UNDER_WAY_MAX:
            self._came_ms.popitem(last=False)

    def findable(self, versions: Iterable[Version], now_ms: float | None = None) -> None:
        """Photos can be found from now on; their versions say which events those were."""
        now_ms = time.time() * 1000 if now_ms is None else now_ms
        for version in versions:
            came_ms = self._came_ms.pop((version.partition, version.offset), None)
            if came_ms is not None:
                seconds = max(0.0, (now_ms - came_ms) / 1000)  # two clocks may disagree by a little
                FRESHNESS_SECONDS.observe(seconds)
                self._waits.append((now_ms, seconds))

    def percentiles(self, now_ms: float | None = None) -> dict[str, float | None]:
        """Of the last minutes, in seconds: p50, p90 and p99, each None where nothing became findable, and `count`."""
        now_ms = time.time() * 1000 if now_ms is None else now_ms
        while self._waits and self._waits[0][0] < now_ms - 1000 * WINDOW_SECONDS:
            self._waits.popleft()
        seconds = [each for _, each in self._waits]
        if not seconds:
            return {f"p{each}": None for each in PERCENTILES} | {"count": 0}
        values = np.percentile(seconds, PERCENTILES)
        found: dict[str, float | None] = {f"p{name}": float(at) for name, at in zip(PERCENTILES, values, strict=True)}
        return found | {"count": len(seconds)}
