"""The SavedModel of a bundle: one network behind two signatures.

serving_default   what TF Serving answers: image files in; image embedding, joint embedding, best labels, vision_id out
pixels            what the encoder of this house freezes: squares in; image embedding and all class scores out

TensorFlow is imported with this file, so it is imported where a bundle is made and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


Look = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class _Served(tf.Module):
    """Everything that the SavedModel holds on to."""

    def __init__(self, look: Look, kept: Any, joint: JointProjection, preprocessing: Mapping[str, Any], vision_id: str):
        super().__init__()
        self.look, self.kept, self.joint = look, kept, joint  # `kept` has the variables that `look` reads
        self.side_px, self.resize_px = int(preprocessing["side_px"]), int(preprocessing["resize_px"])
        self.vision_id = vision_id

    def answer_pixels(self, photos: tf.Tensor) -> dict[str, tf.Tensor]:
        """uint8 [n, side, side, 3] to embeddings [n, d] and the scores of all classes [n, classes]."""
        return self.look(photos)

    def answer_files(self, photos: tf.Tensor) -> dict[str, tf.Tensor]:
        """string [n], each a JPEG, PNG, GIF or BMP file, to everything that a bundle can say of a photo by itself."""
        squares = tf.map_fn(
            lambda photo: cut_square(photo, resize_px=self.resize_px, side_px=self.side_px),
            photos,
            fn_output_signature=tf.TensorSpec([self.side_px, self.side_px, 3], tf.uint8),
        )
        seen = self.look(squares)
        scores, indices = tf.math.top_k(seen["label_scores"], min(LABELS_KEPT, seen["label_scores"].shape[1]))
        return {
            "image_embedding": seen["image_embedding"],
            "joint_embedding": self.joint(seen["image_embedding"], indices, scores),
            "label_scores": scores,
            "label_indices": indices,
            "vision_id": tf.fill(tf.shape(photos), self.vision_id),
        }

    def save(self, directory: Path) -> None:
        """Write the SavedModel with both signatures."""
        squares = tf.TensorSpec([None, self.side_px, self.side_px, 3], tf.uint8, name="photos")
        files = tf.TensorSpec([None], tf.string, name="photos")
        signatures = {
            PIXELS_SIGNATURE: tf.function(self.answer_pixels, input_signature=[squares]),
            FILES_SIGNATURE: tf.function(self.answer_files, input_signature=[files]),
        }
        tf.saved_model.save(self, str(directory), signatures=signatures)


def save_vision(
    network: tf.Module, directory: Path, *, model: VisionModel, vision_id: str, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write the SavedModel of a network and the arrays of its space; `directory` is a version's, as `saved_model/1`."""

    def look(photos: tf.Tensor) -> dict[str, tf.Tensor]:
        embeddings, scores = network((tf.cast(photos, tf.float32) - model.offset) / model.scale)
        return {"image_embedding": embeddings, "label_scores": scores}

    _Served(look, network, JointProjection(arrays), model.preprocessing, vision_id).save(directory)


def save_again(
    vision_dir: Path,
    directory: Path,
    *,
    preprocessing: Mapping[str, Any],
    vision_id: str,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write the SavedModel of another bundle's network with the arrays of another space."""
    loaded = tf.saved_model.load(str(vision_dir))
    pixels = loaded.signatures[PIXELS_SIGNATURE]
    joint = JointProjection(arrays)
    _Served(lambda photos: pixels(photos=photos), loaded, joint, preprocessing, vision_id).save(directory)
