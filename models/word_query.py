"""What a person types, as one vector: words, phrases, and sums and differences of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from models.words import Vocabulary
from stream_app.errors import QueryRejected, UnknownWords

QUERY_CHARACTERS_MAX = 200
# An unescaped " + " in an address arrives as three blanks.
LOST_PLUS = re.compile(r"(?<=\S) {3}(?=\S)")
# A minus stands alone or begins a word; inside a word ("t-shirt") it is a hyphen. A plus is always a plus.
OPERATOR = re.compile(r"(\+|(?:(?<=\s)|^)[-\u2212\u2013])")
EXAMPLE = 'words, such as "dog" or "king - man + woman"'


@dataclass(frozen=True)
class WordQuery:
    """A query as a unit vector, with the words it stands on and the words it had to leave out."""

    vector: np.ndarray  # float32 [joint_dimensions]
    known: list[str]
    unknown: list[str]


def parse_terms(text: str) -> list[tuple[int, str]]:
    """The signed phrases of a query: `king - man` is [(1, "king"), (-1, "man")]; QueryRejected when there is none."""
    if len(text) > QUERY_CHARACTERS_MAX:
        raise QueryRejected(
            "The query is too long", expected=f"at most {QUERY_CHARACTERS_MAX} characters", received=str(len(text))
        )
    sign, terms = 1, []
    for part in OPERATOR.split(text if "+" in text else LOST_PLUS.sub(" + ", text)):
        if OPERATOR.fullmatch(part):
            sign = 1 if part == "+" else -1
        elif re.search(r"\w", part):
            terms.append((sign, " ".join(part.split())))
            sign = 1
    if not terms:
        raise QueryRejected("The query has no words", expected=EXAMPLE, received=repr(text[:40]))
    return terms


def embed_query(text: str, vocabulary: Vocabulary) -> WordQuery:
    """The query's unit vector; UnknownWords when no word is known, QueryRejected when the terms cancel out."""
    return embed_terms(parse_terms(_with_gaps(text, vocabulary)), vocabulary)


def _with_gaps(text: str, vocabulary: Vocabulary) -> str:
    """`king-man+woman` as it was meant: beside a plus, a hyphen is a minus unless it joins a known word."""
    if "+" not in text or " " in text.strip():
        return text
    terms = text.split("+")
    return " + ".join(term if vocabulary.fold(term) else re.sub(r"(?<=\w)-(?=\w)", " - ", term) for term in terms)


def embed_terms(terms: list[tuple[int, str]], vocabulary: Vocabulary) -> WordQuery:
    """The unit vector of signed phrases; raises as `embed_query` does."""
    total = np.zeros(vocabulary.dimensions, np.float32)
    known: list[str] = []
    unknown: list[str] = []
    for sign, phrase in terms:
        vector, found, missing = vocabulary.phrase(phrase)
        known += found
        unknown += missing
        if vector is not None:
            total += sign * vector
    if not known:
        raise _unknown_words(unknown, vocabulary)
    norm = float(np.linalg.norm(total))
    if norm < 1e-3:
        shown = " ".join(f"{'-' if sign < 0 else '+'} {phrase}" for sign, phrase in terms).removeprefix("+ ")
        raise QueryRejected("The words of the query cancel each other out", expected=EXAMPLE, received=repr(shown[:40]))
    return WordQuery(total / norm, known, unknown)


def _unknown_words(unknown: list[str], vocabulary: Vocabulary) -> UnknownWords:
    near = list(dict.fromkeys(each for word in unknown[:3] for each in vocabulary.suggestions(word)))
    return UnknownWords(
        f"No word of the query is known: {', '.join(unknown)[:100]}",
        expected="English words",
        remedy=f"Did you mean {', '.join(near)}?" if near else "Try another word.",
    )
