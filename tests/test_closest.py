"""Exact scores of vectors that are kept as float16, and the best of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.index.best import NO_SCORE, ROW_BITS, Best, forget, offer, put_in_order
from stream_app.index.closest import BLOCK_ROWS, Rows, Wish, compare, scores_of, wish_for
from stream_app.index.memtable import ALIVE
from stream_app.index.ranking import IdFilter

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


def compared(rows: np.ndarray, k: int, wish: Wish, died: np.ndarray) -> tuple[list[int], np.ndarray]:
    """What is left of `rows` when all are offered: photo ids, which are ten times the rows, and scores."""
    best = Best.of(k)
    known = Rows(VECTORS.view(np.uint16), 10 * np.arange(500), died)
    compare(3, known, rows, wish, NO_SCORE, best, np.empty(BLOCK_ROWS, np.float32))
    put_in_order(best)
    return best.photo_ids[: best.size[0]].tolist(), best.scores[: best.size[0]]


@pytest.mark.parametrize("k", [1, 10, 500, 10_000])
@pytest.mark.parametrize("rows", [range(500), range(0, 500, 2), []])
def test_the_best_that_live_come_first(k, rows):
    """A row that died is not among them, whatever its score."""
    rows, died = np.array(rows, np.int32), np.full(500, ALIVE, np.uint64)
    died[::3] = 4

    photo_ids, scores = compared(rows, k, wish_for(QUERY, 4), died)

    exact = np.minimum(scores_of(VECTORS, rows, QUERY), 1)
    living = np.flatnonzero(died[rows] > 4)
    order = living[np.lexsort((rows[living], -exact[living]))][:k]
    assert photo_ids == (10 * rows[order]).tolist()
    assert scores.tolist() == exact[order].tolist()


@pytest.mark.parametrize("without", [False, True])
def test_only_those_that_a_list_lets_through_are_taken(without):
    chosen = IdFilter(range(0, 5_000, 70), without=without)

    photo_ids, _ = compared(np.arange(500, dtype=np.int32), 500, wish_for(QUERY, 0, chosen), np.full(500, ALIVE))

    assert sorted(photo_ids) == [each for each in range(0, 5_000, 10) if chosen(each)]


@given(
    scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=60),
    k=st.integers(1, 70),
    forgotten=st.integers(0, 3),
)
def test_a_heap_keeps_what_a_sort_would(scores, k, forgotten):
    """Equal scores by photo id, and nothing of a source that is to be forgotten."""
    photo_ids = np.random.default_rng(len(scores)).permutation(len(scores)).tolist()
    offered = [(np.float32(each), photo_id, photo_id % 3) for each, photo_id in zip(scores, photo_ids, strict=True)]
    best = Best.of(max(k, len(scores)))

    for score, photo_id, source in offered:
        offer(best, score, photo_id, source << ROW_BITS | photo_id)
    forget(best, forgotten)
    put_in_order(best)

    kept = sorted((-score, photo_id) for score, photo_id, source in offered if source != forgotten)
    found = [(-score, photo_id) for score, photo_id in zip(best.scores, best.photo_ids, strict=True)][: best.size[0]]
    assert found == kept


@given(scores=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=60), k=st.integers(1, 70))
def test_a_full_heap_gives_up_the_last(scores, k):
    """Of equal scores that with the highest photo id."""
    best = Best.of(k)

    for photo_id in reversed(range(len(scores))):
        offer(best, np.float32(scores[photo_id]), photo_id, photo_id)
    put_in_order(best)

    order = sorted(range(len(scores)), key=lambda photo_id: (-scores[photo_id], photo_id))
    assert best.photo_ids[: best.size[0]].tolist() == order[:k]
