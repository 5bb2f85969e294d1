"""A shard against Annoy and hnswlib on the same vectors: queries per second at a recall, build time, and size.

    python tests/benchmarks/bench_index.py [ROWS] [VECTORS.npy]      (needs `pip install hnswlib`)

Without a file the vectors are a mixture of clusters, 200-D; queries are never indexed. Each way is asked one query at a
time by one thread, with budgets that rise until its recall@10 is above .99, three rounds in turns, medians. The shard's
whole search is measured, from a vector to hits with versions; of the others the bare library call.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import hnswlib  # noqa: E402  (the project must be on the path first)
import numpy as np  # noqa: E402
from annoy import AnnoyIndex  # noqa: E402

from stream_app.index.shard import Shard, ShardSettings  # noqa: E402
from stream_app.versions import Version  # noqa: E402

K, ROUNDS, QUERIES, RECALLS = 10, 3, 500, (0.9, 0.95, 0.99)
Ask = Callable[[np.ndarray], list[int]]


def main() -> None:
    """Build all, measure all, and print a table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    given = np.load(sys.argv[2]).astype(np.float32) if len(sys.argv) > 2 else mixture(rows + QUERIES)
    vectors, queries = given[:rows], given[rows : rows + QUERIES]
    vectors = vectors.astype(np.float16).astype(np.float32)
    truth = np.concatenate([np.argsort(-(part @ vectors.T), axis=1)[:, :K] for part in np.array_split(queries, 10)])
    print(f"{len(vectors):,} vectors x {vectors.shape[1]}, {len(queries)} queries\n")
    print("| way | build CPU s | MB on disk | " + " | ".join(f"q/s at recall {each:g}" for each in RECALLS) + " |")
    print("| --- | ---: | ---: | " + " | ".join("---:" for _ in RECALLS) + " |")
    with tempfile.TemporaryDirectory() as folder:
        for name, build in WAYS.items():
            begun, place = time.process_time() + _children(), Path(folder) / name.replace(" ", "-")
            budgets = build(vectors, place)
            cpu = time.process_time() + _children() - begun
            size = sum(each.stat().st_size for each in (place.rglob("*") if place.is_dir() else [place])) / 1e6
            curve = [_measure(ask, queries, truth) for ask in budgets]
            speeds = [max((speed for recall, speed in curve if recall >= least), default=0.0) for least in RECALLS]
            print(
                f"| {name} | {cpu:.0f} | {size:.0f} | " + " | ".join(f"{each:,.0f}" for each in speeds) + " |",
                flush=True,
            )


def mixture(count: int) -> np.ndarray:
    """Unit vectors round one centre for each hundred, float32 [count, 200]."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((max(1, count // 100), 200)).astype(np.float32)
    spread = 0.7 * random.standard_normal((count, 200)).astype(np.float32)
    vectors = centres[random.integers(0, len(centres), count)] + spread
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def shard(vectors: np.ndarray, place: Path) -> Iterator[Ask]:
    """Filled in batches and merged until there is nothing to merge, as a stream would leave it."""
    built = Shard(place, dimensions=vectors.shape[1], space_id="bench")
    for start in range(0, len(vectors), 10_000):
        ids = range(start, min(start + 10_000, len(vectors)))
        built.add_many(ids, [Version(1, 0, 0, each) for each in ids], vectors[start : start + 10_000])
        built.seal(start + 10_000)
        while built.merge_once():
            pass
    usual = built.settings
    return (_of_shard(built, replace(usual, search_k=budget)) for budget in _budgets())


def _of_shard(built: Shard, settings: ShardSettings) -> Ask:
    def ask(query: np.ndarray) -> list[int]:
        built.settings = settings
        return [hit.photo_id for hit in built.search(query, K)]

    return ask


def annoy(metric: str) -> Callable[[np.ndarray, Path], Iterator[Ask]]:
    """With as many trees as a shard's forests."""

    def build(vectors: np.ndarray, place: Path) -> Iterator[Ask]:
        forest = AnnoyIndex(vectors.shape[1], metric)  # type: ignore[arg-type]
        for row, vector in enumerate(vectors):
            forest.add_item(row, vector)
        forest.build(ShardSettings().n_trees, n_jobs=1)
        forest.save(str(place))
        return (
            lambda query, budget=budget: forest.get_nns_by_vector(query, K, budget)  # type: ignore[misc]
            for budget in _budgets()
        )

    return build


def hnsw(vectors: np.ndarray, place: Path) -> Iterator[Ask]:
    """M 16, ef_construction 200."""
    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=16, ef_construction=200)
    graph.add_items(vectors, num_threads=1)
    graph.save_index(str(place))
    graph.set_num_threads(1)

    def ask_with(ef: int) -> Ask:
        def ask(query: np.ndarray) -> list[int]:
            graph.set_ef(ef)
            return list(graph.knn_query(query[None], K)[0][0])

        return ask

    return (ask_with(ef) for ef in (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320))


WAYS: dict[str, Callable[[np.ndarray, Path], Iterator[Ask]]] = {
    "shard": shard,
    "Annoy euclidean": annoy("euclidean"),
    "Annoy angular": annoy("angular"),
    "hnswlib": hnsw,
}


def _budgets() -> list[int]:
    return [round(250 * 2 ** (step / 2)) for step in range(16)]


def _measure(ask: Ask, queries: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    found = [ask(query) for query in queries]
    recall = float(np.mean([len({*ours} & {*right}) / K for ours, right in zip(found, truth.tolist(), strict=True)]))
    speeds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for query in queries:
            ask(query)
        speeds.append(len(queries) / (time.perf_counter() - begun))
    return recall, statistics.median(speeds)


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
