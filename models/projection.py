"""Derive the space from a network's last layer, the classes' tags and the words: no photo is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.linear_projection import inverse_covariance
from models.tag_vectors import derive_tag_vectors, general_tags, mean_tag_vectors
from models.tags import ClassTags
from models.words import Vocabulary

SEARCH_DIMENSIONS_MAX = 256
JOINT_WEIGHT = 0.4  # share of the joint half in a search vector's squared length
JOINT_DIMENSIONS_MAX = 96  # of them; fewer lose words, more take from the image half what related photos live on
WHITENED_WEIGHT = 0.3  # of ConSE in whitened words: costs words for known things little, finds unknown ones better
WHITENING_PENALTY = 1.0
# Names the way in which a space is derived. Change it with any rule or number here, in tag_vectors or in the formulas
# of Space: it is a part of space_id. (Hashing the derived numbers would give each kind of processor its own space, by
# their last bits.)
RECIPE = "contrastive class tags, class scores beside the image, whitened ConSE, joint half cut to the classes 3"


@dataclass(frozen=True)
class SpaceArrays:
    """The numbers of a space, as `space.npz` keeps them."""

    tag_vectors: np.ndarray  # float32 [classes, w], unit rows
    whitened_vectors: np.ndarray  # float32 [classes, w]
    whitened_weight: np.ndarray  # float32 []
    mean_embedding: np.ndarray  # float32 [d]
    classifier: np.ndarray  # float16 [d, classes]
    classifier_bias: np.ndarray  # float32 [classes]
    image_axes: np.ndarray  # float32 [d, m]
    class_axes: np.ndarray  # float32 [classes, m]
    joint_axes: np.ndarray  # float32 [w, j], orthonormal columns
    joint_weight: np.ndarray  # float32 []


def derive_space(
    classifier: np.ndarray,
    classifier_bias: np.ndarray,
    mean_embedding: np.ndarray,
    classes: Sequence[ClassTags],
    vocabulary: Vocabulary,
) -> SpaceArrays:
    """The space of a network whose last layer is [d, classes] and a bias; deterministic."""
    tag_vectors = derive_tag_vectors(classes, vocabulary)
    whitened_vectors = whitened_class_vectors(classes, vocabulary)
    joint_axes = derive_joint_axes((1 - WHITENED_WEIGHT) * tag_vectors + WHITENED_WEIGHT * whitened_vectors)
    image_dimensions = min(SEARCH_DIMENSIONS_MAX - joint_axes.shape[1], *classifier.shape)
    image_axes, class_axes = derive_axes(classifier, image_dimensions)
    return SpaceArrays(
        tag_vectors=tag_vectors,
        whitened_vectors=whitened_vectors,
        whitened_weight=np.array(WHITENED_WEIGHT, np.float32),
        mean_embedding=mean_embedding.astype(np.float32),
        classifier=classifier.astype(np.float16),
        classifier_bias=classifier_bias.astype(np.float32),
        image_axes=image_axes,
        class_axes=class_axes,
        joint_axes=joint_axes,
        joint_weight=np.array(JOINT_WEIGHT, np.float32),
    )


def whitened_class_vectors(classes: Sequence[ClassTags], vocabulary: Vocabulary) -> np.ndarray:
    """The classes' mean tags, float32 [classes, w], without the directions that all classes share."""
    vectors = mean_tag_vectors(classes, vocabulary, general_tags(classes))
    whitened = vectors @ inverse_covariance(vectors, WHITENING_PENALTY)
    # One scale for all: their lengths relative to one another count.
    return (whitened / np.linalg.norm(whitened, axis=1).mean()).astype(np.float32)


def derive_joint_axes(class_vectors: np.ndarray) -> np.ndarray:
    """The directions among the words, float32 [w, j], in which the classes lie: uncentred principal axes."""
    gram = class_vectors.astype(np.float64).T @ class_vectors
    return _largest_axes(gram, JOINT_DIMENSIONS_MAX).astype(np.float32)


def derive_axes(classifier: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first singular vectors of the classifier: the image directions [d, count] in which the network tells its
    classes apart, and for each the direction among the classes [classes, count] that it raises."""
    centred = (classifier - classifier.mean(axis=1, keepdims=True)).astype(np.float64)
    image_axes = _largest_axes(centred @ centred.T, count)
    class_axes = centred.T @ image_axes
    class_axes /= np.maximum(np.linalg.norm(class_axes, axis=0), 1e-9)
    return image_axes.astype(np.float32), class_axes.astype(np.float32)


def _largest_axes(gram: np.ndarray, count: int) -> np.ndarray:
    """The eigenvectors of the largest eigenvalues, float64 [n, at most count]; three times as quick as an SVD."""
    axes = np.linalg.eigh(gram)[1][:, ::-1][:, :count]
    # An eigenvector's sign is the library's choice; a fixed one keeps the space the same on every machine.
    return axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
