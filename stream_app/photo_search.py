"""Searching the album: by words, by photos of it, by a photo that is sent, and by mixtures of these."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from models.space import Space
from stream_app.album import Photo
from stream_app.candidates import CandidateSource
from stream_app.contract.searching import (
    ImageSearchRequest,
    KnownPhoto,
    Options,
    PhotoHit,
    RelatedRequest,
    SearchAnswer,
    SearchExplanation,
    SearchRequest,
)
from stream_app.contract.values import Scored, id_of, rounded
from stream_app.cursors import Cursor, cursor_of
from stream_app.findable_photos import FindablePhotos
from stream_app.hit_explanations import Explainer
from stream_app.hit_pages import Page, page_of
from stream_app.metrics import SEARCH_SECONDS
from stream_app.photo_answers import photo_hit
from stream_app.photo_filter import RowFilter
from stream_app.photo_signatures import NEAR_DUPLICATE_BITS, differing_bits, signatures
from stream_app.query_vectors import Example, QueryVector, Question, query_vector, read_question
from stream_app.sent_images import ImageDesk, SentImage
from stream_app.tag_index import TagIndex

#: How many more candidates than hits are looked at, so that what is folded or gone since leaves no gap.
MARGIN = 32
#: Among so many nearest photos the very one that was sent is looked for.
KNOWN_DEPTH = 20
#: So many photos of a tag say what it means.
TAGGED_PHOTOS_MAX = 100


@dataclass(frozen=True)
class SearchRoom:
    """What searching works with, handed in by the app."""

    space: Space
    photos: FindablePhotos
    images: ImageDesk
    candidates: CandidateSource
    tags: TagIndex


class PhotoSearch:
    """The operations `search`, `related` and `search_image`."""

    def __init__(self, room: SearchRoom) -> None:
        self._room = room
        self._explainer = Explainer(room.space)

    async def search(self, request: SearchRequest) -> SearchAnswer:
        """Photos for words and photos; UnknownWords, QueryRejected, PhotoNotFound where it cannot be answered."""
        began = time.perf_counter()
        return await self.answer(await self._query(read_question(request.q), []), request, began)

    async def related(self, request: RelatedRequest) -> SearchAnswer:
        """Photos most like one of the album in what they show and how they look; raises PhotoNotFound."""
        began = time.perf_counter()
        question = Question([], [(1.0, id_of(request.photo_id))])
        return await self.answer(await self._query(question, []), request, began)

    async def search_image(self, request: ImageSearchRequest) -> SearchAnswer:
        """Photos like one that is sent, and which of the album are it, or nearly; PhotoRejected, QueryRejected."""
        question = read_question(request.q) if request.q.strip() else Question([], [])
        image = await self._room.images.take(request.image, request.url)
        began = time.perf_counter()
        query = await self._query(question, [Example("image", image.search_vector)])
        labels = self._room.space.labels(image.encoding.label_indices, image.encoding.label_scores, 5)
        answer = await self.answer(query, request, began, labels=[name for name, _ in labels])
        return msgspec.structs.replace(answer, known=await self._known(image))

    async def answer(
        self, query: QueryVector, options: Options, began_seconds: float, *, labels: Iterable[str] = ()
    ) -> SearchAnswer:
        """The hits of a query; `labels` are those of a photo that was sent, `began_seconds` of time.perf_counter()."""
        filtering = RowFilter(options, self._room.photos.album.label_names)
        cursor = cursor_of(options, time.time_ns() // 1_000_000)
        with SEARCH_SECONDS.time():
            page, sources = await self._page(query, options, cursor, self._allowing(query, filtering, cursor))
        photos = {
            each.candidate.photo_id: photo
            for each in page.hits
            if (photo := self._room.photos.shown(each.candidate.photo_id))
        }
        answer = SearchAnswer(
            hits=_hits(page, photos),
            complete=all(each != "unavailable" for each in sources.values()),
            shards={str(partition): source for partition, source in sorted(sources.items())},
            took_ms=round((time.perf_counter() - began_seconds) * 1000, 2),
            unknown_words=list(query.unknown_words),
            suggestions=query.suggestions,
            next_cursor=page.cursor.to_text() if page.cursor else None,
        )
        return await self._explained(answer, query, page, photos, filtering, labels) if options.explain else answer

    async def _query(self, question: Question, examples: Sequence[Example]) -> QueryVector:
        photos = [await self._room.photos.example(photo_id, weight) for weight, photo_id in question.photos]
        tags = [each for phrase in question.phrases for each in await self._tag_examples(*phrase)]
        return await query_vector(self._room.space, question.phrases, [*examples, *photos, *tags])

    async def _tag_examples(self, weight: float, phrase: str) -> list[Example]:
        """What words mean that the vocabulary has not, but owners do: the mean of the photos that they gave them to."""
        examples = []
        for word in (await self._room.photos.album.vocabulary()).phrase(phrase)[2]:
            tagged = sorted(self._room.tags.photos(word), reverse=True)[:TAGGED_PHOTOS_MAX]
            if vectors := await self._room.photos.vectors(tagged):
                mean = np.mean(list(vectors.values()), axis=0)
                examples.append(Example(f"tag:{word}", mean / max(np.linalg.norm(mean), 1e-6), weight, tag=word))
        return examples

    async def _page(
        self, query: QueryVector, options: Options, cursor: Cursor | None, allow: Callable[[int], bool]
    ) -> tuple[Page, dict[int, str]]:
        """One page of hits, from as many candidates as it takes."""
        spare = MARGIN if cursor or options.fold else 0
        depth = options.k + spare + (cursor.shown if cursor else 0)
        while True:
            found = await self._room.candidates.best(query, depth, allow, cursor)
            page = page_of(found.candidates, options, cursor, self._room.photos.signatures, NEAR_DUPLICATE_BITS)
            if page.is_full or page.is_last or found.is_all or not spare:
                return page, found.sources
            depth *= 4

    def _allowing(self, query: QueryVector, filtering: RowFilter, cursor: Cursor | None) -> Callable[[int], bool]:
        def allow(photo_id: int) -> bool:
            row = None if photo_id in query.photo_ids else self._room.photos.row(photo_id)
            if row is None or (cursor and row.upload_version.time_ms > cursor.began_ms):
                return False
            return filtering.allows(row)

        return allow

    async def _known(self, image: SentImage) -> list[KnownPhoto]:
        """The photos of the album that have the same bytes as the one sent, or nearly the same look; best first."""
        hits, _ = await self._room.photos.index.search(
            image.search_vector, KNOWN_DEPTH, lambda each: self._room.photos.row(each) is not None
        )
        mine = signatures(image.encoding.image_embedding[None], self._room.space.vision_id)
        theirs = self._room.photos.signatures([hit.photo_id for hit in hits])
        known = []
        for hit, bits in zip(hits, differing_bits(theirs, mine).tolist(), strict=True):
            row = self._room.photos.row(hit.photo_id)
            if row is None:
                continue
            if row.sha256 == image.sha256:
                known.append(KnownPhoto(photo_id=str(row.photo_id), relation="same", differing_bits=bits))
            elif bits <= NEAR_DUPLICATE_BITS:
                known.append(KnownPhoto(photo_id=str(row.photo_id), relation="near_duplicate", differing_bits=bits))
        return sorted(known, key=lambda each: (each.relation != "same", each.differing_bits, int(each.photo_id)))

    async def _explained(
        self,
        answer: SearchAnswer,
        query: QueryVector,
        page: Page,
        photos: dict[int, Photo],
        filtering: RowFilter,
        labels: Iterable[str],
    ) -> SearchAnswer:
        vectors = await self._room.photos.vectors(photos)
        asked = (self._room.photos.shown(each) for each in query.photo_ids)
        names = {*labels, *(name for photo in asked if photo for name, _ in photo.labels)}
        candidates = [each.candidate for each in page.hits]
        explained = await self._explainer.explain(query, candidates, photos, vectors, frozenset(names))
        hits = [msgspec.structs.replace(hit, explanation=explained[int(hit.photo_id)]) for hit in answer.hits]
        terms = [Scored(name, rounded(weight)) for name, weight in query.terms]
        how = SearchExplanation(terms=terms, filtered=dict(sorted(filtering.refused.items())))
        return msgspec.structs.replace(answer, hits=hits, explanation=how)


def _hits(page: Page, photos: dict[int, Photo]) -> list[PhotoHit]:
    return [
        photo_hit(photo, each.candidate.score, each.duplicates)
        for each in page.hits
        if (photo := photos.get(each.candidate.photo_id))
    ]
