"""Exact scores: dot products of a query with vectors that are kept as float16, read one row after another."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.index.compiled import compiled
from stream_app.index.machine import prefetch, widened

AHEAD: Final = 2  # rows that are on their way while one is looked at
LINE_NUMBERS: Final = 32  # of a cache line


def best_of(
    vectors: np.ndarray, rows: np.ndarray, died: np.ndarray, sequence: int, query: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of `rows` the `k` with the highest scores that live at `sequence`, best first, and their scores.

    `died` is uint64 [all rows]; for the rest see `scores_of`.
    """
    return _best(vectors.view(np.uint16), rows, died, np.uint64(sequence), query, k)


def scores_of(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float32 [n]: of `rows` (int32 [n]) of `vectors` (float16 [rows, dimensions]) with `query` (float32)."""
    return np.asarray(_scores(vectors.view(np.uint16), rows, query))


@compiled()
def _best(vectors, rows, died, sequence, query, k):  # type: ignore[no-untyped-def]
    scores = _scores(vectors, rows, query)
    alive = np.empty(len(rows), np.int64)
    count = 0
    for place in range(len(rows)):
        alive[count] = place
        count += died[rows[place]] > sequence
    alive = alive[:count]
    best = alive[np.argsort(-scores[alive])[:k]]
    return rows[best], scores[best]


@compiled(sums_in_any_order=True)
def _scores(vectors, rows, query):  # type: ignore[no-untyped-def]
    scores = np.empty(len(rows), np.float32)
    for place in range(len(rows)):
        if place + AHEAD < len(rows):
            for column in range(0, len(query), LINE_NUMBERS):
                prefetch(vectors, rows[place + AHEAD], column)
        row = rows[place]
        total = np.float32(0)
        for column in range(len(query)):
            total += widened(vectors[row, column]) * query[column]
        scores[place] = total
    return scores
