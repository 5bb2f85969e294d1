"""EfficientNet-Lite (Tan & Le 2019; the Lite edition of 2020) as a plain TensorFlow module.

Batch normalisation is folded into the convolutions when the weights are loaded: the graph that runs has
only convolutions, biases and ReLU6, and a checkpoint is turned into it in about a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from models.convolution import Convolution, Weights, expected_activation, fold


class Stage(NamedTuple):
    """A run of blocks: how many, the kernel's side, the first block's stride, the expansion."""

    repeats: int
    kernel_px: int
    stride: int
    expansion: int


LITE0_STAGES = (
    Stage(1, 3, 1, 1),
    Stage(2, 3, 2, 6),
    Stage(2, 5, 2, 6),
    Stage(3, 3, 2, 6),
    Stage(3, 5, 1, 6),
    Stage(4, 5, 2, 6),
    Stage(1, 3, 1, 6),
)


class Block(tf.Module):
    """An inverted residual: widen, filter each channel, narrow; added to its input where shapes agree."""

    def __init__(self, layers: list[Convolution]) -> None:
        super().__init__()
        self.layers = layers
        same_width = layers[0].kernel.shape[2] == layers[-1].kernel.shape[3]
        self.residual = same_width and all(layer.stride == 1 for layer in layers)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """float32 [n, h, w, c] to [n, h', w', c']."""
        y = x
        for layer in self.layers:
            y = layer(y)
        return x + y if self.residual else y


class EfficientNetLite(tf.Module):
    """Photographs to image embeddings and class probabilities, from a checkpoint in the PyTorch layout."""

    def __init__(self, weights: Weights, stages: tuple[Stage, ...] = LITE0_STAGES) -> None:
        super().__init__()
        self.stem = fold(weights, "_conv_stem", "_bn0", stride=2, activation=tf.nn.relu6)
        self.blocks = _blocks(weights, stages)
        self.head = fold(weights, "_conv_head", "_bn1", activation=tf.nn.relu6)
        self.classifier = tf.Variable(weights["_fc.weight"].T, trainable=False)  # [1280, classes]
        self.classifier_bias = tf.Variable(weights["_fc.bias"], trainable=False)

    def __call__(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [n, 224, 224, 3] in about -1..1 to embeddings [n, 1280] and probabilities [n, classes]."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        embeddings = tf.reduce_mean(self.head(x), axis=[1, 2])
        return embeddings, tf.nn.softmax(embeddings @ self.classifier + self.classifier_bias)


def _blocks(weights: Weights, stages: tuple[Stage, ...]) -> list[Block]:
    """All blocks in order; the checkpoint numbers them through, from `_blocks.0`."""
    firsts = [(stage, repeat == 0) for stage in stages for repeat in range(stage.repeats)]
    return [
        Block(_block_layers(weights, f"_blocks.{number}.", stage, stage.stride if first else 1))
        for number, (stage, first) in enumerate(firsts)
    ]


def _block_layers(weights: Weights, prefix: str, stage: Stage, stride: int) -> list[Convolution]:
    """The two or three convolutions of one block; the first stage has nothing to widen."""
    layers = []
    if stage.expansion != 1:
        layers.append(fold(weights, f"{prefix}_expand_conv", f"{prefix}_bn0", activation=tf.nn.relu6))
    depthwise = fold(
        weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, depthwise=True, activation=tf.nn.relu6
    )
    layers += [depthwise, fold(weights, f"{prefix}_project_conv", f"{prefix}_bn2")]
    return layers


def expected_embedding(weights: Weights) -> np.ndarray:
    """The mean image embedding, float32 [d], from the batch normalisation of the head alone."""
    return expected_activation(weights["_bn1.bias"], weights["_bn1.weight"], largest=6)
