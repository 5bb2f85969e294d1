"""The operation `photographers`: who suits an assignment, by the photos that they have."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from stream_app.application_room import ApplicationRoom
from stream_app.briefs import read_brief
from stream_app.contract.collections import Photographer, PhotographersAnswer, PhotographersRequest
from stream_app.contract.values import id_of, rounded
from stream_app.errors import CollectionNotFound, ServiceUnavailable
from stream_app.photo_answers import photo_hit
from stream_app.photographer_ranking import (
    NEAREST_PHOTOS,
    Portfolio,
    RankedPhotographer,
    assignment_vector,
    rank_photographers,
)

#: Whoever has none among so many photos that suit best is not looked at.
PHOTOS_LOOKED_AT = 2_000
#: So many photographers are looked at for each that is asked for.
LOOKED_AT = 5
#: Of larger portfolios only the photos that suit best are looked at.
PORTFOLIO_PHOTOS_MAX = 2_000


class PhotographerAnswers:
    """Assignments; nothing of them is kept."""

    def __init__(self, room: ApplicationRoom) -> None:
        self._room = room

    async def photographers(self, request: PhotographersRequest) -> PhotographersAnswer:
        """Photographers, best first, each with evidence; UnknownWords, PhotoNotFound, QueryRejected."""
        began = time.perf_counter()
        examples = [id_of(each, "photo_ids") for each in request.photo_ids]
        for each in examples:
            self._room.photos.changes.known_row(each)
        brief = await read_brief(self._room.space, self._room.photos, request.q, examples, of="The assignment")
        sample = await self._room.sample.now()
        hits, _ = await self._room.photos.index.search(
            brief.vector, NEAREST_PHOTOS, lambda each: self._room.photos.row(each) is not None, is_word=brief.is_word
        )
        nearest = list((await self._room.photos.vectors(hit.photo_id for hit in hits)).values())
        asked = assignment_vector(np.array(nearest), sample) if nearest else brief.vector
        excluded = {str(id_of(each, "exclude_user")) for each in request.exclude_user}
        portfolios = await self._portfolios(asked, excluded, LOOKED_AT * request.k)
        ranked = await asyncio.to_thread(
            rank_photographers, asked, portfolios, sample, model=request.model, evidence_photos=request.evidence
        )
        return PhotographersAnswer(
            photographers=[self._shown(each) for each in ranked[: request.k]],
            unknown_words=list(brief.words.unknown_words) if brief.words else [],
            took_ms=round((time.perf_counter() - began) * 1000, 2),
        )

    async def _portfolios(self, asked: np.ndarray, excluded: set[str], count: int) -> dict[str, Portfolio]:
        """Those of the photographers whose photos suit best, at most `count`."""

        def allow(photo_id: int) -> bool:
            row = self._room.photos.row(photo_id)
            return row is not None and (user := row.text("user_id")) is not None and user not in excluded

        hits, _ = await self._room.photos.index.search(asked, PHOTOS_LOOKED_AT, allow)
        found: dict[str, list[int]] = {}
        for hit in hits:
            if (row := self._room.photos.row(hit.photo_id)) and (user := row.text("user_id")) is not None:
                found.setdefault(user, []).append(hit.photo_id)
        portfolios = {}
        for user in list(found)[:count]:
            photo_ids = dict.fromkeys([*found[user], *self._owned(user)])
            vectors = await self._room.photos.vectors(list(photo_ids)[:PORTFOLIO_PHOTOS_MAX])
            if vectors:
                portfolios[user] = Portfolio(list(vectors), np.array(list(vectors.values())))
        return portfolios

    def _owned(self, user: str) -> tuple[int, ...]:
        """All photos of a photographer; none where another worker keeps the portfolio, which costs accuracy only."""
        try:
            owned = self._room.collections.portfolio(int(user)).photo_ids
        except (CollectionNotFound, ServiceUnavailable):
            return ()
        return tuple(each for each in owned if (row := self._room.photos.row(each)) and row.text("user_id") == user)

    def _shown(self, ranked: RankedPhotographer) -> Photographer:
        return Photographer(
            user_id=ranked.user_id,
            score=rounded(ranked.score),
            photos=ranked.photo_count,
            evidence=[
                photo_hit(photo, each.score)
                for each in ranked.evidence
                if (photo := self._room.photos.shown(each.photo_id))
            ],
        )
