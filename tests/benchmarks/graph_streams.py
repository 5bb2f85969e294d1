"""Graphs that are kept up to date as their libraries would have it, on the thread that calls."""

from __future__ import annotations

import faiss
import hnswlib
import numpy as np
from index_peers import GRAPH_EF_CONSTRUCTION, GRAPH_M
from stream_peer import Labels, StreamPeer
from usearch.index import Index as USearchIndex


class HnswlibStream(StreamPeer):
    """Removed photos are marked; their places are given to new ones where `reuses`, and kept otherwise."""

    def __init__(self, dimensions: int, *, reuses: bool) -> None:
        self._labels, self._reuses, self._room = Labels(), reuses, 16_384
        self._graph = hnswlib.Index("ip", dimensions)
        self._graph.init_index(
            self._room, M=GRAPH_M, ef_construction=GRAPH_EF_CONSTRUCTION, allow_replace_deleted=reuses
        )

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add, with more room when it gets tight."""
        if self._graph.get_current_count() + len(photo_ids) > self._room:
            self._room *= 2
            self._graph.resize_index(self._room)
        labels = self._labels.add(photo_ids)
        self._graph.add_items(vectors, labels, num_threads=1, replace_deleted=self._reuses)

    def remove(self, photo_ids: np.ndarray) -> None:
        """Mark as deleted."""
        for label in self._labels.drop(photo_ids).tolist():
            self._graph.mark_deleted(label)

    def set_budget(self, budget: int) -> None:
        """`ef`; building sets the number of threads anew."""
        self._graph.set_ef(budget)
        self._graph.set_num_threads(1)

    def search(self, query: np.ndarray, k: int) -> list[int]:
        """Photo ids; none when too many of the candidates are deleted."""
        try:
            return self._labels.photos(self._graph.knn_query(query[None], k)[0][0].astype(np.int64))
        except RuntimeError:
            return []


class FaissHnswStream(StreamPeer):
    """A graph that cannot forget: the dead are filtered out, and it is built anew when more than a quarter are."""

    DEAD_SHARE_MAX = 0.25

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self._begin()

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add to the graph."""
        labels = self._labels.add(photo_ids)
        if len(self._labels) > len(self._lives):
            self._lives = np.concatenate([self._lives, np.zeros(max(len(labels), len(self._lives)), bool)])
        self._lives[labels] = True
        self._graph.add(vectors)
        self._changed()

    def remove(self, photo_ids: np.ndarray) -> None:
        """Filter, or build anew."""
        self._lives[self._labels.drop(photo_ids)] = False
        if len(self._labels.label_of) < (1 - self.DEAD_SHARE_MAX) * len(self._labels):
            kept = np.array(sorted(self._labels.label_of.values()), np.int64)
            photos, vectors = self._labels.photos(kept), self._graph.reconstruct_n(0, len(self._labels))[kept]
            self._begin()
            self.insert(np.array(photos), vectors)
        self._changed()

    def set_budget(self, budget: int) -> None:
        """`efSearch`."""
        self._parameters = faiss.SearchParametersHNSW(efSearch=budget, sel=self._selector)

    def search(self, query: np.ndarray, k: int) -> list[int]:
        """Photo ids."""
        return self._labels.photos(self._graph.search(query[None], k, params=self._parameters)[1][0])

    def _begin(self) -> None:
        self._labels, self._lives = Labels(), np.zeros(1024, bool)
        self._graph = faiss.IndexHNSWFlat(self._dimensions, GRAPH_M, faiss.METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = 80

    def _changed(self) -> None:
        self._bits = np.packbits(self._lives, bitorder="little")
        self._selector = faiss.IDSelectorBitmap(self._bits)


class USearchStream(StreamPeer):
    """A graph that removes and adds by itself."""

    def __init__(self, dimensions: int) -> None:
        self._graph = USearchIndex(
            ndim=dimensions, metric="ip", dtype="f16", connectivity=GRAPH_M, expansion_add=GRAPH_EF_CONSTRUCTION
        )

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add."""
        self._graph.add(photo_ids, vectors, threads=1)

    def remove(self, photo_ids: np.ndarray) -> None:
        """Take out."""
        self._graph.remove(photo_ids, threads=1)

    def set_budget(self, budget: int) -> None:
        """`expansion_search`."""
        self._graph.expansion_search = budget

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Photo ids."""
        return self._graph.search(query, k, threads=1).keys.astype(np.int64)
