"""How likely labels and words are right: fits `models.probabilities`, and says how far it is from the truth.

Half of the classes fit and the other half judge, then the other way round; photos of every source (a folder with
labels.csv, a folder per class, or a tar file) have the same weight:

    python tests/benchmarks/bench_calibration.py PHOTOS TINY_IMAGENET.tar [--bundle FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from models.calibration import expected_calibration_error, fit_logistic, label_truth, word_truth
from models.encoder import LocalEncoder
from models.labelled_photos import LabelledPhotos, encode_once, subset
from models.probabilities import Logistic, log_odds
from models.space import Space
from models.tags import read_tags
from stream_app.settings import Settings
from stream_app.worker import bundle_dir

LABELS_SHOWN, WORDS_SHOWN = 5, 20
PER_CLASS_MAX = 60
SEED = 7


def main() -> None:
    """Print the constants, and the calibration errors before and after on classes that did not fit them."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("sources", nargs="+", type=Path)
    arguments.add_argument("--bundle", type=Path)
    arguments.add_argument("--cache", type=Path, default=Path("bench-out/encoded"))
    given = arguments.parse_args()
    folder = given.bundle or bundle_dir(Settings.from_environment())
    space, encoder = Space.load(folder), LocalEncoder(folder)
    every = [encode_once(each, encoder, given.cache) for each in given.sources]
    encoder.close()
    photos = [subset(each, each.of(range(len(each.classes)), PER_CLASS_MAX)) for each in every]
    names = [each.name for each in given.sources]
    classes = read_tags()

    for k in (1, LABELS_SHOWN):
        samples = [label_truth(each, classes, k) for each in photos]
        report(f"labels, first {k}, {space.vision_id}", names, photos, samples, log_odds, lambda scores: scores)
    samples = [word_truth(each, space, WORDS_SHOWN) for each in photos]
    report(f"words, first {WORDS_SHOWN}, {space.space_id}", names, photos, samples, np.asarray, _clipped)


def report(
    title: str,
    names: Sequence[str],
    photos: Sequence[LabelledPhotos],
    samples: Sequence[tuple[np.ndarray, np.ndarray]],
    number_of: Callable[[np.ndarray], np.ndarray],
    as_it_is: Callable[[np.ndarray], np.ndarray],
) -> None:
    """One block of lines: what fits all classes, and for each source how honest it is on the other half of them."""
    print(f"{title}: {_fitted(samples, [np.ones(len(y), bool) for _, y in samples], number_of)}")
    halves = [_half(each) for each in photos]
    for number, (name, (scores, right)) in enumerate(zip(names, samples, strict=True)):
        before, after = [], []
        for side in (True, False):
            fitted = _fitted(samples, [half == side for half in halves], number_of)
            judged = halves[number] != side
            before.append(expected_calibration_error(as_it_is(scores[judged]), right[judged]))
            after.append(expected_calibration_error(fitted.of(number_of(scores[judged])), right[judged]))
        share = f"right {right.mean():.3f}"
        print(f"  {name:40} {share}  error of the score {np.mean(before):.3f}, of the probability {np.mean(after):.3f}")


def _fitted(
    samples: Sequence[tuple[np.ndarray, np.ndarray]],
    chosen: Sequence[np.ndarray],
    number_of: Callable[[np.ndarray], np.ndarray],
) -> Logistic:
    return fit_logistic([(number_of(x[rows]), y[rows]) for (x, y), rows in zip(samples, chosen, strict=True)])


def _half(photos: LabelledPhotos) -> np.ndarray:
    """Whether a photo's class is in the first half, bool [n]; the same class is in the same half of every source."""
    ids = [each.wordnet_id for each in photos.classes]
    first = np.array([np.random.default_rng([SEED, int(each.removeprefix("n"))]).random() < 0.5 for each in ids])
    return first[photos.class_of]


def _clipped(cosines: np.ndarray) -> np.ndarray:
    return np.clip(cosines, 0, 1)


if __name__ == "__main__":
    main()
