"""Questions about words alone: what is near a word, what a sum of words is near to, which translation is meant."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from models.translation import Candidate, Choice, disambiguate
from models.word_neighbours import Neighbours, analogy, neighbours, similar_words
from models.word_query import parse_terms
from stream_app.album import Album
from stream_app.errors import QueryRejected
from stream_app.web.parameters import k_of
from stream_app.web.problems import RequestRefused, in_time
from stream_app.web.replies import SCORE_DIGITS, scored

BODY_BYTES_MAX = 64 * 1024
_BODY = '{"candidates": ["bank", {"text": "bank", "gloss": "side of a river"}], "context": ["river", "water"]}'


class WordViews:
    """Views of the album's vocabulary; they look at no photo."""

    def __init__(self, album: Album) -> None:
        self._album = album

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.get("/api/words/{word}/similar", self.similar),
            web.get("/api/words/analogy", self.analogy),
            web.post("/api/words/disambiguate", self.disambiguate),
        ]

    async def similar(self, request: web.Request) -> web.Response:
        """The words nearest to a word or phrase."""
        k = k_of(request)
        vocabulary = await in_time(self._album.vocabulary())
        found = await asyncio.to_thread(similar_words, request.match_info["word"], vocabulary, k)
        return web.json_response(_neighbours_json(found))

    async def analogy(self, request: web.Request) -> web.Response:
        """The words nearest to `positive` less `negative`, or to the arithmetic in `q`."""
        k = k_of(request)
        q, positive, negative = request.query.get("q", ""), _listed(request, "positive"), _listed(request, "negative")
        vocabulary = await in_time(self._album.vocabulary())
        if bool(q.strip()) == bool(positive or negative):
            raise QueryRejected(
                "the words of the analogy are missing" if not q else "the words of the analogy are given twice",
                expected="either ?positive=king,woman&negative=man or ?q=king - man + woman",
                received="both" if q else "neither",
            )
        if q:
            found = await asyncio.to_thread(neighbours, parse_terms(q), vocabulary, k)
        else:
            found = await asyncio.to_thread(analogy, positive, negative, vocabulary, k)
        return web.json_response(_neighbours_json(found))

    async def disambiguate(self, request: web.Request) -> web.Response:
        """Which of several translations the context speaks for."""
        candidates, context = _question(await _json_of(request))
        vocabulary = await in_time(self._album.vocabulary())
        choice = await asyncio.to_thread(disambiguate, candidates, context, vocabulary)
        return web.json_response(_choice_json(choice))


def _listed(request: web.Request, name: str) -> list[str]:
    """A parameter that may be repeated, and separated by commas."""
    texts = ",".join(request.query.getall(name, []))
    return [each.strip() for each in texts.split(",") if each.strip()]


async def _json_of(request: web.Request) -> Any:
    """The body as JSON; raises RequestRefused (413) for a large one, QueryRejected for what is no JSON."""
    data = await request.content.read(BODY_BYTES_MAX + 1)
    while len(data) <= BODY_BYTES_MAX and (more := await request.content.read(BODY_BYTES_MAX + 1 - len(data))):
        data += more
    if len(data) > BODY_BYTES_MAX:
        raise RequestRefused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "the request is too large",
            expected=f"at most {BODY_BYTES_MAX} bytes",
            received="more",
        )
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _unusable(f"{len(data)} bytes that are no JSON: {error}"[:160]) from error


def _question(body: Any) -> tuple[list[Candidate], list[str]]:
    """Candidates and context of a body; raises QueryRejected when it has another shape."""
    if not isinstance(body, dict):
        raise _unusable(f"a JSON {type(body).__name__}")
    candidates, context = body.get("candidates"), body.get("context")
    if not isinstance(candidates, list) or not isinstance(context, list):
        raise _unusable(f"an object with {', '.join(map(repr, list(body)[:5])) or 'nothing in it'}"[:160])
    if not all(isinstance(tag, str) for tag in context):
        raise _unusable("a context with something that is no text")
    return [_candidate(each) for each in candidates], context


def _candidate(given: Any) -> Candidate:
    if isinstance(given, str):
        return Candidate(given)
    if isinstance(given, dict):
        text, gloss = given.get("text"), given.get("gloss") or ""
        if isinstance(text, str) and isinstance(gloss, str):
            return Candidate(text, gloss)
    raise _unusable(f"the candidate {given!r}"[:100])


def _unusable(received: str) -> QueryRejected:
    return QueryRejected("the body cannot be used", expected=f"JSON such as {_BODY}", received=received)


def _neighbours_json(found: Neighbours) -> dict[str, Any]:
    return {"words": scored(found.words), "known_words": found.known, "unknown_words": found.unknown}


def _choice_json(choice: Choice) -> dict[str, Any]:
    ranked = [
        {
            "text": each.candidate.text,
            "gloss": each.candidate.gloss or None,
            "score": None if each.score is None else round(each.score, SCORE_DIGITS),
        }
        for each in choice.ranked
    ]
    margin = None if choice.margin is None else round(choice.margin, SCORE_DIGITS)
    return {"candidates": ranked, "margin": margin, "sure": choice.sure, "unknown_words": choice.unknown}
