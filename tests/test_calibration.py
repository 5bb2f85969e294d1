"""Probabilities against what is right: the measure, and what is fitted by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.calibration import expected_calibration_error, fit_logistic, label_truth, word_truth
from models.labelled_photos import LabelledPhotos
from models.probabilities import Logistic
from models.space import Space
from models.tags import ClassTags, Word, read_tags


def drawn(curve: Logistic, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, and whether each is right: as often as a curve says."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(0, 1.5, count)
    return numbers, rng.random(count) < curve.of(numbers)


def test_the_error_of_honest_probabilities_is_small_and_that_of_boasts_is_their_excess() -> None:
    """.9 said where .5 is true is wrong by .4."""
    rng = np.random.default_rng(0)
    honest = rng.random(50_000)

    assert expected_calibration_error(honest, rng.random(50_000) < honest) < 0.01
    assert expected_calibration_error(np.full(1_000, 0.9), np.arange(1_000) % 2 == 0) == pytest.approx(0.4)


def test_the_curve_that_made_the_data_is_found() -> None:
    """Slope and bias."""
    curve = Logistic(1.3, -0.7)

    assert fit_logistic([drawn(curve, 50_000, 1)]) == pytest.approx(curve, abs=0.05)


def test_a_large_sample_does_not_outvote_a_small_one() -> None:
    """Photos of two kinds weigh the same: the curve stands where two samples of one size would put it."""
    low, high = Logistic(1.0, -1.0), Logistic(1.0, 1.0)
    uneven = fit_logistic([drawn(low, 50_000, 1), drawn(high, 2_000, 2)])
    even = fit_logistic([drawn(low, 2_000, 3), drawn(high, 2_000, 2)])

    assert uneven == pytest.approx(even, abs=0.15)


def test_a_label_is_right_where_it_is_the_class_of_the_photo() -> None:
    """By WordNet id, whatever the order of the photos' classes."""
    classes = read_tags()[:5]
    photos = _photos([classes[3], classes[1]], class_of=[0, 1], label_indices=[[3, 1], [3, 1]])
    scores, right = label_truth(photos, classes, 2)

    assert right.tolist() == [[True, False], [False, True]]
    assert scores.tolist() == [[0.75, 0.25], [0.75, 0.25]]


def test_a_word_is_right_where_it_names_the_class_or_its_kind(tiny_bundle: Path) -> None:
    """Of the words that the space knows, as it finds them."""
    space = Space.load(tiny_bundle)
    [(first, _), *_] = space.labels([0], [1.0], 1)
    tags = ClassTags("n1", (Word(first),), ())
    width = len(space.mean_embedding)
    photos = _photos([tags], class_of=[0], label_indices=[[0, 1]], width=width)
    cosines, right = word_truth(photos, space, 3)

    assert cosines.shape == right.shape == (1, 3)
    assert right.sum() == 1


def _photos(
    classes: list[ClassTags], *, class_of: list[int], label_indices: list[list[int]], width: int = 4
) -> LabelledPhotos:
    count = len(class_of)
    return LabelledPhotos(
        np.ones((count, width), np.float32),
        np.array(label_indices),
        np.tile(np.array([0.75, 0.25], np.float32), (count, 1)),
        np.array(class_of),
        classes,
        [],
    )
