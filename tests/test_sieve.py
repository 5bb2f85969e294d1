"""Sifting rows by signature."""

import numpy as np
import pytest

from stream_app.index import sieve, signing
from stream_app.index.lsh import hamming

VECTORS = np.random.default_rng(5).standard_normal((2_000, 40)).astype(np.float32)
SIGNATURES = signing.signatures(VECTORS)
SIEVE = sieve.Sieve.of(SIGNATURES)
MARKED = np.zeros(2_000, np.uint8)
CANDIDATES = np.arange(0, 2_000, 3, dtype=np.int32)


def query() -> tuple[np.ndarray, np.ndarray]:
    """A vector that is not among the others, and its signature."""
    vector = np.random.default_rng(6).standard_normal(40).astype(np.float32)
    return vector, signing.signatures(vector[None])[0]


def test_it_keeps_those_that_differ_least():
    """As many as were asked for, and all that tie with the last of them."""
    wanted = query()[1]

    kept = sieve.sift(SIEVE, wanted, CANDIDATES, 50)

    differing = hamming(SIGNATURES[CANDIDATES], wanted)
    assert kept.tolist() == CANDIDATES[differing <= np.sort(differing)[49]].tolist()
    assert len(kept) >= 50


def test_of_all_rows_it_keeps_those_that_the_first_words_let_pass():
    """At least twice as many pass these; of all that are kept none differs more than the last of those would."""
    wanted = query()[1]

    kept = sieve.sift(SIEVE, wanted, None, 50)

    first = hamming(SIGNATURES[:, : sieve.COARSE_WORDS], wanted[: sieve.COARSE_WORDS])
    differing = hamming(SIGNATURES, wanted)
    promising = np.flatnonzero(first <= np.sort(first)[2 * 50 - 1])
    farthest = np.sort(differing[promising])[49]
    assert len(kept) >= 50 and differing[kept].max() <= farthest
    assert set(promising[differing[promising] <= differing[kept].max()].tolist()) <= set(kept.tolist())


@pytest.mark.parametrize("keep", [1, 10, 100, 400])
def test_a_scan_of_many_rows_keeps_most_that_differ_least(keep):
    """Though it guesses from some how far it must look."""
    random = np.random.default_rng(8)
    vectors = random.standard_normal((20_000, 40)).astype(np.float32)
    vectors[:5_000] += 0.5 * vectors[0]  # a quarter of them to one side
    signatures = signing.signatures(vectors)
    known, found = sieve.Sieve.of(signatures), []

    for row in (0, 77, 6_000, 19_999):
        kept = sieve.sift(known, signatures[row], None, keep)
        differing = hamming(signatures, signatures[row])
        found.append(np.isin(np.argsort(differing, kind="stable")[:keep], kept).mean())

    assert np.mean(found) > 0.8


def test_few_candidates_pass_unseen():
    candidates = np.array([7, 3], np.int32)

    assert sieve.sift(SIEVE, SIGNATURES[0], candidates, 2).tolist() == [7, 3]
    assert sieve.sift(SIEVE, SIGNATURES[0], None, 5_000).tolist() == list(range(2_000))


def test_a_vector_differs_least_from_itself():
    assert all(row in sieve.sift(SIEVE, SIGNATURES[row], None, 1) for row in range(0, 2_000, 50))


def test_a_rank_says_how_many_must_be_kept():
    """And that a row is missed which is no candidate."""
    wanted = query()[1]
    sought = np.array([3, 30, 300, 1_000])

    ranks = sieve.ranks(SIEVE, wanted, CANDIDATES, sought, MARKED)

    for row, rank in zip(sought[:3], ranks[:3], strict=True):
        assert row in sieve.sift(SIEVE, wanted, CANDIDATES, rank)
        assert rank == len(CANDIDATES) or row not in sieve.sift(SIEVE, wanted, CANDIDATES, 1) or rank == 1
    assert ranks[3] == sieve.MISSED and not MARKED.any()


def test_a_rank_among_all_counts_the_first_words_too():
    wanted = query()[1]
    sought = np.arange(0, 2_000, 100)

    for row, rank in zip(sought, sieve.ranks(SIEVE, wanted, None, sought, MARKED), strict=True):
        assert row in sieve.sift(SIEVE, wanted, None, rank)


@pytest.mark.parametrize("reach", [0.1, 0.25, 0.4])
def test_what_lies_opposite_is_out_of_reach(reach):
    """All of its bits differ, which is one more than a lane counts to."""
    vectors = np.concatenate([VECTORS[:100], -VECTORS[:100]])
    known = sieve.Sieve.of(signing.signatures(vectors))

    for row in range(100):
        kept = sieve.sift(known, SIGNATURES[row], None, 200, reach)
        assert row in kept and row + 100 not in kept


@pytest.mark.parametrize("candidates", [CANDIDATES, None])
def test_nothing_beyond_reach_is_kept(candidates):
    """Of what lies within it, hardly anything is lost."""
    vector, wanted = query()
    lengths = np.linalg.norm(VECTORS, axis=1) * np.linalg.norm(vector)
    cosines = VECTORS @ vector / lengths
    rows = np.arange(2_000) if candidates is None else candidates

    kept = sieve.sift(SIEVE, wanted, candidates, 2_000, sieve.angle_of(0.3))

    within = rows[cosines[rows] >= 0.3]
    assert len(within) > 10
    assert len(set(within) - set(kept.tolist())) <= 1
    assert cosines[kept].min() > -0.1 and len(kept) < len(rows) / 2
