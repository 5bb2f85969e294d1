"""Ranking: from scores to the best rows, and from several sources' hits to one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np

from stream_app.versions import Version


class Hit(NamedTuple):
    """One photo found, its exact score (dot product of unit vectors, higher is better), and where."""

    photo_id: int
    score: float
    version: Version
    source: str


#: Decides whether a photo may be among the hits.
Allow = Callable[[int], bool]


class IdFilter:
    """A set of photos: the only ones that may be among the hits, or `without`, those that may not.

    A shard tells such a filter from any other predicate, and looks the photos up, or tests them in compiled code.
    """

    def __init__(self, photo_ids: Iterable[int], *, without: bool = False) -> None:
        given = photo_ids if isinstance(photo_ids, np.ndarray) else np.fromiter(photo_ids, np.int64)
        self.photo_ids = np.unique(given.astype(np.int64, copy=False))  # ascending
        self.without = without

    def __call__(self, photo_id: int) -> bool:
        at = int(np.searchsorted(self.photo_ids, photo_id))
        is_listed = at < len(self.photo_ids) and bool(self.photo_ids[at] == photo_id)
        return is_listed != self.without


def best_rows(scores: np.ndarray, k: int) -> np.ndarray:
    """Rows of the `k` highest scores, best first; a row scored -inf is never among them."""
    start = max(0, len(scores) - k)
    rows = np.argpartition(scores, start)[start:] if start else np.arange(len(scores))
    rows = rows[scores[rows] > -np.inf]
    return rows[np.argsort(-scores[rows], kind="stable")]


def best_allowed_rows(scores: np.ndarray, photo_ids: np.ndarray, k: int, allow: Allow | None) -> np.ndarray:
    """Like `best_rows`, of the photos that `allow` lets through; it is asked about few of the others."""
    if allow is None:
        return best_rows(scores, k)
    left = scores.copy()
    taken: list[int] = []
    slice_length = max(64, 2 * k)
    while len(taken) < k:
        rows = best_rows(left, slice_length)
        if not len(rows):
            break
        allowed = (int(row) for row in rows if allow(int(photo_ids[row])))
        taken.extend(islice(allowed, k - len(taken)))
        left[rows] = -np.inf
        slice_length *= 4
    return np.array(taken, dtype=np.int64)


def ranked(photo_ids: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """Positions of the `k` best, best first; equal scores are ordered by photo_id, so that answers repeat."""
    return np.lexsort((photo_ids, -scores))[:k]


def best_hits(sources: Iterable[Iterable[Hit]], k: int) -> list[Hit]:
    """The `k` best hits of several sources, best first; of a photo only its newest version counts."""
    newest: dict[int, Hit] = {}
    for hits in sources:
        for hit in hits:
            known = newest.get(hit.photo_id)
            if known is None or hit.version > known.version:
                newest[hit.photo_id] = hit
    return sorted(newest.values(), key=lambda hit: (-hit.score, hit.photo_id))[:k]


def rerank(
    vectors: np.ndarray, photo_ids: np.ndarray, query: np.ndarray, k: int, allow: Allow | None
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` best rows of candidate vectors float32 [n, dimensions], best first, and their exact scores."""
    scores = vectors @ query
    rows = best_allowed_rows(scores, photo_ids, k, allow)
    return rows, scores[rows]


def bounded(score: float) -> float:
    """A score without the float16 rounding that would lift it above one."""
    return min(1.0, float(score))
