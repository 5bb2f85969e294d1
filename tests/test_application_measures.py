"""Measures of suggestions, verdicts and rankings."""

from __future__ import annotations

import numpy as np
import pytest

from stream_app.application_measures import (
    ndcg_at_k,
    ndcg_of_chance,
    ndcg_of_scores,
    recall_at_k,
    recall_of_a_draw,
    recall_of_scores,
    roc_auc,
)


def test_recall_is_the_share_of_what_was_wanted():
    assert recall_at_k(np.array([1, 2, 3]), np.array([3, 4])) == 0.5
    assert recall_at_k(np.array([], int), np.array([3, 4])) == 0.0


def test_a_draw_finds_its_share_of_the_pool():
    pool = np.array([True] * 8 + [False] * 2)

    assert recall_of_a_draw(pool, np.array([0, 1]), 2) == pytest.approx(2 / 8)
    assert recall_of_a_draw(pool, np.array([0, 9]), 2) == pytest.approx(1 / 8)
    assert recall_of_a_draw(pool, np.array([0]), 20) == 1.0


def test_equal_scores_are_drawn_at_random():
    """One is above the border, and two of the four at it are drawn."""
    scores = np.array([9.0, 5.0, 5.0, 5.0, 5.0, 1.0, -np.inf])

    assert recall_of_scores(scores, np.array([0, 1]), 3) == pytest.approx((1 + 2 / 4) / 2)
    assert recall_of_scores(scores, np.array([6]), 7) == 0.0


def test_a_draw_by_scores_is_what_many_draws_find():
    random = np.random.default_rng(0)
    scores, wanted = random.integers(0, 3, 30).astype(float), np.arange(5)
    draws = [
        recall_at_k(np.argsort(-(scores + random.uniform(0, 0.5, 30)), kind="stable")[:8], wanted) for _ in range(3_000)
    ]

    assert recall_of_scores(scores, wanted, 8) == pytest.approx(np.mean(draws), abs=0.02)


def test_the_area_is_the_chance_that_right_scores_above_wrong():
    is_right = np.array([True, True, False, False])

    assert roc_auc(np.array([0.9, 0.8, 0.2, 0.1]), is_right) == 1.0
    assert roc_auc(np.array([0.9, 0.1, 0.5, 0.2]), is_right) == 0.5
    assert roc_auc(np.array([0.5, 0.5, 0.5, 0.1]), is_right) == pytest.approx(0.75)
    assert roc_auc(np.array([0.5]), np.array([True])) is None


def test_the_best_order_gains_one():
    assert ndcg_at_k(np.array([0.9, 0.5, 0.0]), 2) == 1.0
    assert ndcg_at_k(np.array([0.0, 0.5, 0.0]), 2) == pytest.approx(1 / np.log2(3))
    assert ndcg_at_k(np.zeros(3), 2) is None


def test_an_order_by_chance_gains_what_many_orders_do():
    random, relevance = np.random.default_rng(0), np.array([0.9, 0.5, 0.1, 0.0, 0.0])
    draws = [ndcg_at_k(random.permutation(relevance), 3) for _ in range(3_000)]

    assert ndcg_of_chance(relevance, 3) == pytest.approx(np.mean(draws), abs=0.02)  # type: ignore[arg-type]


def test_an_order_by_scores_takes_equal_ones_by_chance():
    relevance = np.array([0.2, 0.8, 0.4])

    assert ndcg_of_scores(np.array([0.1, 0.9, 0.5]), relevance, 3) == 1.0
    assert ndcg_of_scores(np.array([0.5, 0.5, 0.5]), relevance, 3) == ndcg_of_chance(relevance, 3)
