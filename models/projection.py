"""Derive the space from a network's last layer, the classes' tags and the words: no photo is needed.

The image half is a PCA of what the classifier can see: the right singular vectors of its weights are the directions
in which the network tells its classes apart, and the mean embedding follows from its batch normalisation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.tags import ClassTags
from models.words import Vocabulary

SEARCH_DIMENSIONS_MAX = 256
TAG_DECAY = 0.8  # weight of a hypernym's tags for each step up
GENERAL_SHARE_MAX = 0.3  # a hypernym of more than this share of all classes ("entity", "object") tells them not apart
JOINT_WEIGHT = 0.5  # share of the joint half in a search vector's squared length
# Names the way in which a space is derived. Change it with any rule or number here: it is a part of space_id. (Hashing
# the derived numbers instead would give each kind of processor a space of its own, by their last bits.)
RECIPE = "class tags 1"


@dataclass(frozen=True)
class SpaceArrays:
    """The numbers of a space, as `space.npz` keeps them."""

    tag_vectors: np.ndarray  # float32 [classes, w], unit rows
    image_mean: np.ndarray  # float32 [d]
    image_axes: np.ndarray  # float32 [d, m]
    joint_weight: np.ndarray  # float32 []


def derive_space(
    classifier: np.ndarray, mean_embedding: np.ndarray, classes: Sequence[ClassTags], vocabulary: Vocabulary
) -> SpaceArrays:
    """The space of a network with weights [d, classes]; deterministic."""
    image_dimensions = min(SEARCH_DIMENSIONS_MAX - vocabulary.dimensions, *classifier.shape)
    return SpaceArrays(
        tag_vectors=derive_tag_vectors(classes, vocabulary),
        image_mean=mean_embedding.astype(np.float32),
        image_axes=derive_image_axes(classifier, image_dimensions),
        joint_weight=np.float32(JOINT_WEIGHT),
    )


def derive_image_axes(classifier: np.ndarray, count: int) -> np.ndarray:
    """The `count` directions of the image embedding, float32 [d, count], in which the classes differ most."""
    centred = classifier - classifier.mean(axis=1, keepdims=True)
    covariance = (centred @ centred.T).astype(np.float64)  # [d, d]: three times as quick as an SVD
    _, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1][:, :count]
    # An eigenvector's sign is the library's choice; a fixed one keeps the bundle the same on every machine.
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(count)])
    return (axes * signs).astype(np.float32)


def derive_tag_vectors(classes: Sequence[ClassTags], vocabulary: Vocabulary) -> np.ndarray:
    """One unit vector, float32 [classes, w], per class: its names and, ever more faintly, what it is a kind of."""
    spread = Counter(names for each in classes for names in {names for _, names in each.hypernyms})
    general = {names for names, count in spread.items() if count > GENERAL_SHARE_MAX * len(classes)}
    meanings = {names: _meaning(names, vocabulary) for each in classes for _, names in _tags(each)}
    rows = [
        sum(
            (TAG_DECAY**steps * meanings[names] for steps, names in _tags(each) if names not in general),
            start=np.zeros(vocabulary.dimensions, np.float32),
        )
        for each in classes
    ]
    vectors = np.stack(rows)
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _tags(each: ClassTags) -> list[tuple[int, tuple[str, ...]]]:
    return [(0, each.names), *each.hypernyms]


def _meaning(names: tuple[str, ...], vocabulary: Vocabulary) -> np.ndarray:
    """The unit mean, float32 [w], of a synset's names; zero when no word of them is known."""
    vectors = [vector for name in names if (vector := vocabulary.phrase(name)[0]) is not None]
    if not vectors:
        return np.zeros(vocabulary.dimensions, np.float32)
    mean = np.mean(vectors, axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-9)
