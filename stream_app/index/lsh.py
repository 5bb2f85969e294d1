"""Locality-sensitive hashing: near vectors share bucket keys, and signatures estimate their cosine.

Planes are random and follow from a seed, so that every worker cuts the same buckets without asking another.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

TABLE_COUNT = 8
BITS_PER_KEY_MIN, BITS_PER_KEY_MAX = 4, 24
SIGNATURE_BITS = 256


class Probe(NamedTuple):
    """A bucket to look into; `cost` is how far outside of it the query lies, squared."""

    cost: float
    table: int
    bucket_key: int


def bits_for(photo_count: int) -> int:
    """Bits of a bucket key that leave about four of `photo_count` photos in a bucket."""
    return max(BITS_PER_KEY_MIN, min(BITS_PER_KEY_MAX, round(np.log2(max(1, photo_count))) - 2))


class Hyperplanes:
    """The planes of `table_count` hash tables; a vector's side of a table's planes is its bucket key there.

    `layout_id` names this way of cutting buckets: keys of different layouts mean different things.
    """

    def __init__(
        self, dimensions: int, *, bits_per_key: int = 12, table_count: int = TABLE_COUNT, seed: int = 1
    ) -> None:
        if not BITS_PER_KEY_MIN <= bits_per_key <= BITS_PER_KEY_MAX:
            raise ValueError(f"bits_per_key must be {BITS_PER_KEY_MIN} to {BITS_PER_KEY_MAX}, not {bits_per_key}")
        self.dimensions = dimensions
        self.bits_per_key = bits_per_key
        self.table_count = table_count
        described = f"random-1:{dimensions}:{bits_per_key}:{table_count}:{seed}"
        self.layout_id = hashlib.sha256(described.encode()).hexdigest()[:8]
        generator = np.random.default_rng(seed)
        normals = generator.standard_normal((table_count * bits_per_key, dimensions))
        self._planes = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
        self._powers = np.uint64(1) << np.arange(bits_per_key, dtype=np.uint64)

    def margins(self, vectors: np.ndarray) -> np.ndarray:
        """Signed distances of vectors float32 [n, dimensions] from the planes: float32 [n, tables, bits]."""
        return (vectors @ self._planes.T).reshape(len(vectors), self.table_count, self.bits_per_key)

    def bucket_keys(self, vectors: np.ndarray) -> np.ndarray:
        """The bucket key of each vector in each table: uint64 [n, tables]."""
        return self._keys(self.margins(vectors))

    def probes(self, vector: np.ndarray) -> Iterator[Probe]:
        """Every bucket of every table, likeliest first: its own, then those across its nearest planes."""
        margins = self.margins(vector[None, :])
        keys = self._keys(margins)[0]
        tables = [_probes_of_table(table, int(keys[table]), margins[0, table]) for table in range(self.table_count)]
        return heapq.merge(*tables)

    def _keys(self, margins: np.ndarray) -> np.ndarray:
        return ((margins > 0) * self._powers).sum(axis=2, dtype=np.uint64)


class Signatures:
    """One bit for each of many planes; orthogonal planes estimate angles better than random ones."""

    def __init__(self, dimensions: int, *, bits: int = SIGNATURE_BITS, seed: int = 1) -> None:
        if bits % 64:
            raise ValueError(f"bits must be a multiple of 64, not {bits}")
        self.bits = bits
        generator = np.random.default_rng(seed)
        blocks = []
        for _ in range(-(-bits // dimensions)):
            orthogonal, upper = np.linalg.qr(generator.standard_normal((dimensions, dimensions)))
            # Without these signs the rotations are not uniform, and the estimate has a bias.
            blocks.append((orthogonal * np.sign(np.diag(upper))).T)
        self._planes = np.concatenate(blocks)[:bits].astype(np.float32)

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """The signatures of vectors float32 [n, dimensions]: uint64 [n, bits / 64]."""
        return np.packbits(vectors @ self._planes.T > 0, axis=1).view(np.uint64)

    def cosines(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The estimated cosines between signatures (broadcast against each other)."""
        return cosine_estimate(hamming(one, other), self.bits)


def hamming(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differing bits between signatures uint64 [..., words]."""
    return np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64)


def cosine_estimate(differing_bits: np.ndarray, bits: int) -> np.ndarray:
    """The cosine that `differing_bits` of `bits` speak for: the chance of a differing bit is angle / pi."""
    return np.cos(np.pi * differing_bits / bits)


def _probes_of_table(table: int, bucket_key: int, margins: np.ndarray) -> Iterator[Probe]:
    """The buckets of one table by rising cost: sets of flipped bits, each grown from a cheaper one.

    From a set whose costliest bit is b come two: with the next costlier bit beside b, and with it in b's
    place (multi-probe LSH, Lv et al. 2007). So every set is reached once, and never before a cheaper one.
    """
    order = np.argsort(np.abs(margins), kind="stable")
    costs = [float(margins[bit]) ** 2 for bit in order]
    flips = [1 << int(bit) for bit in order]
    yield Probe(0.0, table, bucket_key)
    waiting = [(costs[0], flips[0], 0)]  # cost, bits to flip, place of the costliest of them in `order`
    while waiting:
        cost, flipped, last = heapq.heappop(waiting)
        yield Probe(cost, table, bucket_key ^ flipped)
        if last + 1 < len(flips):
            step = costs[last + 1]
            heapq.heappush(waiting, (cost + step, flipped | flips[last + 1], last + 1))
            replaced = flipped ^ flips[last] | flips[last + 1]
            heapq.heappush(waiting, (cost - costs[last] + step, replaced, last + 1))
