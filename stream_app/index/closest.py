"""Rows compared exactly: dot products of a query with vectors that are kept as float16, read one row after another."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stream_app.index.best import NO_SCORE, ROW_BITS, offer, score_to_beat
from stream_app.index.compiled import compiled
from stream_app.index.machine import prefetch, widened
from stream_app.index.ranking import IdFilter

AHEAD: Final = 2  # rows that are on their way while one is looked at
LINE_NUMBERS: Final = 32  # of a cache line
BLOCK_ROWS: Final = 256
#: What a list of photo ids means: nothing, the only ones that may be found, or those that may not.
ANYTHING, ONLY, WITHOUT = 0, 1, 2
NOBODY: Final = np.empty(0, np.int64)


class Rows(NamedTuple):
    """What comparing needs to know of a source."""

    vectors: np.ndarray  # uint16 [rows, dimensions]: the bits of float16
    photo_ids: np.ndarray  # int64 [rows]
    died: np.ndarray  # uint64 [rows]: the moment of each row's death


class Wish(NamedTuple):
    """What is searched for, and which rows may be found: those that live at `sequence`, and are listed or not."""

    query: np.ndarray  # float32 [dimensions]
    sequence: int
    listed: np.ndarray  # int64 [n], ascending: photo ids
    listing: int  # what the list means


def wish_for(query: np.ndarray, sequence: int = 0, chosen: IdFilter | None = None) -> Wish:
    """What a search for `query` wishes that began at `sequence`."""
    if chosen is None:
        return Wish(query, sequence, NOBODY, ANYTHING)
    return Wish(query, sequence, chosen.photo_ids, WITHOUT if chosen.without else ONLY)


def scores_of(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """float32 [n]: of `rows` (int32 [n]) of `vectors` (float16 [rows, dimensions]) with `query` (float32)."""
    scores = np.empty(len(rows), np.float32)
    score_rows(vectors.view(np.uint16), rows, query, scores)
    return scores


def wide(vectors: np.ndarray) -> np.ndarray:
    """float32 [n, dimensions] of float16: numpy takes ten times as long."""
    made = np.empty(vectors.shape, np.float32)
    _widen(np.ascontiguousarray(vectors).view(np.uint16), made)
    return made


@compiled()
def compare(source, known, rows, wish, beat, best, scores):  # type: ignore[no-untyped-def]
    """Offer `rows` (int32 [n]) of a source to the best; says how many may be found, as far as it looked.

    It looks at none that scores less than what there was to beat. `scores` is float32 [BLOCK_ROWS], to write on.
    """
    sequence, found = np.uint64(wish.sequence), 0
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        score_rows(known.vectors, block, wish.query, scores)
        for place in range(len(block)):
            if beat > NO_SCORE and scores[place] < max(beat, score_to_beat(best)):
                continue
            row = np.int64(block[place])
            if known.died[row] > sequence and may_be_found(known.photo_ids[row], wish):
                found += 1
                # Rounding must not lift a score above one, nor order what is equal.
                score = min(scores[place], np.float32(1))
                offer(best, score, known.photo_ids[row], source << ROW_BITS | row)
    return found


@compiled()
def compare_all(source, known, wish, beat, best, scores, numbers):  # type: ignore[no-untyped-def]
    """`compare` for every row; `numbers` is int32 [BLOCK_ROWS], to write on."""
    for start in range(0, len(known.died), BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(known.died))
        for row in range(start, stop):
            numbers[row - start] = row
        compare(source, known, numbers[: stop - start], wish, beat, best, scores)


@compiled()
def compare_listed(source, known, wish, best, scores, numbers):  # type: ignore[no-untyped-def]
    """`compare` for the listed photos, where a source has them in ascending order."""
    row = count = 0
    for photo_id in wish.listed:
        row = _first_from(known.photo_ids, photo_id, row)
        if row == len(known.photo_ids):
            break
        if known.photo_ids[row] == photo_id:
            numbers[count] = row
            count += 1
        if count == len(numbers):
            compare(source, known, numbers, wish, NO_SCORE, best, scores)
            count = 0
    compare(source, known, numbers[:count], wish, NO_SCORE, best, scores)


@compiled()
def may_be_found(photo_id, wish):  # type: ignore[no-untyped-def]
    """Whether the list lets a photo through."""
    if wish.listing == ANYTHING:
        return True
    at = _first_from(wish.listed, photo_id, 0)
    is_listed = at < len(wish.listed) and wish.listed[at] == photo_id
    return is_listed == (wish.listing == ONLY)


@compiled()
def _first_from(ascending, number, start):  # type: ignore[no-untyped-def]
    """The first place from `start` on that holds `number` or more: by leaps that double, then by halves."""
    leap, stop = 1, start
    while stop < len(ascending) and ascending[stop] < number:
        start, stop, leap = stop + 1, stop + leap, 2 * leap
    stop = min(stop, len(ascending))
    while start < stop:
        middle = (start + stop) >> 1
        if ascending[middle] < number:
            start = middle + 1
        else:
            stop = middle
    return start


@compiled(sums_in_any_order=True)
def score_rows(vectors, rows, query, scores):  # type: ignore[no-untyped-def]
    """`scores_of` for compiled code: vectors are uint16, the bits of float16."""
    for place in range(len(rows)):
        if place + AHEAD < len(rows):
            for column in range(0, len(query), LINE_NUMBERS):
                prefetch(vectors, rows[place + AHEAD], column)
        row = rows[place]
        total = np.float32(0)
        for column in range(len(query)):
            total += widened(vectors[row, column]) * query[column]
        scores[place] = total


@compiled()
def _widen(vectors, made):  # type: ignore[no-untyped-def]
    for row in range(len(vectors)):
        for column in range(vectors.shape[1]):
            made[row, column] = widened(vectors[row, column])
