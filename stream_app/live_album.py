"""The album as it is: photos from the table and the index; searching it is in `photo_search`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from models.space import Space
from models.words import Vocabulary
from stream_app.album import Photo, PhotoPoint, PhotoState
from stream_app.catalogue import Failure, PhotoRow
from stream_app.changes import AlbumChanges
from stream_app.contract.photos import MissingState
from stream_app.errors import ServiceUnavailable
from stream_app.live_index import LiveIndex
from stream_app.metrics import PHOTOS_FINDABLE
from stream_app.photos import PhotoReader
from stream_app.tables import RowTable

#: How long the list of all photos, newest first, may be out of date.
LISTING_SECONDS = 1.0
#: After a change it is made anew when this many times as long has gone by as it takes.
LISTING_SHARE = 10
WORDS_SHOWN = 10


@dataclass(frozen=True)
class AlbumRoom:
    """What the album works with, handed in by the app; `failure` is a photo's newest that no later success settled."""

    space: Space
    index: LiveIndex
    rows: RowTable[PhotoRow]
    changes: AlbumChanges
    failure: Callable[[int], Failure | None]
    reader: PhotoReader
    ready: Callable[[], tuple[bool, str]]


class _Listing(NamedTuple):
    """All photos, newest first, as (time, photo_id): of when, after how many changes, and how long it took to make."""

    photos: list[tuple[int, int]]
    changes: int = -1
    made_seconds: float = -LISTING_SECONDS
    took_seconds: float = 0.0

    def is_old(self, changes: int) -> bool:
        """After a change at once, unless it takes so long that more than a tenth of the time would go into it."""
        age_seconds = time.monotonic() - self.made_seconds
        is_changed = changes != self.changes and age_seconds > LISTING_SHARE * self.took_seconds
        return is_changed or age_seconds > LISTING_SECONDS


class LiveAlbum:
    """Answers for the photos of the stream; see `stream_app.album.Album` for what each method promises."""

    def __init__(self, room: AlbumRoom) -> None:
        self._room = room
        self._listing = _Listing([])

    async def photo(self, photo_id: int, words_shown: int = WORDS_SHOWN) -> Photo:
        """The photo, with its labels and its nearest words once it was embedded."""
        row = self._room.changes.known_row(photo_id)
        words: list[tuple[str, float]] = []
        vector = await self._room.index.vector(photo_id) if row.embedded else None
        if vector is not None:
            joint_embedding = self._room.space.joint_half(vector)
            words = await asyncio.to_thread(self._room.space.nearest_words, joint_embedding, words_shown)
        return self._as_photo(row, words)

    def shown(self, photo_id: int) -> Photo | None:
        """The photo without its words, at once; None where there is none."""
        row = self._room.changes.row(photo_id)
        return None if row is None else self._as_photo(row, [])

    def missing_state(self, photo_id: int) -> MissingState:
        """Why a photo that is not findable is not."""
        row = self._room.changes.present_row(photo_id)
        if row is None:
            return "gone" if self._room.changes.was_deleted(photo_id) else "unknown"
        state = self._state(row)
        return "queued" if state == "findable" else state  # by its row alone: its vector is on the way

    def label_names(self, row: PhotoRow) -> list[str]:
        """What the network calls a photo, the likeliest first."""
        return [
            name for name, _ in self._room.space.labels(row.label_indices, row.label_scores, len(row.label_indices))
        ]

    async def known(self, photo_ids: Set[int]) -> set[int]:
        """Those of the photos that the album has; raises ServiceUnavailable while its rows are being recovered."""
        ready, reason = self._room.ready()
        if not ready:
            raise ServiceUnavailable("The album cannot tell which photos it has", received=reason)
        return await asyncio.to_thread(lambda: {each for each in photo_ids if self._may_show(each)})

    async def photos(self, offset: int, k: int) -> list[Photo]:
        """`k` photos from `offset` on, newest first."""
        if self._listing.is_old(self._room.rows.changes):
            began, changes = time.monotonic(), self._room.rows.changes
            photos = await asyncio.to_thread(self._list_photos)
            self._listing = _Listing(photos, changes, began, time.monotonic() - began)
        rows = (self._room.changes.row(photo_id) for _, photo_id in self._listing.photos[offset : offset + k])
        return [self._as_photo(row, []) for row in rows if row is not None]

    async def points(self, offset: int, k: int) -> list[PhotoPoint]:
        """`k` photos from `offset` on, newest first, with their vectors and nearest words."""
        photos = await self.photos(offset, k)
        vectors = [(photo, await self._room.index.vector(photo.photo_id)) for photo in photos]
        return await asyncio.to_thread(self._as_points, vectors)

    async def vocabulary(self) -> Vocabulary:
        """The words of the space, read when they are first asked for."""
        return await asyncio.to_thread(lambda: self._room.space.vocabulary)

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

    def _may_show(self, photo_id: int) -> bool:
        return self._room.changes.row(photo_id) is not None

    def _list_photos(self) -> list[tuple[int, int]]:
        known = ((row.upload_version.time_ms, row.photo_id) for row in self._room.rows.rows() if row.findable)
        return sorted(known, reverse=True)

    def _as_photo(self, row: PhotoRow, words: list[tuple[str, float]]) -> Photo:
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
            state=self._state(row),
            reason=self._reason(row),
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

    def _state(self, row: PhotoRow) -> PhotoState:
        if self._reason(row):
            return "failed"
        return "hidden" if row.hidden else "findable" if row.findable else "queued"

    def _reason(self, row: PhotoRow) -> str | None:
        """Why the present upload could not be embedded; None when that is not so, or not known yet."""
        failure = self._room.failure(row.photo_id)
        return failure.reason if failure and row.failed_by(failure) else None
