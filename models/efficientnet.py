"""EfficientNet-Lite (Tan & Le 2019; the Lite edition of 2020) as a plain TensorFlow module.

Batch normalisation is folded into the convolutions when the weights are loaded: the graph that runs has
only convolutions, biases and ReLU6, and a checkpoint is turned into it in about a second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

BATCH_NORM_EPSILON = 1e-3  # as the networks were trained

Weights = dict[str, np.ndarray]


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


class Convolution(tf.Module):
    """A convolution with its folded batch normalisation: y = conv(x) + bias, then ReLU6 if asked."""

    def __init__(self, kernel: np.ndarray, bias: np.ndarray, stride: int, *, depthwise: bool, activate: bool) -> None:
        super().__init__()
        self.kernel, self.bias = tf.Variable(kernel, trainable=False), tf.Variable(bias, trainable=False)
        self.stride, self.depthwise, self.activate = stride, depthwise, activate

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """float32 [n, h, w, c] to [n, h / stride, w / stride, c']."""
        convolve = tf.nn.depthwise_conv2d if self.depthwise else tf.nn.conv2d
        y = tf.nn.bias_add(convolve(x, self.kernel, [1, self.stride, self.stride, 1], "SAME"), self.bias)
        return tf.nn.relu6(y) if self.activate else y


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
        self.stem = _fold(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = _blocks(weights, stages)
        self.head = _fold(weights, "_conv_head", "_bn1")
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
        layers.append(_fold(weights, f"{prefix}_expand_conv", f"{prefix}_bn0"))
    layers.append(_fold(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, depthwise=True))
    layers.append(_fold(weights, f"{prefix}_project_conv", f"{prefix}_bn2", activate=False))
    return layers


def _fold(
    weights: Weights, conv: str, norm: str, *, stride: int = 1, depthwise: bool = False, activate: bool = True
) -> Convolution:
    """A convolution whose kernel and bias already hold what its batch normalisation would do."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]  # PyTorch: [out, in, h, w]
    order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)  # TensorFlow: [h, w, in, out], depthwise [h, w, in, 1]
    kernel = np.ascontiguousarray(kernel.transpose(order), dtype=np.float32)
    return Convolution(kernel, bias.astype(np.float32), stride, depthwise=depthwise, activate=activate)


def expected_embedding(weights: Weights) -> np.ndarray:
    """The mean image embedding, float32 [d], from the batch normalisation alone: no photo is looked at.

    Before ReLU6 a channel of the head is about normal with mean `bias` and deviation |weight|; the mean after
    the clip is taken by quadrature.
    """
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(64)
    values = weights["_bn1.bias"][:, None] + np.abs(weights["_bn1.weight"])[:, None] * nodes
    means = np.clip(values, 0, 6) @ (node_weights / node_weights.sum())
    return means.astype(np.float32)
