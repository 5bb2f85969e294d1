"""Choosing how a segment is searched: by trying, on queries whose neighbours are known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np
from annoy import AnnoyIndex

from stream_app.index import sieve, signing
from stream_app.index.cells import COMPARED_TIMES, EVERY_CENTRE, Cells, positions_near
from stream_app.index.closest import wide
from stream_app.index.effort import (
    KEPT_NS,
    LOOKED_AT_NS,
    MET_NS,
    NEIGHBOURS,
    RECALLS,
    SCANNED_NS,
    VISIT_NS,
    Effort,
    Efforts,
)
from stream_app.index.forest_reader import LAYOUTS, ForestReader
from stream_app.index.sieve import Marks, Sieve

#: Queries of each kind; the standard error of a recall of .95 at ten neighbours is then about .015. More rows are asked
#: more, up to a limit: their segment will be searched for long.
QUERY_COUNT, ROWS_PER_MORE, QUERY_COUNT_MAX = 32, 1_000, 128
#: So many are enough to see how many rows a scan must keep, which costs most to find out.
SCANNED_MAX: Final = 32
SCAN_ROWS: Final = 8_192
SEARCH_K_STEPS: Final = tuple(round(100 * 1.5**step) for step in range(30))
PROBES_STEPS: Final = (1, 2, 3, 4, 6, 8, 12, *(2**power for power in range(4, 31)))
KEPT_STEPS: Final = tuple(round(8 * 2 ** (step / 2)) for step in range(24))
#: When cells hold so many of the neighbours, no more of them are tried.
ENOUGH: Final = 0.995
#: Rows and trees on which the metrics are compared.
METRIC_ROWS, METRIC_TREES, METRIC_SEARCH_K = 10_000, 10, 500
MUCH_BETTER: Final = 1.03


class Searched(NamedTuple):
    """A segment as far as searching it goes."""

    vectors: np.ndarray  # float16 [rows, dimensions]
    signatures: np.ndarray  # uint64 [rows, words], cell by cell where there are cells
    cells: Cells | None = None
    forest: ForestReader | None = None  # of the cells' centres

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Where the signatures of `rows` lie."""
        if self.cells is None:
            return rows
        position_of = np.empty(len(self.vectors), np.int64)
        position_of[self.cells.rows] = np.arange(len(self.vectors))
        return np.asarray(position_of[rows])


class _Question(NamedTuple):
    query: np.ndarray  # float32 [dimensions]
    signature: np.ndarray  # uint64 [words]
    nearest: np.ndarray  # int64 [NEIGHBOURS[-1]]: positions, nearest first
    is_row: bool  # the query was taken from the rows


class _Try(NamedTuple):
    """One budget, on all questions: what it costs, with nothing kept and for each row, and how many must be kept."""

    n_trees: int
    search_k: int
    probes: int
    cost_ns: float
    kept_ns: float
    ranks: np.ndarray  # int64 [questions, NEIGHBOURS[-1]]


def efforts(searched: Searched, queries: np.ndarray | None = None) -> Efforts:
    """The least effort for each number of neighbours and each recall.

    Without `queries` (float32 [n, dimensions]) rows are asked for their neighbours beside themselves.
    """
    questions = _questions(searched, queries)
    tries = list(_tries(questions, searched))
    return {k: _least(tries, k) for k in NEIGHBOURS if k < len(searched.vectors)}


def better_metric(vectors: np.ndarray, seed: int) -> str:
    """The metric whose trees find more for the same budget, tried on some of the `vectors`, float16 [n, dimensions]."""
    if len(vectors) <= QUERY_COUNT:
        return "euclidean"
    random = np.random.default_rng(seed)
    some = vectors[np.sort(random.choice(len(vectors), min(METRIC_ROWS, len(vectors)), replace=False))]
    questions = _questions(Searched(some, signing.signatures(wide(some))), None)
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


def _questions(searched: Searched, queries: np.ndarray | None) -> list[_Question]:
    vectors = searched.vectors
    most = min(QUERY_COUNT_MAX, QUERY_COUNT + len(vectors) // ROWS_PER_MORE)
    if queries is None:
        rows = np.random.default_rng(0).choice(len(vectors), min(most, len(vectors)), replace=False)
        asked, signatures = vectors[rows].astype(np.float32), searched.signatures[searched.positions(rows)]
    else:
        rows = np.full(min(most, len(queries)), -1)
        asked = queries[:most].astype(np.float32)
        signatures = signing.signatures(asked)
    nearest = searched.positions(_nearest(vectors, asked, rows))
    return [_Question(*each, queries is None) for each in zip(asked, signatures, nearest, strict=True)]


def _nearest(vectors: np.ndarray, asked: np.ndarray, itself: np.ndarray) -> np.ndarray:
    """int64 [questions, n]: the exact neighbours among all rows but `itself`, nearest first."""
    count = min(NEIGHBOURS[-1], len(vectors) - 1)
    scores, rows = np.empty((len(asked), 0), np.float32), np.empty((len(asked), 0), np.int64)
    for start in range(0, len(vectors), SCAN_ROWS):
        part = asked @ wide(vectors[start : start + SCAN_ROWS]).T
        here = np.flatnonzero((itself >= start) & (itself < start + part.shape[1]))
        part[here, itself[here] - start] = -np.inf
        chosen = _best(part, count)
        scores = np.concatenate([scores, np.take_along_axis(part, chosen, 1)], axis=1)
        rows = np.concatenate([rows, chosen + start], axis=1)
        best = _best(scores, count)
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return np.take_along_axis(rows, np.argsort(-scores, axis=1), 1)


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """int64 [questions, at most `count`]: where the highest are, in no order."""
    first = max(0, scores.shape[1] - count)
    if not first:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, first, axis=1)[:, first:]


