"""The measures of the DeViSE paper (Frome et al. 2013) for photos of classes that training never saw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.tags import ClassTags

FAR = 10_000  # hops between classes that share no hypernym


def class_ranking(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best columns of each row of scores [n, classes], best first, int [n, min(k, classes)]."""
    k = min(k, scores.shape[1])
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)


def flat_hit_at_k(ranking: np.ndarray, right: np.ndarray, k: int) -> float:
    """The share of photos whose true class (int [n]) is among the first k of `ranking` (int [n, >= k])."""
    return float((ranking[:, :k] == right[:, None]).any(axis=1).mean())


def hierarchical_precision_at_k(ranking: np.ndarray, right: np.ndarray, hops: np.ndarray, k: int) -> float:
    """The share of the first k answers that lie near the truth, as the DeViSE paper defines "near".

    Round the true class the radius grows hop by hop until at least k classes lie within it; those are the correct
    set, whatever its size. `hops`: int [classes, classes]. With fewer than k classes all are correct.
    """
    shown = ranking[:, :k]
    if shown.shape[1] < k or hops.shape[1] <= k:
        return 1.0
    radius = np.partition(hops, k - 1, axis=1)[:, k - 1]  # of each class: the k-th nearest, itself being the first
    near = hops[right[:, None], shown] <= radius[right][:, None]
    return float(near.mean())


def hierarchy_hops(classes: Sequence[ClassTags]) -> np.ndarray:
    """Hops between classes through their nearest common hypernym, int [classes, classes]; 0 to themselves."""
    nodes: dict[object, int] = {}
    steps = []
    for each in classes:
        steps.append({nodes.setdefault(names, len(nodes)): up for up, names in each.tags})
    table = np.full((len(classes), len(nodes)), FAR, np.int32)
    for row, up in enumerate(steps):
        table[row, list(up)] = list(up.values())
    hops = np.stack([(table + row).min(axis=1) for row in table])
    np.fill_diagonal(hops, 0)
    return np.minimum(hops, FAR)


def mean_average_precision(vectors: np.ndarray, classes: np.ndarray) -> float:
    """mAP of each photo's ranking of all others (vectors [n, d] of unit length): right are those of its class."""
    precisions = []
    for row, vector in enumerate(vectors):
        scores = vectors @ vector
        scores[row] = -np.inf
        order = np.argsort(-scores, kind="stable")[:-1]
        right = classes[order] == classes[row]
        if right.any():
            found = np.cumsum(right)[right]
            precisions.append(float((found / (np.flatnonzero(right) + 1)).mean()))
    return float(np.mean(precisions)) if precisions else 0.0


def paired_bootstrap(differences: Sequence[float], *, rounds: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean difference over splits (percentile bootstrap, Efron 1979)."""
    values = np.asarray(differences, np.float64)
    draws = np.random.default_rng(seed).integers(0, len(values), (rounds, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
