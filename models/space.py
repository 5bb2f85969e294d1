"""The space in which photographs and words meet. numpy only: a web worker loads this and never TensorFlow.

A photo has two halves. Its *joint embedding* lies among the word vectors: the mean of the tag vectors of the
classes that the network sees in it, each weighted by its probability (Norouzi et al. 2014, with a class's hypernyms
beside its name); a part of the same with whitened words, which knows best what no class is called; and, where one
was trained, a linear projection of the image embedding. Its
*image half* is a PCA of the image embedding, for what no class has a word for, to which the class probabilities are
added in the same coordinates: two photos are alike as far as the network would name them alike, and look alike beyond
that. In a search vector the joint half is cut to the directions in which the classes differ: words have more
dimensions than photos need, and the image half uses the room better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from models.bundle_fit import SPACE_FILE, check_fit
from models.manifest import BundleManifest, verify_bundle
from models.word_query import WordQuery, embed_query
from models.words import Vocabulary
from stream_app.errors import VectorRejected

Score = TypeVar("Score", float, np.ndarray)

LABELS_FILE = "labels.txt"


class Space:
    """Everything that is arithmetic on a photo's encoding, and on words."""

    def __init__(self, directory: Path, manifest: BundleManifest) -> None:
        self.space_id, self.vision_id = manifest.space_id, manifest.vision_id
        self._directory = directory
        with np.load(directory / SPACE_FILE) as arrays:
            self.tag_vectors = arrays["tag_vectors"]  # [classes, w]
            self.mean_embedding = arrays["mean_embedding"]  # [d]
            self.classifier = arrays["classifier"].astype(np.float32)  # [d, classes]
            self.classifier_bias = arrays["classifier_bias"]  # [classes]
            self._image_axes, self._class_axes = arrays["image_axes"], arrays["class_axes"]  # [d, m], [classes, m]
            self._whitened_vectors = arrays["whitened_vectors"]  # [classes, w]
            self._whitened_weight = float(arrays["whitened_weight"])
            self._joint_axes = arrays["joint_axes"]  # [w, j], orthonormal columns
            self._projection = _Projection.read(arrays)
            # Weights are of squared length: search vector = (sqrt(a) joint, sqrt(1 - a) image).
            self._joint_scale = float(np.sqrt(arrays["joint_weight"]))
            self._image_scale = float(np.sqrt(1.0 - arrays["joint_weight"]))
        self._label_names = (directory / LABELS_FILE).read_text(encoding="utf-8").split("\n")

    @classmethod
    def load(cls, bundle_dir: Path) -> Space:
        """The space of a bundle whose files are all as they were made, and fit; BundleError otherwise."""
        manifest = verify_bundle(bundle_dir)
        check_fit(bundle_dir, manifest)
        return cls(bundle_dir, manifest)

    @property
    def joint_dimensions(self) -> int:
        """The length of a joint embedding, which is that of a word vector."""
        return int(self.tag_vectors.shape[1])

    @property
    def search_dimensions(self) -> int:
        """The length of a search vector, at most 256."""
        return int(self._joint_axes.shape[1] + self._image_axes.shape[1])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words, read when the first query comes."""
        return Vocabulary.load(self._directory)

    def project(self, image_embeddings: np.ndarray, label_indices: np.ndarray, label_scores: np.ndarray) -> np.ndarray:
        """Joint embeddings, float32 [n, w], unit length, from encodings of n photos ([n, d], [n, t], [n, t])."""
        scores = np.asarray(label_scores, dtype=np.float32)
        if not (np.isfinite(scores).all() and (scores >= 0).all()):
            raise VectorRejected("A photo's label scores are not probabilities")
        labels = np.asarray(label_indices)
        tagged = _unit(np.einsum("nt,ntw->nw", scores, self.tag_vectors[labels]))
        # The root of a probability is a softmax at twice the temperature: unlikely classes have their say as well.
        whitened = _unit(np.einsum("nt,ntw->nw", np.sqrt(scores), self._whitened_vectors[labels]))
        joint = _unit((1 - self._whitened_weight) * tagged + self._whitened_weight * whitened)
        return self._projection.beside(joint, image_embeddings) if self._projection else joint

    def search_vectors(self, image_embeddings: np.ndarray, joint_embeddings: np.ndarray) -> np.ndarray:
        """What a shard indexes, float32 [n, search_dimensions], unit length."""
        image = self._image_half(np.asarray(image_embeddings, dtype=np.float32)) * self._image_scale
        joint = _unit(np.asarray(joint_embeddings, dtype=np.float32) @ self._joint_axes) * self._joint_scale
        return _unit(np.concatenate([joint, image], axis=1))

    def _image_half(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, m], unit rows: the compressed embedding and the class probabilities, in equal parts."""
        # A few channels of a photo shout; the logarithm lets the others be heard.
        loudness = max(float(self.mean_embedding.mean()), 1e-6)
        image = np.log1p(np.maximum(embeddings, 0) / loudness) - np.log1p(self.mean_embedding / loudness)
        logits = embeddings @ self.classifier + self.classifier_bias
        # The root of a probability: the dot product of two photos is then their Bhattacharyya coefficient.
        roots = np.exp((logits - logits.max(axis=1, keepdims=True)) / 2)
        return _unit(_unit(image @ self._image_axes) + _unit(roots @ self._class_axes))

    def word_query(self, joint_embedding: np.ndarray) -> np.ndarray:
        """A search vector, float32 [search_dimensions], unit length, that asks about the joint half alone."""
        query = np.zeros(self.search_dimensions, np.float32)
        query[: self._joint_axes.shape[1]] = _unit(np.asarray(joint_embedding, dtype=np.float32) @ self._joint_axes)
        return query

    def word_query_examples(self, count: int) -> np.ndarray:
        """Search vectors of the `count` most frequent words for what can be seen: float32 [n, search_dimensions]."""
        words = self.vocabulary.frequent_answers(count)
        vectors = [self.word_query(self.vocabulary.vector(word)) for word in words]
        return np.array(vectors, np.float32).reshape(-1, self.search_dimensions)

    def word_score(self, score: Score, joint_embedding: np.ndarray) -> Score:
        """The cosine in the joint space, from the dot product of a word query with a search vector.

        What of a word lies outside of all classes' directions no photo can have: "democracy" stays far from each.
        """
        seen = float(np.linalg.norm(np.asarray(joint_embedding, dtype=np.float32) @ self._joint_axes))
        return score * (seen / self._joint_scale)

    def joint_half(self, search_vector: np.ndarray) -> np.ndarray:
        """The joint embedding, float32 [w], unit length, as far as a search vector holds it."""
        half = np.asarray(search_vector[: self._joint_axes.shape[1]], dtype=np.float32)
        return _unit(self._joint_axes @ half)

    def embed_words(self, text: str) -> WordQuery:
        """A query as a unit vector among the words; UnknownWords or QueryRejected when it cannot be one."""
        return embed_query(text, self.vocabulary)

    def nearest_words(self, joint_embedding: np.ndarray, k: int) -> list[tuple[str, float]]:
        """The k words for things that can be seen nearest to a joint embedding, best first, with their cosine."""
        return self.vocabulary.nearest(_unit(np.asarray(joint_embedding, dtype=np.float32)), k)

    def labels(
        self, label_indices: Sequence[int] | np.ndarray, label_scores: Sequence[float] | np.ndarray, k: int
    ) -> list[tuple[str, float]]:
        """The k likeliest classes of the network, best first, by name and probability."""
        pairs = zip(label_indices[:k], label_scores[:k], strict=True)
        return [(self._label_names[int(index)], float(score)) for index, score in pairs]


class _Projection(NamedTuple):
    """The trained linear layer: its part of the joint embedding is `weight`, the classes' is the rest."""

    layer: np.ndarray  # float32 [d, w]
    bias: np.ndarray  # float32 [w]
    weight: float

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray]) -> _Projection | None:
        """The layer of `space.npz`; None where none was trained."""
        if "projection" not in arrays:
            return None
        return cls(arrays["projection"], arrays["projection_bias"], float(arrays["projection_weight"]))

    def beside(self, joint: np.ndarray, image_embeddings: np.ndarray) -> np.ndarray:
        """The mixture, float32 [n, w], unit rows."""
        projected = _unit(np.asarray(image_embeddings, np.float32) @ self.layer + self.bias)
        return _unit((1 - self.weight) * joint + self.weight * projected)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; a row of zeros becomes the first axis, since a photo must have some vector."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.isfinite(norms).all():
        raise VectorRejected("A vector has numbers that are not finite")
    axis = np.zeros(vectors.shape[-1], np.float32)
    axis[0] = 1.0
    return np.where(norms > 1e-9, vectors / np.maximum(norms, 1e-9), axis).astype(np.float32)
