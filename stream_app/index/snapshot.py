"""A snapshot: what one search looks at, unmoved by what is added, removed, sealed or merged meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from stream_app.index.best import ROW_BITS, Best
from stream_app.index.closest import wish_for
from stream_app.index.effort import DEEDS, NO_EFFORT, share_of, usual_share_of
from stream_app.index.memtable import MemtableView
from stream_app.index.ranking import Allow, Hit, IdFilter
from stream_app.index.segment import Segment
from stream_app.index.sweep import WITHIN_REACH, sweep

EXACT_RECALL: Final = 1.0
EFFORTS_KEPT: Final = 256
#: Of few photos that alone may be found each one is looked up: up to so many, or to this share of all.
LOOKED_UP_MAX, LOOKED_UP_SHARE = 1_000, 1 / 12
#: So many more than `k` are searched for at first where a predicate may refuse some, and then so many times as many.
SPARE, WIDENING = 8, 4


class Search(NamedTuple):
    """How a search is to be done: `outside` is for queries that lie where no vectors do."""

    allow: Allow | None
    recall: float
    outside: bool


class Lineup:
    """The segments of a shard, the largest first, and what can be known of a search before there is a query."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = sorted(segments, key=len, reverse=True)
        self.rows = sum(map(len, segments))
        self._efforts: dict[tuple[int, int, float, bool], np.ndarray] = {}

    def efforts(self, memtables: int, k: int, recall: float, *, outside: bool) -> np.ndarray:
        """How each segment, and then so many memtables, are asked, as `sweep` wants it."""
        wanted = (memtables, k, recall, outside)
        known = self._efforts.get(wanted)
        if known is None:
            if len(self._efforts) >= EFFORTS_KEPT:
                self._efforts.clear()
            asked = [self._effort(each, k, recall, outside) for each in self.segments]
            probes = 0 if recall >= EXACT_RECALL else WITHIN_REACH
            newest = [k, *2 * (0, 0, probes, 0)]
            known = np.array(asked + [newest] * memtables, np.int64).reshape(-1, 1 + 2 * DEEDS)
            self._efforts[wanted] = known
        return known

    def _effort(self, segment: Segment, k: int, recall: float, outside: bool) -> list[int]:
        if recall >= EXACT_RECALL:
            return [k, *2 * DEEDS * [0]]
        share, usual = share_of(k, len(segment), self.rows), usual_share_of(k, len(segment), self.rows)
        first, again = (segment.effort(each, recall, outside=outside) or NO_EFFORT for each in (usual, k))
        return [share, *first[:DEEDS], *again[:DEEDS]]


class Snapshot:
    """The rows of these sources that die later than `sequence`: of each photo at most one."""

    def __init__(self, memtables: Sequence[MemtableView], lineup: Lineup, sequence: int) -> None:
        self.memtables = memtables
        self.segments = lineup.segments
        self.sequence = sequence
        self._sources: list[MemtableView | Segment] = [*lineup.segments, *memtables]
        self._lineup = lineup
        described = [*(each.described for each in lineup.segments), *(each.described() for each in memtables)]
        self._described = np.stack(described) if described else np.empty((0, 0), np.int64)
        self._rows = sum(len(each.photo_ids) for each in self._sources)

    def search(self, vector: np.ndarray, k: int, how: Search) -> list[Hit]:
        """The `k` best hits of a unit vector, float32 [dimensions]: by score, equal ones by photo id.

        For a recall of 1 every row is compared.
        """
        k = min(k, self._rows)
        if not k:
            return []
        if how.allow is None or isinstance(how.allow, IdFilter):
            return self._hits(self._best(vector, k, how, how.allow))
        return self._asking(vector, k, how, how.allow)

    def photo_ids(self) -> Iterator[int]:
        """Every living photo, each once."""
        for source in self._sources:
            yield from map(int, source.photo_ids[source.died > self.sequence])

    def _asking(self, vector: np.ndarray, k: int, how: Search, allow: Callable[[int], bool]) -> list[Hit]:
        """A predicate is asked about the best, best first, and about more of them until `k` are allowed."""
        verdicts: dict[int, bool] = {}
        wider = min(k + SPARE, self._rows)
        while True:
            best = self._best(vector, wider, how, None)
            allowed: list[int] = []
            for place, photo_id in enumerate(best.photo_ids[: best.size[0]].tolist()):
                if photo_id not in verdicts:
                    verdicts[photo_id] = allow(photo_id)
                if verdicts[photo_id]:
                    allowed.append(place)
                    if len(allowed) == k:
                        break
            if len(allowed) == k or wider == self._rows:
                return self._hits(best, allowed)
            wider = min(WIDENING * wider, self._rows)

    def _best(self, vector: np.ndarray, k: int, how: Search, chosen: IdFilter | None) -> Best:
        return sweep(self._described, self._efforts(k, how, chosen), wish_for(vector, self.sequence, chosen), k)

    def _efforts(self, k: int, how: Search, chosen: IdFilter | None) -> np.ndarray:
        """Those of the line-up; with a filter as many more neighbours are searched for as it will refuse."""
        memtables, outside = len(self.memtables), how.outside
        if chosen is None:
            return self._lineup.efforts(memtables, k, how.recall, outside=outside)
        count = len(chosen.photo_ids)
        if not chosen.without and count <= max(LOOKED_UP_MAX, LOOKED_UP_SHARE * self._rows):
            return self._lineup.efforts(memtables, k, EXACT_RECALL, outside=outside)
        allowed = max(1, self._rows - count if chosen.without else min(count, self._rows))
        wider = round(k * self._rows / allowed)
        efforts = self._lineup.efforts(memtables, wider, how.recall, outside=outside).copy()
        efforts[:, 0] = self._lineup.efforts(memtables, k, how.recall, outside=outside)[:, 0]
        return efforts

    def _hits(self, best: Best, chosen: Sequence[int] | None = None) -> list[Hit]:
        count = int(best.size[0])
        rows = zip(
            best.photo_ids[:count].tolist(), best.scores[:count].tolist(), best.places[:count].tolist(), strict=True
        )
        found = [
            (photo_id, score, self._sources[place >> ROW_BITS], place & ((1 << ROW_BITS) - 1))
            for photo_id, score, place in rows
        ]
        if chosen is not None:
            found = [found[each] for each in chosen]
        return [Hit(photo_id, score, source.version(row), source.source) for photo_id, score, source, row in found]
