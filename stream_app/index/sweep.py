"""A search over all sources of a shard in one compiled step, which runs without Python's lock.

Every source is asked for its share of the neighbours, as if they lay evenly, and for none that would come behind those
that are found already; one that turns out to hold more is asked again. What the compiled code must know of a source
is written down once, as numbers, when the source is opened: where its arrays lie, and how long they are.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

import numpy as np
from numba import carray

from stream_app.index.best import NO_SCORE, ROW_BITS, Best, forget, put_in_order, score_to_beat
from stream_app.index.cells import Cells, positions_near
from stream_app.index.closest import (
    BLOCK_ROWS,
    ONLY,
    Rows,
    Wish,
    compare,
    compare_all,
    compare_listed,
)
from stream_app.index.compiled import compiled
from stream_app.index.effort import DEEDS
from stream_app.index.forest_reader import NO_ROOM, ForestReader, Layout, walk_into
from stream_app.index.machine import pointer_to
from stream_app.index.sieve import (
    COARSE_WORDS,
    EVERYWHERE,
    Marks,
    Sieve,
    angle_of,
    sift_all,
    sift_some,
)
from stream_app.index.signing import WORDS, flips_for, sign

#: How much harder a source is searched that held too few because of a filter or of deaths.
WIDENING: Final = 4
ROOM_MIN: Final = 1 << 12
BY_EFFORT, WHOLE = 1, 2
#: Of a source, in this order. FINE is 0 where there are no signatures, CELL_COUNT where there are no cells, and NODES
#: where their centres have no forest.
ROWS, IN_ORDER, PHOTO_IDS, VECTORS, DIED, FINE, COARSE, COARSE_ROOM = range(8)
CELL_COUNT, CELL_ROWS, STARTS, CENTRES, CENTRES_FINE, CENTRES_COARSE = range(8, 14)
NODES, NODE_COUNT, ROOTS, CHILDREN, PLANE, OFFSET, NUMBERS = range(14, 21)
#: In place of a number of cells: every row that, by its signature, may be among the best is compared.
WITHIN_REACH: Final = -1
#: Of how a source is asked: for how many, with which effort, and with which when it is asked again for all k.
SHARE, FIRST, AGAIN = 0, 1, 1 + DEEDS


def described(
    photo_ids: np.ndarray,
    vectors: np.ndarray,
    died: np.ndarray,
    sieve: Sieve | None = None,
    cells: Cells | None = None,
    forest: ForestReader | None = None,
    *,
    in_order: bool = False,
) -> np.ndarray:
    """A source as numbers, int64 [NUMBERS], good as long as its arrays are; `in_order`: by ascending photo id."""
    numbers = np.zeros(NUMBERS, np.int64)
    numbers[ROWS], numbers[IN_ORDER] = len(died), in_order
    numbers[[PHOTO_IDS, VECTORS, DIED]] = [each.ctypes.data for each in (photo_ids, vectors, died)]
    if sieve is not None:
        numbers[[FINE, COARSE]] = sieve.fine.ctypes.data, sieve.coarse.ctypes.data
        numbers[COARSE_ROOM] = sieve.coarse.shape[1]
    if cells is not None:
        arrays = cells.rows, cells.starts, cells.centres, *cells.sieve
        numbers[CELL_COUNT : CENTRES_COARSE + 1] = len(cells.centres), *(each.ctypes.data for each in arrays)
    if forest is not None:
        numbers[[NODES, NODE_COUNT, ROOTS]] = forest.nodes.ctypes.data, len(forest.nodes), forest.roots.ctypes.data
        numbers[[CHILDREN, PLANE, OFFSET]] = forest.layout
    return numbers


class _Scratch(NamedTuple):
    """What one thread writes on while it searches."""

    differences: np.ndarray  # uint16 [rows]: see sieve.Marks
    places: np.ndarray  # int32 [rows]
    found: np.ndarray  # int32 [room]: see forest_reader.Scratch
    stamps: np.ndarray  # uint8 [rows]
    last_stamp: np.ndarray  # uint8 [1]
    waiting: np.ndarray  # uint64 [room]
    scores: np.ndarray  # float32 [BLOCK_ROWS]
    numbers: np.ndarray  # int32 [BLOCK_ROWS]

    @classmethod
    def of(cls, rows: int, room: int) -> _Scratch:
        return cls(
            *Marks.of(rows),
            np.empty(room, np.int32),
            np.zeros(rows, np.uint8),
            np.zeros(1, np.uint8),
            np.zeros(room, np.uint64),
            np.empty(BLOCK_ROWS, np.float32),
            np.empty(BLOCK_ROWS, np.int32),
        )


_threads = threading.local()


def sweep(sources: np.ndarray, efforts: np.ndarray, wish: Wish, k: int) -> Best:
    """The `k` best of the rows that `wish` lets through, best first, in what this thread's next search overwrites.

    `sources` are those `described`, int64 [n, NUMBERS], `efforts` int64 [n, 1 + 2 * DEEDS]: the share, then an effort
    for that share and one for all `k`; where nothing is kept, every row is compared.
    """
    rows_max = int(sources[:, ROWS].max())
    scratch, best = getattr(_threads, "scratch", None), getattr(_threads, "best", None)
    if best is None or len(best.scores) != k:
        _threads.best = best = Best.of(k)
    if scratch is None or len(scratch.places) < rows_max:
        scratch = _threads.scratch = _Scratch.of(rows_max, ROOM_MIN)
    while not _sweep(sources, efforts, wish, flips_for(len(wish.query)), scratch, best):
        scratch = _threads.scratch = _Scratch.of(len(scratch.places), 2 * len(scratch.found))
    return best


@compiled()
def _sweep(sources, efforts, wish, flips, scratch, best):  # type: ignore[no-untyped-def]
    """False when there was too little room."""
    best.size[0] = 0
    wanted = np.zeros((1, WORDS), np.uint64)
    if sources[:, FINE].any():
        sign(wish.query.reshape(1, -1), flips, wanted)
    held = np.zeros(len(sources), np.int64)
    for at in range(len(sources)):
        effort = efforts[at, FIRST : FIRST + DEEDS]
        way = _ask(sources[at], at, efforts[at, SHARE], effort, wish, wanted[0], score_to_beat(best), scratch, best)
        if way == NO_ROOM:
            return False
        if way == WHOLE:
            held[at] = -len(best.scores)
    for at in range(best.size[0]):
        held[best.places[at] >> ROW_BITS] += 1
    for at in range(len(sources)):
        if efforts[at, SHARE] < len(best.scores) and held[at] >= efforts[at, SHARE]:
            beat = score_to_beat(best)
            forget(best, at)
            effort = efforts[at, AGAIN : AGAIN + DEEDS]
            if _ask(sources[at], at, len(best.scores), effort, wish, wanted[0], beat, scratch, best) == NO_ROOM:
                return False
    put_in_order(best)
    return True


@compiled()
def _ask(source, at, least, effort, wish, wanted, beat, scratch, best):  # type: ignore[no-untyped-def]
    """Make more of an effort until there are `least`, or until nothing better than `beat` can be expected."""
    count = source[ROWS]
    known = Rows(
        carray(pointer_to(source[VECTORS]), (count, len(wish.query)), np.uint16),
        carray(pointer_to(source[PHOTO_IDS]), (count,), np.int64),
        carray(pointer_to(source[DIED]), (count,), np.uint64),
    )
    trees, search_k, probes, kept = effort
    if wish.listing == ONLY and kept == 0 and source[IN_ORDER]:
        compare_listed(at, known, wish, best, scratch.scores, scratch.numbers)
        return WHOLE
    if probes == WITHIN_REACH and _found_within_reach(source, at, known, wish, wanted, beat, scratch, best):
        return WHOLE
    while kept > 0 and WIDENING * kept < count:
        rows = _sifted(source, trees, search_k, probes, kept, wish.query, wanted, beat, scratch)
        if len(rows) == 1 and rows[0] == NO_ROOM:
            return NO_ROOM
        found = compare(at, known, rows, wish, beat, best, scratch.scores)
        if found >= least or beat > NO_SCORE:
            return BY_EFFORT
        forget(best, at)
        search_k, probes, kept = WIDENING * search_k, WIDENING * probes, WIDENING * kept
    compare_all(at, known, wish, beat, best, scratch.scores, scratch.numbers)
    return WHOLE


@compiled()
def _found_within_reach(source, at, known, wish, wanted, beat, scratch, best):  # type: ignore[no-untyped-def]
    """Compare every row that by its signature may be among the best; False where every row must be compared.

    Where nothing is to be beaten yet, the rows that differ least tell what is.
    """
    sieve = _sieve_at(source[FINE], source[COARSE], source[ROWS], source[COARSE_ROOM])
    marks, k = Marks(scratch.differences, scratch.places), len(best.scores)
    if beat <= NO_SCORE:
        compare(at, known, sift_all(sieve, wanted, 2 * k, EVERYWHERE, marks), wish, beat, best, scratch.scores)
        beat = score_to_beat(best)
        forget(best, at)
        if beat <= NO_SCORE:
            return False
    rows = sift_all(sieve, wanted, source[ROWS], angle_of(beat), marks)
    compare(at, known, rows, wish, beat, best, scratch.scores)
    if best.size[0] == k:
        return True
    forget(best, at)
    return False


@compiled()
def _sifted(source, trees, search_k, probes, kept, query, wanted, beat, scratch):  # type: ignore[no-untyped-def]
    """The rows whose vectors are worth a look; NO_ROOM alone when there was too little."""
    count = source[ROWS]
    known = _sieve_at(source[FINE], source[COARSE], count, source[COARSE_ROOM])
    marks = Marks(scratch.differences, scratch.places)
    reach = angle_of(beat) if beat > NO_SCORE else EVERYWHERE
    if not source[CELL_COUNT]:
        return sift_all(known, wanted, kept, reach, marks)
    if not probes:
        return _rows_at(sift_all(known, wanted, kept, reach, marks), source)
    cells = Cells(
        carray(pointer_to(source[CELL_ROWS]), (count,), np.int32),
        carray(pointer_to(source[STARTS]), (source[CELL_COUNT] + 1,), np.int64),
        carray(pointer_to(source[CENTRES]), (source[CELL_COUNT], len(query)), np.uint16),
        _sieve_at(source[CENTRES_FINE], source[CENTRES_COARSE], source[CELL_COUNT], source[CELL_COUNT]),
    )
    met = scratch.found[:0]
    if trees:
        met = _met(source, trees, search_k, query, scratch)
        if met[0] == NO_ROOM:
            return met
    near = positions_near(cells, query, wanted, met, probes, marks)
    return _rows_at(sift_some(known, wanted, near, kept, reach, marks), source)


@compiled()
def _rows_at(positions, source):  # type: ignore[no-untyped-def]
    """The rows at these positions, in their stead."""
    row_of = carray(pointer_to(source[CELL_ROWS]), (source[ROWS],), np.int32)
    for place in range(len(positions)):
        positions[place] = row_of[positions[place]]
    return positions


@compiled()
def _met(source, trees, search_k, query, scratch):  # type: ignore[no-untyped-def]
    """The centres that a walk through their forest meets; NO_ROOM alone when there was too little."""
    shape = source[NODE_COUNT], source[PLANE] + len(query)
    met, _ = walk_into(
        carray(pointer_to(source[NODES]), shape, np.int32),
        carray(pointer_to(source[NODES]), shape, np.float32),
        Layout(source[CHILDREN], source[PLANE], source[OFFSET]),
        carray(pointer_to(source[ROOTS]), (trees,), np.int32),
        source[CELL_COUNT],
        query,
        search_k,
        scratch.found,
        scratch.stamps,
        scratch.last_stamp,
        scratch.waiting,
    )
    if met == NO_ROOM:
        scratch.found[0] = NO_ROOM
        return scratch.found[:1]
    return scratch.found[:met]


@compiled()
def _sieve_at(fine, coarse, count, room):  # type: ignore[no-untyped-def]
    return Sieve(
        carray(pointer_to(fine), (count, WORDS), np.uint64),
        carray(pointer_to(coarse), (COARSE_WORDS, room), np.uint64),
    )
