"""Exact scores of vectors that are kept as float16."""

import numpy as np
import pytest

from stream_app.index.memtable import ALIVE
from stream_app.index.scoring import best_of, scores_of

VECTORS = np.random.default_rng(3).standard_normal((500, 77)).astype(np.float16)
QUERY = np.random.default_rng(4).standard_normal(77).astype(np.float32)


@pytest.mark.parametrize("rows", [[], [7], [499, 0, 3, 3], list(range(500))])
def test_scores_are_those_of_a_matrix_product(rows):
    rows = np.array(rows, np.int32)

    assert np.allclose(scores_of(VECTORS, rows, QUERY), VECTORS[rows].astype(np.float32) @ QUERY, atol=1e-4)


def test_every_float16_is_widened_to_what_it_is():
    """Also those below the normal ones; each is tried as the only number of a vector."""
    everything = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = everything[np.isfinite(everything)][:, None]

    scores = scores_of(finite, np.arange(len(finite), dtype=np.int32), np.ones(1, np.float32))

    assert np.array_equal(scores, finite[:, 0].astype(np.float32))


@pytest.mark.parametrize("k", [1, 10, 500, 10_000])
def test_the_best_that_live_come_first(k):
    """A row that died is not among them, whatever its score."""
    rows, died = np.arange(500, dtype=np.int32), np.full(500, ALIVE, np.uint64)
    died[::3] = 4

    best, scores = best_of(VECTORS, rows, died, 4, QUERY, k)

    living = np.flatnonzero(np.arange(500) % 3)
    expected = living[np.argsort(-(VECTORS[living].astype(np.float32) @ QUERY))][:k]
    assert best.tolist() == expected.tolist()
    assert (np.diff(scores) <= 0).all()
