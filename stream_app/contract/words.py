"""Words alone: what is near a word, and which translation is meant."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from stream_app.contract.values import Answer, Count, Request, Scored, Text

Words = Annotated[list[Text], Meta(max_length=100, title="at most 100 words")]
Context = Annotated[list[Text], Meta(min_length=1, max_length=100, title="1 to 100 tags", examples=[["garden"]])]


class SimilarWordsRequest(Request, frozen=True, kw_only=True):
    """The words nearest to a word or phrase."""

    word: Annotated[str, Meta(min_length=1, max_length=200, title="1 to 200 characters")]
    k: Count = 20


class AnalogyRequest(Request, frozen=True, kw_only=True):
    """The words nearest to `positive` less `negative`, or to the arithmetic in `q`."""

    q: Text = ""
    positive: Words = []
    negative: Words = []
    k: Count = 20


class WordsAnswer(Answer, frozen=True, kw_only=True):
    """Words with their cosines, best first."""

    words: list[Scored]
    known_words: list[str]
    unknown_words: Annotated[dict[str, int], Meta(description="how often each was asked")]


class Candidate(Struct, frozen=True, forbid_unknown_fields=True):
    """One translation that may be meant; the gloss says what it means."""

    text: Text
    gloss: Text | None = None


class DisambiguateRequest(Request, frozen=True, kw_only=True):
    """Which of several translations the tags beside it speak for."""

    candidates: Annotated[
        list[Text | Candidate],
        Meta(
            min_length=2,
            max_length=50,
            title="2 to 50 different texts, or {text, gloss}",
            examples=[["bank", {"text": "bench", "gloss": "a long seat"}]],
        ),
    ]
    context: Context


class RankedCandidate(Answer, frozen=True, kw_only=True):
    """A candidate with its score; null where no word of it is known."""

    text: str
    gloss: str | None
    score: float | None


class DisambiguateAnswer(Answer, frozen=True, kw_only=True):
    """The candidates, likeliest first."""

    candidates: list[RankedCandidate]
    margin: Annotated[float | None, Meta(description="by how much the first leads")]
    sure: bool
    unknown_words: Annotated[dict[str, int], Meta(description="how often each was asked")]
