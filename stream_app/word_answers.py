"""The operations on words alone: what is near a word, near a sum of words, and which translation is meant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from models.translation import Candidate, Choice, disambiguate
from models.word_neighbours import Neighbours, analogy, neighbours, similar_words
from models.word_query import parse_terms
from models.words import Vocabulary
from stream_app.contract import words as contract
from stream_app.contract.values import rounded, scored
from stream_app.errors import QueryRejected


class WordAnswers:
    """The operations `similar_words`, `analogy` and `disambiguate`; they look at no photo."""

    def __init__(self, vocabulary: Callable[[], Awaitable[Vocabulary]]) -> None:
        self._vocabulary = vocabulary

    async def similar_words(self, request: contract.SimilarWordsRequest) -> contract.WordsAnswer:
        """The words nearest to a word or phrase; UnknownWords when no word of it is known."""
        vocabulary = await self._vocabulary()
        return _words_answer(await asyncio.to_thread(similar_words, request.word, vocabulary, request.k))

    async def analogy(self, request: contract.AnalogyRequest) -> contract.WordsAnswer:
        """The words nearest to a sum of words; QueryRejected unless the sum is given in one of the two ways."""
        vocabulary = await self._vocabulary()
        listed = bool(request.positive or request.negative)
        if bool(request.q.strip()) == listed:
            raise QueryRejected(
                "the words of the analogy are given twice" if listed else "the words of the analogy are missing",
                expected="either positive=king,woman and negative=man, or q=king - man + woman",
                received="both" if listed else "neither",
            )
        if listed:
            found = await asyncio.to_thread(analogy, request.positive, request.negative, vocabulary, request.k)
        else:
            found = await asyncio.to_thread(neighbours, parse_terms(request.q), vocabulary, request.k)
        return _words_answer(found)

    async def disambiguate(self, request: contract.DisambiguateRequest) -> contract.DisambiguateAnswer:
        """Which of several translations the context speaks for."""
        candidates = [_candidate(each) for each in request.candidates]
        vocabulary = await self._vocabulary()
        return _choice_answer(await asyncio.to_thread(disambiguate, candidates, request.context, vocabulary))


def _candidate(given: str | contract.Candidate) -> Candidate:
    return Candidate(given) if isinstance(given, str) else Candidate(given.text, given.gloss or "")


def _words_answer(found: Neighbours) -> contract.WordsAnswer:
    return contract.WordsAnswer(words=scored(found.words), known_words=list(found.known), unknown_words=found.unknown)


def _choice_answer(choice: Choice) -> contract.DisambiguateAnswer:
    ranked = [
        contract.RankedCandidate(
            text=each.candidate.text,
            gloss=each.candidate.gloss or None,
            score=None if each.score is None else rounded(each.score),
        )
        for each in choice.ranked
    ]
    margin = None if choice.margin is None else rounded(choice.margin)
    return contract.DisambiguateAnswer(candidates=ranked, margin=margin, sure=choice.sure, unknown_words=choice.unknown)
