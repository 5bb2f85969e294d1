"""Train the linear projection by gradient descent: the seed's cosine loss, and DeViSE's hinge rank loss.

It knows photos as rows of numbers and classes as rows of words; where either comes from is not its business. Shapes:
n photos, d image dimensions, w word dimensions, c classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.linear_projection import LinearProjection
from models.quiet_import import import_tensorflow
from stream_app.errors import TrainingRejected

LOSSES = ("cosine", "hinge")


@dataclass(frozen=True)
class TrainingPlan:
    """How to train; the defaults are what validation chose on photographs."""

    loss: str = "cosine"
    learning_rate: float = 1e-3
    margin: float = 0.1  # of the hinge loss: as in the DeViSE paper
    false_words: int = 50  # sampled for each batch, beside the classes themselves
    weight_decay: float = 1e-4
    batch_size: int = 512
    steps_per_epoch_min: int = 20  # few photos are seen several times before it is validated again
    epochs_max: int = 40
    patience_epochs: int = 5  # without a better validation before it stops
    seed: int = 0


def train_linear(
    image_embeddings: np.ndarray,
    class_of: np.ndarray,
    targets: np.ndarray,
    plan: TrainingPlan,
    *,
    validate: Callable[[LinearProjection], float],
    other_words: np.ndarray | None = None,
    log_dir: Path | None = None,
    on_epoch: Callable[[int, float, float], None] = lambda epoch, loss, score: None,
) -> LinearProjection:
    """The projection with the best validation, float32 [d, w].

    `image_embeddings` float32 [n, d]; `class_of` int [n], rows of `targets` float32 [c, w] of unit length;
    `other_words` float32 [m, w] are sampled as false words by the hinge loss. `validate` says how good a projection
    is (higher is better) and ends training when it no longer rises. With `log_dir`, loss and validation are written
    for TensorBoard. Raises TrainingRejected for fewer than two classes, an unknown loss, or numbers that are not
    finite.
    """
    if plan.loss not in LOSSES:
        raise TrainingRejected("No such loss", expected=", ".join(LOSSES), received=plan.loss)
    if len(np.unique(class_of)) < 2:
        raise TrainingRejected("Training needs at least two classes", received="one class only")
    tf = import_tensorflow()
    tf.keras.utils.set_random_seed(plan.seed)
    scale = float(np.sqrt((image_embeddings.astype(np.float64) ** 2).sum(axis=1).mean()))
    if not np.isfinite(scale):
        raise TrainingRejected("An image embedding has numbers that are not finite", remedy="Embed it again.")
    learner = _Learner(tf, image_embeddings.shape[1], targets, plan, other_words)
    photos = tf.data.Dataset.from_tensor_slices((image_embeddings / scale, class_of.astype(np.int64)))
    passes = -(-plan.steps_per_epoch_min * plan.batch_size // len(class_of))
    photos = photos.shuffle(len(class_of), seed=plan.seed).repeat(passes).batch(plan.batch_size).prefetch(2)
    writer = tf.summary.create_file_writer(str(log_dir)) if log_dir else tf.summary.create_noop_writer()
    best, best_score, worse = learner.projection(scale), -np.inf, 0
    with writer.as_default():
        for epoch in range(plan.epochs_max):
            loss = float(np.mean([float(learner.step(batch, classes)) for batch, classes in photos]))
            projection = learner.projection(scale)
            score = validate(projection)
            tf.summary.scalar("loss", loss, step=epoch)
            tf.summary.scalar("validation", score, step=epoch)
            on_epoch(epoch, loss, score)
            best, best_score, worse = (projection, score, 0) if score > best_score else (best, best_score, worse + 1)
            if worse >= plan.patience_epochs:
                break
    writer.close()
    return best


class _Learner:
    """The layer with its optimiser, as one compiled step."""

    def __init__(
        self, tf: Any, dimensions: int, targets: np.ndarray, plan: TrainingPlan, other_words: np.ndarray | None
    ) -> None:
        self._targets = tf.constant(targets, tf.float32)  # [c, w]
        words = targets if other_words is None else other_words
        self._other_words = tf.constant(words, tf.float32)  # [m, w]
        start = np.random.default_rng(plan.seed).normal(0, dimensions**-0.5, (dimensions, targets.shape[1]))
        self._weights = tf.Variable(start.astype(np.float32))
        self._bias = tf.Variable(np.zeros(targets.shape[1], np.float32))
        self._optimizer = tf.keras.optimizers.AdamW(plan.learning_rate, weight_decay=plan.weight_decay)
        self._tf, self._plan = tf, plan
        self._loss = {"cosine": self._cosine_loss, "hinge": self._hinge_rank_loss}[plan.loss]
        self.step = tf.function(self._step, reduce_retracing=True)

    def projection(self, scale: float) -> LinearProjection:
        """The layer for embeddings as they come: training saw them divided by `scale`."""
        return LinearProjection(self._weights.numpy() / np.float32(scale), self._bias.numpy())

    def _step(self, batch: Any, classes: Any) -> Any:
        with self._tf.GradientTape() as tape:
            loss = self._loss(batch @ self._weights + self._bias, classes)
        variables = [self._weights, self._bias]
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _cosine_loss(self, projected: Any, classes: Any) -> Any:
        """1 - cos(projected, the tag's word): the seed's."""
        tf = self._tf
        cosine = tf.reduce_sum(tf.nn.l2_normalize(projected, axis=1) * tf.gather(self._targets, classes), axis=1)
        return tf.reduce_mean(1.0 - cosine)

    def _hinge_rank_loss(self, projected: Any, classes: Any) -> Any:
        """Equation 1 of DeViSE: every false word that comes within the margin of the true one costs."""
        tf = self._tf
        rows = tf.random.uniform([self._plan.false_words], 0, tf.shape(self._other_words)[0], tf.int32)
        false_words = tf.concat([self._targets, tf.gather(self._other_words, rows)], axis=0)
        true_scores = tf.reduce_sum(projected * tf.gather(self._targets, classes), axis=1, keepdims=True)  # [b, 1]
        costs = tf.nn.relu(self._plan.margin - true_scores + projected @ tf.transpose(false_words))  # [b, c + f]
        is_true = tf.one_hot(classes, tf.shape(false_words)[0])
        return tf.reduce_mean(tf.reduce_sum(costs * (1.0 - is_true), axis=1))
