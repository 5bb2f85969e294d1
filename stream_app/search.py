"""The album: every answer that the web gives, from table, shards, Redis and encoder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.encoder import AsyncEncoder, Encoding
from models.space import Space
from models.words import Vocabulary
from stream_app.album import Classification, Photo, PhotoHit, PhotoPoint, SearchReply
from stream_app.catalogue import Failure, PhotoRow
from stream_app.changes import AlbumChanges
from stream_app.errors import PhotoNotFound, PhotoRejected, ServiceUnavailable
from stream_app.index.ranking import Hit
from stream_app.live_index import LiveIndex
from stream_app.metrics import PHOTOS_FINDABLE, SEARCH_SECONDS
from stream_app.photos import PhotoReader
from stream_app.tables import RowTable

#: How long the list of all photos, newest first, may be out of date.
LISTING_SECONDS = 1.0
WORDS_SHOWN = 10


@dataclass(frozen=True)
class AlbumRoom:
    """What the album works with, handed in by the app; `failure` is a photo's newest that no later success settled."""

    space: Space
    encoder: AsyncEncoder
    index: LiveIndex
    rows: RowTable[PhotoRow]
    changes: AlbumChanges
    failure: Callable[[int], Failure | None]
    reader: PhotoReader
    ready: Callable[[], tuple[bool, str]]


