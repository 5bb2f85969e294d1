"""Locality-sensitive hashing: near vectors share bucket keys, and signatures estimate their cosine.

Planes are random and follow from a seed, so that every worker cuts the same buckets without asking another, until
`stream_app.index.fitting` has fitted better ones to the photos that there are.
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


def bits_for(photo_count: int, *, bucket_photos: int = 4) -> int:
    """Bits of a bucket key that leave about `bucket_photos` of `photo_count` photos in a bucket."""
    bits = round(np.log2(max(1, photo_count) / bucket_photos))
    return max(BITS_PER_KEY_MIN, min(BITS_PER_KEY_MAX, bits))


class Hyperplanes:
    """The planes of `table_count` hash tables; a vector's side of a table's planes is its bucket key there.

    A table has `depth` planes. The first `bits_per_key` of them cut its buckets; the others are there to cut those
    that grow too large (LSH Forest, Bawa et al. 2005). `layout_id` names this way of cutting buckets: keys of
    different layouts mean different things.
    """

    kind = "random"

    def __init__(
        self,
        dimensions: int,
        *,
        bits_per_key: int = 12,
        table_count: int = TABLE_COUNT,
        seed: int = 1,
        depth: int | None = None,
    ) -> None:
        depth = bits_per_key if depth is None else depth
        if not BITS_PER_KEY_MIN <= bits_per_key <= depth <= BITS_PER_KEY_MAX:
            raise ValueError(
                f"bits_per_key and depth must be {BITS_PER_KEY_MIN} to {BITS_PER_KEY_MAX}, not {bits_per_key}, {depth}"
            )
        self.dimensions, self.bits_per_key, self.depth = dimensions, bits_per_key, depth
        self.table_count = table_count
        described = f"random-2:{dimensions}:{bits_per_key}:{depth}:{table_count}:{seed}"
        self.layout_id = hashlib.sha256(described.encode()).hexdigest()[:8]
        generator = np.random.default_rng(seed)
        normals = generator.standard_normal((table_count * depth, dimensions))
        self._planes = (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
        self._thresholds = np.zeros(len(normals), np.float32)

    @property
    def normals(self) -> np.ndarray:
        """Unit normals of the planes, float32 [tables * depth, dimensions], table by table."""
        return self._planes

    @property
    def thresholds(self) -> np.ndarray:
        """How far from the origin each plane lies along its normal, float32 [tables * depth]."""
        return self._thresholds

    def margins(self, vectors: np.ndarray) -> np.ndarray:
        """Signed distances of vectors float32 [n, dimensions] from the buckets' planes: float32 [n, tables, bits]."""
        return self.all_margins(vectors)[:, :, : self.bits_per_key]

    def all_margins(self, vectors: np.ndarray) -> np.ndarray:
        """The same, for all planes of each table: float32 [n, tables, depth]."""
        distances = vectors @ self._planes.T - self._thresholds
        return distances.reshape(len(vectors), self.table_count, self.depth)

    def bucket_keys(self, vectors: np.ndarray) -> np.ndarray:
        """The bucket key of each vector in each table: uint64 [n, tables]."""
        return keys_of(self.margins(vectors))

    def probes(self, vector: np.ndarray) -> Iterator[Probe]:
        """Every bucket of every table, likeliest first: its own, then those across its nearest planes."""
        margins = self.margins(vector[None, :])
        keys = keys_of(margins)[0]
        tables = [_probes_of_table(table, int(keys[table]), margins[0, table]) for table in range(self.table_count)]
        return heapq.merge(*tables)


class FittedPlanes(Hyperplanes):
    """Planes as `stream_app.index.fitting` found them; the layout's name follows from every number in them."""

    kind = "fitted"

    def __init__(self, normals: np.ndarray, thresholds: np.ndarray, *, bits_per_key: int, table_count: int) -> None:
        self.dimensions, self.bits_per_key, self.table_count = normals.shape[1], bits_per_key, table_count
        self.depth = len(normals) // table_count
        self._planes, self._thresholds = normals.astype("<f4"), thresholds.astype("<f4")
        digest = hashlib.sha256(f"fitted-1:{bits_per_key}:{table_count}:{normals.shape}".encode())
        digest.update(self._planes.tobytes() + self._thresholds.tobytes())
        self.layout_id = digest.hexdigest()[:8]


def keys_of(margins: np.ndarray) -> np.ndarray:
    """Keys uint64 [...] of margins [..., bits]: bit number b is set where margin b is positive."""
    powers = np.uint64(1) << np.arange(margins.shape[-1], dtype=np.uint64)
    return ((margins > 0) * powers).sum(axis=-1, dtype=np.uint64)


class Signatures:
    """One bit for each of many planes; orthogonal planes estimate angles better than random ones."""

    def __init__(self, dimensions: int, *, bits: int = SIGNATURE_BITS, seed: int = 1) -> None:
        if bits % 32 or bits < 32:
            raise ValueError(f"bits must be a multiple of 32, not {bits}")
        self.bits = bits
        generator = np.random.default_rng(seed)
        blocks = []
        for _ in range(-(-bits // dimensions)):
            orthogonal, upper = np.linalg.qr(generator.standard_normal((dimensions, dimensions)))
            # Without these signs the rotations are not uniform, and the estimate has a bias.
            blocks.append((orthogonal * np.sign(np.diag(upper))).T)
        self._planes = np.concatenate(blocks)[:bits].astype(np.float32)

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """The signatures of vectors float32 [n, dimensions]: uint64 [n, bits / 64, rounded up]."""
        packed = np.packbits(vectors @ self._planes.T > 0, axis=1)
        whole = np.zeros((len(packed), -(-self.bits // 64) * 8), np.uint8)
        whole[:, : packed.shape[1]] = packed
        return whole.view(np.uint64)

    def cosines(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The estimated cosines between signatures (broadcast against each other)."""
        return cosine_estimate(hamming(one, other), self.bits)


def hamming(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Differing bits between signatures uint64 [..., words]."""
    return np.bitwise_count(one ^ other).sum(axis=-1, dtype=np.int64)


def cosine_estimate(differing_bits: np.ndarray, bits: int) -> np.ndarray:
    """The cosine that `differing_bits` of `bits` speak for: the chance of a differing bit is angle / pi."""
    return np.cos(np.pi * differing_bits / bits)


def cosine_error(one: np.ndarray, other: np.ndarray, bits: int) -> float:
    """Root mean square error of the estimated cosines of pairs of unit vectors float32 [n, dimensions]."""
    signatures = Signatures(one.shape[1], bits=bits)
    estimates = signatures.cosines(signatures.of(one), signatures.of(other))
    return float(np.sqrt(np.mean((estimates - np.einsum("ij,ij->i", one, other)) ** 2)))


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
