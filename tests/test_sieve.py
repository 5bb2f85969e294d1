"""Sifting candidates by signature."""

import numpy as np

from stream_app.index.lsh import hamming
from stream_app.index.sieve import Sieve, planes

VECTORS = np.random.default_rng(5).standard_normal((2_000, 40)).astype(np.float32)
SIGNATURES = planes(40).of(VECTORS)


def test_it_keeps_those_that_differ_least():
    """As many as were asked for, and all that tie with the last of them."""
    sieve, candidates = Sieve(SIGNATURES, 40), np.arange(0, 2_000, 3, dtype=np.int32)
    query = np.random.default_rng(6).standard_normal(40).astype(np.float32)

    kept = sieve.sift(query, candidates, 50)

    differing = hamming(SIGNATURES[candidates], planes(40).of(query[None])[0])
    assert kept.tolist() == candidates[differing <= np.sort(differing)[49]].tolist()
    assert len(kept) >= 50


def test_few_candidates_pass_unseen():
    candidates = np.array([7, 3], np.int32)

    assert Sieve(SIGNATURES, 40).sift(VECTORS[0], candidates, 2) is candidates


def test_a_vector_differs_least_from_itself():
    sieve = Sieve(SIGNATURES, 40)

    assert all(row in sieve.sift(VECTORS[row], np.arange(2_000, dtype=np.int32), 1) for row in range(0, 2_000, 50))
