"""Choosing how a segment is searched, by trying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream_app.index import sieve, signing, tuning
from stream_app.index.cells import EVERY_CENTRE, positions_near
from stream_app.index.closest import scores_of, wide
from stream_app.index.clusters import clustered
from stream_app.index.effort import CELLS, FOREST, NEIGHBOURS, SIGNATURES, Effort
from stream_app.index.forest_reader import ForestReader
from stream_app.index.segment import write_cells
from stream_app.index.sieve import Marks, Sieve
from stream_app.index.tuning import Searched

DIMENSIONS = 24


def clustered_vectors(count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors round one centre for each fifty, as float16 keeps them."""
    centres = np.random.default_rng(1).standard_normal((max(1, count // 50), DIMENSIONS))
    random = np.random.default_rng(seed)
    vectors = centres[random.integers(0, len(centres), count)] + 0.4 * random.standard_normal((count, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def searched_by(kind: str, vectors: np.ndarray, folder: Path) -> Searched:
    """The vectors as a segment of that kind has them."""
    signatures = signing.signatures(wide(vectors))
    if kind == SIGNATURES:
        return Searched(vectors, signatures)
    cells = write_cells(folder, *clustered(vectors, 50, seed=1))
    if kind == CELLS:
        return Searched(vectors, signatures[cells.rows], cells)
    centres = cells.centres.view(np.float16)
    tuning.grow(centres, folder / "forest.ann", "euclidean", n_trees=20, threads=1, seed=1)
    forest = ForestReader(folder / "forest.ann", DIMENSIONS, "euclidean")
    return Searched(vectors, signatures[cells.rows], cells, forest)


def found_by(effort: Effort, query: np.ndarray, searched: Searched, k: int) -> set[int]:
    known, wanted = Sieve.of(searched.signatures), signing.signatures(query[None])[0]
    candidates, rows = None, np.arange(len(searched.vectors), dtype=np.int32)
    if effort.probes:
        assert searched.cells is not None
        met, rows = EVERY_CENTRE, searched.cells.rows
        if effort.n_trees:
            assert searched.forest is not None
            met = searched.forest.walk(query, effort.search_k, effort.n_trees).candidates
        marks = Marks.of(len(searched.vectors))
        candidates = positions_near(searched.cells, query, wanted, met, effort.probes, marks)
    elif searched.cells is not None:
        rows = searched.cells.rows
    kept = rows[sieve.sift(known, wanted, candidates, effort.kept)]
    return set(kept[np.argsort(-scores_of(searched.vectors, kept, query))[:k]].tolist())


@pytest.mark.parametrize("kind", [SIGNATURES, CELLS, FOREST])
def test_queries_that_were_not_tried_find_as_much(tmp_path: Path, kind: str):
    """For each number of neighbours, what was promised for .95 holds for 200 new queries within five hundredths."""
    vectors = clustered_vectors(6_000)
    searched = searched_by(kind, vectors, tmp_path)
    queries = clustered_vectors(200, seed=9).astype(np.float32)
    nearest = np.argsort(-(queries @ vectors.astype(np.float32).T), axis=1)

    chosen = tuning.efforts(searched)

    assert tuple(chosen) == NEIGHBOURS
    for k, efforts in chosen.items():
        effort = next(each for each in efforts if each.recall >= 0.95)
        found = [found_by(effort, each, searched, k) for each in queries]
        recall = np.mean([len(ours & set(right[:k])) / k for ours, right in zip(found, nearest, strict=True)])
        assert recall > 0.90


def test_cells_are_looked_into_where_that_costs_less(tmp_path: Path):
    """A scan of so many rows would take longer."""
    chosen = tuning.efforts(searched_by(CELLS, clustered_vectors(20_000), tmp_path))

    assert 0 < next(each for each in chosen[10] if each.recall >= 0.9).probes < 40


def test_efforts_rise_with_the_recall(tmp_path: Path):
    for efforts in tuning.efforts(searched_by(SIGNATURES, clustered_vectors(2_000), tmp_path)).values():
        assert [each.recall for each in efforts] == sorted(each.recall for each in efforts)
        assert [each.kept for each in efforts] == sorted(each.kept for each in efforts)


def test_a_metric_is_chosen_by_what_its_trees_find():
    """On unit vectors of clusters, Annoy's euclidean planes, which have an offset, are as good at least."""
    assert tuning.better_metric(clustered_vectors(3_000), seed=1) == "euclidean"


def test_few_rows_know_few_neighbours(tmp_path: Path):
    vectors = clustered_vectors(20)

    assert tuple(tuning.efforts(searched_by(SIGNATURES, vectors, tmp_path))) == (1, 2, 3, 5, 10)
