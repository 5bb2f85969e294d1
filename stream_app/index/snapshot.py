"""A snapshot: what one search looks at, unmoved by what is added, removed, sealed or merged meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.index.effort import share_of
from stream_app.index.memtable import MemtableView
from stream_app.index.ranking import Allow, Hit, bounded, ranked
from stream_app.index.segment import NO_SCORE, Query, Segment

#: Segments, the largest first, after which it is all but known how near the neighbours are.
TELLING = 2


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

        Each segment, the largest first, is asked for its share of the neighbours, as if they lay evenly, and for
        none that would come behind the `k` that are found already; one that turns out to hold more is asked again.
        """
        if not self.memtables and not self.segments:
            return []
        segments = sorted(self.segments, key=len, reverse=True)
        total = sum(map(len, segments)) + sum(len(each.photo_ids) for each in self.memtables)
        shares = [share_of(k, len(each), total) for each in segments]
        found = [Found(each, *each.nearest(query.vector, k, self.sequence, how.allow)) for each in self.memtables]
        for place, (segment, share) in enumerate(zip(segments, shares, strict=True)):
            if place <= TELLING:
                query.score_min = _kth_score(found, k)
            found.append(self._of(segment, share, query, k, how))
        best = _best(found, k)
        counts = np.bincount(best.origins, minlength=len(found))[len(self.memtables) :].tolist()
        more = [place for place, share in enumerate(shares) if share < k and counts[place] >= share]
        for place in more:
            query.score_min = _kth_score(found, k)
            found[len(self.memtables) + place] = self._of(segments[place], k, query, k, how)
        return _hits(_best(found, k) if more else best)

    def photo_ids(self) -> Iterator[int]:
        """Every living photo, each once."""
        sources: list[MemtableView | Segment] = [*self.memtables, *self.segments]
        for source in sources:
            yield from map(int, source.photo_ids[source.died > self.sequence])

    def _of(self, segment: Segment, share: int, query: Query, k: int, how: Search) -> Found:
        effort = segment.effort(share, how.recall, outside=how.outside)
        return Found(segment, *segment.nearest(query, k, self.sequence, how.allow, effort, share))


def _kth_score(found: Sequence[Found], k: int) -> float:
    """What a row must score to be among the `k` best of what is found; any score while there are fewer."""
    scores = np.concatenate([each.scores for each in found]) if found else np.empty(0)
    return float(np.partition(scores, len(scores) - k)[-k]) if len(scores) >= k else NO_SCORE


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
