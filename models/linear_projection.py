"""One linear layer from image embeddings to the words, fitted in closed form.

All fits see class means and counts only through sums over photos, and all centre the embeddings, so that a photo's
common part says nothing of its class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_app.errors import TrainingRejected


@dataclass(frozen=True)
class LinearProjection:
    """weights float32 [d, w] and bias float32 [w]: joint embedding = image embedding @ weights + bias, then unit."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, image_embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, w], unit rows, from [n, d]."""
        return unit(image_embeddings.astype(np.float32) @ self.weights + self.bias)


@dataclass(frozen=True)
class TrainedProjection:
    """A projection and the weight it has in the joint embedding, from 0 to 1, as a bundle carries it."""

    projection: LinearProjection
    weight: float

    def arrays(self) -> dict[str, np.ndarray]:
        """As `space.npz` keeps it."""
        return {
            "projection": self.projection.weights,
            "projection_bias": self.projection.bias,
            "projection_weight": np.array(self.weight, np.float32),
        }


def fit_ridge(image_embeddings: np.ndarray, targets: np.ndarray, *, penalty: float) -> LinearProjection:
    """Ridge regression of each photo's target [n, w]; `penalty` is in units of the embeddings' mean variance."""
    embeddings, mean = _centred(image_embeddings)
    target_mean = targets.mean(axis=0)
    weights = np.linalg.solve(_penalised(embeddings, penalty), embeddings.T @ (targets - target_mean))
    return _projection(weights, target_mean - mean @ weights)


def fit_bilinear(
    image_embeddings: np.ndarray, class_of: np.ndarray, targets: np.ndarray, *, penalty: float, word_penalty: float
) -> LinearProjection:
    """Bilinear compatibility in closed form (ESZSL: Romera-Paredes and Torr 2015).

    Between photo and class it asks for +1 or -1 rather than for a place among the words, which takes the directions
    out that all classes share. `class_of` int [n] are rows of `targets` [classes, w].
    """
    embeddings, mean = _centred(image_embeddings)
    sums = np.zeros((len(targets), embeddings.shape[1]))
    np.add.at(sums, class_of, embeddings)
    weights = np.linalg.solve(_penalised(embeddings, penalty), sums.T @ targets) @ inverse_covariance(
        targets, word_penalty
    )
    return _projection(weights, -mean @ weights)


def fit_prototypes(classifier: np.ndarray, mean_embedding: np.ndarray, targets: np.ndarray) -> LinearProjection:
    """No photo at all: the last layer's rows stand for the classes' photos.

    `classifier` [d, classes] of a softmax layer, `targets` [classes, w]; the projection is the limit of
    `fit_bilinear` for a large penalty, with each class seen once.
    """
    rows = classifier - classifier.mean(axis=1, keepdims=True)
    weights = rows @ (targets - targets.mean(axis=0)) @ inverse_covariance(targets, 1.0)
    return _projection(weights, -mean_embedding @ weights)


def inverse_covariance(targets: np.ndarray, penalty: float) -> np.ndarray:
    """(S'S + penalty I)^-1, float64 [w, w], with `penalty` in units of the mean variance: soft whitening."""
    return np.linalg.inv(_penalised(targets.astype(np.float64), penalty))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32."""
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)).astype(np.float32)


def _centred(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not np.isfinite(embeddings).all():
        raise TrainingRejected(
            "An image embedding has numbers that are not finite",
            received=f"{int((~np.isfinite(embeddings).all(axis=1)).sum())} such photos of {len(embeddings)}",
            remedy="Leave those photos out, or embed them again.",
        )
    mean = embeddings.mean(axis=0, dtype=np.float64)
    return embeddings - mean, mean


def _penalised(rows: np.ndarray, penalty: float) -> np.ndarray:
    gram = rows.T @ rows
    return gram + penalty * max(float(np.trace(gram)) / len(gram), 1e-12) * np.eye(len(gram))


def _projection(weights: np.ndarray, bias: np.ndarray) -> LinearProjection:
    return LinearProjection(weights.astype(np.float32), bias.astype(np.float32))
