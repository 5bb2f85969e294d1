"""Of many rows, the few whose vectors are worth a look: those whose signatures differ least from the query's.

A signature is a sixteenth of a float32 vector, and differing bits are counted by the processor, so that sifting
thousands of rows costs less than reading a hundred vectors from where they lie. Its planes are a rotation that is
computed by additions alone: signs flipped at random, then a Hadamard transform, twice (Ailon and Chazelle 2009). As
good as random orthogonal planes here, and thirty times as fast as a product with their matrix.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from stream_app.index.compiled import compiled
from stream_app.index.machine import bit_count, prefetch

BITS: Final = 512
WORDS: Final = BITS // 64
ROUNDS: Final = 2
MISSED: Final = 1 << 62
AHEAD: Final = 16  # rows whose signatures are on their way while one is looked at


def signatures(vectors: np.ndarray) -> np.ndarray:
    """Of vectors float32 [n, dimensions]: uint64 [n, WORDS]."""
    return np.asarray(_signatures(np.ascontiguousarray(vectors, np.float32), _flips(vectors.shape[1]), WORDS))


def sift(known: np.ndarray, wanted: np.ndarray, candidates: np.ndarray | None, keep: int) -> np.ndarray:
    """Of the rows `candidates` (int32 [n]; None: all) the `keep` nearest by signature, and what ties with the last.

    `known` is uint64 [rows, WORDS], `wanted` the query's signature uint64 [WORDS].
    """
    if candidates is None:
        return np.asarray(sift_all(known, wanted, keep))
    return np.asarray(sift_some(known, wanted, candidates, keep))


def ranks(known: np.ndarray, wanted: np.ndarray, candidates: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """For each row of `sought` how many candidates a sieve must keep to keep it; MISSED where it is none of them."""
    return np.asarray(_ranks(known, wanted, candidates, sought))


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
def sift_some(known, wanted, candidates, keep):  # type: ignore[no-untyped-def]
    """`sift` among candidates, for compiled code."""
    if len(candidates) <= keep:
        return candidates
    differences = np.empty(len(candidates), np.uint16)
    spread = np.zeros(64 * len(wanted) + 1, np.int64)
    for place in range(len(candidates)):
        if place + AHEAD < len(candidates):
            prefetch(known, candidates[place + AHEAD], 0)
        bits = _difference(known, candidates[place], wanted)
        differences[place] = bits
        spread[bits] += 1
    farthest, count = _farthest(spread, keep)
    kept = np.empty(count, candidates.dtype)
    count = 0
    for place in range(len(candidates)):
        if differences[place] <= farthest:
            kept[count] = candidates[place]
            count += 1
    return kept


@compiled()
def sift_all(known, wanted, keep):  # type: ignore[no-untyped-def]
    """`sift` among all rows, for compiled code."""
    keep = min(keep, len(known))
    differences = np.empty(len(known), np.uint16)
    spread = np.zeros(64 * len(wanted) + 1, np.int64)
    for row in range(len(known)):
        bits = _difference(known, row, wanted)
        differences[row] = bits
        spread[bits] += 1
    farthest, count = _farthest(spread, keep)
    kept = np.empty(count, np.int32)
    count = 0
    for row in range(len(known)):
        if differences[row] <= farthest:
            kept[count] = row
            count += 1
    return kept


@compiled()
def _farthest(spread, keep):  # type: ignore[no-untyped-def]
    """The difference up to which at least `keep` lie, and how many these are."""
    farthest, count = 0, spread[0]
    while count < keep:
        farthest += 1
        count += spread[farthest]
    return farthest, count


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
