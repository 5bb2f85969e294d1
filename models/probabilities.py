"""How likely a label or a word is right, from its score; numpy only: a web worker loads this.

A network's softmax and a cosine order what is seen in a photo well, and neither is a probability: on clear photographs
this network is right more often than it says. The constants are what

    python tests/benchmarks/bench_calibration.py PHOTOS TINY_IMAGENET

measured (logistic regression, both kinds of photo having equal weight), for the networks and spaces that it was run on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

#: Softmax probabilities beyond these are taken for these.
SURE = 1e-4


class Logistic(NamedTuple):
    """probability = 1 / (1 + exp(-(slope * x + bias)))."""

    slope: float
    bias: float

    def of(self, x: np.ndarray) -> np.ndarray:
        """The probabilities of numbers of any shape."""
        return 1 / (1 + np.exp(-(self.slope * x + self.bias)))

    def chance(self, x: float) -> float:
        """The probability of one number."""
        return 1 / (1 + math.exp(-(self.slope * x + self.bias)))


#: By `vision_id`, from the log odds of a class's softmax probability: a slope is one over the temperature.
LABELS: Mapping[str, Logistic] = {"593f007a11bf": Logistic(1.133, 0.305)}
#: By `space_id`, from the cosine of a word.
WORDS: Mapping[str, Logistic] = {"c29e68548877": Logistic(10.37, -6.51)}


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Of probabilities of any shape, none of them quite 0 or 1."""
    kept = np.clip(np.asarray(probabilities, np.float64), SURE, 1 - SURE)
    return np.log(kept / (1 - kept))


def label_probabilities(scores: Sequence[float], vision_id: str) -> list[float | None]:
    """How likely each label is right, from its softmax probability; None where the network was never measured."""
    known = LABELS.get(vision_id)
    # Not in numpy: a photo has five labels, and a batch of photos would spend its time on calls.
    return [None if known is None else known.chance(_log_odds(score)) for score in scores]


def word_probabilities(cosines: Sequence[float], space_id: str) -> list[float | None]:
    """How likely each word is right, from its cosine; None where the space was never measured."""
    known = WORDS.get(space_id)
    return [None if known is None else known.chance(cosine) for cosine in cosines]


def _log_odds(probability: float) -> float:
    kept = min(max(probability, SURE), 1 - SURE)
    return math.log(kept / (1 - kept))
