"""Sifting rows by signature."""

import numpy as np
import pytest

from stream_app.index import sieve
from stream_app.index.lsh import hamming

VECTORS = np.random.default_rng(5).standard_normal((2_000, 40)).astype(np.float32)
SIGNATURES = sieve.signatures(VECTORS)
CANDIDATES = np.arange(0, 2_000, 3, dtype=np.int32)


def query() -> tuple[np.ndarray, np.ndarray]:
    """A vector that is not among the others, and its signature."""
    vector = np.random.default_rng(6).standard_normal(40).astype(np.float32)
    return vector, sieve.signatures(vector[None])[0]


@pytest.mark.parametrize("candidates", [CANDIDATES, None])
def test_it_keeps_those_that_differ_least(candidates):
    """As many as were asked for, and all that tie with the last of them; of some rows or of all."""
    wanted = query()[1]
    rows = np.arange(2_000) if candidates is None else candidates

    kept = sieve.sift(SIGNATURES, wanted, candidates, 50)

    differing = hamming(SIGNATURES[rows], wanted)
    assert kept.tolist() == rows[differing <= np.sort(differing)[49]].tolist()
    assert len(kept) >= 50


def test_few_candidates_pass_unseen():
    candidates = np.array([7, 3], np.int32)

    assert sieve.sift(SIGNATURES, SIGNATURES[0], candidates, 2).tolist() == [7, 3]
    assert sieve.sift(SIGNATURES, SIGNATURES[0], None, 5_000).tolist() == list(range(2_000))


def test_a_vector_differs_least_from_itself():
    assert all(row in sieve.sift(SIGNATURES, SIGNATURES[row], None, 1) for row in range(0, 2_000, 50))


def test_a_rank_says_how_many_must_be_kept():
    """And that a row is missed which is no candidate."""
    wanted = query()[1]
    sought = np.array([3, 30, 300, 1_000])

    ranks = sieve.ranks(SIGNATURES, wanted, CANDIDATES, sought)

    for row, rank in zip(sought[:3], ranks[:3], strict=True):
        assert row in sieve.sift(SIGNATURES, wanted, CANDIDATES, rank)
        assert rank == len(CANDIDATES) or row not in sieve.sift(SIGNATURES, wanted, CANDIDATES, 1) or rank == 1
    assert ranks[3] == sieve.MISSED


@pytest.mark.parametrize("dimensions", [2, 40, 64, 200, 700])
def test_differing_bits_tell_the_angle(dimensions):
    """Each bit differs with a chance of angle / pi, as of random planes."""
    random = np.random.default_rng(7)
    one, other = random.standard_normal((2, 3_000, dimensions)).astype(np.float32)
    nearer = one + 0.5 * other

    differing = hamming(sieve.signatures(one), sieve.signatures(nearer)) / sieve.BITS
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(nearer, axis=1)
    angles = np.arccos(np.clip(np.einsum("ij,ij->i", one, nearer) / lengths, -1, 1)) / np.pi

    assert abs(float(np.mean(differing - angles))) < 0.01
