"""Train the linear projection of a bundle on photos and their tags, and choose how much it should say.

A photo with three tags is three examples. A fifth of the tags is held out, with every photo that has one: they choose
the settings, end gradient descent, and choose the weight of the projection beside what the bundle's space says
already. Closed forms are then fitted once more on everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from models.class_targets import class_targets
from models.grids import GRIDS
from models.labelled_photos import tags_by_label, tags_of_label
from models.linear_projection import LinearProjection, fit_bilinear, fit_prototypes, fit_ridge, unit
from models.linear_training import TrainingPlan, train_linear
from models.space import Space
from models.tags import ClassTags
from models.words import Vocabulary
from models.zero_shot_metrics import class_ranking, flat_hit_at_k
from stream_app.errors import TrainingRejected

WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
HELD_OUT_SHARE = 0.2
TAGS_MIN = 5
FALSE_WORDS = 20_000


@dataclass(frozen=True)
class TaggedPhotos:
    """n photos as an encoder saw them, each with its tags."""

    image_embeddings: np.ndarray  # float32 [n, d]
    label_indices: np.ndarray  # int [n, t]
    label_scores: np.ndarray  # float32 [n, t]
    tags: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.image_embeddings)


@dataclass(frozen=True)
class JointTraining:
    """What came out: the projection, its weight in the joint embedding, and what it was learnt from."""

    projection: LinearProjection
    weight: float
    loss: str
    settings: dict[str, float]
    targets: str
    seed: int
    photos: int
    examples: int
    tags: int
    validation: dict[float, float]  # mean of flat hit@1 and hit@5 on held-out tags, by weight; 0.0 is as it was
    unknown_tags: Counter[str] = field(default_factory=Counter)  # left out, with how often they came


def train_joint(
    photos: TaggedPhotos,
    space: Space,
    *,
    loss: str = "bilinear",
    targets: str = "hypernyms",
    seed: int = 0,
    log_dir: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> JointTraining:
    """A projection for the bundle of `space`; TrainingRejected when the tags cannot teach one."""
    if loss not in GRIDS:
        raise TrainingRejected("No such loss", expected=", ".join(GRIDS), received=loss)
    if not np.isfinite(photos.image_embeddings).all():
        raise TrainingRejected("A photo's embedding has numbers that are not finite", remedy="Embed it again.")
    lesson = _Lesson.of(photos, space, targets, seed)
    trials = [(settings, lesson.fit(loss, settings, log_dir)) for settings in _settings(loss)]
    for settings, projection in trials:
        say(f"{loss} {settings}: {100 * lesson.validate(projection):.1f} on held-out tags")
    settings, projection = max(trials, key=lambda trial: lesson.validate(trial[1]))
    validation = {weight: lesson.validate(projection, weight) for weight in WEIGHTS}
    return JointTraining(
        projection=lesson.fit_all(loss, settings) or projection,
        weight=max(validation, key=lambda weight: validation[weight]),
        loss=loss,
        settings=settings,
        targets=targets,
        seed=seed,
        photos=len(photos),
        examples=len(lesson.rows),
        tags=len(lesson.targets),
        validation=validation,
        unknown_tags=lesson.unknown,
    )


def _settings(loss: str) -> Iterator[dict[str, float]]:
    grid = GRIDS[loss]
    return (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


@dataclass(frozen=True)
class _Lesson:
    """Examples (row of a photo, row of a tag), some of them held out."""

    photos: TaggedPhotos
    space: Space
    known: np.ndarray  # float32 [n, w]: what the space says already
    targets: np.ndarray  # float32 [tags, w]
    rows: np.ndarray  # int [examples]
    tag_of: np.ndarray  # int [examples]
    is_held_out: np.ndarray  # bool [tags]
    trains: np.ndarray  # bool [examples]: neither the tag nor another of its photo is held out
    unknown: Counter[str]
    seed: int

    @classmethod
    def of(cls, photos: TaggedPhotos, space: Space, kind: str, seed: int) -> _Lesson:
        names, rows, tag_of, unknown = _examples(photos.tags, space.vocabulary)
        if len(names) < TAGS_MIN:
            raise TrainingRejected(
                "There are too few tags to learn from and hold some out",
                expected=f"at least {TAGS_MIN} different tags that the vocabulary knows",
                received=f"{len(names)}: {', '.join(each.names[0].text for each in names) or 'none'}"
                + (f"; unknown: {', '.join(tag for tag, _ in unknown.most_common(5))}" if unknown else ""),
            )
        is_held_out = np.zeros(len(names), bool)
        count = max(2, round(HELD_OUT_SHARE * len(names)))
        is_held_out[np.random.default_rng(seed).permutation(len(names))[:count]] = True
        touched = np.zeros(len(photos), bool)
        touched[rows[is_held_out[tag_of]]] = True
        trains = ~touched[rows]
        if len(np.unique(tag_of[trains])) < 2:
            raise TrainingRejected("Nearly all photos share their tags", expected="photos with different tags")
        known = space.project(photos.image_embeddings, photos.label_indices, photos.label_scores)
        targets = class_targets(names, space.vocabulary, kind)
        return cls(photos, space, known, targets, rows, tag_of, is_held_out, trains, unknown, seed)

    def fit(self, loss: str, settings: dict[str, float], log_dir: Path | None) -> LinearProjection:
        """On the examples that train; gradient descent stops by the others."""
        if loss in ("cosine", "hinge"):
            tags, tag_of = np.unique(self.tag_of[self.trains], return_inverse=True)
            plan = TrainingPlan(loss, seed=self.seed, **settings)  # type: ignore[arg-type]
            name = "-".join(f"{key}-{value:g}" for key, value in settings.items())
            return train_linear(
                self.photos.image_embeddings[self.rows[self.trains]],
                tag_of,
                self.targets[tags],
                plan,
                validate=self.validate,
                other_words=np.asarray(self.space.vocabulary.vectors[:FALSE_WORDS], np.float32),
                log_dir=log_dir / f"{loss}-{name}" if log_dir else None,
            )
        return self._closed_form(loss, settings, self.trains)

    def fit_all(self, loss: str, settings: dict[str, float]) -> LinearProjection | None:
        """On every example; None for gradient descent, which would not know when to stop."""
        every = np.ones(len(self.rows), bool)
        return None if loss in ("cosine", "hinge") else self._closed_form(loss, settings, every)

    def validate(self, projection: LinearProjection, weight: float = 1.0) -> float:
        """The mean of flat hit@1 and hit@5 of held-out tags, among themselves and among all tags."""
        examples = self.is_held_out[self.tag_of]
        rows, right = self.rows[examples], self.tag_of[examples]
        joint = unit((1 - weight) * self.known[rows] + weight * projection(self.photos.image_embeddings[rows]))
        hits = []
        for among in (np.flatnonzero(self.is_held_out), np.arange(len(self.targets))):
            ranking = among[class_ranking(joint @ self.targets[among].T, 5)]
            hits += [flat_hit_at_k(ranking, right, k) for k in (1, 5)]
        return float(np.mean(hits))

    def _closed_form(self, loss: str, settings: dict[str, float], chosen: np.ndarray) -> LinearProjection:
        if loss == "prototypes":
            return fit_prototypes(self.space.classifier, self.space.mean_embedding, self.space.tag_vectors)
        embeddings, tag_of = self.photos.image_embeddings[self.rows[chosen]], self.tag_of[chosen]
        if loss == "ridge":
            return fit_ridge(embeddings, self.targets[tag_of], **settings)
        tags, tag_of = np.unique(tag_of, return_inverse=True)
        arguments: dict[str, Any] = settings
        return fit_bilinear(embeddings, tag_of, self.targets[tags], **arguments)


def _examples(
    tags: Sequence[Sequence[str]], vocabulary: Vocabulary
) -> tuple[list[ClassTags], np.ndarray, np.ndarray, Counter[str]]:
    """Every tag once, the rows of photo and tag of each example, and the tags without a known word."""
    known = tags_by_label()
    numbers: dict[str, int | None] = {}
    names: list[ClassTags] = []
    rows, tag_of, unknown = [], [], Counter[str]()
    for row, photo_tags in enumerate(tags):
        for tag in dict.fromkeys(each.strip().lower() for each in photo_tags if each.strip()):
            if tag not in numbers:
                meant = tags_of_label(tag, known)
                has_word = any(vocabulary.phrase(name.text)[0] is not None for name in meant.names)
                numbers[tag] = len(names) if has_word else None
                names += [meant] if has_word else []
            if (number := numbers[tag]) is None:
                unknown[tag] += 1
            else:
                rows.append(row)
                tag_of.append(number)
    return names, np.array(rows, int), np.array(tag_of, int), unknown
