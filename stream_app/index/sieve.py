"""Of many rows, the few whose vectors are worth a look: those whose signatures differ least from the query's.

Differing bits of signatures (`signing`) are counted by the processor, so that sifting thousands of rows costs less than
reading a hundred vectors from where they lie.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from stream_app.index.compiled import compiled
from stream_app.index.machine import bit_count, prefetch, trailing_zeros
from stream_app.index.signing import WORDS

COARSE_WORDS: Final = 4
COARSE_TIMES: Final = 4  # so many times the rows that are kept in the end pass the first words
SPREAD_ROWS: Final = 256  # enough to see how differences are spread
ROOM: Final = 2.5  # so many times what is sought is expected below a guess
TOO_MUCH: Final = 4
MISSED: Final = 1 << 62
EVERYWHERE: Final = 1.0
NEAR, LESS_NEAR = 0.2, 0.27  # cosines of .81 and .66: beyond, one word, or two, let too many pass
DEVIATIONS: Final = 3.0  # beyond what is expected at an angle, which one in a thousand exceeds
AHEAD: Final = 16  # rows whose signatures are on their way while one is looked at
#: Differences that are bytes, of HIGHEST at most, are compared eight at once, in one word.
LANES: Final = 8
HIGHEST: Final = 127
BYTES: Final = 256
EACH_LANE: Final = np.uint64(0x0101010101010101)
HIGH_BITS: Final = np.uint64(0x8080808080808080)


class Sieve(NamedTuple):
    """The signatures of rows, and their first words apart: a scan of all rows reads only these of most of them.

    Word by word, so that the processor compares several rows at once.
    """

    fine: np.ndarray  # uint64 [rows, WORDS]
    coarse: np.ndarray  # uint64 [COARSE_WORDS, rows or more]

    @classmethod
    def of(cls, known: np.ndarray) -> Sieve:
        """Of signatures uint64 [rows, WORDS]."""
        return cls(known, np.ascontiguousarray(known[:, :COARSE_WORDS].T))


class Marks(NamedTuple):
    """What a sieve writes on, with room for at least as many rows as it is given."""

    differences: np.ndarray  # uint16 [rows]
    places: np.ndarray  # int32 [rows]

    @classmethod
    def of(cls, rows: int) -> Marks:
        """Room for so many."""
        return cls(np.empty((rows // LANES + 2) * LANES, np.uint16), np.empty(rows, np.int32))


def sift(
    known: Sieve, wanted: np.ndarray, candidates: np.ndarray | None, keep: int, reach: float = EVERYWHERE
) -> np.ndarray:
    """Of the rows `candidates` (int32 [n]; None: all) the `keep` nearest by signature, and what ties with the last.

    `wanted` is the query's signature, uint64 [WORDS]. Nothing is kept that by its signature lies farther away than
    `reach`, an angle as a share of pi, but for chance.
    """
    if candidates is None:
        return np.asarray(sift_all(known, wanted, keep, reach, Marks.of(len(known.fine))))
    return np.asarray(sift_some(known, wanted, candidates.copy(), keep, reach, Marks.of(len(candidates))))


@compiled()
def angle_of(score):  # type: ignore[no-untyped-def]
    """The angle, as a share of pi, of unit vectors with this dot product."""
    return math.acos(max(-1.0, min(1.0, score))) / math.pi


def ranks(
    known: Sieve, wanted: np.ndarray, candidates: np.ndarray | None, sought: np.ndarray, marked: np.ndarray
) -> np.ndarray:
    """For each row of `sought` how many rows a sieve must keep to keep it; MISSED where it is no candidate.

    `marked` is uint8 [rows], zeros, to write on; it is left as it was.
    """
    if candidates is None:
        everything = np.arange(len(known.fine), dtype=np.int32)
        fine = _ranks(known.fine, wanted, everything, sought, marked)
        coarse = _ranks(known.fine[:, :COARSE_WORDS], wanted[:COARSE_WORDS], everything, sought, marked)
        return np.maximum(fine, -(-coarse // COARSE_TIMES))
    return np.asarray(_ranks(known.fine, wanted, candidates, sought, marked))


@compiled()
def _difference(known, row, wanted):  # type: ignore[no-untyped-def]
    bits = np.uint64(0)
    for word in range(known.shape[1]):
        bits += bit_count(known[row, word] ^ wanted[word])
    return bits


@compiled()
def sift_some(known, wanted, candidates, keep, reach, marks):  # type: ignore[no-untyped-def]
    """`sift` among candidates, for compiled code; those that are kept come to lie in their front."""
    if len(candidates) <= keep and reach >= EVERYWHERE:
        return candidates
    spread = np.zeros(64 * WORDS + 1, np.int32)
    for place in range(len(candidates)):
        if place + AHEAD < len(candidates):
            prefetch(known.fine, candidates[place + AHEAD], 0)
        difference = _difference(known.fine, candidates[place], wanted)
        marks.differences[place] = difference
        spread[difference] += 1
    limit = min(_farthest(spread, min(keep, len(candidates))), _expected(64 * WORDS, reach))
    return _up_to(candidates, marks.differences, limit)


@compiled()
def sift_all(known, wanted, keep, reach, marks):  # type: ignore[no-untyped-def]
    """`sift` among all rows, for compiled code."""
    differences, count = marks.differences.view(np.uint8), len(known.fine)
    words = 1 if reach < NEAR else 2 if reach < LESS_NEAR else COARSE_WORDS
    limit = guess = _expected(64 * words, reach)
    if words == 1:
        _differences_of_one(known.coarse, wanted, count, differences)
    elif words == 2:
        _differences_of_two(known.coarse, wanted, count, differences)
    else:
        _differences_of_all(known.coarse, wanted, count, differences)
        if COARSE_TIMES * keep < count:
            guess = min(limit, _guessed(known.coarse, count, wanted, COARSE_TIMES * keep))
    promising = _nearest(differences, count, COARSE_TIMES * keep, guess, limit, marks.places)
    return sift_some(known, wanted, promising, keep, reach, marks)


@compiled()
def _differences_of_one(coarse, wanted, count, differences):  # type: ignore[no-untyped-def]
    """Of the first words of `count` signatures; what is read in the loop is named before, so that it is read once."""
    ones, one = coarse[0], wanted[0]
    for row in range(count):
        differences[row] = bit_count(ones[row] ^ one)


@compiled()
def _differences_of_two(coarse, wanted, count, differences):  # type: ignore[no-untyped-def]
    ones, twos, one, two = coarse[0], coarse[1], wanted[0], wanted[1]
    for row in range(count):
        differences[row] = bit_count(ones[row] ^ one) + bit_count(twos[row] ^ two)


@compiled()
def _differences_of_all(coarse, wanted, count, differences):  # type: ignore[no-untyped-def]
    """HIGHEST where it is more."""
    ones, twos, threes, fours = coarse[0], coarse[1], coarse[2], coarse[3]
    one, two, three, four = wanted[0], wanted[1], wanted[2], wanted[3]
    for row in range(count):
        difference = bit_count(ones[row] ^ one) + bit_count(twos[row] ^ two)
        difference += bit_count(threes[row] ^ three) + bit_count(fours[row] ^ four)
        differences[row] = min(difference, np.uint64(HIGHEST))


@compiled()
def _nearest(differences, count, enough, guess, limit, places):  # type: ignore[no-untyped-def]
    """Of the first `count` the places, int32, of about `enough` of the least differences, of up to `limit`.

    Looking through what is too much costs less than taking exactly what is enough, unless it is far too much.
    """
    found = _within(differences, count, guess, places)
    if 2 * len(found) < enough and guess < limit:
        spread = np.zeros(BYTES, np.int32)
        for place in range(count):
            spread[differences[place]] += 1
        found = _within(differences, count, min(limit, _farthest(spread, min(enough, count))), places)
    if len(found) <= TOO_MUCH * enough:
        return found
    spread = np.zeros(BYTES, np.int32)
    for place in found:
        spread[differences[place]] += 1
    farthest, kept = _farthest(spread, enough), 0
    for place in found:
        if differences[place] <= farthest:
            found[kept] = place
            kept += 1
    return found[:kept]


@compiled()
def _guessed(coarse, count, wanted, sought):  # type: ignore[no-untyped-def]
    """The difference up to which `sought` rows and some more lie: by how those of some rows are spread."""
    total, squares, number = np.int64(0), np.int64(0), 0
    for row in range(0, count, 1 + count // SPREAD_ROWS):
        difference = np.int64(0)
        for word in range(COARSE_WORDS):
            difference += np.int64(bit_count(coarse[word, row] ^ wanted[word]))
        total += difference
        squares += difference * difference
        number += 1
    mean = total / number
    deviation = math.sqrt(max(0.0, squares / number - mean * mean))
    # As many as are sought lie so far below the mean of a normal distribution (Abramowitz and Stegun 1964, 26.2.22).
    t = math.sqrt(-2 * math.log(min(0.5, ROOM * sought / count)))
    below = t - (2.30753 + 0.27061 * t) / (1 + 0.99229 * t + 0.04481 * t * t)
    return max(0, int(mean - below * deviation) + 1)


@compiled()
def _expected(bits, reach):  # type: ignore[no-untyped-def]
    """The difference that at the angle `reach` is hardly ever exceeded."""
    return min(bits, int(bits * reach + DEVIATIONS * math.sqrt(bits * reach * (1 - reach))))


@compiled()
def _within(differences, count, limit, places):  # type: ignore[no-untyped-def]
    """Places, int32, of those of the first `count` differences that are no more than `limit`.

    Eight at once: a byte of 127 at most, its highest bit set, keeps that bit unless less than `limit` + 1 is in it.
    """
    if limit >= HIGHEST:
        for place in range(count):
            places[place] = place
        return places[:count]
    differences[count : count + LANES] = HIGHEST
    words = differences.view(np.uint64)
    least = np.uint64(limit + 1) * EACH_LANE
    found = 0
    for at in range(-(-count // LANES)):
        less = ~((words[at] | HIGH_BITS) - least) & HIGH_BITS
        while less:
            places[found] = LANES * at + (trailing_zeros(less) >> 3)
            found += 1
            less &= less - np.uint64(1)
    return places[:found]


@compiled()
def _up_to(candidates, differences, limit):  # type: ignore[no-untyped-def]
    """The candidates whose difference is no more than `limit`, in their front."""
    kept = 0
    for place in range(len(candidates)):
        if differences[place] <= limit:
            candidates[kept] = candidates[place]
            kept += 1
    return candidates[:kept]


@compiled()
def _farthest(spread, keep):  # type: ignore[no-untyped-def]
    """The difference up to which at least `keep` lie."""
    farthest, count = 0, spread[0]
    while count < keep:
        farthest += 1
        count += spread[farthest]
    return farthest


@compiled()
def _ranks(known, wanted, candidates, sought, marked):  # type: ignore[no-untyped-def]
    spread = np.zeros(64 * len(wanted) + 1, np.int64)
    for row in candidates:
        marked[row] = 1
        spread[_difference(known, row, wanted)] += 1
    for bits in range(1, len(spread)):
        spread[bits] += spread[bits - 1]
    found = np.full(len(sought), MISSED, np.int64)
    for place in range(len(sought)):
        if marked[sought[place]]:
            found[place] = spread[_difference(known, sought[place], wanted)]
    for row in candidates:
        marked[row] = 0
    return found
