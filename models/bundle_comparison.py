"""Two bundles on the same photographs: do they see the same, find the same, and how quick are they?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from models.encoder import Encoding, LocalEncoder
from models.manifest import BundleManifest, read_manifest
from models.space import Space
from stream_app.errors import BundleError, QueryRejected

RELATED = 10
FOUND = 5
# What people look for, and what most networks and words know.
WORDS = (
    *("dog", "cat", "bird", "fish", "insect", "snake", "monkey", "bear", "flower", "fruit", "vegetable", "bread"),
    *("car", "truck", "ship", "aircraft", "bridge", "church", "furniture", "clock", "bottle", "guitar", "hat"),
    *("beach", "mountain", "food", "tree", "person", "red", "blue"),
)
PHOTOS_AT_ONCE = 64  # in memory as files
ROWS_AT_ONCE = 1024  # of the table of all pairs of photos

Progress = Callable[[int], object]


@dataclass(frozen=True)
class ComparedBundle:
    """One of the two."""

    vision: str
    words: str
    vision_id: str
    space_id: str
    photos_per_second: float  # decoding included


@dataclass(frozen=True)
class BundleComparison:
    """What two bundles have in common. A share of 1 means that both answer with the same photos."""

    first: ComparedBundle
    second: ComparedBundle
    photos: int
    left_out: list[str]  # photos that could not be read, each with its reason
    image_cosine_mean: float | None  # None where image embeddings mean different things
    image_cosine_min: float | None
    joint_cosine_mean: float | None  # None where the words are others
    same_best_label: float | None  # share of the photos; None where the networks have other classes
    related_overlap: float | None  # share of the 10 nearest photos; None for a single photo
    search_overlap: float | None  # share of the first 5 photos for a word; None where both know none
    words_asked: list[str]
    words_unknown: list[str]  # to one of them, so not asked


def compare_bundles(
    first_dir: Path,
    second_dir: Path,
    photos: Iterable[tuple[str, bytes]],
    *,
    words: Sequence[str] = (),
    progress: Progress = lambda count: None,
) -> BundleComparison:
    """Run both over photos, each a name and the bytes of a file; asks `words`, or everyday ones that both know."""
    first, second = sides = _Side.of(first_dir), _Side.of(second_dir)
    try:
        left_out = _encode(sides, photos, progress)
    finally:
        for side in sides:
            side.encoder.close()
    count = len(first.answers)
    if not count:
        raise BundleError("There is no photo to compare the bundles on", received=(left_out or ["none"])[0])
    for side in sides:
        side.place()
    asked, unknown = _words(first.space, second.space, words)
    same_vision = first.manifest.vision_id == second.manifest.vision_id
    images = _cosines(first.embeddings, second.embeddings) if same_vision else None
    made_of, of = first.manifest.ingredients, second.manifest.ingredients
    return BundleComparison(
        first=first.compared,
        second=second.compared,
        photos=count,
        left_out=left_out,
        image_cosine_mean=None if images is None else float(images.mean()),
        image_cosine_min=None if images is None else float(images.min()),
        joint_cosine_mean=float(_cosines(first.joints, second.joints).mean()) if made_of.words == of.words else None,
        same_best_label=float((first.labels == second.labels).mean()) if made_of.tags == of.tags else None,
        related_overlap=_overlap(*(nearest_photos(side.vectors, RELATED) for side in sides)) if count > 1 else None,
        search_overlap=_overlap(*(side.found(asked) for side in sides)) if asked else None,
        words_asked=asked,
        words_unknown=unknown,
    )


@dataclass
class _Side:
    """One of the two bundles at work: first it encodes, then its vectors are placed."""

    manifest: BundleManifest
    space: Space
    encoder: LocalEncoder
    answers: list[Encoding] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, bundle_dir: Path) -> _Side:
        return cls(read_manifest(bundle_dir), Space.load(bundle_dir), LocalEncoder(bundle_dir))

    def encode(self, files: Sequence[bytes]) -> list[Encoding | Exception]:
        began = time.perf_counter()
        answers = self.encoder.encode_images(files)
        self.seconds += time.perf_counter() - began
        return list(answers)

    def place(self) -> None:
        """Make arrays of all answers; each has a row for every photo."""
        self.embeddings = np.stack([each.image_embedding for each in self.answers]).astype(np.float32)
        indices = np.stack([each.label_indices for each in self.answers])
        scores = np.stack([each.label_scores for each in self.answers])
        self.labels = indices[:, 0]
        self.joints = self.space.project(self.embeddings, indices, scores)
        self.vectors = self.space.search_vectors(self.embeddings, self.joints)

    def found(self, words: Sequence[str]) -> np.ndarray:
        """The first photos for each word, int [words, 5 or as many as there are]."""
        queries = [self.space.word_query(self.space.embed_words(word).vector) for word in words]
        return _best(np.stack(queries) @ self.vectors.T, FOUND)

    @property
    def compared(self) -> ComparedBundle:
        made = self.manifest
        speed = len(self.answers) / max(self.seconds, 1e-9)
        return ComparedBundle(made.vision, made.words, made.vision_id, made.space_id, speed)


def _encode(sides: tuple[_Side, _Side], photos: Iterable[tuple[str, bytes]], progress: Progress) -> list[str]:
    """Fill both sides' answers with the photos that both can read; returns a line for each other one."""
    left_out = []
    remaining = iter(photos)
    order = list(sides)
    while batch := list(islice(remaining, PHOTOS_AT_ONCE)):
        answers = {id(side): side.encode([file for _, file in batch]) for side in order}
        order.reverse()  # whoever comes second finds the files in the processor's caches
        for (name, _), *pair in zip(batch, *(answers[id(side)] for side in sides), strict=True):
            problem = next((each for each in pair if not isinstance(each, Encoding)), None)
            if problem is not None:
                left_out.append(f"{name}: {problem}")
                continue
            for side, answer in zip(sides, pair, strict=True):
                side.answers.append(answer)
        progress(len(batch))
    return left_out


def nearest_photos(vectors: np.ndarray, k: int) -> np.ndarray:
    """For each of n unit vectors the nearest others, int [n, k or n - 1], best first."""
    k = min(k, len(vectors) - 1)
    rows = []
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        scores = vectors[start : start + ROWS_AT_ONCE] @ vectors.T
        scores[np.arange(len(scores)), np.arange(start, start + len(scores))] = -np.inf
        rows.append(_best(scores, k))
    return np.concatenate(rows)


def _best(scores: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """The mean share of each row's numbers that the same row of the other has as well."""
    shares = [len(np.intersect1d(a, b)) / len(a) for a, b in zip(first, second, strict=True)]
    return float(np.mean(shares))


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines = (first * second).sum(axis=1) / np.maximum(lengths, 1e-9)
    return np.where((first == second).all(axis=1), 1.0, cosines)  # nothing but zeros has no direction, yet is the same


def _words(first: Space, second: Space, given: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that both know, and those of the given ones that one of them does not."""
    asked = [word for word in given or WORDS if _is_known(first, word) and _is_known(second, word)]
    return asked, [word for word in given if word not in asked]


def _is_known(space: Space, word: str) -> bool:
    try:
        return not space.embed_words(word).unknown
    except QueryRejected:
        return False
