"""From what a caller asks with to one query vector: words, photos of the album, photos that are sent, or a mixture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from models.space import Space
from models.word_query import EXAMPLE, REFERENCE, WordQuery, embed_terms, parse_terms
from stream_app.contract.values import id_of
from stream_app.errors import QueryRejected

#: A sum of terms that is shorter points nowhere.
LENGTH_MIN = 1e-3
SUGGESTED_WORDS_MAX = 3


@dataclass(frozen=True)
class QueryVector:
    """A question as a place in the space; `score` makes the score that is shown of a dot product with it.

    `words` are the known words that count for a photo, `photo_ids` the photos that the question stands on.
    """

    vector: np.ndarray  # float32 [search_dimensions], unit length
    is_word: bool
    terms: list[tuple[str, float]]
    score: Callable[[float], float] = float
    words: list[str] = field(default_factory=list)
    photo_ids: frozenset[int] = frozenset()
    unknown_words: tuple[str, ...] = ()
    suggestions: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A photo that counts in a question, or the photos of a tag: a search vector, and how much it counts."""

    name: str
    vector: np.ndarray
    weight: float = 1.0
    photo_id: int | None = None
    tag: str | None = None


@dataclass(frozen=True)
class Question:
    """What was asked: the weighted phrases, and the photos by their ids."""

    phrases: list[tuple[float, str]]
    photos: list[tuple[float, int]]


def read_question(text: str) -> Question:
    """The terms of a query such as `photo:42 - dog + cat^2`; raises QueryRejected."""
    terms = parse_terms(text)
    photos = [(weight, _photo_id(words)) for weight, words in terms if words.startswith(REFERENCE)]
    return Question([each for each in terms if not each[1].startswith(REFERENCE)], photos)


async def query_vector(space: Space, phrases: list[tuple[float, str]], examples: Sequence[Example]) -> QueryVector:
    """The vector of words and examples together.

    Raises UnknownWords where there are words and no example and none of the words is known, and QueryRejected where
    nothing was asked or the terms cancel each other out.
    """
    return await asyncio.to_thread(_query_vector, space, phrases, examples)


def _query_vector(space: Space, phrases: list[tuple[float, str]], examples: Sequence[Example]) -> QueryVector:
    if not phrases and not examples:
        raise QueryRejected("The query is empty", expected=f"{EXAMPLE}, or a photo", received="nothing")
    split = [(weight, *space.vocabulary.phrase(phrase)[1:]) for weight, phrase in phrases]
    tags = [each.tag for each in examples if each.tag is not None]
    unknown = list(dict.fromkeys(word for _, _, missing in split for word in missing if word not in tags))
    is_known = any(known for _, known, _ in split)
    # Words that nobody knows are no reason to refuse what a photo asks; without one they are, and are named.
    words = embed_terms(phrases, space.vocabulary) if phrases and (is_known or not examples) else None
    vector = _sum(space, words, examples)
    return QueryVector(
        vector=vector,
        is_word=not examples,
        terms=[*((phrase, weight) for weight, phrase in phrases), *((each.name, each.weight) for each in examples)],
        score=partial(_word_score, space, words) if words and not examples else float,
        words=list(dict.fromkeys([*(word for weight, known, _ in split if weight > 0 for word in known), *tags])),
        photo_ids=frozenset(each.photo_id for each in examples if each.photo_id is not None),
        unknown_words=tuple(unknown),
        suggestions={word: space.vocabulary.suggestions(word) for word in unknown[:SUGGESTED_WORDS_MAX]},
    )


def _sum(space: Space, words: WordQuery | None, examples: Sequence[Example]) -> np.ndarray:
    """float32 [search_dimensions], unit length; raises QueryRejected where nothing is left of the terms."""
    vector = np.zeros(space.search_dimensions, np.float32)
    if words:
        vector += words.length * space.word_query(words.vector)
    for each in examples:
        vector += each.weight * each.vector
    length = float(np.linalg.norm(vector))
    if length < LENGTH_MIN:
        raise QueryRejected(
            "The terms of the query cancel each other out", expected=EXAMPLE, received="a sum of nothing"
        )
    return vector / length


def _word_score(space: Space, words: WordQuery, score: float) -> float:
    return float(space.word_score(score, words.vector))


def _photo_id(reference: str) -> int:
    return id_of(reference.removeprefix(REFERENCE))
