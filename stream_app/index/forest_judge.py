"""How well a layout cuts its buckets: their sizes, and how many candidates a search reads until it has its neighbours.

Nothing is sampled or timed: for every photo the judge knows the cost at which a search would reach it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream_app.index.lsh import Hyperplanes, keys_of

ROWS_AT_ONCE = 65_536


class _Table(NamedTuple):
    """The buckets of one table that have members, and the one of each photo."""

    prefixes: np.ndarray  # uint64 [buckets]
    depths: np.ndarray  # int64 [buckets]
    sizes: np.ndarray  # int64 [buckets]
    bucket_of: np.ndarray  # int64 [photos]


class Forest:
    """The buckets of unit vectors float32 [n, dimensions]; those above `bucket_photos_max` are cut as in Redis."""

    def __init__(self, planes: Hyperplanes, vectors: np.ndarray, *, bucket_photos_max: int | None = None) -> None:
        self._planes = planes
        slices = range(0, len(vectors), ROWS_AT_ONCE)
        keys = [keys_of(planes.all_margins(vectors[start : start + ROWS_AT_ONCE])) for start in slices]
        most = len(vectors) if bucket_photos_max is None else bucket_photos_max
        self._tables = [_cut(column, planes.bits_per_key, planes.depth, most) for column in np.concatenate(keys).T]

    def sizes(self) -> list[np.ndarray]:
        """For each table the members of its buckets, without the empty ones."""
        return [table.sizes for table in self._tables]

    def empty_share(self) -> float:
        """The share of buckets without a member, of all that were cut."""
        cut = sum(_bucket_count(table, self._planes.bits_per_key) for table in self._tables)
        return 1 - sum(len(table.sizes) for table in self._tables) / cut

    def candidates_until(self, queries: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Distinct photos that a search has read when it meets each wanted one: int64, in the shape of `wanted`.

        `wanted` is int64 [queries, k], rows of the vectors; the bucket that holds one is counted whole.
        """
        margins = self._planes.all_margins(queries)
        met = ((self._costs(each), rows) for each, rows in zip(margins, wanted, strict=True))
        return np.stack([np.searchsorted(np.sort(costs), costs[rows], side="right") for costs, rows in met])

    def _costs(self, margins: np.ndarray) -> np.ndarray:
        """What it costs the query with these margins [tables, depth] to reach each photo, by its cheapest table."""
        best: np.ndarray | None = None
        for table, of_table, own in zip(self._tables, margins, keys_of(margins), strict=True):
            crossed = table.prefixes ^ (own & _ones(table.depths))
            bits = (crossed[:, None] >> np.arange(margins.shape[1], dtype=np.uint64)) & np.uint64(1)
            costs = (bits.astype(np.float32) @ of_table**2)[table.bucket_of]
            best = costs if best is None else np.minimum(best, costs)
        assert best is not None
        return best


def recall_against_candidates(until: np.ndarray, budgets: list[int]) -> list[float]:
    """The share of wanted photos that are among the first so many candidates."""
    return [float((until <= budget).mean()) for budget in budgets]


def candidates_for(until: np.ndarray, recall: float) -> int:
    """Candidates that every search must read so that this share of the wanted photos is among them."""
    return int(np.sort(until, axis=None)[min(until.size - 1, int(np.ceil(recall * until.size)) - 1)])


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """Rows of the `k` nearest vectors of each query, best first: int64 [queries, k]."""
    scores = queries @ vectors.T
    rows = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return np.take_along_axis(rows, np.argsort(-np.take_along_axis(scores, rows, axis=1), axis=1), axis=1)


def _cut(keys: np.ndarray, bits: int, depth: int, most: int) -> _Table:
    nodes = keys & _ones(np.int64(bits))
    depths = np.full(len(keys), bits)
    for d in range(bits, depth):
        at = np.flatnonzero(depths == d)
        _, place, counts = np.unique(nodes[at], return_inverse=True, return_counts=True)
        grown = at[counts[place] > most]
        if not len(grown):
            break
        depths[grown] = d + 1
        nodes[grown] = keys[grown] & _ones(np.int64(d + 1))
    _, first, bucket_of, sizes = np.unique(
        nodes | np.uint64(1) << depths.astype(np.uint64), return_index=True, return_inverse=True, return_counts=True
    )
    return _Table(nodes[first], depths[first], sizes, bucket_of)


def _bucket_count(table: _Table, bits: int) -> int:
    """All buckets of a table, empty ones too: each cut makes one more."""
    inner = {
        int(prefix) & (1 << d) - 1 | 1 << d
        for prefix, depth in zip(table.prefixes, table.depths, strict=True)
        for d in range(bits, int(depth))
    }
    return (1 << bits) + len(inner)


def _ones(bits: np.ndarray | np.int64) -> np.ndarray:
    return (np.uint64(1) << np.asarray(bits).astype(np.uint64)) - np.uint64(1)
