"""Whether a score is worth showing: how often hits of a word are right, by their score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.related_judgement import WordProbe

HITS_PER_WORD = 20
BIN_WIDTH = 0.1


class ScoreBin(NamedTuple):
    """Hits with scores from `low` to `low + BIN_WIDTH`: how many, and the share that were right."""

    low: float
    hits: int
    right: float


def score_bins(joint: np.ndarray, probes: Sequence[WordProbe], k: int = HITS_PER_WORD) -> list[ScoreBin]:
    """The first k photos (joint embeddings float32 [n, w]) for each word, by their score, best bin first."""
    scores, right = [], []
    for probe in probes:
        cosines = joint @ probe.vector
        best = np.argsort(-cosines, kind="stable")[:k]
        scores.append(cosines[best])
        right.append(probe.is_right[best])
    if not scores:
        return []
    every, truth = np.concatenate(scores), np.concatenate(right)
    numbers = np.floor(every / BIN_WIDTH + 1e-6).astype(int)
    return [
        ScoreBin(round(number * BIN_WIDTH, 2), int((numbers == number).sum()), float(truth[numbers == number].mean()))
        for number in sorted(set(numbers.tolist()), reverse=True)
    ]


def worth_showing(bins: Sequence[ScoreBin], share: float = 0.5) -> float | None:
    """The lowest score from which upwards every bin is right at least this often; None when none is."""
    lowest = None
    for each in bins:
        if each.right < share:
            break
        lowest = each.low
    return lowest
