"""The ways to find neighbours that are measured against each other, each behind the same five methods, on one thread.

`build` makes and saves an index, `open` reads it, in another process; `set_budget` says how hard `search` tries, and
budgets rise. All get unit vectors; the numbers that a search answers with are the rows of what was built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import hnswlib
import numpy as np
import voyager
from annoy import AnnoyIndex
from shard_peer import ShardPeer
from usearch.index import Index as USearchIndex

faiss.omp_set_num_threads(1)

HNSW_BUDGETS = tuple(round(10 * 2 ** (step / 2)) for step in range(15))  # 10 to 1,280
GRAPH_M, GRAPH_EF_CONSTRUCTION = 16, 200


class AnnoyPeer:
    """A forest with more trees than a shard's, which is what Annoy needs to do well."""

    N_TREES = 50
    budgets = tuple(round(125 * 2 ** (step / 2)) for step in range(22))  # 125 to 181,000

    def __init__(self, dimensions: int, metric: str) -> None:
        self._forest = AnnoyIndex(dimensions, metric)  # type: ignore[arg-type]

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Grow and save it."""
        for row, vector in enumerate(vectors):
            self._forest.add_item(row, vector)
        self._forest.build(self.N_TREES, n_jobs=1)
        self._forest.save(str(place))

    def open(self, place: Path) -> None:
        """Map it, and read it in."""
        self._forest.load(str(place), prefault=True)

    def set_budget(self, budget: int) -> None:
        """Nodes to look at (`search_k`)."""
        self._search_k = budget

    def search(self, query: np.ndarray, k: int) -> list[int]:
        """Rows."""
        return self._forest.get_nns_by_vector(query, k, self._search_k)


class HnswlibPeer:
    """The graph that others are measured by."""

    budgets = HNSW_BUDGETS

    def __init__(self, dimensions: int) -> None:
        self._graph = hnswlib.Index("ip", dimensions)

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Insert one after the other, and save."""
        self._graph.init_index(len(vectors), M=GRAPH_M, ef_construction=GRAPH_EF_CONSTRUCTION)
        self._graph.add_items(vectors, num_threads=1)
        self._graph.save_index(str(place))

    def open(self, place: Path) -> None:
        """Read it into memory."""
        self._graph.load_index(str(place))
        self._graph.set_num_threads(1)

    def set_budget(self, budget: int) -> None:
        """Candidates to keep (`ef`)."""
        self._graph.set_ef(budget)

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Rows."""
        return self._graph.knn_query(query[None], k)[0][0]


class FaissHnswPeer:
    """faiss's graph, with twice the links that hnswlib gets and its own shorter construction."""

    M, EF_CONSTRUCTION = 32, 80
    budgets = HNSW_BUDGETS

    def __init__(self, dimensions: int) -> None:
        self._graph = faiss.IndexHNSWFlat(dimensions, self.M, faiss.METRIC_INNER_PRODUCT)

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Insert all, and save."""
        self._graph.hnsw.efConstruction = self.EF_CONSTRUCTION
        self._graph.add(vectors)
        faiss.write_index(self._graph, str(place))

    def open(self, place: Path) -> None:
        """Read it into memory."""
        self._graph = faiss.read_index(str(place))

    def set_budget(self, budget: int) -> None:
        """Candidates to keep (`efSearch`)."""
        self._graph.hnsw.efSearch = budget

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Rows."""
        return self._graph.search(query[None], k)[1][0]


class FaissIvfPqPeer:
    """Lists of 4-bit codes scanned in registers, and an exact look at the best of them."""

    budgets = tuple((nprobe, refined) for nprobe in (2, 4, 8, 16, 32, 64, 128, 256) for refined in (10, 30))

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Train on the vectors themselves, add them, and save."""
        list_count = 2 ** round(np.log2(4 * len(vectors) ** 0.5))
        index = faiss.index_factory(self._dimensions, f"IVF{list_count},PQ{self._dimensions // 2}x4fs,RFlat")
        index.train(vectors)
        index.add(vectors)
        faiss.write_index(index, str(place))

    def open(self, place: Path) -> None:
        """Read it into memory."""
        self._index = faiss.read_index(str(place))
        self._lists = faiss.extract_index_ivf(self._index)

    def set_budget(self, budget: tuple[int, int]) -> None:
        """Lists to look through (`nprobe`), and how many times `k` to look at exactly."""
        self._lists.nprobe, self._index.k_factor = budget

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Rows."""
        return self._index.search(query[None], k)[1][0]


class USearchPeer:
    """A graph over float16, which holds these vectors without loss and is its fastest."""

    budgets = HNSW_BUDGETS

    def __init__(self, dimensions: int) -> None:
        self._graph = USearchIndex(
            ndim=dimensions, metric="ip", dtype="f16", connectivity=GRAPH_M, expansion_add=GRAPH_EF_CONSTRUCTION
        )

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Insert all, and save."""
        self._graph.add(np.arange(len(vectors)), vectors, threads=1)
        self._graph.save(str(place))

    def open(self, place: Path) -> None:
        """Read it into memory."""
        self._graph.load(str(place))

    def set_budget(self, budget: int) -> None:
        """Candidates to keep (`expansion_search`)."""
        self._graph.expansion_search = budget

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Rows."""
        return self._graph.search(query, k, threads=1).keys


class VoyagerPeer:
    """Spotify's successor of Annoy, a graph."""

    budgets = HNSW_BUDGETS

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions

    def build(self, vectors: np.ndarray, place: Path) -> None:
        """Insert all, and save."""
        graph = voyager.Index(voyager.Space.Cosine, self._dimensions, M=GRAPH_M, ef_construction=GRAPH_EF_CONSTRUCTION)
        graph.add_items(vectors, num_threads=1)
        graph.save(str(place))

    def open(self, place: Path) -> None:
        """Read it into memory."""
        self._graph = voyager.Index.load(str(place))

    def set_budget(self, budget: int) -> None:
        """Candidates to keep (`query_ef`)."""
        self._ef = budget

    def search(self, query: np.ndarray, k: int) -> np.ndarray:
        """Rows."""
        return self._graph.query(query, k, query_ef=self._ef)[0]


Peer = ShardPeer | AnnoyPeer | HnswlibPeer | FaissHnswPeer | FaissIvfPqPeer | USearchPeer | VoyagerPeer

SHARD, COMPACT, HNSWLIB, ANNOYS = "shard", "shard, one segment", "hnswlib", ("Annoy angular", "Annoy euclidean")
PEERS: dict[str, Callable[[int], Peer]] = {
    SHARD: ShardPeer,
    COMPACT: lambda dimensions: ShardPeer(dimensions, is_compact=True),
    ANNOYS[0]: lambda dimensions: AnnoyPeer(dimensions, "angular"),
    ANNOYS[1]: lambda dimensions: AnnoyPeer(dimensions, "euclidean"),
    HNSWLIB: HnswlibPeer,
    "faiss HNSW": FaissHnswPeer,
    "faiss IVF-PQ, refined": FaissIvfPqPeer,
    "usearch": USearchPeer,
    "voyager": VoyagerPeer,
}
SMALL_ONLY: Sequence[str] = ("usearch", "voyager")  # measured at 100,000 and below
SMALL_ROWS_MAX = 100_000
