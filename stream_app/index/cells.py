"""Looking into the cells whose centres lie nearest to a query: an inverted file (Sivic and Zisserman 2003).

Signatures lie cell by cell, so that a cell is read from the memory in one go. Which centres are nearest is found as
rows are: by signature, then exactly.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stream_app.index.closest import score_rows
from stream_app.index.compiled import compiled
from stream_app.index.sieve import EVERYWHERE, Sieve, sift_all, sift_some

#: For each cell that is looked into so many centres are compared exactly, and a few more.
COMPARED_TIMES, COMPARED_MORE = 2, 8
EVERY_CENTRE: Final = np.empty(0, np.int32)


class Cells(NamedTuple):
    """The rows of a segment cell by cell: a position is a place in this order, which signatures have, too."""

    rows: np.ndarray  # int32 [rows]: the row at each position
    starts: np.ndarray  # int64 [cells + 1]: of each cell, and the end of the last
    centres: np.ndarray  # uint16 [cells, dimensions]: the bits of float16
    sieve: Sieve  # of the centres


@compiled()
def positions_near(cells, query, wanted, met, probes, marks):  # type: ignore[no-untyped-def]
    """The positions, int32, in the `probes` cells whose centres are nearest to a query with the signature `wanted`.

    Only the centres in `met` (int32) are looked at; in an empty one, all. The positions lie in `marks`.
    """
    count = len(cells.centres)
    if probes >= count:
        for position in range(len(cells.rows)):
            marks.places[position] = position
        return marks.places[: len(cells.rows)]
    compared = COMPARED_TIMES * probes + COMPARED_MORE
    if len(met):
        promising = sift_some(cells.sieve, wanted, met, compared, EVERYWHERE, marks).copy()
    else:
        promising = sift_all(cells.sieve, wanted, compared, EVERYWHERE, marks).copy()
    scores = np.empty(len(promising), np.float32)
    score_rows(cells.centres, promising, query, scores)
    size = 0
    for at in np.argsort(-scores)[:probes]:
        cell = promising[at]
        for position in range(cells.starts[cell], cells.starts[cell + 1]):
            marks.places[size] = position
            size += 1
    return marks.places[:size]
