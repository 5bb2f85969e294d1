"""Of many rows, the few whose vectors are worth a look: those whose signatures differ least from the query's.

A signature is a sixteenth of a float32 vector, and differing bits are counted by the processor, so that sifting
thousands of rows costs less than reading a hundred vectors from where they lie. Its planes are a rotation that is
computed by additions alone: signs flipped at random, then a Hadamard transform, twice (Ailon and Chazelle 2009). As
good as random orthogonal planes here, and thirty times as fast as a product with their matrix.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from stream_app.index.compiled import compiled
from stream_app.index.machine import bit_count, prefetch

BITS: Final = 512
WORDS: Final = BITS // 64
COARSE_WORDS: Final = 2
SPREAD_ROWS: Final = 8_192  # enough to see how differences are spread
COARSE_TIMES: Final = 16  # so many times the rows that are kept in the end pass the first words
ROUNDS: Final = 2
MISSED: Final = 1 << 62
EVERYWHERE: Final = 1.0
NEAR: Final = 0.27  # a cosine of .66: beyond, one word lets too many pass
DEVIATIONS: Final = 3.0  # beyond what is expected at an angle, which one in a thousand exceeds
AHEAD: Final = 16  # rows whose signatures are on their way while one is looked at


def signatures(vectors: np.ndarray) -> np.ndarray:
    """Of vectors float32 [n, dimensions]: uint64 [n, WORDS]."""
    return np.asarray(_signatures(np.ascontiguousarray(vectors, np.float32), _flips(vectors.shape[1]), WORDS))


class Sieve(NamedTuple):
    """The signatures of rows, and their first words apart: a scan of all rows reads only these of most of them.

    Word by word, so that the processor compares several rows at once.
    """

    fine: np.ndarray  # uint64 [rows, WORDS]
    coarse: np.ndarray  # uint64 [COARSE_WORDS, rows]

    @classmethod
    def of(cls, known: np.ndarray) -> Sieve:
        """Of signatures uint64 [rows, WORDS]."""
        return cls(known, np.ascontiguousarray(known[:, :COARSE_WORDS].T))


def sift(
    known: Sieve, wanted: np.ndarray, candidates: np.ndarray | None, keep: int, reach: float = EVERYWHERE
) -> np.ndarray:
    """Of the rows `candidates` (int32 [n]; None: all) the `keep` nearest by signature, and what ties with the last.

    `wanted` is the query's signature, uint64 [WORDS]. Nothing is kept that by its signature lies farther away than
    `reach`, an angle as a share of pi, but for chance.
    """
    if candidates is None:
        return np.asarray(sift_all(known, wanted, keep, reach))
    return np.asarray(sift_some(known, wanted, candidates, keep, reach))


def reach_of(score: float) -> float:
    """The angle, as a share of pi, of unit vectors with this dot product."""
    return math.acos(max(-1.0, min(1.0, score))) / math.pi


def ranks(known: Sieve, wanted: np.ndarray, candidates: np.ndarray | None, sought: np.ndarray) -> np.ndarray:
    """For each row of `sought` how many rows a sieve must keep to keep it; MISSED where it is no candidate."""
    if candidates is None:
        everything = np.arange(len(known.fine), dtype=np.int32)
        fine = _ranks(known.fine, wanted, everything, sought)
        coarse = _ranks(known.fine[:, :COARSE_WORDS], wanted[:COARSE_WORDS], everything, sought)
        return np.maximum(fine, -(-coarse // COARSE_TIMES))
    return np.asarray(_ranks(known.fine, wanted, candidates, sought))


@cache
def _flips(dimensions: int) -> np.ndarray:
    """Signs, float32 [blocks, ROUNDS, width]: a block gives a bit for each of its `width` dimensions."""
    width = 1 << (dimensions - 1).bit_length()
    random = np.random.default_rng(1)
    return random.choice(np.array([-1, 1], np.float32), (-(-BITS // width), ROUNDS, width))


@compiled(sums_in_any_order=True)
def _signatures(vectors, flips, words):  # type: ignore[no-untyped-def]
    blocks, rounds, width = flips.shape
    made = np.zeros((len(vectors), words), np.uint64)
    rotated = np.empty(width, np.float32)
    for row in range(len(vectors)):
        for block in range(blocks):
            rotated[:] = 0
            rotated[: vectors.shape[1]] = vectors[row]
            for turn in range(rounds):
                rotated *= flips[block, turn]
                _hadamard(rotated)
            for place in range(min(width, 64 * words - block * width)):
                bit = block * width + place
                made[row, bit >> 6] |= np.uint64(rotated[place] > 0) << np.uint64(bit & 63)
    return made


@compiled(sums_in_any_order=True)
def _hadamard(values):  # type: ignore[no-untyped-def]
    """The Walsh-Hadamard transform in place, without its scale, which no sign depends on."""
    half = 1
    while half < len(values):
        for start in range(0, len(values), 2 * half):
            for place in range(start, start + half):
                one, other = values[place], values[place + half]
                values[place], values[place + half] = one + other, one - other
        half *= 2


@compiled()
def _difference(known, row, wanted):  # type: ignore[no-untyped-def]
    bits = np.uint64(0)
    for word in range(known.shape[1]):
        bits += bit_count(known[row, word] ^ wanted[word])
    return bits


@compiled()
def sift_some(known, wanted, candidates, keep, reach):  # type: ignore[no-untyped-def]
    """`sift` among candidates, for compiled code."""
    if len(candidates) <= keep and reach >= EVERYWHERE:
        return candidates
    differences = np.empty(len(candidates), np.uint16)
    for place in range(len(candidates)):
        if place + AHEAD < len(candidates):
            prefetch(known.fine, candidates[place + AHEAD], 0)
        differences[place] = _difference(known.fine, candidates[place], wanted)
    return candidates[_nearest(differences, keep, 64 * WORDS, reach, 1)]


@compiled()
def sift_all(known, wanted, keep, reach):  # type: ignore[no-untyped-def]
    """`sift` among all rows, for compiled code."""
    one, other = known.coarse
    differences = np.empty(len(one), np.uint8)
    bits = 64
    if reach < NEAR:  # few rows lie that near, and one word tells them
        for row in range(len(one)):
            differences[row] = bit_count(one[row] ^ wanted[0])
    else:
        bits = 128
        for row in range(len(one)):
            differences[row] = bit_count(one[row] ^ wanted[0]) + bit_count(other[row] ^ wanted[1])
    promising = _nearest(differences, COARSE_TIMES * keep, bits, reach, 1 + len(one) // SPREAD_ROWS)
    return sift_some(known, wanted, promising, keep, reach)


@compiled()
def _nearest(differences, keep, bits, reach, step):  # type: ignore[no-untyped-def]
    """Places, int32, of the `keep` least differences, and of those that tie with the last, within reach.

    How the differences are spread is seen from every `step`th; from some it is guessed, and more are kept.
    """
    within = _within(differences, bits * reach + DEVIATIONS * math.sqrt(bits * reach * (1 - reach)))
    if len(within) <= keep:
        return within
    spread = np.zeros(bits + 1, np.int64)
    for place in range(0, len(differences), step):
        spread[differences[place]] += 1
    wished = keep if step == 1 else keep + keep // 4
    return _within(differences, _farthest(spread, min(wished, len(differences)) // step))


@compiled()
def _within(differences, farthest):  # type: ignore[no-untyped-def]
    """Places, int32, of the differences up to `farthest`."""
    places = np.empty(len(differences), np.int32)
    limit = np.uint16(min(farthest, 65_535.0))
    count = 0
    for place in range(len(differences)):
        if differences[place] <= limit:
            places[count] = place
            count += 1
    return places[:count]


@compiled()
def _farthest(spread, keep):  # type: ignore[no-untyped-def]
    """The difference up to which at least `keep` lie."""
    farthest, count = 0, spread[0]
    while count < keep:
        farthest += 1
        count += spread[farthest]
    return farthest


@compiled()
def _ranks(known, wanted, candidates, sought):  # type: ignore[no-untyped-def]
    spread = np.zeros(64 * len(wanted) + 1, np.int64)
    is_candidate = np.zeros(len(known), np.uint8)
    for row in candidates:
        is_candidate[row] = 1
        spread[_difference(known, row, wanted)] += 1
    for bits in range(1, len(spread)):
        spread[bits] += spread[bits - 1]
    found = np.full(len(sought), MISSED, np.int64)
    for place in range(len(sought)):
        if is_candidate[sought[place]]:
            found[place] = spread[_difference(known, sought[place], wanted)]
    return found