class LiveAlbum:
    """Answers for the photos of the stream; see `stream_app.album.Album` for what each method promises."""

    def __init__(self, room: AlbumRoom) -> None:
        self._room = room
        self._listing: tuple[float, list[tuple[int, int]]] = (0.0, [])

    async def photo(self, photo_id: int) -> Photo:
        """The photo, with its labels and its nearest words once it is findable."""
        row = self._room.changes.known_row(photo_id)
        words: list[tuple[str, float]] = []
        vector = await self._room.index.vector(photo_id) if row.findable else None
        if vector is not None:
            joint_embedding = self._room.space.joint_half(vector)
            words = await asyncio.to_thread(self._room.space.nearest_words, joint_embedding, WORDS_SHOWN)
        return self._as_photo(row, words)

    async def known(self, photo_ids: Set[int]) -> set[int]:
        """Those of the photos that the album has; raises ServiceUnavailable while its rows are being recovered."""
        ready, reason = self._room.ready()
        if not ready:
            raise ServiceUnavailable("The album cannot tell which photos it has", received=reason)
        return await asyncio.to_thread(lambda: {each for each in photo_ids if self._may_show(each)})

    async def photos(self, offset: int, k: int) -> list[Photo]:
        """`k` photos from `offset` on, newest first."""
        written, listing = self._listing
        if time.monotonic() - written > LISTING_SECONDS:
            listing = await asyncio.to_thread(self._list_photos)
            self._listing = (time.monotonic(), listing)
        rows = (self._room.changes.row(photo_id) for _, photo_id in listing[offset : offset + k])
        return [self._as_photo(row, []) for row in rows if row is not None]

    async def points(self, offset: int, k: int) -> list[PhotoPoint]:
        """`k` photos from `offset` on, newest first, with their vectors and nearest words."""
        photos = await self.photos(offset, k)
        vectors = [(photo, await self._room.index.vector(photo.photo_id)) for photo in photos]
        return await asyncio.to_thread(self._as_points, vectors)

    async def vocabulary(self) -> Vocabulary:
        """The words of the space, read when they are first asked for."""
        return await asyncio.to_thread(lambda: self._room.space.vocabulary)

    async def related(self, photo_id: int, k: int) -> SearchReply:
        """The photos most like this one in what they show and how they look."""
        row = self._room.changes.known_row(photo_id)
        vector = await self._room.index.vector(photo_id)
        if vector is None:
            raise PhotoNotFound(
                f"Photo {photo_id} is not embedded",
                received=self._reason(row) or "a photo that is still queued",
                remedy="Ask again in a moment, or look at the dead letters.",
            )
        return await self._search(vector, k, allow=lambda each: each != photo_id and self._may_show(each))

    async def search_words(self, text: str, k: int) -> SearchReply:
        """The photos whose joint embedding is nearest to the words; scores are cosines in the joint space."""
        space = self._room.space
        query = await asyncio.to_thread(space.embed_words, text)
        vector = space.word_query(query.vector)
        return await self._search(
            vector,
            k,
            score=lambda score: space.word_score(score, query.vector),
            is_word=True,
            unknown_words=tuple(query.unknown),
        )

    async def search_image(self, image: bytes, k: int) -> SearchReply:
        """The photos most like one that need not be in the album."""
        encoding = await self._encode(image)
        joint = await asyncio.to_thread(self._joint_embedding, encoding)
        vector = self._room.space.search_vectors(encoding.image_embedding[None], joint)[0]
        return await self._search(vector, k)

    async def classify(self, image: bytes, k: int) -> Classification:
        """Fixed labels and open words for a photo."""
        encoding = await self._encode(image)
        joint = await asyncio.to_thread(self._joint_embedding, encoding)
        words = await asyncio.to_thread(self._room.space.nearest_words, joint[0], k)
        return Classification(self._room.space.labels(encoding.label_indices, encoding.label_scores, k), words)

    async def upload(self, image: bytes, file_name: str, metadata: dict[str, Any]) -> int:
        """Store the photo and tell the stream; the stream does the rest."""
        return await self._room.changes.upload(image, file_name, metadata)

    async def delete(self, photo_id: int) -> None:
        """Make the photo unfindable, and tell the stream."""
        await self._room.changes.delete(photo_id)

    async def image(self, photo_id: int) -> tuple[bytes, str]:
        """The original bytes; their type is for the web to tell from the bytes themselves."""
        return await self._room.reader.read(self._room.changes.known_row(photo_id).url), "application/octet-stream"

    async def stats(self) -> dict[str, Any]:
        """Numbers of this worker."""
        photos = self._room.index.photo_count()
        PHOTOS_FINDABLE.set(photos)
        return {
            "photos": photos,
            "ready": self._room.ready()[0],
            "space_id": self._room.space.space_id,
            "vision_id": self._room.space.vision_id,
            "partitions": self._room.index.describe(),
        }

    def ready(self) -> tuple[bool, str]:
        """Whether every partition is assigned and recovered, and if not, what is missing."""
        return self._room.ready()

    async def _search(
        self,
        vector: np.ndarray,
        k: int,
        *,
        allow: Callable[[int], bool] | None = None,
        score: Callable[[float], float] = float,
        is_word: bool = False,
        unknown_words: tuple[str, ...] = (),
    ) -> SearchReply:
        with SEARCH_SECONDS.time():
            hits, sources = await self._room.index.search(vector, k, allow or self._may_show, is_word=is_word)
        shown = [self._as_hit(hit, score) for hit in hits]
        complete = all(each != "unavailable" for each in sources.values())
        return SearchReply([hit for hit in shown if hit], complete, sources, unknown_words)

    def _may_show(self, photo_id: int) -> bool:
        return self._room.changes.row(photo_id) is not None

    def _list_photos(self) -> list[tuple[int, int]]:
        known = ((row.upload_version.time_ms, row.photo_id) for row in self._room.rows.rows() if row.findable)
        return sorted(known, reverse=True)

    def _as_hit(self, hit: Hit, score: Callable[[float], float]) -> PhotoHit | None:
        row = self._room.changes.row(hit.photo_id)
        if row is None:
            return None
        photo = self._as_photo(row, [])
        return PhotoHit(
            photo_id=photo.photo_id,
            score=float(score(hit.score)),
            url=photo.url,
            title=photo.title,
            tags=photo.tags,
            width_px=photo.width_px,
            height_px=photo.height_px,
            labels=tuple(name for name, _ in photo.labels),
        )

    def _as_photo(self, row: PhotoRow, words: list[tuple[str, float]]) -> Photo:
        reason = self._reason(row)
        return Photo(
            photo_id=row.photo_id,
            url=row.url,
            title=row.text("title"),
            tags=tuple(row.value("tags") or ()),
            user_id=row.text("user_id"),
            width_px=row.width_px,
            height_px=row.height_px,
            labels=self._room.space.labels(row.label_indices, row.label_scores, len(row.label_indices)),
            words=words,
            state="failed" if reason else "findable" if row.findable else "queued",
            reason=reason,
            time_ms=row.upload_version.time_ms,
        )

    def _as_points(self, vectors: list[tuple[Photo, np.ndarray | None]]) -> list[PhotoPoint]:
        points = []
        for photo, vector in vectors:
            if vector is not None:
                joint_embedding = self._room.space.joint_half(vector)
                words = self._room.space.nearest_words(joint_embedding, WORDS_SHOWN)
                points.append(PhotoPoint(replace(photo, words=words), joint_embedding, vector))
        return points

    def _reason(self, row: PhotoRow) -> str | None:
        """Why the present upload could not be embedded; None when that is not so, or not known yet."""
        failure = self._room.failure(row.photo_id)
        return failure.reason if failure and row.failed_by(failure) else None

    async def _encode(self, image: bytes) -> Encoding:
        [encoding] = await self._room.encoder.encode_images([image])
        if isinstance(encoding, PhotoRejected):
            raise encoding
        return encoding

    def _joint_embedding(self, encoding: Encoding) -> np.ndarray:
        return self._room.space.project(
            encoding.image_embedding[None], encoding.label_indices[None], encoding.label_scores[None]
        )
