"""Behind one call: a Keras model or SavedModel of somebody's, with its last layer found among its weights.

TensorFlow is imported with this file, so it is imported where a bundle is made and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.any_network import AnyNetwork
from models.made_photos import made_photos
from models.manifest import hash_files
from models.tags import read_tags
from models.vision import BuiltVision
from stream_app.errors import BundleError

PICTURES_TRIED = 32
SCORE_MIN = 1e-6  # of a class whose score is compared: below it there are few bits left
LOG_SCORE_DIFFERENCE_MAX = 0.02  # between the network's scores and those of the last layer as it was found


@dataclass(frozen=True)
class _Outputs:
    """A network of either kind, asked for two of its outputs."""

    run: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]  # [n, side, side, 3] -> (embeddings, scores or logits)
    kept: Any  # what has the variables that `run` reads
    weights: list[np.ndarray]
    fingerprint: str


class _Adapted(tf.Module):
    """float32 [n, side, side, 3] to embeddings [n, d] and probabilities [n, classes], float32."""

    def __init__(self, outputs: _Outputs, *, are_logits: bool) -> None:
        super().__init__()
        self.kept = outputs.kept
        self._run, self._are_logits = outputs.run, are_logits

    def __call__(self, squares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        embeddings, scores = (tf.cast(each, tf.float32) for each in self._run(squares))
        return embeddings, tf.nn.softmax(scores) if self._are_logits else scores


def build_network(name: str, given: AnyNetwork) -> BuiltVision:
    """The network as a bundle wants it; BundleError when its scores are not those of a last layer of its own."""
    outputs = _of_keras(name, given) if isinstance(given.network, tf.keras.Model) else _of_saved_model(name, given)
    pictures = (made_photos(given.side_px, PICTURES_TRIED) - given.offset) / np.asarray(given.scale)
    embeddings, scores = _try(name, given, outputs, tf.constant(pictures, tf.float32))
    are_logits = not (scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3))
    _check_labels(name, given, scores.shape[1])
    kernel, bias = _last_layer(name, embeddings, _softmax(scores) if are_logits else scores, outputs.weights)
    digest = hashlib.sha256(f"{outputs.fingerprint} {given.embedding} {given.scores}".encode()).hexdigest()
    return BuiltVision(_Adapted(outputs, are_logits=are_logits), kernel, bias, embeddings.mean(axis=0), digest)


def _of_keras(name: str, given: AnyNetwork) -> _Outputs:
    model = given.network
    layers = {each.name: each for each in model.layers}
    wanted = {each for each in (given.embedding, given.scores) if each}
    if not wanted <= set(layers) or (not given.scores and len(model.outputs) != 1):
        raise _no_such_outputs(name, given, list(layers), f"a layer for each of its {len(model.outputs)} outputs")
    scores = layers[given.scores].output if given.scores else model.outputs[0]
    both = tf.keras.Model(model.inputs, [layers[given.embedding].output, scores])
    digest = hashlib.sha256(" ".join(type(each).__name__ for each in model.layers).encode())
    weights = [np.asarray(each) for each in model.get_weights()]
    for each in weights:
        digest.update(f"{each.dtype}{each.shape}".encode() + np.ascontiguousarray(each).tobytes())
    return _Outputs(lambda squares: both(squares, training=False), both, weights, digest.hexdigest())


def _of_saved_model(name: str, given: AnyNetwork) -> _Outputs:
    try:
        folder = Path(given.network)
        saved = tf.saved_model.load(str(folder))
        serve = saved.signatures["serving_default"]
        [its_input] = serve.structured_input_signature[1].values()
    except Exception as error:  # TensorFlow raises nearly anything on a folder that is not its own
        raise BundleError(
            f"{name} has no network that can be used",
            expected="a keras.Model, or the folder of a SavedModel with the signature serving_default of one input",
            received=f"{str(given.network)[:100]} ({type(error).__name__}: {str(error)[:100]})",
            remedy="A file of Keras' becomes a model by keras.saving.load_model(PATH), in the factory.",
        ) from error
    there = sorted(serve.structured_outputs)
    scores = [given.scores] if given.scores else [each for each in there if each != given.embedding]
    if not {given.embedding, *scores} <= set(there) or len(scores) != 1:
        raise _no_such_outputs(name, given, there, "an output of the signature serving_default for each")

    def run(squares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        answer = serve(**{its_input.name: tf.cast(squares, its_input.dtype)})
        return answer[given.embedding], answer[scores[0]]

    weights = [each.numpy() for each in serve.variables]
    return _Outputs(run, saved, weights, " ".join(f"{path} {digest}" for path, digest in hash_files(folder).items()))


def _no_such_outputs(name: str, given: AnyNetwork, there: list[str], expected: str) -> BundleError:
    shown = there if len(there) < 9 else [*there[:2], "...", *there[-6:]]
    return BundleError(
        f"{name}: it is not said which output is which, or there is none of that name",
        expected=expected,
        received=f"embedding {given.embedding!r}, scores {given.scores!r}; there are {', '.join(shown) or 'none'}",
        remedy="Name them: AnyNetwork(embedding=..., scores=...).",
    )


def _try(name: str, given: AnyNetwork, outputs: _Outputs, pictures: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    try:
        embeddings, scores = (np.asarray(each, np.float32) for each in outputs.run(pictures))
    except Exception as error:  # the network's own complaint about its input
        raise BundleError(
            f"{name} cannot look at photographs",
            expected=f"an input [any, {given.side_px}, {given.side_px}, 3]",
            received=f"{type(error).__name__}: {error}"[:300],
            remedy="side_px must be the network's, and any number of photographs must fit.",
        ) from error
    shapes = (embeddings.shape, scores.shape)
    if any(len(each) != 2 or each[0] != len(pictures) for each in shapes) or scores.shape[1] < 2:
        raise BundleError(
            f"{name} has outputs of other shapes",
            expected=f"embedding [{len(pictures)}, d] and scores [{len(pictures)}, classes]",
            received=f"{list(embeddings.shape)} and {list(scores.shape)}",
            remedy="Name the layer after pooling, where each photograph has one row of numbers.",
        )
    if not (np.isfinite(embeddings).all() and np.isfinite(scores).all()):
        raise BundleError(f"{name} gives numbers that are not finite", remedy="Are its weights loaded?")
    return embeddings, scores


def _check_labels(name: str, given: AnyNetwork, class_count: int) -> None:
    try:
        label_count = len(read_tags(Path(given.tags)))
    except OSError as error:
        raise BundleError(f"{name}: its tags cannot be read", received=f"{given.tags}: {error.strerror}") from error
    if label_count != class_count:
        raise BundleError(
            f"{name} has another number of classes than its tags",
            expected=f"{class_count} classes, as it has scores",
            received=f"{label_count} in {Path(given.tags).name}",
            remedy="Give the table of its own classes: AnyNetwork(tags=PATH), in the form of imagenet_tags.tsv.",
        )


def _last_layer(
    name: str, embeddings: np.ndarray, scores: np.ndarray, weights: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [d, classes] and bias [classes]: of all weights of these shapes, those that give the scores."""
    shape = (embeddings.shape[1], scores.shape[1])
    kernels = [each.reshape(shape) for each in weights if each.shape in (shape, (1, 1, *shape))]
    kernels += [each.T for each in weights if each.shape == shape[::-1]]
    biases = [np.zeros(shape[1]), *(each for each in weights if each.shape == shape[1:])]
    pairs = [(kernel.astype(np.float32), bias.astype(np.float32)) for kernel in kernels for bias in biases]
    differences = [_difference(_softmax(embeddings @ kernel + bias), scores) for kernel, bias in pairs]
    if not pairs or min(differences) > LOG_SCORE_DIFFERENCE_MAX:
        raise BundleError(
            f"{name} does not end as a classifier does",
            expected="scores that are softmax(embedding @ kernel + bias), with kernel and bias among its weights",
            received=f"{len(kernels)} weights of shape {list(shape)}, and none gives its scores",
            remedy="Name the embedding that goes into the last layer.",
        )
    kernel, bias = pairs[int(np.argmin(differences))]
    return np.ascontiguousarray(kernel), bias


def _difference(found: np.ndarray, scores: np.ndarray) -> float:
    compared = scores > SCORE_MIN
    return float(np.abs(np.log(np.maximum(found, 1e-30)) - np.log(np.maximum(scores, 1e-30)))[compared].max())


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
