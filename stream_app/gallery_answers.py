"""The operations on galleries: their members, and what would complete them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from stream_app.application_room import ApplicationRoom
from stream_app.collection_events import CollectionDeleted, CollectionEvent, PhotoEntered, PhotoLeft
from stream_app.collection_views import Gallery
from stream_app.contract.collections import (
    GalleryAnswer,
    GalleryPhotosRequest,
    GalleryRequest,
    GallerySuggestionsRequest,
    Suggestion,
    SuggestionMethod,
    SuggestionsAnswer,
    SuggestionsRequest,
)
from stream_app.contract.searching import HitExplanation, HitOptions
from stream_app.contract.values import id_of
from stream_app.gallery_suggestions import GalleryQuery, gallery_queries, merge_suggestions
from stream_app.hit_explanations import Explainer
from stream_app.hit_pages import Candidate
from stream_app.photo_answers import photo_hit
from stream_app.photo_filter import RowFilter
from stream_app.photo_signatures import originals
from stream_app.query_vectors import QueryVector

#: How many members are named that speak for a suggestion.
SPEAKERS = 3
#: How many more candidates than suggestions are looked at, so that what is folded leaves no gap.
SPARE = 3


class GalleryAnswers:
    """Galleries of the stream, and lists that are saved nowhere."""

    def __init__(self, room: ApplicationRoom) -> None:
        self._room = room
        self._explainer = Explainer(room.space)

    async def gallery(self, request: GalleryRequest) -> GalleryAnswer:
        """The members; raises CollectionNotFound."""
        return await self._answer(self._room.collections.gallery(id_of(request.gallery_id, "gallery_id")))

    async def add_to_gallery(self, request: GalleryPhotosRequest) -> GalleryAnswer:
        """Add photos; answers when that is durable. Photos that come later count once they are there."""
        return await self._change(request, lambda gallery, photo: PhotoEntered("gallery", gallery, None, photo))

    async def remove_from_gallery(self, request: GalleryPhotosRequest) -> GalleryAnswer:
        """Take photos out; those that are not in it change nothing. Raises CollectionNotFound."""
        self._room.collections.gallery(id_of(request.gallery_id, "gallery_id"))
        return await self._change(request, lambda gallery, photo: PhotoLeft("gallery", gallery, None, photo))

    async def delete_gallery(self, request: GalleryRequest) -> None:
        """Delete a gallery; its photos stay in the album. Raises CollectionNotFound."""
        gallery_id = self._room.collections.gallery(id_of(request.gallery_id, "gallery_id")).gallery_id
        await self._room.collections.publish([CollectionDeleted("gallery", gallery_id, None)])

    async def gallery_suggestions(self, request: GallerySuggestionsRequest) -> SuggestionsAnswer:
        """Photos that would complete a gallery; none for one without members. Raises CollectionNotFound."""
        began = time.perf_counter()
        gallery = self._room.collections.gallery(id_of(request.gallery_id, "gallery_id"))
        return await self._suggest(gallery.photo_ids, request, request.method, request.fold, began)

    async def suggestions(self, request: SuggestionsRequest) -> SuggestionsAnswer:
        """Photos that would complete a list of photos; raises PhotoNotFound for one that is not in the album."""
        began = time.perf_counter()
        photo_ids = [id_of(each, "photo_ids") for each in request.photo_ids]
        for each in photo_ids:
            self._room.photos.changes.known_row(each)
        return await self._suggest(photo_ids, request, request.method, request.fold, began)

    async def _change(
        self, request: GalleryPhotosRequest, event: Callable[[int, int], CollectionEvent]
    ) -> GalleryAnswer:
        gallery_id = id_of(request.gallery_id, "gallery_id")
        photo_ids = dict.fromkeys(id_of(each, "photo_ids") for each in request.photo_ids)
        await self._room.collections.publish([event(gallery_id, each) for each in photo_ids])
        return await self._answer(self._room.collections.gallery(gallery_id))

    async def _answer(self, gallery: Gallery) -> GalleryAnswer:
        here = await self._room.photos.vectors(gallery.photo_ids)
        states = self._room.photos.states(gallery.photo_ids, here)
        return GalleryAnswer(
            gallery_id=str(gallery.gallery_id),
            photo_ids=[str(each) for each in gallery.photo_ids],
            waiting=list(states),
            states=states,
        )

    async def _suggest(
        self, photo_ids: Sequence[int], options: HitOptions, method: SuggestionMethod, fold: bool, began_seconds: float
    ) -> SuggestionsAnswer:
        members = await self._room.photos.vectors(photo_ids)
        vectors = np.array(list(members.values()), np.float32).reshape(-1, self._room.space.search_dimensions)
        queries = await asyncio.to_thread(gallery_queries, vectors, await self._room.sample.now(), method=method)
        filtering = RowFilter(options, self._room.photos.album.label_names)

        def allow(photo_id: int) -> bool:
            row = None if photo_id in members else self._room.photos.row(photo_id)
            return row is not None and filtering.allows(row)

        answers = [await self._room.photos.index.search(each.vector, SPARE * options.k, allow) for each in queries]
        hits = [[(hit.photo_id, hit.score) for hit in found] for found, _ in answers]
        ranked = merge_suggestions(queries, hits, photo_ids)
        if fold:
            firsts = originals(self._room.photos.signatures([*members, *(each.photo_id for each in ranked)]))
            ranked = [each for row, each in enumerate(ranked, len(members)) if firsts[row] == row]
        found = await self._room.photos.vectors(each.photo_id for each in ranked)
        shown = [
            suggestion
            for each in ranked
            if each.photo_id in found and (suggestion := self._shown(each.photo_id, found[each.photo_id], members))
        ]
        if options.min_score is not None:
            shown = [each for each in shown if each.score >= options.min_score]
        shown = shown[: options.k]
        if options.explain:
            themes = {each.photo_id: queries[each.theme] for each in ranked}
            shown = await self._explained(shown, themes, vectors, found)
        return SuggestionsAnswer(
            hits=shown,
            members=len(members),
            themes=len(queries),
            complete=all(source != "unavailable" for _, sources in answers for source in sources.values()),
            took_ms=round((time.perf_counter() - began_seconds) * 1000, 2),
        )

    def _shown(self, photo_id: int, vector: np.ndarray, members: dict[int, np.ndarray]) -> Suggestion | None:
        photo = self._room.photos.shown(photo_id)
        if photo is None:
            return None
        cosines = {each: float(vector @ of_member) for each, of_member in members.items()}
        speakers = sorted(cosines, key=lambda each: (-cosines[each], each))[:SPEAKERS]
        hit = photo_hit(photo, float(np.mean([cosines[each] for each in speakers])))
        return Suggestion(**msgspec.structs.asdict(hit), members=[str(each) for each in speakers])

    async def _explained(
        self,
        shown: Sequence[Suggestion],
        themes: dict[int, GalleryQuery],
        members: np.ndarray,
        vectors: dict[int, np.ndarray],
    ) -> list[Suggestion]:
        """Each suggestion with what it has in common with the members of its theme."""
        explained: dict[int, HitExplanation] = {}
        for theme in {id(each): each for each in themes.values()}.values():
            mean = members[list(theme.members)].mean(axis=0)
            query = QueryVector(mean / max(float(np.linalg.norm(mean)), 1e-6), False, [])
            ids = [int(hit.photo_id) for hit in shown if themes[int(hit.photo_id)] is theme]
            cosines = {each: float(query.vector @ vectors[each]) for each in ids}
            candidates = [Candidate(each, cosines[each], cosines[each], 0.0, "members") for each in ids]
            photos = {each: photo for each in ids if (photo := self._room.photos.shown(each))}
            explained |= await self._explainer.explain(query, candidates, photos, vectors)
        return [
            msgspec.structs.replace(hit, explanation=why) if (why := explained.get(int(hit.photo_id))) else hit
            for hit in shown
        ]
