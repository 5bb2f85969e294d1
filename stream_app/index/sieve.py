"""Of many candidates, the few whose vectors are worth a look: those whose signatures differ least from the query's.

A signature is a sixteenth of a float32 vector, and differing bits are counted by the processor, so that sifting
thousands of candidates costs less than reading a hundred vectors from where they lie.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from stream_app.index.compiled import compiled
from stream_app.index.lsh import Signatures

BITS = 512


@cache
def planes(dimensions: int) -> Signatures:
    """The planes of every sieve for vectors of so many dimensions."""
    return Signatures(dimensions, bits=BITS)


class Sieve:
    """The signatures of rows, uint64 [rows, BITS / 64], made by `planes`; any number of threads may use it."""

    def __init__(self, signatures: np.ndarray, dimensions: int) -> None:
        self._signatures, self._planes = signatures, planes(dimensions)

    def sift(self, query: np.ndarray, candidates: np.ndarray, keep: int) -> np.ndarray:
        """Of the rows int32 [n] the `keep` nearest by signature to `query` (float32 [dimensions]), and what ties."""
        if len(candidates) <= keep:
            return candidates
        return _sift(self._signatures, self._planes.of(query[None])[0], candidates, keep)


@intrinsic
def _bit_count(context: Any, word: Any) -> Any:
    """The set bits of an uint64: the processor's own instruction, which numba has no name for."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@compiled()
def _sift(signatures, wanted, candidates, keep):  # type: ignore[no-untyped-def]
    differences = np.empty(len(candidates), np.uint16)
    spread = np.zeros(64 * len(wanted) + 1, np.int64)
    for place, row in enumerate(candidates):
        bits = np.uint64(0)
        for word in range(len(wanted)):
            bits += _bit_count(signatures[row, word] ^ wanted[word])
        differences[place] = bits
        spread[bits] += 1
    farthest, count = 0, spread[0]
    while count < keep:
        farthest += 1
        count += spread[farthest]
    kept = np.empty(count, candidates.dtype)
    count = 0
    for place, row in enumerate(candidates):
        if differences[place] <= farthest:
            kept[count] = row
            count += 1
    return kept
