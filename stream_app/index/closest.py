"""The closest of many rows: sifted by signature, compared exactly, and chosen, in one compiled step.

Exact scores are dot products of a query with vectors that are kept as float16, read one row after another.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.index.compiled import compiled
from stream_app.index.machine import prefetch, widened
from stream_app.index.sieve import Sieve, sift_all, sift_some

AHEAD: Final = 2  # rows that are on their way while one is looked at
LINE_NUMBERS: Final = 32  # of a cache line


def scores_of(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float32 [n]: of `rows` (int32 [n]) of `vectors` (float16 [rows, dimensions]) with `query` (float32)."""
    return np.asarray(_scores(vectors.view(np.uint16), rows, query))


def closest(
    known: Sieve,
    wanted: np.ndarray,
    candidates: np.ndarray | None,
    kept: int,
    reach: float,
    vectors: np.ndarray,
    query: np.ndarray,
    died: np.ndarray,
    sequence: int,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` best rows of the `kept` nearest by signature that live at `sequence`, best first, and their scores.

    For `known`, `wanted`, `candidates` and `reach` see `sieve.sift`, for `vectors` and `query` `scores_of`; `died` is
    uint64 [rows], the moment of each row's death.
    """
    exact = vectors.view(np.uint16), query, died, np.uint64(sequence), k
    if candidates is None:
        return _closest_of_all(known, wanted, kept, reach, *exact)
    return _closest_of_some(known, wanted, candidates, kept, reach, *exact)


@compiled()
def _closest_of_all(known, wanted, kept, reach, vectors, query, died, sequence, k):  # type: ignore[no-untyped-def]
    return _best(sift_all(known, wanted, kept, reach), vectors, query, died, sequence, k)


@compiled()
def _closest_of_some(known, wanted, candidates, kept, reach, vectors, query, died, sequence, k):  # type: ignore[no-untyped-def]
    return _best(sift_some(known, wanted, candidates, kept, reach), vectors, query, died, sequence, k)


@compiled()
def _best(rows, vectors, query, died, sequence, k):  # type: ignore[no-untyped-def]
    """Of `rows`, those with the highest scores, by a heap that has the worst of the best on top."""
    scores = _scores(vectors, rows, query)
    best_rows, best_scores = np.empty(min(k, len(rows)), np.int64), np.empty(min(k, len(rows)), np.float32)
    size = 0
    for place in range(len(rows)):
        if died[rows[place]] <= sequence:
            continue
        if size < len(best_rows):
            size = _rise(best_rows, best_scores, size, rows[place], scores[place])
        elif size > 0 and scores[place] > best_scores[0]:
            _sink(best_rows, best_scores, size, rows[place], scores[place])
    for last in range(size - 1, 0, -1):  # the worst goes behind those that are left
        row, score = best_rows[0], best_scores[0]
        _sink(best_rows, best_scores, last, best_rows[last], best_scores[last])
        best_rows[last], best_scores[last] = row, score
    return best_rows[:size], best_scores[:size]


@compiled()
def _rise(rows, scores, size, row, score):  # type: ignore[no-untyped-def]
    """Into the heap."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if scores[above] <= score:
            break
        rows[place], scores[place] = rows[above], scores[above]
        place = above
    rows[place], scores[place] = row, score
    return size + 1


@compiled()
def _sink(rows, scores, size, row, score):  # type: ignore[no-untyped-def]
    """Into the heap in place of its top."""
    place, below = 0, 1
    while below < size:
        if below + 1 < size and scores[below + 1] < scores[below]:
            below += 1
        if scores[below] >= score:
            break
        rows[place], scores[place] = rows[below], scores[below]
        place, below = below, 2 * below + 1
    rows[place], scores[place] = row, score


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
