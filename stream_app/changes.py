"""Uploads and deletions: what the web changes in the album, and the rows of photos as these changes leave them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

import faust

from stream_app.accepted import AcceptedChanges
from stream_app.activity import Metadata, PhotoDeleted, PhotoUploaded, event_to_json, parse_event
from stream_app.catalogue import PhotoRow
from stream_app.embedding_log import EmbeddingLog
from stream_app.errors import PhotoNotFound, ServiceUnavailable
from stream_app.folders import PhotoFile, scan_folder
from stream_app.live_index import LiveIndex
from stream_app.records import PhotoRemoved, photo_key
from stream_app.tables import RowTable
from stream_app.uploads import UploadStore
from stream_app.versions import BEFORE_ALL, KIND_CHANGED, KIND_DELETED, Version, version_of


@dataclass(frozen=True)
class ChangeRoom:
    """What changes work with, handed in by the app; `kept` waits until the embedded log holds an offset."""

    rows: RowTable[PhotoRow]
    index: LiveIndex
    uploads: UploadStore
    activity: faust.Topic
    embeddings: EmbeddingLog
    kept: Callable[[int, int], Awaitable[None]]


class AlbumChanges:
    """Changes each photo by one at a time, and knows what it has changed ahead of the agents."""

    def __init__(self, room: ChangeRoom) -> None:
        self._room = room
        self._accepted = AcceptedChanges()
        # Of each photo that is being changed; the last one to let go of a lock takes it along.
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def row(self, photo_id: int) -> PhotoRow | None:
        """The row of a photo that may be found; None when there is none, or a hidden one. Raises ServiceUnavailable."""
        row = self.present_row(photo_id)
        return None if row is None or row.hidden else row

    def known_row(self, photo_id: int) -> PhotoRow:
        """The row of a photo, also a hidden one, for who knows its id; raises PhotoNotFound and ServiceUnavailable."""
        row = self.present_row(photo_id)
        if row is None:
            raise PhotoNotFound(
                f"There is no photo {photo_id}",
                expected="the photo_id of an uploaded photo",
                received=f"{photo_id}, which is unknown or was deleted",
                remedy="The album itself, at / or /api/photos, shows what there is.",
            )
        return row

    def present_row(self, photo_id: int) -> PhotoRow | None:
        """The row of a photo, also a hidden one, or None; raises ServiceUnavailable."""
        if not self._room.index.was_ready:
            raise ServiceUnavailable(
                "The album is not open yet",
                received="tables and shards that are being recovered",
                remedy="Ask again in a moment.",
            )
        row = self._row_ahead(photo_id)
        # The log may be ahead of the table, after a restart and just after a deletion.
        if row is None or not row.known or self._room.index.is_removed(photo_id, row.upload_version):
            return None
        return row

    def was_deleted(self, photo_id: int) -> bool:
        """Whether a photo that is not present is known to have been deleted: it need not have come before that."""
        row = self._row_ahead(photo_id) or PhotoRow(photo_id)
        is_told = row.deletion_version > max(row.upload_version, BEFORE_ALL)
        return is_told or self._room.index.is_removed(photo_id, row.upload_version)

    async def upload(self, image: bytes, file_name: str, metadata: dict[str, Any]) -> int:
        """Store the photo and tell the stream; the stream does the rest. Raises EventRejected."""
        upload = await asyncio.to_thread(self._room.uploads.place, image, file_name)
        async with self._changing(upload.photo_id):
            event = PhotoUploaded(upload.photo_id, None, upload.url, upload.sha256, Metadata(**metadata))
            parse_event(event_to_json(event))  # what the agents would refuse is not stored
            time_ms = await asyncio.to_thread(self._room.uploads.put, upload, image)
            if row := self._row_ahead(upload.photo_id):
                # Deleted in this very millisecond, and uploaded after that.
                time_ms = max(time_ms, row.deletion_version.time_ms + 1)
            event = replace(event, time_ms=time_ms)
            self._accepted.note(event, await self._publish(event, time_ms))
        return upload.photo_id

    async def delete(self, photo_id: int) -> None:
        """Publish the deletion, and make the photo unfindable ahead of it: a backlog must not keep it alive."""
        async with self._changing(photo_id):
            row = self.known_row(photo_id)
            # A clock behind the uploader's must not make the deletion the older of the two.
            time_ms = max(time.time_ns() // 1_000_000, row.upload_version.time_ms)
            event = PhotoDeleted(photo_id, time_ms)
            version = await self._publish(event, time_ms)
            [offset] = await self._room.embeddings.append(version.partition, [PhotoRemoved(photo_id, version)])
            await self._room.index.remove(version.partition, photo_id, version)
            self._accepted.note(event, version)
            await asyncio.to_thread(self._room.uploads.forget, photo_id, row.url)
        await self._room.kept(version.partition, offset)

    async def erase_deleted(self) -> None:
        """Erase the uploads of photos that an event deleted, or a worker that ended before it came to that."""
        for file in await asyncio.to_thread(self._deleted_files):
            async with self._changing(file.photo_id):
                if self._is_deleted(file):
                    await asyncio.to_thread(self._room.uploads.forget, file.photo_id, file.path.as_uri())

    def _deleted_files(self) -> list[PhotoFile]:
        return [file for file in scan_folder(self._room.uploads.root).photos if self._is_deleted(file)]

    def _is_deleted(self, file: PhotoFile) -> bool:
        row = self._row_ahead(file.photo_id)
        # A file that is newer than the deletion was uploaded again, perhaps by a worker whose events are on their way.
        return row is not None and not row.known and row.deletion_version.time_ms >= file.time_ms

    def _row_ahead(self, photo_id: int) -> PhotoRow | None:
        """The row with those changes, too, that were accepted here and that the agents have not seen yet."""
        return self._accepted.seen_in(photo_id, self._room.rows.get(photo_id))

    def _changing(self, photo_id: int) -> asyncio.Lock:
        """One change of a photo at a time: a late erasing must not meet the file of a later upload."""
        return self._locks.setdefault(photo_id, asyncio.Lock())

    async def _publish(self, event: PhotoUploaded | PhotoDeleted, time_ms: int) -> Version:
        """Send the event; returns, once the broker has it, the version that the agents will give it."""
        sent = await (await self._room.activity.send(key=photo_key(event.photo_id), value=event_to_json(event)))
        kind = KIND_DELETED if isinstance(event, PhotoDeleted) else KIND_CHANGED
        return version_of(time_ms, int(sent.timestamp or time_ms), kind, sent.partition, sent.offset)
