"""Ranking: the best rows of a score array, and one list from the hits of several sources."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_app.index.ranking import Hit, best_allowed_rows, best_hits, best_rows, rerank
from stream_app.versions import Version

OLD, NEW = Version(1, 0, 0, 0), Version(2, 0, 0, 0)
SCORES = st.lists(st.floats(-1, 1, width=32), max_size=300).map(lambda each: np.array(each, dtype=np.float32))


@given(scores=SCORES, k=st.integers(1, 400))
def test_the_best_rows_have_the_best_scores(scores, k):
    """The same scores, in the same order, as a full sort gives."""
    assert scores[best_rows(scores, k)].tolist() == sorted(scores.tolist(), reverse=True)[:k]


@given(scores=SCORES, k=st.integers(1, 400))
def test_only_allowed_photos_are_taken(scores, k):
    """A predicate leaves the best of those it lets through, as many as there are."""
    photo_ids = np.arange(len(scores))
    rows = best_allowed_rows(scores, photo_ids, k, lambda photo_id: photo_id % 3 == 0)

    assert scores[rows].tolist() == sorted(scores[::3].tolist(), reverse=True)[:k]


def test_a_row_scored_minus_infinity_is_dead():
    """It is left out even where there are fewer than k others."""
    assert best_rows(np.array([0.5, -np.inf, 0.7], dtype=np.float32), 3).tolist() == [2, 0]


def test_hits_of_several_sources_are_merged_best_first():
    """The order of the sources does not matter."""
    one, other = Hit(1, 0.2, OLD, "memtable"), Hit(2, 0.9, OLD, "buckets")

    assert best_hits([[one], [other]], 2) == best_hits([[other], [one]], 2) == [other, one]


def test_of_a_photo_found_twice_the_newest_version_counts():
    """Even when its score is the lower one."""
    outdated, current = Hit(1, 0.9, OLD, "buckets"), Hit(1, 0.1, NEW, "memtable")

    assert best_hits([[outdated], [current]], 10) == [current]


def test_equal_scores_are_ordered_by_photo_id():
    """So that the same question gets the same answer."""
    hits = [Hit(photo_id, 0.5, OLD, "memtable") for photo_id in (3, 1, 2)]

    assert [hit.photo_id for hit in best_hits([hits], 2)] == [1, 2]


def test_candidates_are_ranked_by_exact_score():
    """The score is the dot product, and the best comes first."""
    query = np.array([0.6, 0.8], dtype=np.float32)

    rows, scores = rerank(np.eye(2, dtype=np.float32), np.array([7, 8]), query, 5, None)

    assert rows.tolist() == [1, 0]
    assert np.allclose(scores, [0.8, 0.6])


def test_no_candidates_make_no_hits():
    """An empty source is no error."""
    rows, _ = rerank(np.empty((0, 2), dtype=np.float32), np.array([]), np.ones(2, dtype=np.float32), 5, None)

    assert rows.tolist() == []
    assert best_hits([], 5) == []
