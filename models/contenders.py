"""Every way from a photo into the words that is judged, each with the settings it may be tuned over.

A contender learns from the photos of the training classes, or from the network's last layer alone, and gives a
joint embedding for any photo. Nothing of a held-out class reaches it: neither photos, nor its output of the network,
nor its row of the last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from models.grids import GRIDS
from models.linear_projection import (
    LinearProjection,
    fit_bilinear,
    fit_prototypes,
    fit_ridge,
    inverse_covariance,
    unit,
)
from models.linear_training import TrainingPlan, train_linear
from models.projection import WHITENED_WEIGHT, WHITENING_PENALTY
from models.tag_vectors import TEMPERATURE, derive_tag_vectors
from models.tags import ClassTags
from models.words import Vocabulary

TOP_CLASSES = 32  # what an encoding keeps of a photo's class scores
FALSE_WORDS = 20_000  # the commonest words, among which the hinge loss draws


@dataclass(frozen=True)
class Seen:
    """n photos: image embeddings float32 [n, d], logits float32 [n, known] of the classes that are not held out."""

    image_embeddings: np.ndarray
    logits: np.ndarray

    def probabilities(self, temperature: float, k: int) -> np.ndarray:
        """Softmax over the known classes, the k best kept and scaled to sum to 1, float32 [n, known]."""
        scaled = (self.logits - self.logits.max(axis=1, keepdims=True)) / temperature
        scores = np.exp(scaled)
        if k < scores.shape[1]:
            least = np.partition(scores, -k, axis=1)[:, -k, None]
            scores = np.where(scores >= least, scores, 0)
        return scores / scores.sum(axis=1, keepdims=True)


Projector = Callable[[Seen], np.ndarray]  # -> joint embeddings float32 [n, w], unit rows


@dataclass(frozen=True)
class Lesson:
    """What contenders may learn from in one split of the classes."""

    photos: Seen  # of the training classes
    class_of: np.ndarray  # int [n], rows of `targets`
    targets: np.ndarray  # float32 [train, w]
    known_classes: list[ClassTags]  # the network's, without those held out
    known_targets: np.ndarray  # float32 [known, w]
    classifier: np.ndarray  # float32 [d, known]
    mean_embedding: np.ndarray  # float32 [d]
    vocabulary: Vocabulary
    validate: Callable[[Projector], float]
    seed: int
    _tag_vectors: dict[float, np.ndarray] = field(default_factory=dict)

    def tag_vectors(self, temperature: float) -> np.ndarray:
        """Where the known classes lie when each tag finds its own, float32 [known, w]; learnt once."""
        if temperature not in self._tag_vectors:
            derived = derive_tag_vectors(self.known_classes, self.vocabulary, temperature=temperature)
            self._tag_vectors[temperature] = derived
        return self._tag_vectors[temperature]


@dataclass(frozen=True)
class Contender:
    """One way into the words: `fit(lesson, **settings)` for each settings of its grid."""

    name: str
    fit: Callable[..., Projector]
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def settings(self) -> list[dict[str, Any]]:
        """Every combination of the grid; none has more than eight, so that all are tuned on the same budget."""
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]


def conse(lesson: Lesson, *, k: int = 10, temperature: float = 1.0) -> Projector:
    """Convex combination of the k likeliest classes' words (Norouzi et al. 2014)."""
    return lambda photos: unit(photos.probabilities(temperature, k) @ lesson.known_targets)


def whitened_conse(lesson: Lesson, *, penalty: float, temperature: float) -> Projector:
    """ConSE in words that are whitened over the classes: what all classes share no longer decides."""
    whitened = lesson.known_targets @ inverse_covariance(lesson.known_targets, penalty).astype(np.float32)
    return lambda photos: unit(photos.probabilities(temperature, TOP_CLASSES) @ whitened)


def contrastive_tags(lesson: Lesson, *, tag_temperature: float, temperature: float) -> Projector:
    """ConSE over class vectors that were moved until each tag finds its own classes (`models.tag_vectors`)."""
    vectors = lesson.tag_vectors(tag_temperature)
    return lambda photos: unit(photos.probabilities(temperature, TOP_CLASSES) @ vectors)


def contrastive_tags_beside_whitened_conse(
    lesson: Lesson, *, whitened_weight: float, tag_temperature: float
) -> Projector:
    """Contrastive tags, which find photos by word best, mixed with whitened ConSE, which knows unseen classes best."""
    first = contrastive_tags(lesson, tag_temperature=tag_temperature, temperature=1.0)
    return _mixture(first, whitened_conse(lesson, penalty=WHITENING_PENALTY, temperature=2.0), whitened_weight)


def ridge(lesson: Lesson, *, penalty: float) -> Projector:
    """Ridge regression to each photo's target."""
    return _linear(fit_ridge(lesson.photos.image_embeddings, lesson.targets[lesson.class_of], penalty=penalty))


def ridge_to_whitened_words(lesson: Lesson, *, penalty: float) -> Projector:
    """Ridge regression to targets that are whitened over the known classes."""
    whitened = unit(lesson.targets @ inverse_covariance(lesson.known_targets, 1.0))
    return _linear(fit_ridge(lesson.photos.image_embeddings, whitened[lesson.class_of], penalty=penalty))


def bilinear(lesson: Lesson, *, penalty: float, word_penalty: float) -> Projector:
    """Bilinear compatibility in closed form (ESZSL)."""
    return _linear(_bilinear(lesson, penalty, word_penalty))


def prototypes(lesson: Lesson) -> Projector:
    """A linear projection from the network's last layer, without any photo."""
    return _linear(fit_prototypes(lesson.classifier, lesson.mean_embedding, lesson.known_targets))


