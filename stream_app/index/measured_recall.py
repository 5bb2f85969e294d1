"""Recall as a search has it: what it finds against all that it could have found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream_app.index.memtable import MemtableView
from stream_app.index.ranking import best_hits
from stream_app.index.segment import Segment
from stream_app.index.snapshot import EXACT_RECALL, Search, Snapshot

#: Photos of the same score are as good as each other; sums in another order differ by less than this.
SAME_SCORE = 1e-5


def recall_at_k(snapshots: Sequence[Snapshot], vector: np.ndarray, k: int, how: Search) -> float | None:
    """The share of the `k` nearest that a search finds in these snapshots together; None when nothing is in them.

    `vector` is a unit vector, float32 [dimensions]. It reads every vector once.
    """
    nearest = nearest_scores(snapshots, vector, k)
    if not len(nearest):
        return None
    found = best_hits((each.search(vector, k, how) for each in snapshots), k)
    return sum(hit.score >= nearest[-1] - SAME_SCORE for hit in found) / len(nearest)


def nearest_scores(snapshots: Sequence[Snapshot], vector: np.ndarray, k: int) -> np.ndarray:
    """float32: the `k` highest scores of all, best first, by comparing every row."""
    everything = Search(None, EXACT_RECALL, outside=False)
    found = best_hits((each.search(vector, k, everything) for each in snapshots), k)
    return np.array([hit.score for hit in found], np.float32)


def stored_vector(now: Snapshot, random: np.random.Generator) -> np.ndarray | None:
    """The vector of a row by chance, as a unit vector; None where there is no row, or it is of a dead one."""
    sources: list[MemtableView | Segment] = [*now.memtables, *now.segments]
    sizes = np.array([len(each.photo_ids) for each in sources], dtype=np.float64)
    if not sizes.sum():
        return None
    source = sources[random.choice(len(sources), p=sizes / sizes.sum())]
    row = int(random.integers(len(source.photo_ids)))
    if source.died[row] <= now.sequence:
        return None
    vector = source.vector(row)
    return np.asarray(vector / np.linalg.norm(vector))
