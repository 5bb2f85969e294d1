"""Recall while it runs: now and then a query is asked twice, as searches ask it and exactly, and the two compared."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.index.measured_recall import recall_at_k, stored_vector
from stream_app.index.shard import Shard
from stream_app.index.snapshot import Search, Snapshot
from stream_app.live_index import Asked
from stream_app.metrics import SEARCH_RECALL

K = 10
KINDS = ("photo", "words")
#: A probe reads every vector of the shards that it looks at: so many rows at most, or one shard.
ROWS_MAX = 500_000
#: What is probed takes at most this share of one core.
COST_SHARE_MAX = 0.01
PAUSE_SECONDS_MIN = 10.0
#: Recalls that a mean is taken of: at ten neighbours each, its standard error is below .01.
SAMPLES_MAX = 60
SAMPLE_SECONDS_MAX = 900.0


class Sample(NamedTuple):
    """One recall, of queries by a photo or by words, and when it was measured."""

    kind: str
    recall: float
    time_s: float


class RecallProbe:
    """Measures queries that people asked, and photos by chance where nobody asked by a photo."""

    def __init__(self, wished: float, seed: int | None = None) -> None:
        self._wished = wished
        self._random = np.random.default_rng(seed)
        self._samples: deque[Sample] = deque(maxlen=len(KINDS) * SAMPLES_MAX)

    async def probe(self, shards: Sequence[Shard], asked: Sequence[Asked]) -> float:
        """Measure one query of each kind; returns for how many seconds it should then rest."""
        began = time.perf_counter()
        self._samples.extend(await asyncio.to_thread(self._measure, shards, list(asked)))
        for kind, (mean, _) in self.means().items():
            if mean is not None:
                SEARCH_RECALL.labels(kind).set(mean)
        return max(PAUSE_SECONDS_MIN, (time.perf_counter() - began) / COST_SHARE_MAX)

    def means(self) -> dict[str, tuple[float | None, int]]:
        """By kind the mean recall of the last minutes, None where nothing was measured, and of how many queries."""
        since = time.monotonic() - SAMPLE_SECONDS_MAX
        recent = {
            kind: [each.recall for each in self._samples if each.kind == kind and each.time_s >= since]
            for kind in KINDS
        }
        return {kind: (float(np.mean(each)) if each else None, len(each)) for kind, each in recent.items()}

    def _measure(self, shards: Sequence[Shard], asked: Sequence[Asked]) -> list[Sample]:
        snapshots = self._some([each.snapshot() for each in shards if len(each)])
        samples = []
        for kind in KINDS if snapshots else ():
            vector = self._query(kind, snapshots, asked)
            how = Search(None, self._wished, outside=kind == "words")
            recall = None if vector is None else recall_at_k(snapshots, vector, K, how)
            if recall is not None:
                samples.append(Sample(kind, recall, time.monotonic()))
        return samples

    def _some(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        """As many of them, in any order, as may be read whole; at least one where there is one."""
        chosen: list[Snapshot] = []
        rows = 0
        for place in self._random.permutation(len(snapshots)):
            now = snapshots[place]
            rows += sum(len(each.photo_ids) for each in (*now.memtables, *now.segments))
            if chosen and rows > ROWS_MAX:
                break
            chosen.append(now)
        return chosen

    def _query(self, kind: str, snapshots: Sequence[Snapshot], asked: Sequence[Asked]) -> np.ndarray | None:
        real = [vector for vector, is_word in asked if is_word == (kind == "words")]
        if real:
            return real[int(self._random.integers(len(real)))]
        return (
            stored_vector(snapshots[int(self._random.integers(len(snapshots)))], self._random)
            if kind == "photo"
            else None
        )