def cosine_loss(lesson: Lesson, *, learning_rate: float, weight_decay: float) -> Projector:
    """The seed's projection: gradient descent on the cosine with the tag's word."""
    return _trained(lesson, TrainingPlan("cosine", learning_rate, weight_decay=weight_decay, seed=lesson.seed))


def hinge_rank_loss(lesson: Lesson, *, learning_rate: float, margin: float) -> Projector:
    """DeViSE's projection: gradient descent on the hinge rank loss with sampled false words."""
    return _trained(lesson, TrainingPlan("hinge", learning_rate, margin=margin, seed=lesson.seed))


def contrastive_tags_with_prototypes(lesson: Lesson, *, linear_weight: float, tag_temperature: float) -> Projector:
    """Contrastive tags mixed with the linear projection from the last layer: no photo needed."""
    linear = prototypes(lesson)
    return _mixture(contrastive_tags(lesson, tag_temperature=tag_temperature, temperature=1.0), linear, linear_weight)


def contrastive_tags_with_bilinear(lesson: Lesson, *, linear_weight: float, penalty: float) -> Projector:
    """Contrastive tags mixed with a linear projection that was trained on photos."""
    linear = _linear(_bilinear(lesson, penalty, 1.0))
    return _mixture(contrastive_tags(lesson, tag_temperature=0.08, temperature=1.0), linear, linear_weight)


def whitened_conse_with_bilinear(lesson: Lesson, *, linear_weight: float, penalty: float) -> Projector:
    """Whitened ConSE mixed with a linear projection that was trained on photos."""
    linear = _linear(_bilinear(lesson, penalty, 1.0))
    return _mixture(whitened_conse(lesson, penalty=1.0, temperature=2.0), linear, linear_weight)


def random_projection(lesson: Lesson) -> Projector:
    """A linear layer as it is before training."""
    shape = (lesson.photos.image_embeddings.shape[1], lesson.targets.shape[1])
    weights = np.random.default_rng(lesson.seed).normal(size=shape).astype(np.float32)
    mean = lesson.photos.image_embeddings.mean(axis=0)
    return _linear(LinearProjection(weights, -mean @ weights))


def _bilinear(lesson: Lesson, penalty: float, word_penalty: float) -> LinearProjection:
    photos, classes = lesson.photos.image_embeddings, lesson.class_of
    return fit_bilinear(photos, classes, lesson.targets, penalty=penalty, word_penalty=word_penalty)


def _linear(projection: LinearProjection) -> Projector:
    return lambda photos: projection(photos.image_embeddings)


def _mixture(first: Projector, second: Projector, second_weight: float) -> Projector:
    return lambda photos: unit((1 - second_weight) * first(photos) + second_weight * second(photos))


def _trained(lesson: Lesson, plan: TrainingPlan) -> Projector:
    return _linear(
        train_linear(
            lesson.photos.image_embeddings,
            lesson.class_of,
            lesson.targets,
            plan,
            validate=lambda projection: lesson.validate(_linear(projection)),
            other_words=np.asarray(lesson.vocabulary.vectors[:FALSE_WORDS], np.float32),
        )
    )


CONSE_10 = Contender("ConSE(10)", conse)
# What bundles are made with, as they are made and not tuned to the photos at hand: it needs no photo, and finds photos
# by word best.
DEFAULT = Contender(
    "the default bundle: contrastive tags + whitened ConSE",
    contrastive_tags_beside_whitened_conse,
    {"whitened_weight": (WHITENED_WEIGHT,), "tag_temperature": (TEMPERATURE,)},
)
CONTENDERS = (
    Contender("random projection", random_projection),
    CONSE_10,
    Contender("ConSE, tuned", conse, {"k": (5, 10, 20, 32), "temperature": (1.0, 2.0)}),
    Contender("cosine loss", cosine_loss, GRIDS["cosine"]),
    Contender("DeViSE hinge rank loss", hinge_rank_loss, GRIDS["hinge"]),
    Contender("ridge", ridge, GRIDS["ridge"]),
    Contender("ridge to whitened words", ridge_to_whitened_words, GRIDS["ridge"]),
    Contender("bilinear", bilinear, GRIDS["bilinear"]),
    Contender("prototypes, no photos", prototypes),
    Contender("whitened ConSE", whitened_conse, {"penalty": (0.1, 0.3, 1.0, 3.0), "temperature": (1.0, 2.0)}),
    Contender(
        "contrastive tags, no photos",
        contrastive_tags,
        {"tag_temperature": (0.06, 0.08, 0.12, 0.2), "temperature": (1.0, 2.0)},
    ),
    DEFAULT,
    Contender(
        "contrastive tags + whitened ConSE, no photos",
        contrastive_tags_beside_whitened_conse,
        {"whitened_weight": (0.1, 0.2, 0.3, 0.5), "tag_temperature": (0.08, 0.12)},
    ),
    Contender(
        "contrastive tags + prototypes, no photos",
        contrastive_tags_with_prototypes,
        {"linear_weight": (0.1, 0.2, 0.3, 0.4), "tag_temperature": (0.08, 0.12)},
    ),
    Contender(
        "contrastive tags + bilinear",
        contrastive_tags_with_bilinear,
        {"linear_weight": (0.1, 0.2, 0.3, 0.4), "penalty": (1.0, 3.0)},
    ),
    Contender(
        "whitened ConSE + bilinear",
        whitened_conse_with_bilinear,
        {"linear_weight": (0.1, 0.2, 0.35, 0.5), "penalty": (1.0, 3.0)},
    ),
)
