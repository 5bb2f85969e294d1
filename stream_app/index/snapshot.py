"""A snapshot: what one search looks at, unmoved by what is added, removed, sealed or merged meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from stream_app.index.memtable import MemtableView
from stream_app.index.policy import ShardSettings, share_search_k
from stream_app.index.ranking import Allow, Hit, bounded, ranked
from stream_app.index.segment import Segment


class Snapshot(NamedTuple):
    """The rows of these sources that die later than `sequence`: of each photo at most one."""

    memtables: tuple[MemtableView, ...]
    segments: tuple[Segment, ...]
    sequence: int
    settings: ShardSettings

    def search(self, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        """The `k` best hits, best first; the search budget is shared among the forests by size."""
        sources: list[MemtableView | Segment] = [*self.memtables, *self.segments]
        found = [table.nearest(query, k, self.sequence, allow) for table in self.memtables]
        budgets = iter(share_search_k([len(each) for each in self.segments if each.has_forest], k, self.settings))
        for segment in self.segments:
            search_k = next(budgets) if segment.has_forest else 0
            found.append(segment.nearest(query, k, self.sequence, allow, search_k))
        return _best(sources, found, k)

    def photo_ids(self) -> Iterator[int]:
        """Every living photo, each once."""
        sources: list[MemtableView | Segment] = [*self.memtables, *self.segments]
        for source in sources:
            yield from map(int, source.photo_ids[source.died > self.sequence])


def _best(sources: list[MemtableView | Segment], found: list[tuple[np.ndarray, np.ndarray]], k: int) -> list[Hit]:
    if not found:
        return []
    origins = np.repeat(np.arange(len(found)), [len(rows) for rows, _ in found])
    rows = np.concatenate([rows for rows, _ in found]).astype(np.int64, copy=False)
    scores = np.concatenate([scores for _, scores in found])
    photo_ids = np.concatenate(
        [source.photo_ids[rows] for source, (rows, _) in zip(sources, found, strict=True)]
    ).astype(np.int64, copy=False)
    hits = []
    for at in ranked(photo_ids, scores, k):
        source = sources[origins[at]]
        hits.append(Hit(int(photo_ids[at]), bounded(scores[at]), source.version(int(rows[at])), source.source))
    return hits
