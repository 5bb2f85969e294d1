"""Cells: rows that lie round one centre, so that a search looks into a few cells and not at every row.

The centres are found by spherical k-means (Dhillon and Modha 2001) on a sample. Comparing every row with every centre
would cost more than all the rest of writing a segment: centres lie in groups, and a row is compared with those of its
nearest groups alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from stream_app.index.closest import wide
from stream_app.index.compiled import compiled

BLOCK_ROWS: Final = 32_768  # that are widened to float32 at once
#: More of either took twice as long and found as much.
SAMPLED_PER_CENTRE, TURNS = 8, 2
SAMPLED_MAX: Final = 1 << 18
GROUPING_TURNS: Final = 2
GROUPED_MIN: Final = 256  # fewer centres are all compared
#: So many groups are tried for each row: few while the centres still move, more when they stand.
TRIED, TRIED_IN_THE_END = 4, 8


class Clusters(NamedTuple):
    """Where rows belong."""

    centres: np.ndarray  # float32 [cells, dimensions], of unit length
    cell_of: np.ndarray  # int64 [rows]


def clustered(vectors: np.ndarray, rows_per_cell: int, seed: int) -> Clusters:
    """Cells of about so many of the unit vectors, float16 [rows, dimensions]; none of them is empty."""
    random = np.random.default_rng(seed)
    count = max(1, len(vectors) // rows_per_cell)
    sample = vectors[_some(random, len(vectors), min(SAMPLED_PER_CENTRE * count, SAMPLED_MAX))]
    centres = wide(sample[_some(random, len(sample), count)])
    for _ in range(TURNS):
        centres, sizes = _means(sample, _nearest(sample, centres, TRIED, random), count)
        empty = np.flatnonzero(sizes == 0)
        centres[empty] = sample[random.integers(0, len(sample), len(empty))]
    cell_of = _nearest(vectors, centres, TRIED_IN_THE_END, random)
    centres, sizes = _means(vectors, cell_of, count)
    return Clusters(centres[sizes > 0], (np.cumsum(sizes > 0) - 1)[cell_of])


def _some(random: np.random.Generator, total: int, count: int) -> np.ndarray:
    return random.permutation(total)[:count]


def _nearest(vectors: np.ndarray, centres: np.ndarray, tried: int, random: np.random.Generator) -> np.ndarray:
    """The number of each row's nearest centre, as far as its nearest groups tell: int64 [rows]."""
    if len(centres) < GROUPED_MIN:
        return np.concatenate([(block @ centres.T).argmax(axis=1) for block in _blocks(vectors)])
    groups, members = _grouped(centres, random)
    return np.concatenate([_nearest_in_groups(block, centres, groups, members, tried) for block in _blocks(vectors)])


def _grouped(centres: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """As many groups as each has members: their middles, and which centres each has."""
    count = int(len(centres) ** 0.5)
    middles = centres[_some(random, len(centres), count)]
    for _ in range(GROUPING_TURNS):
        moved, sizes = _means(centres, (centres @ middles.T).argmax(axis=1), count)
        middles = np.where(sizes[:, None] > 0, moved, middles)
    group_of = (centres @ middles.T).argmax(axis=1)
    return middles, [np.flatnonzero(group_of == each) for each in range(count)]


def _nearest_in_groups(
    block: np.ndarray, centres: np.ndarray, groups: np.ndarray, members: list[np.ndarray], tried: int
) -> np.ndarray:
    chosen = np.empty((len(block), tried), np.int32)
    _choose(block @ groups.T, chosen)
    order = np.argsort(chosen.ravel(), kind="stable")
    starts = np.searchsorted(chosen.ravel()[order], np.arange(len(groups) + 1))
    best, nearest = np.full(len(block), -np.inf, np.float32), np.zeros(len(block), np.int64)
    for number, own in enumerate(members):
        rows = order[starts[number] : starts[number + 1]] // tried
        if len(rows) and len(own):
            _take_better(block[rows] @ centres[own].T, rows, own, best, nearest)
    return nearest


def _means(vectors: np.ndarray, cell_of: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The directions of the cells' sums, float32 [count, dimensions], and their sizes, int64 [count]."""
    sums, start = np.zeros((count, vectors.shape[1]), np.float32), 0
    for block in _blocks(vectors):
        _add_up(block, cell_of[start : start + len(block)], sums)
        start += len(block)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return sums / np.where(lengths > 0, lengths, 1), np.bincount(cell_of, minlength=count)


def _blocks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS]
        yield wide(block) if block.dtype == np.float16 else block


@compiled()
def _choose(scores, chosen):  # type: ignore[no-untyped-def]
    """The columns of the highest scores of each row, best first; numpy's own way takes ten times as long."""
    for row in range(len(scores)):
        count = 0
        for column in range(scores.shape[1]):
            if count == chosen.shape[1] and scores[row, column] <= scores[row, chosen[row, count - 1]]:
                continue
            place = min(count, chosen.shape[1] - 1)
            while place > 0 and scores[row, chosen[row, place - 1]] < scores[row, column]:
                chosen[row, place] = chosen[row, place - 1]
                place -= 1
            chosen[row, place] = column
            count = min(count + 1, chosen.shape[1])


@compiled()
def _take_better(scores, rows, own, best, nearest):  # type: ignore[no-untyped-def]
    """`scores` are those of `rows` with the centres `own`."""
    for at in range(len(rows)):
        row = rows[at]
        for place in range(len(own)):
            if scores[at, place] > best[row]:
                best[row], nearest[row] = scores[at, place], own[place]


@compiled()
def _add_up(vectors, cell_of, sums):  # type: ignore[no-untyped-def]
    for row in range(len(vectors)):
        for column in range(vectors.shape[1]):
            sums[cell_of[row], column] += vectors[row, column]
