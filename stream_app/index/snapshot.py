"""A snapshot: what one search looks at, unmoved by what is added, removed, sealed or merged meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.index.effort import share_of
from stream_app.index.memtable import MemtableView
from stream_app.index.ranking import Allow, Hit, bounded, ranked
from stream_app.index.segment import Query, Segment


class Search(NamedTuple):
    """How a search is to be done: `outside` is for queries that lie where no vectors do."""

    allow: Allow | None
    recall: float
    outside: bool


class Found(NamedTuple):
    """Rows of one source and their exact scores, best first."""

    source: MemtableView | Segment
    rows: np.ndarray
    scores: np.ndarray


class Snapshot(NamedTuple):
    """The rows of these sources that die later than `sequence`: of each photo at most one."""

    memtables: tuple[MemtableView, ...]
    segments: tuple[Segment, ...]
    sequence: int

    def search(self, query: Query, k: int, how: Search) -> list[Hit]:
        """The `k` best hits, best first.

        Each segment is first asked for its share of the neighbours, as if they lay evenly; one that turns out to hold
        more is asked again.
        """
        if not self.memtables and not self.segments:
            return []
        found = [Found(each, *each.nearest(query.vector, k, self.sequence, how.allow)) for each in self.memtables]
        total = sum(map(len, self.segments)) + sum(len(each.photo_ids) for each in self.memtables)
        shares = [share_of(k, len(each), total) for each in self.segments]
        segments_found = [self._of(*each, query, k, how) for each in zip(self.segments, shares, strict=True)]
        best = _best([*found, *segments_found], k)
        counts = np.bincount(best.origins, minlength=len(found) + len(shares))[len(found) :]
        more = [place for place, share in enumerate(shares) if share < k and counts[place] >= share]
        for place in more:
            segments_found[place] = self._of(self.segments[place], k, query, k, how)
        return _hits(_best([*found, *segments_found], k) if more else best)

    def photo_ids(self) -> Iterator[int]:
        """Every living photo, each once."""
        sources: list[MemtableView | Segment] = [*self.memtables, *self.segments]
        for source in sources:
            yield from map(int, source.photo_ids[source.died > self.sequence])

    def _of(self, segment: Segment, share: int, query: Query, k: int, how: Search) -> Found:
        effort = segment.effort(share, how.recall, outside=how.outside)
        return Found(segment, *segment.nearest(query, k, self.sequence, how.allow, effort, share))


class _Best(NamedTuple):
    """The best rows of several sources: `origins` are their places in `found`."""

    found: Sequence[Found]
    origins: np.ndarray
    rows: np.ndarray
    photo_ids: np.ndarray
    scores: np.ndarray


def _best(found: Sequence[Found], k: int) -> _Best:
    ends = np.cumsum([len(each.rows) for each in found])
    rows, scores, photo_ids = (
        np.concatenate(columns) if len(found) > 1 else columns[0]
        for columns in zip(*((each.rows, each.scores, each.source.photo_ids[each.rows]) for each in found), strict=True)
    )
    order = ranked(photo_ids, scores, k)
    return _Best(found, np.searchsorted(ends, order, side="right"), rows[order], photo_ids[order], scores[order])


def _hits(best: _Best) -> list[Hit]:
    sources = [each.source for each in best.found]
    columns = zip(best.origins.tolist(), best.rows.tolist(), best.photo_ids.tolist(), best.scores.tolist(), strict=True)
    return [
        Hit(photo_id, bounded(score), sources[origin].version(row), sources[origin].source)
        for origin, row, photo_id, score in columns
    ]
