"""Choosing how a segment is searched: by trying, on queries whose neighbours are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
from annoy import AnnoyIndex

from stream_app.index import sieve
from stream_app.index.effort import KEPT_NS, MET_NS, NEIGHBOURS, RECALLS, SCANNED_NS, VISIT_NS, Effort, Efforts
from stream_app.index.forest_reader import LAYOUTS, ForestReader
from stream_app.index.sieve import Sieve

#: Queries of each kind; the standard error of a recall of .95 at ten neighbours is then about .012.
QUERY_COUNT: Final = 64
SCAN_ROWS: Final = 8_192
SEARCH_K_STEPS: Final = tuple(round(100 * 1.5**step) for step in range(30))
KEPT_STEPS: Final = tuple(round(8 * 2 ** (step / 2)) for step in range(24))
#: Rows and trees on which the metrics are compared.
METRIC_ROWS, METRIC_TREES, METRIC_SEARCH_K = 10_000, 10, 500
MUCH_BETTER: Final = 1.03


class _Question(NamedTuple):
    query: np.ndarray  # float32 [dimensions]
    signature: np.ndarray  # uint64 [words]
    nearest: np.ndarray  # int64 [NEIGHBOURS[-1]]: rows, nearest first
    itself: int  # the row that the query was taken from, or -1


class _Try(NamedTuple):
    """One budget, on all questions: what it costs before anything is kept, and how many rows must be kept."""

    n_trees: int
    search_k: int
    cost_ns: float
    ranks: np.ndarray  # int64 [questions, NEIGHBOURS[-1]]


def efforts(
    vectors: np.ndarray, signatures: np.ndarray, forest: ForestReader | None, queries: np.ndarray | None = None
) -> Efforts:
    """The least effort for each number of neighbours and each recall.

    `vectors` are float16 [rows, dimensions]. Without `queries` (float32 [n, dimensions]) rows are asked for their
    neighbours beside themselves.
    """
    questions = _questions(vectors, signatures, queries)
    tries = list(_tries(questions, Sieve.of(signatures), forest))
    return {k: _least(tries, k) for k in NEIGHBOURS if k < len(vectors)}


def better_metric(vectors: np.ndarray, seed: int) -> str:
    """The metric whose trees find more for the same budget, tried on some of the `vectors`."""
    random = np.random.default_rng(seed)
    some = vectors[np.sort(random.choice(len(vectors), min(METRIC_ROWS, len(vectors)), replace=False))]
    questions = _questions(some, sieve.signatures(some.astype(np.float32)), None)
    found = {}
    with TemporaryDirectory() as folder:
        for metric in LAYOUTS:
            grow(some, Path(folder) / metric, metric, n_trees=METRIC_TREES, threads=1, seed=seed)
            forest = ForestReader(Path(folder) / metric, some.shape[1], metric)
            walks = [(each, forest.walk(each.query, METRIC_SEARCH_K).candidates) for each in questions]
            found[metric] = sum(np.isin(each.nearest[:10], candidates).sum() for each, candidates in walks)
    # Where both find as much, euclidean forests are built quicker.
    return "angular" if found["angular"] > MUCH_BETTER * found["euclidean"] else "euclidean"


def grow(vectors: np.ndarray, path: Path, metric: str, *, n_trees: int, threads: int, seed: int) -> None:
    """Build an Annoy forest of vectors float16 [rows, dimensions] and save it."""
    forest = AnnoyIndex(vectors.shape[1], metric)  # type: ignore[arg-type]
    forest.set_seed(seed)
    for start in range(0, len(vectors), SCAN_ROWS):
        # Lists: Annoy takes five times as long to read arrays.
        for ordinal, vector in enumerate(vectors[start : start + SCAN_ROWS].astype(np.float32).tolist(), start):
            forest.add_item(ordinal, vector)
    forest.build(n_trees, threads)
    forest.save(str(path))


def _questions(vectors: np.ndarray, signatures: np.ndarray, queries: np.ndarray | None) -> list[_Question]:
    if queries is None:
        rows = np.random.default_rng(0).choice(len(vectors), min(QUERY_COUNT, len(vectors)), replace=False)
        asked, asked_signatures = vectors[rows].astype(np.float32), signatures[rows]
    else:
        rows = np.full(min(QUERY_COUNT, len(queries)), -1)
        asked = queries[:QUERY_COUNT].astype(np.float32)
        asked_signatures = sieve.signatures(asked)
    nearest = _nearest(vectors, asked, rows)
    return [_Question(*each) for each in zip(asked, asked_signatures, nearest, rows.tolist(), strict=True)]


def _nearest(vectors: np.ndarray, asked: np.ndarray, itself: np.ndarray) -> np.ndarray:
    """int64 [questions, n]: the exact neighbours among all rows but `itself`, nearest first."""
    count = min(NEIGHBOURS[-1], len(vectors) - 1)
    scores, rows = np.empty((len(asked), 0), np.float32), np.empty((len(asked), 0), np.int64)
    for start in range(0, len(vectors), SCAN_ROWS):
        part = asked @ vectors[start : start + SCAN_ROWS].astype(np.float32).T
        here = np.flatnonzero((itself >= start) & (itself < start + part.shape[1]))
        part[here, itself[here] - start] = -np.inf
        scores = np.concatenate([scores, part], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(start, start + part.shape[1]), part.shape)], axis=1)
        best = np.argpartition(-scores, min(count, scores.shape[1] - 1), axis=1)[:, :count]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return np.take_along_axis(rows, np.argsort(-scores, axis=1), 1)


def _tries(questions: Sequence[_Question], known: Sieve, forest: ForestReader | None) -> Iterator[_Try]:
    scan_ns = SCANNED_NS * len(known.fine)
    yield _Try(0, 0, scan_ns, np.stack([_ranks(each, known, None) for each in questions]))
    if forest is None:
        return
    for n_trees in sorted({max(1, forest.tree_count // 2), forest.tree_count}):
        for search_k in SEARCH_K_STEPS:
            walks = [forest.walk(each.query, search_k, n_trees) for each in questions]
            cost_ns = VISIT_NS * float(np.mean([each.visits for each in walks])) + MET_NS * search_k
            if cost_ns > scan_ns:
                break  # looking at every signature finds more, and sooner
            ranks = [_ranks(each, known, walk.candidates) for each, walk in zip(questions, walks, strict=True)]
            yield _Try(n_trees, search_k, cost_ns, np.stack(ranks))


def _ranks(question: _Question, known: Sieve, candidates: np.ndarray | None) -> np.ndarray:
    ranks = sieve.ranks(known, question.signature, candidates, question.nearest)
    return ranks if question.itself < 0 else ranks - 1  # it is always kept, and nobody else's neighbour


def _least(tries: Sequence[_Try], k: int) -> tuple[Effort, ...]:
    points = []
    for each in tries:
        for kept in KEPT_STEPS:
            if kept >= k:
                recall = float(np.mean(each.ranks[:, :k] <= kept))
                points.append((each.cost_ns + KEPT_NS * kept, Effort(each.n_trees, each.search_k, kept, recall)))
    points.sort()
    best = max(effort.recall for _, effort in points)
    wished = sorted({min(recall, best) for recall in RECALLS})
    return tuple(next(effort for _, effort in points if effort.recall >= recall) for recall in wished)
