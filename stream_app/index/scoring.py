"""Exact scores: dot products of a query with vectors that are kept as float16, read one row after another."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.index.compiled import compiled
from stream_app.index.machine import prefetch, widened

AHEAD: Final = 2  # rows that are on their way while one is looked at
LINE_NUMBERS: Final = 32  # of a cache line


def scores_of(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float32 [n]: of `rows` (int32 [n]) of `vectors` (float16 [rows, dimensions]) with `query` (float32)."""
    return np.asarray(_scores(vectors.view(np.uint16), rows, query))


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
