"""Word vectors: a vocabulary in order of frequency, memory-mapped, with the folding that a typed query needs.

numpy only: a web worker loads this.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from stream_app.errors import BundleError

NEARBY_RANK_MAX = 80_000  # words rarer than this are no answer that a person would recognise
SUGGEST_RANK_MAX = 30_000
SENSIBLE_WORD = re.compile(r"[a-z]{2,}(-[a-z]+)?")
# Too common to say anything about a photo; a phrase is read without them ("bird on a beach").
STOP_WORDS = frozenset(
    {"a", "an", "and", "at", "by", "for", "from", "in", "into", "is", "it", "its", "of", "on", "or", "over"}
    | {"the", "their", "this", "to", "under", "with"}
)
PHRASE_WORDS_MAX = 4
ANSWERS_FILE = "answers.txt"


class Vocabulary:
    """Words and their vectors, float32 [n, d], the most frequent first."""

    def __init__(self, words: Sequence[str], vectors: np.ndarray, answers: Sequence[str] = ()) -> None:
        if len(words) != len(vectors):
            raise BundleError(
                "Words and vectors differ in number", expected=str(len(words)), received=str(len(vectors))
            )
        self.words, self.vectors = words, vectors
        self._answers = answers

    @classmethod
    def load(cls, directory: Path) -> Vocabulary:
        """The vocabulary of a bundle: `words.txt`, one a line, beside `word_vectors.npy`, memory-mapped."""
        words = (directory / "words.txt").read_text(encoding="utf-8").split("\n")
        named = directory / ANSWERS_FILE
        answers = named.read_text(encoding="utf-8").split("\n") if named.is_file() else ()
        return cls(words, np.load(directory / "word_vectors.npy", mmap_mode="r"), answers)

    @cached_property
    def rank_of(self) -> dict[str, int]:
        """Each word's row."""
        return {word: rank for rank, word in enumerate(self.words)}

    @property
    def dimensions(self) -> int:
        """The length of a word vector."""
        return int(self.vectors.shape[1])

    def fold(self, word: str) -> str | None:
        """The form of a typed word that the vocabulary has (small letters, without an ending), or None."""
        return next((form for form in _forms(word) if form in self.rank_of), None)

    def vector(self, word: str) -> np.ndarray:
        """The unit vector, float32 [d], of a word that `fold` gave."""
        vector = np.asarray(self.vectors[self.rank_of[word]], dtype=np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-9)

    def phrase(self, text: str) -> tuple[np.ndarray | None, list[str], list[str]]:
        """A phrase as (unit vector [d] or None, the words it knows, the words it does not)."""
        known, unknown = self._split(text)
        if not known:
            return None, known, unknown
        total = np.sum([self.vector(word) for word in known], axis=0)
        norm = float(np.linalg.norm(total))
        return (total / norm if norm > 1e-6 else None), known, unknown

    def _split(self, text: str) -> tuple[list[str], list[str]]:
        """Known and unknown words; those that the vocabulary joins are one: ice-cream as a whole, new_york anywhere."""
        whole = text.strip().replace(" ", "-")
        if " " in text.strip() and whole.lower() in self.rank_of:
            return [whole.lower()], []
        known: list[str] = []
        unknown: list[str] = []
        typed = _bare(text.split())
        only_small_words = all(word.lower() in STOP_WORDS for word in typed)
        while typed:
            joined, count = self._phrase_at_start(typed)
            if joined is not None:
                known.append(joined)
            elif only_small_words or typed[0].lower() not in STOP_WORDS:
                self._take(typed[0], known, unknown)
            typed = typed[count:]
        return known, unknown

    def _phrase_at_start(self, typed: Sequence[str]) -> tuple[str | None, int]:
        """The longest known phrase that the words begin with, and how many they are; (None, 1) when there is none."""
        for count in range(min(len(typed), PHRASE_WORDS_MAX), 1, -1):
            if joined := self.fold("_".join(typed[:count])):
                return joined, count
        return None, 1

    def _take(self, typed: str, known: list[str], unknown: list[str]) -> None:
        """Sort in a word; one with hyphens that is not known as a whole falls into its parts."""
        for part in [typed] if self.fold(typed) else [part for part in typed.split("-") if part]:
            form = self.fold(part)
            known.append(form) if form else unknown.append(part)

    def suggestions(self, word: str, count: int = 3) -> list[str]:
        """Frequent words that are spelt nearly so; those first of which two neighbouring letters changed places."""
        word = word.lower()
        # Two letters of three in the wrong place leave little that is alike, and yet it is one slip.
        swapped = [word[:place] + word[place : place + 2][::-1] + word[place + 2 :] for place in range(len(word) - 1)]
        meant = {form for each in swapped if (form := self.fold(each)) and self.rank_of[form] < SUGGEST_RANK_MAX}
        frequent = [each for each in self.words[:SUGGEST_RANK_MAX] if abs(len(each) - len(word)) <= 2]
        near = difflib.get_close_matches(word, frequent, n=count, cutoff=0.75)
        found = dict.fromkeys([*sorted(meant, key=self.rank_of.__getitem__), *near])
        return [each.replace("_", " ") for each in found][:count]

    @cached_property
    def _nearby(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and unit vectors of the words that `nearest` may answer with.

        Where a bundle names them, they are words for things that can be seen: vectors learnt from text have
        all sorts of words beside a dog that nobody wants to be told of a photo of one.
        """
        if self._answers:
            chosen = [self.rank_of[word] for word in self._answers]
        else:
            chosen = [r for r, w in enumerate(self.words[:NEARBY_RANK_MAX]) if self._is_sensible(w)]
        rows = np.array(chosen, dtype=np.intp)
        vectors = np.asarray(self.vectors[rows], dtype=np.float32)
        return rows, vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def frequent_answers(self, count: int) -> list[str]:
        """The words that `nearest` may answer with, at most `count`, the most frequent first."""
        return [self.words[row] for row in np.sort(self._nearby[0])[:count]]

    def _is_sensible(self, word: str) -> bool:
        return SENSIBLE_WORD.fullmatch(word) is not None and word not in STOP_WORDS

    def nearest(self, vector: np.ndarray, k: int) -> list[tuple[str, float]]:
        """The k words, best first, with their cosine to a unit vector [d]."""
        return self._best(self._nearby[1] @ np.asarray(vector, dtype=np.float32), k)

    def nearest_of_each(self, vectors: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
        """`nearest` for each row of unit vectors [n, d]."""
        scores = np.asarray(vectors, dtype=np.float32) @ self._nearby[1].T
        return [self._best(each, k) for each in scores]

    def _best(self, scores: np.ndarray, k: int) -> list[tuple[str, float]]:
        rows = self._nearby[0]
        k = max(0, min(k, len(rows)))
        best = np.argpartition(-scores, k - 1)[:k] if 0 < k < len(rows) else np.arange(k)
        best = best[np.argsort(-scores[best], kind="stable")]
        return [(self.words[rows[i]], float(scores[i])) for i in best]


def _bare(typed: list[str]) -> list[str]:
    """The words without what stands around them."""
    return [bare for word in typed if (bare := re.sub(r"^[^\w]+|[^\w]+$", "", word))]


def _forms(word: str) -> list[str]:
    """A word as typed, in small letters, and then without a possessive or plural ending."""
    low = word.lower().replace("’", "'")
    forms = [low, low.replace("-", ""), low.removesuffix("'s")]
    for ending, singular in (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")):
        if low.endswith(ending) and len(low) > len(ending) + 2:
            forms.append(low.removesuffix(ending) + singular)
    return forms
