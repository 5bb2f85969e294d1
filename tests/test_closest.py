"""Exact scores of vectors that are kept as float16."""

import numpy as np
import pytest

from stream_app.index import sieve
from stream_app.index.closest import closest, scores_of
from stream_app.index.memtable import ALIVE

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
@pytest.mark.parametrize("candidates", [None, np.arange(0, 500, 2, dtype=np.int32), np.empty(0, np.int32)])
def test_the_best_that_live_come_first(k, candidates):
    """A row that died is not among them, whatever its score; with all kept, it is what a scan finds."""
    died = np.full(500, ALIVE, np.uint64)
    died[::3] = 4
    wide = VECTORS.astype(np.float32)
    wanted = sieve.signatures(QUERY[None])[0]

    best, scores = closest(
        sieve.Sieve.of(sieve.signatures(wide)), wanted, candidates, 500, sieve.EVERYWHERE, VECTORS, QUERY, died, 4, k
    )

    rows = np.arange(500) if candidates is None else candidates
    living = rows[died[rows] > 4]
    assert best.tolist() == living[np.argsort(-(wide[living] @ QUERY))][:k].tolist()
    assert np.allclose(scores, wide[best] @ QUERY, atol=1e-4)


def test_only_those_nearest_by_signature_are_compared():
    """A row that the sieve leaves out is no hit, however high its score."""
    wanted = sieve.signatures(QUERY[None])[0]
    known = sieve.Sieve.of(sieve.signatures(VECTORS.astype(np.float32)))

    best, _ = closest(known, wanted, None, 20, sieve.EVERYWHERE, VECTORS, QUERY, np.full(500, ALIVE, np.uint64), 0, 500)

    assert set(best.tolist()) == set(sieve.sift(known, wanted, None, 20).tolist())
