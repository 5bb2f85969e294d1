"""The photos that may answer a query, in order: from the index, and from the tags that their owners gave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_app.cursors import Cursor
from stream_app.hit_pages import Candidate, in_order
from stream_app.index.ranking import Allow, Hit
from stream_app.live_index import LiveIndex
from stream_app.query_vectors import QueryVector
from stream_app.tag_index import TagIndex

#: What a score gains where every word of the query is a tag of the photo; a part of it where some are.
TAG_BONUS = 0.25
#: A vector scores the same to within this wherever it lies: in a memtable, a segment or Redis.
SAME_SCORE = 1e-4


@dataclass(frozen=True)
class Found:
    """Candidates in order, which source answered for each partition, and whether there are no others."""

    candidates: list[Candidate]
    sources: dict[int, str]
    is_all: bool


class CandidateSource:
    """Finds candidates."""

    def __init__(self, index: LiveIndex, tags: TagIndex) -> None:
        self._index = index
        self._tags = tags

    async def best(self, query: QueryVector, depth: int, allow: Allow, walk: Cursor | None) -> Found:
        """About the best `depth` photos; on a walk, none is left out that would stand before the last of them."""
        tagged = frozenset[int]().union(*(self._tags.photos(word) for word in query.words))
        hits, sources = await self._index.search(
            query.vector, depth, allow, is_word=query.is_word, is_exact=walk is not None
        )
        full = [query.score(hits[-1].score)] if len(hits) == depth else []
        if tagged:
            by_tag, _ = await self._index.search(
                query.vector, depth, lambda each: each in tagged and allow(each), is_exact=True
            )
            if len(by_tag) == depth:
                full.append(query.score(by_tag[-1].score) + TAG_BONUS)
            hits = list({hit.photo_id: hit for hit in (*by_tag, *hits)}.values())
        found = [self._candidate(hit, query) for hit in hits]
        if walk is None:
            return Found(in_order(found), sources, not full)
        found = in_order([await self._exactly(each, query, walk) for each in found])
        return Found([each for each in found if each.score >= max(full, default=-np.inf)], sources, not full)

    def _candidate(self, hit: Hit, query: QueryVector) -> Candidate:
        matching = sum(self._tags.has(hit.photo_id, word) for word in query.words)
        cosine, bonus = query.score(hit.score), TAG_BONUS * matching / max(len(query.words), 1)
        return Candidate(hit.photo_id, cosine + bonus, cosine, bonus, hit.source)

    async def _exactly(self, candidate: Candidate, query: QueryVector, walk: Cursor) -> Candidate:
        """The candidate with a score that does not change by a last digit when its vector moves to another segment.

        Otherwise a photo could slip over the edge between two pages. What stands clearly before it needs no more.
        """
        if walk.score is not None and candidate.score > walk.score + SAME_SCORE:
            return candidate
        vector = await self._index.vector(candidate.photo_id)
        if vector is None:
            return candidate
        cosine = query.score(float(np.dot(vector.astype(np.float64), query.vector.astype(np.float64))))
        return candidate._replace(score=cosine + candidate.bonus, cosine=cosine)
