"""Whether a score is worth showing: how often hits of a word are right by their score, and what an answer should say.

What was fitted is in `models.probabilities`, which a web worker loads; this is for measuring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.labelled_photos import LabelledPhotos
from models.probabilities import Logistic
from models.related_judgement import WordProbe, joint_embeddings
from models.space import Space
from models.tags import ClassTags

HITS_PER_WORD = 20
BIN_WIDTH = 0.1
NEWTON_STEPS = 50


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


def expected_calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """How far probabilities are from the share that is right, on average over bins of equal width (Naeini et al. 2015).

    Both of any shape: what was said, 0 to 1, and whether it was right.
    """
    said, truth = np.ravel(probabilities), np.ravel(right)
    numbers = np.minimum((said * bins).astype(int), bins - 1)
    gaps = [
        abs(said[numbers == each].mean() - truth[numbers == each].mean()) * (numbers == each).mean()
        for each in np.unique(numbers)
    ]
    return float(np.sum(gaps))


def fit_logistic(samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> Logistic:
    """The logistic curve (Platt 1999) through (number, whether right) of several samples, which weigh the same."""
    x = np.concatenate([np.ravel(numbers) for numbers, _ in samples]).astype(np.float64)
    y = np.concatenate([np.ravel(right) for _, right in samples]).astype(np.float64)
    weight = np.concatenate([np.full(right.size, 1 / right.size) for _, right in samples])
    columns = np.stack([x, np.ones_like(x)], axis=1)
    fitted = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        said = Logistic(*fitted).of(x)
        slope = columns.T @ (weight * (said - y))
        curvature = (columns * (weight * said * (1 - said))[:, None]).T @ columns
        fitted = fitted - np.linalg.solve(curvature + 1e-9 * np.eye(2), slope)
    return Logistic(float(fitted[0]), float(fitted[1]))


def label_truth(photos: LabelledPhotos, classes: Sequence[ClassTags], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The softmax probabilities of each photo's k likeliest classes, and whether each is the photo's: both [n, k]."""
    rows = {each.wordnet_id: row for row, each in enumerate(classes)}
    true = np.array([rows[photos.classes[each].wordnet_id] for each in photos.class_of])
    return photos.label_scores[:, :k], photos.label_indices[:, :k] == true[:, None]


def word_truth(photos: LabelledPhotos, space: Space, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The cosines of the k words that each photo is answered with, and whether each names it or its kind: [n, k].

    A word counts as right where it is a name of the photo's class or of anything that WordNet says it is a kind of.
    """
    vectors = space.search_vectors(photos.image_embeddings, joint_embeddings(photos, space))
    right_words = [_words_of(each) for each in photos.classes]
    answers = space.vocabulary.nearest_of_each(np.stack([space.joint_half(each) for each in vectors]), k)
    cosines = np.array([[cosine for _, cosine in words] for words in answers])
    right = [
        [word in right_words[row] for word, _ in words] for row, words in zip(photos.class_of, answers, strict=True)
    ]
    return cosines, np.array(right)


def _words_of(tags: ClassTags) -> frozenset[str]:
    names = {name.text.lower() for _, kind in tags.tags for name in kind}
    return frozenset(form for name in names for form in (name, name.replace(" ", "_"), name.replace(" ", "-")))
