"""A shard as the benchmarks build it and ask it, by its public interface alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  (the project must be on the path first)

from stream_app.index.shard import Shard, ShardSettings  # noqa: E402
from stream_app.versions import Version  # noqa: E402

BATCH_ROWS = 1_000
COMPILED_ROWS = 20_000  # so many that every kind of segment occurs


class ShardAsker:
    """Asks a shard for a recall."""

    #: None: as a shard is set when nobody says anything.
    BUDGETS: tuple[float | None, ...] = (None, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._wished: dict[str, Any] = {}

    def set_budget(self, budget: float | None) -> None:
        """The recall that the next searches wish for; None for the default."""
        self._wished["recall"] = budget

    def say_outside(self, is_outside: bool) -> None:
        """Whether the next queries are such as lie where no vectors do."""
        self._wished["outside"] = is_outside

    def search(self, query: np.ndarray, k: int) -> list[int]:
        """The photo ids of the hits."""
        return [hit.photo_id for hit in self._shard.search(query, k, **self._wished)]


class ShardPeer:
    """A shard filled in batches and merged until there is nothing to merge, as a stream leaves it.

    With `is_compact` it is filled at once: one segment, built once. `outside_queries` are examples for the shard of
    queries that lie where no vectors do.
    """

    budgets = ShardAsker.BUDGETS

    def __init__(self, dimensions: int, *, is_compact: bool = False) -> None:
        self._dimensions, self._is_compact = dimensions, is_compact
        self.outside_queries: np.ndarray | None = None

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Fill and close a shard."""
        settings = ShardSettings()
        if self._is_compact:
            settings = replace(settings, memtable_vectors_max=len(vectors) + 1)
        shard = open_shard(place, self._dimensions, settings, self.outside_queries)
        fill(shard, vectors)
        settle(shard)
        shard.close()

    def open(self, place: Path) -> None:
        """Map the files."""
        asker = ShardAsker(open_shard(place, self._dimensions))
        self.set_budget, self.search, self.say_outside = asker.set_budget, asker.search, asker.say_outside


def open_shard(
    place: Path, dimensions: int, settings: ShardSettings | None = None, outside_queries: np.ndarray | None = None
) -> Shard:
    """The shard in a folder."""
    return Shard(place, dimensions=dimensions, space_id="bench", settings=settings, outside_queries=outside_queries)


def fill(shard: Shard, vectors: np.ndarray, first: int = 0) -> None:
    """Add in batches, as photos with the ids from `first` on; seal when the shard wants it, and merge."""
    for start in range(0, len(vectors), BATCH_ROWS):
        add(shard, vectors[start : start + BATCH_ROWS], first + start)
        if shard.needs_seal():
            settle(shard)


def add(shard: Shard, vectors: np.ndarray, first: int) -> None:
    """One batch, as photos with the ids from `first` on."""
    ids = range(first, first + len(vectors))
    shard.add_many(ids, [Version(1, 0, 0, each) for each in ids], vectors)


def settle(shard: Shard) -> None:
    """Seal, and merge until there is nothing to merge."""
    shard.seal()
    while shard.merge_once():
        pass


def compile_shard(place: Path, vectors: np.ndarray) -> None:
    """Fill and ask a shard: what numba compiles is kept on the disk, and nothing that is measured is to pay for it."""
    shard = open_shard(place, vectors.shape[1])
    fill(shard, vectors)
    settle(shard)
    shard.search(vectors[0], 10)
    shard.close()
