"""The SavedModel of a bundle: one network behind two signatures.

serving_default   what TF Serving answers: image files in; image embedding, joint embedding, best labels, vision_id out
pixels            what the encoder of this house freezes: squares in; image embedding and all class scores out

TensorFlow is imported with this file, so it is imported where a bundle is made and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.decoding_graph import cut_square
from models.encoder import LABELS_KEPT
from models.vision import VisionModel

PIXELS_SIGNATURE, FILES_SIGNATURE = "pixels", "serving_default"


class JointProjection(tf.Module):
    """`Space.project` in TensorFlow, from the arrays of `space.npz`; a test holds the two together."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.tag_vectors = tf.Variable(arrays["tag_vectors"], trainable=False)  # [classes, w]
        self.whitened_vectors = tf.Variable(arrays["whitened_vectors"], trainable=False)  # [classes, w]
        self.whitened_weight = float(arrays["whitened_weight"])
        self.is_trained = "projection" in arrays
        if self.is_trained:
            self.layer = tf.Variable(arrays["projection"], trainable=False)  # [d, w]
            self.bias = tf.Variable(arrays["projection_bias"], trainable=False)  # [w]
            self.weight = float(arrays["projection_weight"])

    def __call__(self, image_embeddings: tf.Tensor, label_indices: tf.Tensor, label_scores: tf.Tensor) -> tf.Tensor:
        """Joint embeddings, float32 [n, w], unit length, from [n, d], [n, t], [n, t]."""
        tagged = _weighted_sum(label_scores, self.tag_vectors, label_indices)
        whitened = _weighted_sum(tf.sqrt(label_scores), self.whitened_vectors, label_indices)
        joint = _mixture(tagged, whitened, self.whitened_weight)
        if not self.is_trained:
            return joint
        return _mixture(joint, _unit(image_embeddings @ self.layer + self.bias), self.weight)


def _weighted_sum(scores: tf.Tensor, class_vectors: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    return _unit(tf.einsum("nt,ntw->nw", scores, tf.gather(class_vectors, indices)))


def _mixture(first: tf.Tensor, second: tf.Tensor, second_weight: float) -> tf.Tensor:
    return _unit((1 - second_weight) * first + second_weight * second)


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    """Rows scaled to length 1; a row of zeros becomes the first axis."""
    norms = tf.norm(vectors, axis=-1, keepdims=True)
    axis = tf.one_hot(0, tf.shape(vectors)[-1])
    return tf.where(norms > 1e-9, vectors / tf.maximum(norms, 1e-9), axis)


class _Served(tf.Module):
    """Everything that the SavedModel holds on to."""

    def __init__(self, network: tf.Module, joint: JointProjection, model: VisionModel, vision_id: str) -> None:
        super().__init__()
        self.network, self.joint = network, joint
        self.model, self.vision_id = model, vision_id

    def answer_pixels(self, photos: tf.Tensor) -> dict[str, tf.Tensor]:
        """uint8 [n, side, side, 3] to embeddings [n, d] and the scores of all classes [n, classes]."""
        embeddings, scores = self.network((tf.cast(photos, tf.float32) - self.model.offset) / self.model.scale)
        return {"image_embedding": embeddings, "label_scores": scores}

    def answer_files(self, photos: tf.Tensor) -> dict[str, tf.Tensor]:
        """string [n], each a JPEG, PNG, GIF or BMP file, to everything that a bundle can say of a photo by itself."""
        side_px, resize_px = self.model.side_px, self.model.resize_px
        squares = tf.map_fn(
            lambda photo: cut_square(photo, resize_px=resize_px, side_px=side_px),
            photos,
            fn_output_signature=tf.TensorSpec([side_px, side_px, 3], tf.uint8),
        )
        seen = self.answer_pixels(squares)
        scores, indices = tf.math.top_k(seen["label_scores"], min(LABELS_KEPT, seen["label_scores"].shape[1]))
        return {
            "image_embedding": seen["image_embedding"],
            "joint_embedding": self.joint(seen["image_embedding"], indices, scores),
            "label_scores": scores,
            "label_indices": indices,
            "vision_id": tf.fill(tf.shape(photos), self.vision_id),
        }


def save_vision(
    network: tf.Module, directory: Path, *, model: VisionModel, vision_id: str, arrays: Mapping[str, Any]
) -> None:
    """Write the SavedModel of a network and the arrays of its space; `directory` is a version's, as `saved_model/1`."""
    served = _Served(network, JointProjection(arrays), model, vision_id)
    squares = tf.TensorSpec([None, model.side_px, model.side_px, 3], tf.uint8, name="photos")
    files = tf.TensorSpec([None], tf.string, name="photos")
    signatures = {
        PIXELS_SIGNATURE: tf.function(served.answer_pixels, input_signature=[squares]),
        FILES_SIGNATURE: tf.function(served.answer_files, input_signature=[files]),
    }
    tf.saved_model.save(served, str(directory), signatures=signatures)
