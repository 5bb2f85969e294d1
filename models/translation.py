"""Which translation of a word is meant: the one whose vector is nearest to what else the photo is tagged with.

A Spanish photo tagged `banco, parque, madera` should be found by "bench", one tagged `banco, dinero` by "bank": a tag
is translated before it is searched by, and a dictionary alone cannot say how. numpy only: a web worker loads this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.word_query import QUERY_CHARACTERS_MAX
from models.words import Vocabulary
from stream_app.errors import QueryRejected, UnknownWords

CANDIDATES_MAX = 50
CONTEXT_MAX = 100
#: Choices with this lead over the second are right in more than 19 of 20 cases: tests/benchmarks/bench_translation.py.
SURE_MARGIN = 0.1


@dataclass(frozen=True)
class Candidate:
    """A possible translation; a gloss, such as "side of a river", tells senses apart that share a word."""

    text: str
    gloss: str = ""


@dataclass(frozen=True)
class RankedCandidate:
    """A candidate and its cosine to the context; no score where none of its words is known."""

    candidate: Candidate
    score: float | None


@dataclass(frozen=True)
class Choice:
    """Candidates, best first, and the lead of the first over the second.

    `margin` is None where only one has a score. `sure` says that all have one and the lead is worth relying on.
    `unknown` counts the words, of candidates and context alike, that the vocabulary does not have.
    """

    ranked: list[RankedCandidate]
    margin: float | None
    sure: bool
    unknown: dict[str, int]


def disambiguate(candidates: Sequence[Candidate], context: Sequence[str], vocabulary: Vocabulary) -> Choice:
    """Rank candidate translations by their cosine to the mean of the context's tags.

    Raises UnknownWords when no tag of the context, or no candidate, is known, and QueryRejected when there are too
    few or too many of them.
    """
    candidates = _checked(list(dict.fromkeys(candidates)), context)
    unknown: Counter[str] = Counter()
    mean = _mean([_vector(tag, vocabulary, unknown) for tag in context])
    if mean is None:
        raise _nothing_known("tag of the context", unknown)
    unknown_candidates: Counter[str] = Counter()
    vectors = [_candidate_vector(each, vocabulary, unknown_candidates) for each in candidates]
    if not any(vector is not None for vector in vectors):
        raise _nothing_known("candidate", unknown_candidates)
    scores = [None if vector is None else float(vector @ mean) for vector in vectors]
    return _choice(candidates, scores, dict(unknown + unknown_candidates))


def _choice(candidates: Sequence[Candidate], scores: Sequence[float | None], unknown: dict[str, int]) -> Choice:
    order = sorted(range(len(candidates)), key=lambda row: _descending(scores[row]))
    ranked = [RankedCandidate(candidates[row], scores[row]) for row in order]
    first, second = ranked[0].score, ranked[1].score
    margin = None if first is None or second is None else first - second
    return Choice(ranked, margin, margin is not None and None not in scores and margin >= SURE_MARGIN, unknown)


def _descending(score: float | None) -> float:
    return np.inf if score is None else -score


def _candidate_vector(candidate: Candidate, vocabulary: Vocabulary, unknown: Counter[str]) -> np.ndarray | None:
    """The unit vector of a translation, in equal parts of its text and its gloss where both are known."""
    texts = [candidate.text, candidate.gloss] if candidate.gloss else [candidate.text]
    return _mean([_vector(text, vocabulary, unknown) for text in texts])


def _vector(text: str, vocabulary: Vocabulary, unknown: Counter[str]) -> np.ndarray | None:
    vector, _, missing = vocabulary.phrase(text)
    unknown.update(missing)
    return vector


def _mean(vectors: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The unit vector between unit vectors; None where there are none, or they cancel out."""
    known = [vector for vector in vectors if vector is not None]
    total = np.sum(known, axis=0) if known else np.zeros(1)
    norm = float(np.linalg.norm(total))
    return total / norm if norm > 1e-6 else None


def _checked(candidates: list[Candidate], context: Sequence[str]) -> list[Candidate]:
    if not 2 <= len(candidates) <= CANDIDATES_MAX:
        raise QueryRejected(
            "There is nothing to choose from" if len(candidates) < 2 else "There are too many candidates",
            expected=f"2 to {CANDIDATES_MAX} different candidates",
            received=str(len(candidates)),
        )
    if not 1 <= len(context) <= CONTEXT_MAX:
        raise QueryRejected(
            "The context cannot be used", expected=f"1 to {CONTEXT_MAX} tags", received=str(len(context))
        )
    longest = max(len(text) for text in [*context, *(text for each in candidates for text in (each.text, each.gloss))])
    if longest > QUERY_CHARACTERS_MAX:
        raise QueryRejected(
            "A text is too long", expected=f"at most {QUERY_CHARACTERS_MAX} characters", received=str(longest)
        )
    return candidates


def _nothing_known(what: str, unknown: Counter[str]) -> UnknownWords:
    named = ", ".join(f"{word} ({count})" for word, count in unknown.most_common(10))
    return UnknownWords(
        f"No {what} is known",
        expected="words of the vocabulary, which is mostly English",
        received=f"{sum(unknown.values())} unknown words: {named}"[:200] if unknown else "no word",
        remedy="Give more, or more common, words.",
    )
