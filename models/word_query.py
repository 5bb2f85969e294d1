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
TOKEN = re.compile(
    r"(?P<operator>\+|(?:(?<=\s)|^)[-\u2212\u2013])"
    r'|(?:"(?P<quoted>[^"]*)"|(?P<word>[^\s+"^]+))(?:\^(?P<power>[^\s+"]*))?'
)
#: How a term begins that names a photo; what it means is for whoever knows photos.
REFERENCE = "photo:"
WEIGHT_MAX = 100
EXAMPLE = 'words, such as "dog" or "king - man + woman"'


@dataclass(frozen=True)
class WordQuery:
    """A query as a unit vector, with the words it stands on and the words it had to leave out."""

    vector: np.ndarray  # float32 [joint_dimensions]
    known: list[str]
    unknown: list[str]
    length: float  # of the sum before it was made a unit vector: what the words weigh beside other terms


def parse_terms(text: str) -> list[tuple[float, str]]:
    """The weighted phrases of a query: `king - man` is [(1, "king"), (-1, "man")]; QueryRejected when there is none.

    `sunset^2 beach` weighs a word, `"ice cream"` is a phrase of its own, and so is what begins with `photo:`.
    """
    if len(text) > QUERY_CHARACTERS_MAX:
        raise QueryRejected(
            "The query is too long", expected=f"at most {QUERY_CHARACTERS_MAX} characters", received=str(len(text))
        )
    terms: list[tuple[float, str]] = []
    phrase: list[str] = []
    sign = 1.0
    for token in TOKEN.finditer(text if "+" in text else LOST_PLUS.sub(" + ", text)):
        if not _stands_alone(token):
            phrase.append(token["word"] or "")
            continue
        if phrase:
            terms.append((sign, " ".join(phrase)))
            phrase, sign = [], 1.0
        if token["operator"]:
            sign = 1.0 if token["operator"] == "+" else -1.0
        else:
            terms.append((sign * _weight(token), " ".join((token["quoted"] or token["word"] or "").split())))
            sign = 1.0
    terms.append((sign, " ".join(phrase)))
    terms = [(weight, words) for weight, words in terms if re.search(r"\w", words)]
    if not terms:
        raise QueryRejected("The query has no words", expected=EXAMPLE, received=repr(text[:40]))
    return terms


def _stands_alone(token: re.Match[str]) -> bool:
    """Whether a token is no part of a phrase: an operator, or what is in quotes, has a weight or names a photo."""
    word = token["word"] or ""
    return not word or token["power"] is not None or word.startswith(REFERENCE)


def _weight(token: re.Match[str]) -> float:
    """What stands behind the ^ of a term, or 1; raises QueryRejected."""
    power = token["power"]
    if power is None:
        return 1.0
    if re.fullmatch(r"(\d{1,3}(\.\d{0,6})?|\.\d{1,6})", power) and 0 < float(power) <= WEIGHT_MAX:
        return float(power)
    raise QueryRejected(
        f"The weight of {(token['quoted'] or token['word'] or '')[:40]!r} cannot be used",
        expected=f"a number above 0 and up to {WEIGHT_MAX}, as in sunset^2",
        received=repr(power[:40]),
    )


def embed_query(text: str, vocabulary: Vocabulary) -> WordQuery:
    """The query's unit vector; UnknownWords when no word is known, QueryRejected when the terms cancel out."""
    return embed_terms(parse_terms(_with_gaps(text, vocabulary)), vocabulary)


def _with_gaps(text: str, vocabulary: Vocabulary) -> str:
    """`king-man+woman` as it was meant: beside a plus, a hyphen is a minus unless it joins a known word."""
    if "+" not in text or " " in text.strip():
        return text
    terms = text.split("+")
    return " + ".join(term if vocabulary.fold(term) else re.sub(r"(?<=\w)-(?=\w)", " - ", term) for term in terms)


def embed_terms(terms: list[tuple[float, str]], vocabulary: Vocabulary) -> WordQuery:
    """The unit vector of weighted phrases; raises as `embed_query` does."""
    total = np.zeros(vocabulary.dimensions, np.float32)
    known: list[str] = []
    unknown: list[str] = []
    for weight, phrase in terms:
        vector, found, missing = vocabulary.phrase(phrase)
        known += found
        unknown += missing
        if vector is not None:
            total += weight * vector
    if not known:
        raise _unknown_words(unknown, vocabulary)
    norm = float(np.linalg.norm(total))
    if norm < 1e-3:
        shown = " ".join(f"{'-' if sign < 0 else '+'} {phrase}" for sign, phrase in terms).removeprefix("+ ")
        raise QueryRejected("The words of the query cancel each other out", expected=EXAMPLE, received=repr(shown[:40]))
    return WordQuery(total / norm, known, unknown, norm)


def _unknown_words(unknown: list[str], vocabulary: Vocabulary) -> UnknownWords:
    near = list(dict.fromkeys(each for word in unknown[:3] for each in vocabulary.suggestions(word)))
    return UnknownWords(
        f"No word of the query is known: {', '.join(unknown)[:100]}",
        expected="English words",
        remedy=f"Did you mean {', '.join(near)}?" if near else "Try another word.",
    )
