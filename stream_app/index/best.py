"""The best of the rows that a search meets, for compiled code: higher scores first, of equal ones the lower photo id.

They lie in a heap that has the last of them on top, so that a row which is no better costs one comparison.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from stream_app.index.compiled import compiled

NO_SCORE: Final = -2.0  # no dot product of unit vectors is less, rounded or not
ROW_BITS: Final = 32


class Best(NamedTuple):
    """Room for the `k` best. A place is a source's number and, in the lower bits, the row there."""

    scores: np.ndarray  # float32 [k]
    photo_ids: np.ndarray  # int64 [k]
    places: np.ndarray  # int64 [k]
    size: np.ndarray  # int64 [1]: how many there are

    @classmethod
    def of(cls, k: int) -> Best:
        """Room for so many."""
        return cls(np.empty(k, np.float32), np.empty(k, np.int64), np.empty(k, np.int64), np.zeros(1, np.int64))


@compiled()
def score_to_beat(best):  # type: ignore[no-untyped-def]
    """What a row must score at least to be among the best; any score while there is room."""
    if best.size[0] < len(best.scores):
        return np.float32(NO_SCORE)
    return best.scores[0]


@compiled()
def offer(best, score, photo_id, place):  # type: ignore[no-untyped-def]
    """Take a row in if it is one of the best."""
    size = best.size[0]
    if size < len(best.scores):
        best.size[0] = size + 1
        _rise(best, size, score, photo_id, place)
    elif _precedes(score, photo_id, best.scores[0], best.photo_ids[0]):
        _sink(best, size, score, photo_id, place)


@compiled()
def forget(best, source):  # type: ignore[no-untyped-def]
    """Leave out what comes from one source."""
    size = best.size[0]
    best.size[0] = 0
    for at in range(size):
        if best.places[at] >> ROW_BITS != source:
            offer(best, best.scores[at], best.photo_ids[at], best.places[at])


@compiled()
def put_in_order(best):  # type: ignore[no-untyped-def]
    """The best first; nothing can be offered from then on."""
    for last in range(best.size[0] - 1, 0, -1):  # what is on top goes behind those that are left
        score, photo_id, place = best.scores[0], best.photo_ids[0], best.places[0]
        _sink(best, last, best.scores[last], best.photo_ids[last], best.places[last])
        best.scores[last], best.photo_ids[last], best.places[last] = score, photo_id, place


@compiled()
def _precedes(score, photo_id, other_score, other_id):  # type: ignore[no-untyped-def]
    return score > other_score or (score == other_score and photo_id < other_id)


@compiled()
def _rise(best, at, score, photo_id, place):  # type: ignore[no-untyped-def]
    """From the bottom to where it belongs."""
    while at > 0:
        above = (at - 1) >> 1
        if not _precedes(best.scores[above], best.photo_ids[above], score, photo_id):
            break
        _move(best, above, at)
        at = above
    best.scores[at], best.photo_ids[at], best.places[at] = score, photo_id, place


@compiled()
def _sink(best, size, score, photo_id, place):  # type: ignore[no-untyped-def]
    """From the top, whose row is given up, to where it belongs among the first `size`."""
    at, below = 0, 1
    while below < size:
        other = below + 1
        if other < size and _precedes(
            best.scores[below], best.photo_ids[below], best.scores[other], best.photo_ids[other]
        ):
            below = other
        if not _precedes(score, photo_id, best.scores[below], best.photo_ids[below]):
            break
        _move(best, below, at)
        at, below = below, 2 * below + 1
    best.scores[at], best.photo_ids[at], best.places[at] = score, photo_id, place


@compiled()
def _move(best, source, target):  # type: ignore[no-untyped-def]
    best.scores[target] = best.scores[source]
    best.photo_ids[target] = best.photo_ids[source]
    best.places[target] = best.places[source]
