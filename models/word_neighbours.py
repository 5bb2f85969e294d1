"""Words near a word, and near a sum of words: similarity and analogy, over all frequent words of a vocabulary.

`Vocabulary.nearest` answers with words for things that can be seen; these answer with any word. numpy only: a web
worker loads this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from models.word_query import EXAMPLE, QUERY_CHARACTERS_MAX, embed_terms
from models.words import NEARBY_RANK_MAX, STOP_WORDS, Vocabulary
from stream_app.errors import QueryRejected

TERMS_MAX = 50
ROWS_AT_ONCE = 8_192  # of the memory-mapped vectors, so that no copy of them all stays in memory
READABLE_WORD = re.compile(r"[^\W\d_]{2,}([-_' ][^\W\d_]+)*")


@dataclass(frozen=True)
class Neighbours:
    """Words with their cosine, best first; those that the question stood on, and how often each unknown one came."""

    words: list[tuple[str, float]]
    known: list[str]
    unknown: dict[str, int]


def similar_words(text: str, vocabulary: Vocabulary, k: int) -> Neighbours:
    """The `k` words nearest to a word or phrase, itself left out; UnknownWords when no word of it is known."""
    return neighbours([(1, text)], vocabulary, k)


def analogy(positive: Sequence[str], negative: Sequence[str], vocabulary: Vocabulary, k: int) -> Neighbours:
    """The `k` words nearest to a sum less another: king and woman without man is queen (Mikolov et al. 2013)."""
    return neighbours([*((1, each) for each in positive), *((-1, each) for each in negative)], vocabulary, k)


def neighbours(terms: Sequence[tuple[float, str]], vocabulary: Vocabulary, k: int) -> Neighbours:
    """The `k` words nearest to signed phrases, whose own words are left out.

    Raises UnknownWords when no word is known, and QueryRejected when there are no words, too many, or they cancel out.
    """
    query = embed_terms(_checked(terms), vocabulary)
    words = nearest_of_all(query.vector, vocabulary, k, leave_out=frozenset(query.known))
    return Neighbours(words, query.known, dict(Counter(query.unknown)))


def nearest_of_all(
    vector: np.ndarray, vocabulary: Vocabulary, k: int, *, leave_out: Collection[str] = ()
) -> list[tuple[str, float]]:
    """The `k` frequent words, best first, with their cosine to a unit vector [d]."""
    scores = _cosines(vector, vocabulary)
    found: list[tuple[str, float]] = []
    for row in np.argsort(-scores, kind="stable"):
        word = vocabulary.words[row]
        if len(found) == k:
            break
        if word not in leave_out and word not in STOP_WORDS and READABLE_WORD.fullmatch(word):
            found.append((word, float(scores[row])))
    return found


def _cosines(vector: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """float32 [n] of the n most frequent words."""
    count = min(len(vocabulary.words), NEARBY_RANK_MAX)
    scores = np.empty(count, np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = np.asarray(vocabulary.vectors[start : min(start + ROWS_AT_ONCE, count)], dtype=np.float32)
        lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        scores[start : start + len(rows)] = rows @ vector / np.maximum(lengths, 1e-9)
    return scores


def _checked(terms: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The terms that have a letter or digit; QueryRejected when there are none, too many or too long ones."""
    kept = [(sign, " ".join(text.split())) for sign, text in terms if re.search(r"\w", text)]
    if not kept:
        raise QueryRejected("There are no words", expected=EXAMPLE, received="nothing with a letter")
    if len(kept) > TERMS_MAX or any(len(text) > QUERY_CHARACTERS_MAX for _, text in kept):
        raise QueryRejected(
            "There are too many words",
            expected=f"at most {TERMS_MAX} of at most {QUERY_CHARACTERS_MAX} characters",
            received=f"{len(kept)}, the longest of {max(len(text) for _, text in kept)} characters",
        )
    return kept
