"""A convolution with its batch normalisation folded in: what every vision model here is mostly made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

BATCH_NORM_EPSILON = 1e-3  # as all the networks here were trained

Weights = dict[str, np.ndarray]  # by PyTorch's names and in its layout: kernels [out, in, h, w]
Activation = Callable[[tf.Tensor], tf.Tensor]
Padding = str | list[list[int]]  # SAME, VALID, or how many zeros on each side of n, h, w and c


class Convolution(tf.Module):
    """y = activation(conv(x) + bias)."""

    def __init__(
        self,
        kernel: np.ndarray,
        bias: np.ndarray,
        *,
        stride: int = 1,
        padding: Padding = "SAME",
        depthwise: bool = False,
        activation: Activation | None = None,
    ) -> None:
        super().__init__()
        self.kernel, self.bias = tf.Variable(kernel, trainable=False), tf.Variable(bias, trainable=False)
        self.stride, self.padding, self.depthwise, self.activation = stride, padding, depthwise, activation

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """float32 [n, h, w, c] to [n, h / stride, w / stride, c']."""
        convolve = tf.nn.depthwise_conv2d if self.depthwise else tf.nn.conv2d
        y = tf.nn.bias_add(convolve(x, self.kernel, [1, self.stride, self.stride, 1], self.padding), self.bias)
        return y if self.activation is None else self.activation(y)


def fold(
    weights: Weights,
    conv: str,
    norm: str,
    *,
    stride: int = 1,
    padding: Padding = "SAME",
    depthwise: bool = False,
    activation: Activation | None = None,
) -> Convolution:
    """A convolution whose kernel and bias already hold what its batch normalisation would do."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]  # PyTorch: [out, in, h, w]
    order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)  # TensorFlow: [h, w, in, out], depthwise [h, w, in, 1]
    kernel = np.ascontiguousarray(kernel.transpose(order), dtype=np.float32)
    return Convolution(
        kernel, bias.astype(np.float32), stride=stride, padding=padding, depthwise=depthwise, activation=activation
    )


def expected_activation(mean: np.ndarray, deviation: np.ndarray, *, largest: float = np.inf) -> np.ndarray:
    """The mean of clip(x, 0, largest) for normal x, float32 [c], by quadrature.

    Before its activation a channel after batch normalisation is about normal with mean `bias` and deviation
    |weight|: so an average photo's embedding is known from the weights alone, and no photo is looked at.
    """
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(64)
    values = np.clip(mean[:, None] + np.abs(deviation)[:, None] * nodes, 0, largest)
    return (values @ (node_weights / node_weights.sum())).astype(np.float32)
