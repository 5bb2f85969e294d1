"""Networks of the Inception family: blocks of branches side by side, given as a table of layers.

The tables (`models.inception_v3`, `models.googlenet`) name their layers as torchvision does, so that a table says
at once how the network computes, which weights it needs, and of which shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.convolution import Convolution, Padding, Weights, expected_activation, fold
from stream_app.errors import BundleError

NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
CLASS_LAYER = "fc"


class Layer(NamedTuple):
    """A convolution with batch normalisation and ReLU: its name, its outputs, its kernel's height and width."""

    name: str
    filters: int
    kernel_px: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: Padding = "SAME"


class Pool(NamedTuple):
    """The largest or the mean value of each neighbourhood."""

    kind: str  # MAX or AVG
    side_px: int = 3
    stride: int = 1
    padding: str = "SAME"


class Branches(NamedTuple):
    """Several ways from one input, whose outputs are put side by side."""

    name: str  # comes before the names of the layers in them
    ways: tuple[tuple[Step, ...], ...]


Step = Layer | Pool | Branches


class BranchNetwork(tf.Module):
    """Photographs to image embeddings and class probabilities, as a table and its weights say."""

    def __init__(self, steps: tuple[Step, ...], weights: Weights, *, borders_averaged: bool) -> None:
        super().__init__()
        check_weights(steps, weights)
        self.steps, self.borders_averaged = steps, borders_averaged
        self.layers = {
            name: fold(
                weights,
                f"{name}.conv",
                f"{name}.bn",
                stride=layer.stride,
                padding=layer.padding,
                activation=tf.nn.relu,
            )
            for name, layer, _ in walk(steps)
        }
        self.classifier = tf.Variable(weights[f"{CLASS_LAYER}.weight"].T.astype(np.float32), trainable=False)
        self.classifier_bias = tf.Variable(weights[f"{CLASS_LAYER}.bias"].astype(np.float32), trainable=False)

    def __call__(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [n, side, side, 3] in -1..1 to embeddings [n, d] and probabilities [n, classes]."""
        embeddings = tf.reduce_mean(_run(self.steps, x, self.layers, "", self.borders_averaged), axis=[1, 2])
        return embeddings, tf.nn.softmax(embeddings @ self.classifier + self.classifier_bias)


def _run(
    steps: tuple[Step, ...], x: tf.Tensor, layers: dict[str, Convolution], prefix: str, borders_averaged: bool
) -> tf.Tensor:
    for step in steps:
        if isinstance(step, Layer):
            x = layers[prefix + step.name](x)
        elif isinstance(step, Pool):
            x = _pool(x, step, borders_averaged)
        else:
            within = prefix + step.name
            x = tf.concat([_run(way, x, layers, within, borders_averaged) for way in step.ways], axis=-1)
    return x


def _pool(x: tf.Tensor, pool: Pool, borders_averaged: bool) -> tf.Tensor:
    if pool.kind == "AVG" and borders_averaged:
        # torchvision counts the zeros around the border as values; TensorFlow takes the mean of what is there.
        around = pool.side_px // 2
        x = tf.pad(x, [[0, 0], [around, around], [around, around], [0, 0]])
        return tf.nn.avg_pool2d(x, pool.side_px, pool.stride, "VALID")
    return tf.nn.pool(x, [pool.side_px] * 2, pool.kind, strides=[pool.stride] * 2, padding=pool.padding)


def walk(steps: tuple[Step, ...], width: int = 3, prefix: str = "") -> Iterator[tuple[str, Layer, int]]:
    """Each layer in order: its whole name, itself, and the width of its input."""
    for step in steps:
        if isinstance(step, Layer):
            yield prefix + step.name, step, width
        elif isinstance(step, Branches):
            for way in step.ways:
                yield from walk(way, width, prefix + step.name)
        width = width_after(step, width)


def width_after(step: Step, width: int) -> int:
    """How many channels a step puts out."""
    if isinstance(step, Layer):
        return step.filters
    return sum(_width_after_all(way, width) for way in step.ways) if isinstance(step, Branches) else width


def _width_after_all(steps: tuple[Step, ...], width: int) -> int:
    for step in steps:
        width = width_after(step, width)
    return width


def expected_shapes(steps: tuple[Step, ...], class_count: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all weights, as torchvision's state file has them, auxiliary heads left out."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer, width in walk(steps):
        shapes[f"{name}.conv.weight"] = (layer.filters, width, *layer.kernel_px)
        shapes |= {f"{name}.bn.{part}": (layer.filters,) for part in NORM_PARTS}
    shapes[f"{CLASS_LAYER}.weight"] = (class_count, _width_after_all(steps, 3))
    shapes[f"{CLASS_LAYER}.bias"] = (class_count,)
    return shapes


def check_weights(steps: tuple[Step, ...], weights: Weights) -> None:
    """BundleError naming the first layer that is missing, of another shape, or not made of finite numbers."""
    last = weights.get(f"{CLASS_LAYER}.weight")
    for name, shape in expected_shapes(steps, last.shape[0] if last is not None and last.ndim == 2 else 1000).items():
        if name not in weights:
            raise BundleError(
                f"The weights lack the layer {name}",
                expected=f"a tensor of shape {shape}",
                received=f"{len(weights)} tensors, such as {', '.join(sorted(weights)[:3]) or 'none'}",
                remedy="Is it the state of this very network?",
            )
        if weights[name].shape != shape:
            raise BundleError(
                f"The layer {name} has another shape",
                expected=str(shape),
                received=str(weights[name].shape),
                remedy="Is it the state of this very network?",
            )
        if not np.isfinite(weights[name]).all():
            raise BundleError(f"The layer {name} holds numbers that are not finite", remedy="Take another file.")


def expected_embedding(steps: tuple[Step, ...], weights: Weights) -> np.ndarray:
    """The mean image embedding, float32 [d]: each branch of the last block ends in a layer, whose norm says it."""
    last = steps[-1]
    assert isinstance(last, Branches), "an Inception network ends in a block of branches"
    ends = [name for way in last.ways for name in _ends(way, last.name)]
    means = [expected_activation(weights[f"{each}.bn.bias"], weights[f"{each}.bn.weight"]) for each in ends]
    return np.concatenate(means)


def _ends(way: tuple[Step, ...], prefix: str) -> list[str]:
    """The names of the layers in which a way ends."""
    end = way[-1]
    if isinstance(end, Branches):
        return [name for inner in end.ways for name in _ends(inner, prefix + end.name)]
    assert isinstance(end, Layer), "every way of the last block ends in a layer"
    return [prefix + end.name]
