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
from stream_app.index.forest_reader import NO_ROOM, ForestReader, Layout, walk_into
from stream_app.index.machine import pointer_to
from stream_app.index.sieve import EVERYWHERE, WORDS, Marks, Sieve, angle_of, flips_for, sift_all, sift_some, sign

#: How much harder a source is searched that held too few because of a filter or of deaths.
WIDENING: Final = 4
ROOM_MIN: Final = 1 << 12
BY_EFFORT, WHOLE = 1, 2
#: Of a source, in this order. FINE is 0 where there are no signatures, NODES where there is no forest.
ROWS, IN_ORDER, PHOTO_IDS, VECTORS, DIED, FINE, COARSE, NODES, NODE_COUNT, ROOTS, CHILDREN, PLANE, OFFSET = range(13)
#: Of how a source is asked: for how many, with which effort, and with which when it is asked again for all k.
SHARE, FIRST, AGAIN = 0, 1, 4


def described(
    photo_ids: np.ndarray,
    vectors: np.ndarray,
    died: np.ndarray,
    sieve: Sieve | None = None,
    forest: ForestReader | None = None,
    *,
    in_order: bool = False,
) -> np.ndarray:
    """A source as numbers, int64 [13], good as long as its arrays are; `in_order`: by ascending photo id."""
    numbers = np.zeros(OFFSET + 1, np.int64)
    numbers[ROWS], numbers[IN_ORDER] = len(died), in_order
    numbers[[PHOTO_IDS, VECTORS, DIED]] = [each.ctypes.data for each in (photo_ids, vectors, died)]
    if sieve is not None:
        numbers[[FINE, COARSE]] = sieve.fine.ctypes.data, sieve.coarse.ctypes.data
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

    `sources` are those `described`, int64 [n, 13], `efforts` int64 [n, 7]: the share, then twice trees, search_k and
    kept, for that share and for all `k`; where nothing is kept, every row is compared.
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
        effort = efforts[at, FIRST : FIRST + 3]
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
            effort = efforts[at, AGAIN : AGAIN + 3]
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
    if wish.listing == ONLY and effort[2] == 0 and source[IN_ORDER]:
        compare_listed(at, known, wish, best, scratch.scores, scratch.numbers)
        return WHOLE
    trees, search_k, kept = effort
    while kept > 0 and WIDENING * kept < count:
        rows = _sifted(source, trees, search_k, kept, wish.query, wanted, beat, scratch)
        if len(rows) == 1 and rows[0] == NO_ROOM:
            return NO_ROOM
        found = compare(at, known, rows, wish, beat, best, scratch.scores)
        if found >= least or beat > NO_SCORE:
            return BY_EFFORT
        forget(best, at)
        search_k, kept = WIDENING * search_k, WIDENING * kept
    compare_all(at, known, wish, beat, best, scratch.scores, scratch.numbers)
    return WHOLE


@compiled()
def _sifted(source, trees, search_k, kept, query, wanted, beat, scratch):  # type: ignore[no-untyped-def]
    """The rows whose vectors are worth a look; NO_ROOM alone when there was too little."""
    count = source[ROWS]
    known = Sieve(
        carray(pointer_to(source[FINE]), (count, WORDS), np.uint64),
        carray(pointer_to(source[COARSE]), (2, count), np.uint64),
    )
    marks = Marks(scratch.differences, scratch.places)
    reach = angle_of(beat) if beat > NO_SCORE else EVERYWHERE
    if not trees:
        return sift_all(known, wanted, kept, reach, marks)
    shape = source[NODE_COUNT], source[PLANE] + len(query)
    met, _ = walk_into(
        carray(pointer_to(source[NODES]), shape, np.int32),
        carray(pointer_to(source[NODES]), shape, np.float32),
        Layout(source[CHILDREN], source[PLANE], source[OFFSET]),
        carray(pointer_to(source[ROOTS]), (trees,), np.int32),
        count,
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
    return sift_some(known, wanted, scratch.found[:met], kept, reach, marks)
