"""Exact scores of vectors that are kept as float16."""

import numpy as np
import pytest

from stream_app.index.scoring import scores_of

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
