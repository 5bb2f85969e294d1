"""Which vector serves related photos and which serves words: each kind of vector, judged on labelled photos."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from models.evaluation import mean_score, precision_at_k, word_hits
from models.labelled_photos import LabelledPhotos
from models.linear_projection import unit
from models.space import Space
from models.tag_vectors import general_tags
from models.zero_shot_metrics import mean_average_precision

RERANKED = 100  # candidates that the image embedding gives to be re-ranked
KIND_CLASSES_MAX = 20  # classes that one kind has at most, where photos of different classes count as related


@dataclass(frozen=True)
class VectorFigures:
    """How one kind of vector does; `words_at_5` is None where it cannot be asked by word."""

    vector: str
    dimensions: int
    related_precision_at_10: float
    related_map: float | None
    words_at_5: float | None


@dataclass(frozen=True)
class WordProbe:
    """A word, its unit vector float32 [w], and which photos it is right for, bool [n]."""

    word: str
    vector: np.ndarray
    is_right: np.ndarray


def judge_vectors(photos: LabelledPhotos, space: Space) -> list[VectorFigures]:
    """The image embedding, the joint embedding, the search vector, and image hits re-ranked by the latter."""
    joint = joint_embeddings(photos, space)
    search = space.search_vectors(photos.image_embeddings, joint)
    image = unit(photos.image_embeddings)
    probes = word_probes(photos, space)
    kinds = kinds_of_photos(photos)
    by_word = [search @ space.word_query(each.vector) for each in probes]
    return [
        _figures("image embedding", image, kinds, None),
        _figures("joint embedding", joint, kinds, [joint @ probe.vector for probe in probes], probes),
        _figures("search vector", search, kinds, by_word, probes),
        VectorFigures(
            f"image, the first {RERANKED} re-ranked",
            image.shape[1],
            _reranked_precision(image, search, kinds),
            None,
            None,
        ),
    ]


def has_companions(photos: LabelledPhotos) -> bool:
    """Whether most photos have another of their own class."""
    counts = np.bincount(photos.class_of)
    return bool((counts[photos.class_of] > 1).mean() > 0.5)


def kinds_of_photos(photos: LabelledPhotos) -> np.ndarray:
    """What photos have in common when they count as related, int [n]: their class.

    Where most classes have one photo, it is the widest thing of which at most KIND_CLASSES_MAX of these classes are a
    kind: hounds, or musical instruments.
    """
    if has_companions(photos):
        return photos.class_of
    spread = Counter(names for each in photos.classes for names in {names for _, names in each.tags})
    widest = [
        max((names for _, names in each.tags if spread[names] <= KIND_CLASSES_MAX), key=lambda names: spread[names])
        for each in photos.classes
    ]
    numbers = {names: number for number, names in enumerate(dict.fromkeys(widest))}
    return np.array([numbers[widest[row]] for row in photos.class_of])


def joint_embeddings(photos: LabelledPhotos, space: Space) -> np.ndarray:
    """float32 [n, w], as the index has them."""
    return space.project(photos.image_embeddings, photos.label_indices, photos.label_scores)


def word_probes(photos: LabelledPhotos, space: Space) -> list[WordProbe]:
    """Each name and hypernym of the labels that the vocabulary has and that means it first of all, once."""
    general = general_tags(photos.classes)
    classes_of: dict[str, set[int]] = {}
    for row, each in enumerate(photos.classes):
        for _, names in each.tags:
            if names not in general:
                for name in (name for name in names if name.sense == 1):
                    classes_of.setdefault(name.text.lower(), set()).add(row)
    probes = []
    for word, rows in sorted(classes_of.items()):
        if (vector := space.vocabulary.phrase(word)[0]) is not None:
            probes.append(WordProbe(word, vector, np.isin(photos.class_of, list(rows))))
    return probes


def _figures(
    name: str,
    vectors: np.ndarray,
    kinds: np.ndarray,
    scores: list[np.ndarray] | None,
    probes: list[WordProbe] | None = None,
) -> VectorFigures:
    hits = [word_hits(p.word, s, p.is_right) for p, s in zip(probes or [], scores or [], strict=True)]
    return VectorFigures(
        name,
        vectors.shape[1],
        precision_at_k(vectors, [str(each) for each in kinds], 10),
        mean_average_precision(vectors, kinds),
        mean_score([each for each in hits if each]) if scores is not None else None,
    )


def _reranked_precision(image: np.ndarray, search: np.ndarray, kinds: np.ndarray) -> float:
    right = 0
    for row in range(len(image)):
        scores = image @ image[row]
        scores[row] = -np.inf
        candidates = np.argpartition(-scores, min(RERANKED, len(scores) - 1))[:RERANKED]
        candidates = candidates[candidates != row]
        best = candidates[np.argsort(-(search[candidates] @ search[row]), kind="stable")[:10]]
        right += int((kinds[best] == kinds[row]).sum())
    return right / (10 * len(image))