def _tries(questions: Sequence[_Question], searched: Searched) -> Iterator[_Try]:
    known, scan_ns = Sieve.of(searched.signatures), SCANNED_NS * len(searched.vectors)
    sifted_ns = sieve.COARSE_TIMES * LOOKED_AT_NS + KEPT_NS
    marked = np.zeros(len(searched.vectors), np.uint8)
    ranks = np.stack([_ranks(each, known, None, marked) for each in questions[:SCANNED_MAX]])
    yield _Try(0, 0, 0, scan_ns, sifted_ns, ranks)
    if searched.cells is None:
        return
    yield from _cells_tried(questions, searched, searched.cells, 0, 0)
    if searched.forest is None:
        return
    centres_ns, trees = SCANNED_NS * len(searched.cells.centres), searched.forest.tree_count
    for n_trees in sorted({max(1, trees // 2), trees}):
        for search_k in SEARCH_K_STEPS:
            if MET_NS * search_k > centres_ns:
                break  # looking at every centre's signature finds more, and sooner
            yield from _cells_tried(questions, searched, searched.cells, n_trees, search_k)


def _cells_tried(
    questions: Sequence[_Question], searched: Searched, cells: Cells, n_trees: int, search_k: int
) -> Iterator[_Try]:
    """More and more cells, until all are looked into; the nearest centres are found in one way."""
    cost_ns, mets = SCANNED_NS * len(cells.centres), [EVERY_CENTRE] * len(questions)
    if n_trees:
        assert searched.forest is not None
        walks = [searched.forest.walk(each.query, search_k, n_trees) for each in questions]
        cost_ns = VISIT_NS * float(np.mean([each.visits for each in walks])) + MET_NS * search_k
        mets = [each.candidates for each in walks]
    known, marks = Sieve(searched.signatures, np.empty((0, 0), np.uint64)), Marks.of(len(searched.vectors))
    marked = np.zeros(len(searched.vectors), np.uint8)
    for probes in PROBES_STEPS:
        ranks, looked_at = [], 0
        for each, met in zip(questions, mets, strict=True):
            positions = positions_near(cells, each.query, each.signature, met.copy(), probes, marks)
            ranks.append(_ranks(each, known, positions, marked))
            looked_at += len(positions)
        looked_ns = LOOKED_AT_NS * looked_at / len(questions) + (COMPARED_TIMES + 1) * KEPT_NS * probes
        tried = _Try(n_trees, search_k, probes, cost_ns + looked_ns, KEPT_NS, np.stack(ranks))
        yield tried
        has_all = (tried.ranks < sieve.MISSED // 2).mean() > ENOUGH or 2 * probes > min(map(len, mets)) > 0
        if has_all or tried.cost_ns > SCANNED_NS * len(searched.vectors):
            return  # more cells hold no more, or looking at every signature finds more, and sooner


def _ranks(question: _Question, known: Sieve, candidates: np.ndarray | None, marked: np.ndarray) -> np.ndarray:
    ranks = sieve.ranks(known, question.signature, candidates, question.nearest, marked)
    return ranks - 1 if question.is_row else ranks  # it is always kept, and nobody else's neighbour


def _least(tries: Sequence[_Try], k: int) -> tuple[Effort, ...]:
    points = []
    for each in tries:
        found = (each.ranks[:, :k, None] <= np.array(KEPT_STEPS)).mean(axis=1)
        # What was found by chance on these few queries is not promised.
        recalls = found.mean(axis=0) - found.std(axis=0) / math.sqrt(len(found))
        for kept, recall in zip(KEPT_STEPS, recalls.tolist(), strict=True):
            if kept >= k:
                effort = Effort(each.n_trees, each.search_k, each.probes, kept, recall)
                points.append((each.cost_ns + each.kept_ns * kept, effort))
    points.sort()
    best = max(effort.recall for _, effort in points)
    wished = sorted({min(recall, best) for recall in RECALLS})
    return tuple(next(effort for _, effort in points if effort.recall >= recall) for recall in wished)
