"""The ways to keep an index up to date that are measured against each other, each behind the same few methods.

Every way updates itself as its library would have it, on the thread that calls, except the shard, which merges in the
background as a worker does.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from annoy import AnnoyIndex
from graph_streams import FaissHnswStream, HnswlibStream, USearchStream
from shard_peer import ShardAsker
from stream_peer import Labels, StreamPeer

from stream_app.index.shard import Shard
from stream_app.versions import Version

MERGE_PAUSE_SECONDS = 0.02


class ShardStream(StreamPeer):
    """Sealed when it wants to be; merges run in a thread of their own and, from there, in a child process."""

    budgets = (None,)

    def __init__(self, dimensions: int) -> None:
        self._place = tempfile.TemporaryDirectory()
        self._shard = Shard(Path(self._place.name), dimensions=dimensions, space_id="bench")
        self._asker, self._changes, self._ended = ShardAsker(self._shard), 0, threading.Event()
        self.set_budget, self.search = self._asker.set_budget, self._asker.search
        self._merging = threading.Thread(target=self._merge)
        self._merging.start()

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add a batch."""
        self._changes += 1
        self._shard.add_many(photo_ids.tolist(), [Version(self._changes, 0, 0, 0)] * len(photo_ids), vectors)
        if self._shard.needs_seal():
            self._shard.seal(self._changes)

    def remove(self, photo_ids: np.ndarray) -> None:
        """As a batch."""
        self._changes += 1
        self._shard.remove_many(photo_ids.tolist(), [Version(self._changes, 1, 0, 0)] * len(photo_ids))

    def replace(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """A newer version is a replacement."""
        self.insert(photo_ids, vectors)

    def close(self) -> None:
        """Merge until there is nothing to merge."""
        self._ended.set()
        self._merging.join()
        self._shard.seal(self._changes)
        while self._shard.merge_once():
            pass
        self._shard.close()
        self._place.cleanup()

    def _merge(self) -> None:
        while not self._ended.wait(MERGE_PAUSE_SECONDS):
            self._shard.merge_once()


class FaissIvfStream(StreamPeer):
    """Lists of vectors, which take additions and removals; trained anew, on what is there, at four times the size."""

    budgets = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
    GROWTH_MAX, PER_CENTROID = 4, 64

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self._index, self._trained_for = None, 0

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add, after training when it is time."""
        count = (self._index.ntotal if self._index else 0) + len(photo_ids)
        if count > self.GROWTH_MAX * self._trained_for:
            there_ids, there = self._everything()
            photo_ids, vectors = np.concatenate([there_ids, photo_ids]), np.concatenate([there, vectors])
            self._train(vectors)
        self._index.add_with_ids(vectors, photo_ids)

    def remove(self, photo_ids: np.ndarray) -> None:
        """Take out of the lists."""
        self._index.remove_ids(photo_ids)

    def set_budget(self, budget: int) -> None:
        """`nprobe`."""
        self._index.nprobe = budget

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Photo ids."""
        return self._index.search(query[None], k)[1][0]

    def _train(self, vectors: np.ndarray) -> None:
        self._trained_for, list_count = len(vectors), max(16, round(4 * len(vectors) ** 0.5))
        self._quantizer = faiss.IndexFlatIP(self._dimensions)
        self._index = faiss.IndexIVFFlat(self._quantizer, self._dimensions, list_count, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.max_points_per_centroid = self.PER_CENTROID
        self._index.train(vectors)

    def _everything(self) -> tuple[np.ndarray, np.ndarray]:
        found = [(np.empty(0, np.int64), np.empty((0, self._dimensions), np.float32))]
        lists = self._index.invlists if self._index else None
        for number in range(lists.nlist if lists else 0):
            if size := lists.list_size(number):
                codes = faiss.rev_swig_ptr(lists.get_codes(number), size * lists.code_size)
                ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
                found.append((ids.copy(), codes.view(np.float32).reshape(size, -1).copy()))
        return np.concatenate([ids for ids, _ in found]), np.concatenate([vectors for _, vectors in found])


class AnnoyStream(StreamPeer):
    """A forest grown anew after so many changes; what has come since is scanned, what has gone is filtered out."""

    CHANGES_MAX, N_TREES = 10_000, 20
    budgets = tuple(round(250 * 2 ** (step / 2)) for step in range(18))

    def __init__(self, dimensions: int, metric: str) -> None:
        super().__init__(dimensions)
        self._metric, self._changes = metric, 0
        self._labels, self._vectors = Labels(), np.empty((1024, dimensions), np.float32)
        self._grow()

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Keep for the scan, or grow a forest."""
        labels = self._labels.add(photo_ids)
        if len(self._labels) > len(self._vectors):
            spare = np.empty((max(len(labels), len(self._vectors)), self._dimensions), np.float32)
            self._vectors = np.concatenate([self._vectors, spare])
        self._vectors[labels] = vectors
        self._count_changes(len(photo_ids))

    def remove(self, photo_ids: np.ndarray) -> None:
        """Filter, or grow a forest."""
        self._labels.drop(photo_ids)
        self._count_changes(len(photo_ids))

    def search(self, query: np.ndarray, k: int) -> list[int]:
        """Photo ids."""
        rows = self._forest.get_nns_by_vector(query, 2 * k, self._budget) if self._grown else []
        fresh = self._vectors[self._grown : len(self._labels)] @ query
        best = np.argpartition(-fresh, 2 * k)[: 2 * k] if len(fresh) > 2 * k else np.arange(len(fresh))
        labels = np.concatenate([np.array(rows, np.int64), best + self._grown])
        scores = self._vectors[labels] @ query
        photos = self._labels.photos(labels[np.argsort(-scores)])
        order = labels[np.argsort(-scores)].tolist()
        return [photo for photo, label in zip(photos, order, strict=True) if self._is_live(photo, label)][:k]

    def _is_live(self, photo_id: int, label: int) -> bool:
        return self._labels.label_of.get(photo_id) == label

    def _count_changes(self, count: int) -> None:
        self._changes += count
        if self._changes >= self.CHANGES_MAX:
            self._grow()

    def _grow(self) -> None:
        kept = np.array(sorted(self._labels.label_of.values()), np.int64)
        photos = np.array(self._labels.photos(kept), np.int64)
        self._vectors[: len(kept)] = self._vectors[kept]
        self._labels, self._changes = Labels(), 0
        self._grown = len(self._labels.add(photos))
        self._forest = AnnoyIndex(self._dimensions, self._metric)  # type: ignore[arg-type]
        for row in range(self._grown):
            self._forest.add_item(row, self._vectors[row])
        if self._grown:
            self._forest.build(self.N_TREES, n_jobs=1)


SHARD = "shard"
PEERS: dict[str, Callable[[int], StreamPeer]] = {
    SHARD: ShardStream,
    "hnswlib, places reused": lambda dimensions: HnswlibStream(dimensions, reuses=True),
    "hnswlib, marked only": lambda dimensions: HnswlibStream(dimensions, reuses=False),
    "faiss HNSW, rebuilt": FaissHnswStream,
    "faiss IVF, retrained": FaissIvfStream,
    "usearch": USearchStream,
    "Annoy euclidean, rebuilt": lambda dimensions: AnnoyStream(dimensions, "euclidean"),
    "Annoy angular, rebuilt": lambda dimensions: AnnoyStream(dimensions, "angular"),
}
