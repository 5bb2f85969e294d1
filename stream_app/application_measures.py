"""Measures of suggestions, verdicts and rankings, as functions of arrays."""

from __future__ import annotations

import numpy as np


def recall_at_k(found: np.ndarray, wanted: np.ndarray) -> float:
    """The share of `wanted` rows that are among those `found`."""
    return float(np.isin(wanted, found).mean()) if len(wanted) else 0.0


def recall_of_a_draw(pool: np.ndarray, wanted: np.ndarray, k: int) -> float:
    """The recall that is to be expected of k rows drawn at random from a pool, bool [n]."""
    size = int(pool.sum())
    return float(pool[wanted].mean() * min(1.0, k / size)) if size and len(wanted) else 0.0


def recall_of_scores(scores: np.ndarray, wanted: np.ndarray, k: int) -> float:
    """The recall that is to be expected of the k best scores [n], where equal ones are drawn at random.

    A score of -inf is never drawn.
    """
    k = min(k, int((scores > -np.inf).sum()))
    if not k or not len(wanted):
        return 0.0
    border = np.partition(scores, -k)[-k]
    above, equal = int((scores > border).sum()), int((scores == border).sum())
    chances = np.where(scores > border, 1.0, np.where(scores == border, (k - above) / equal, 0.0))
    return float(chances[wanted].mean())


def roc_auc(scores: np.ndarray, is_right: np.ndarray) -> float | None:
    """The chance that what is right scores above what is not, equal scores counting half; None without both."""
    right, wrong = np.sort(scores[is_right]), np.sort(scores[~is_right])
    if not len(right) or not len(wrong):
        return None
    below = np.searchsorted(wrong, right, side="left").sum()
    not_above = np.searchsorted(wrong, right, side="right").sum()
    return float((below + not_above) / (2 * len(right) * len(wrong)))


def ndcg_at_k(relevance: np.ndarray, k: int) -> float | None:
    """Discounted gain of what is ranked [n], best rank first, over the most it could be; None where none is relevant.

    The gain is the relevance itself, and rank r counts 1 / log2(r + 1) (Järvelin and Kekäläinen 2002).
    """
    discounts = 1 / np.log2(np.arange(2, min(k, len(relevance)) + 2))
    most = float(np.sort(relevance)[::-1][: len(discounts)] @ discounts)
    return float(relevance[: len(discounts)] @ discounts) / most if most > 0 else None


def ndcg_of_chance(relevance: np.ndarray, k: int) -> float | None:
    """The NDCG that is to be expected of a ranking drawn at random."""
    return ndcg_of_scores(np.zeros(len(relevance)), relevance, k)


def ndcg_of_scores(scores: np.ndarray, relevance: np.ndarray, k: int) -> float | None:
    """The NDCG to be expected of the ranking by scores [n], where equal ones are drawn at random."""
    _, group = np.unique(-scores, return_inverse=True)
    means = np.bincount(group, weights=relevance) / np.bincount(group)
    expected = means[np.sort(group)]
    discounts = 1 / np.log2(np.arange(2, min(k, len(relevance)) + 2))
    most = float(np.sort(relevance)[::-1][: len(discounts)] @ discounts)
    return float(expected[: len(discounts)] @ discounts) / most if most > 0 else None
