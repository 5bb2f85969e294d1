"""Cells: which rows lie together."""

import numpy as np
import pytest

from stream_app.index.clusters import GROUPED_MIN, clustered


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def scattered(count: int, dimensions: int = 16, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)))


@pytest.mark.parametrize("rows_per_cell", [1, 7, 64, 10_000])
def test_every_row_has_a_cell_and_every_cell_a_row(rows_per_cell):
    """However many cells are asked for."""
    vectors = scattered(1_500)

    found = clustered(vectors, rows_per_cell, seed=1)

    assert np.unique(found.cell_of).tolist() == list(range(len(found.centres)))
    assert len(found.centres) <= max(1, 1_500 // rows_per_cell)


def test_a_centre_is_the_direction_of_its_rows():
    vectors = scattered(1_000)

    found = clustered(vectors, 50, seed=1)

    sums = np.stack([vectors[found.cell_of == each].astype(np.float32).sum(0) for each in range(len(found.centres))])
    assert np.allclose(found.centres, sums / np.linalg.norm(sums, axis=1, keepdims=True), atol=1e-3)


def test_rows_lie_near_their_centre_though_few_of_the_centres_were_compared():
    """So many centres lie in groups; four rows of five are with the nearest of all, which moved once more."""
    vectors = scattered(20_000)

    found = clustered(vectors, 40, seed=1)

    assert len(found.centres) > GROUPED_MIN
    nearest = (vectors.astype(np.float32) @ found.centres.T).argmax(axis=1)
    assert (nearest == found.cell_of).mean() > 0.8


def test_what_lies_together_comes_into_one_cell():
    """Twenty bundles, far from each other: hardly a row is in a cell that another bundle rules."""
    bundles = scattered(20, 32).astype(np.float32)
    of = np.random.default_rng(1).integers(0, 20, 4_000)
    vectors = unit(bundles[of] + 0.02 * np.random.default_rng(2).standard_normal((4_000, 32)))

    found = clustered(vectors, 20, seed=1)

    ruling = [np.bincount(of[found.cell_of == each]).max() for each in range(len(found.centres))]
    assert sum(ruling) / 4_000 > 0.95


def test_one_vector_a_thousand_times_is_one_cell():
    assert len(clustered(np.repeat(scattered(1), 1_000, axis=0), 64, seed=1).centres) == 1


def test_the_same_rows_give_the_same_cells():
    one, other = (clustered(scattered(3_000), 30, seed=4) for _ in range(2))

    assert np.array_equal(one.cell_of, other.cell_of) and np.array_equal(one.centres, other.centres)
