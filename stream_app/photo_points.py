"""The photos of the stream as points, read straight from its topics: no worker need be running."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from models.space import Space
from stream_app import kafka
from stream_app.album import Photo, PhotoPoint
from stream_app.catalogue import ROW_LABELS, PhotoRow
from stream_app.records import EmbeddingRecord, PhotoEmbedded, photo_key, record_of
from stream_app.settings import Settings
from stream_app.topics import changelog_topic, embeddings_topic

WORDS_SHOWN = 10
#: Photos that are projected at once.
BATCH_SIZE = 512


async def read_points(settings: Settings, space: Space, count: int) -> list[PhotoPoint]:
    """A fair sample of at most `count` photos, newest first; the same album gives the same sample.

    Raises SettingsError where no worker of this vision model ever ran, and ServiceUnavailable.
    """
    sample = FairSample(count)
    async for message in kafka.read_topic(settings, embeddings_topic(settings, space.vision_id)):
        if record := record_of(message):
            sample.offer(record)
    photos = sample.photos()
    rows = await read_rows(settings, {each.photo_id for each in photos})
    points: list[PhotoPoint] = []
    for start in range(0, len(photos), BATCH_SIZE):
        points += await asyncio.to_thread(_points, space, photos[start : start + BATCH_SIZE], rows)
    return points


class FairSample:
    """The newest records of at most `count` photos out of many, chosen by a hash of their ids.

    Of any two logs with the same photos it chooses the same ones, in whatever order their records come. No more than
    twice `count` are held at a time, beside the deletions that were met among them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._newest: dict[int, EmbeddingRecord] = {}
        self._alive = 0
        self._last_place = b"\xff" * 8

    def offer(self, record: EmbeddingRecord) -> None:
        """Take the next record of the log."""
        if _place(record.photo_id) > self._last_place:
            return
        known = self._newest.get(record.photo_id)
        if known is not None and known.version >= record.version:
            return
        self._newest[record.photo_id] = record
        self._alive += isinstance(record, PhotoEmbedded) - isinstance(known, PhotoEmbedded)
        if self._alive > 2 * self._count:
            self._thin_out()

    def photos(self) -> list[PhotoEmbedded]:
        """The sample of what has come so far, newest first."""
        return sorted(self._living()[: self._count], key=lambda each: each.version, reverse=True)

    def _living(self) -> list[PhotoEmbedded]:
        living = [each for each in self._newest.values() if isinstance(each, PhotoEmbedded)]
        return sorted(living, key=lambda each: _place(each.photo_id))

    def _thin_out(self) -> None:
        """Keep half as many again as are wanted: some of them may yet be deleted."""
        kept = self._living()[: self._count + self._count // 2 + 1]
        self._last_place = _place(kept[-1].photo_id)
        self._newest = {key: each for key, each in self._newest.items() if _place(key) <= self._last_place}
        self._alive = len(kept)


def _place(photo_id: int) -> bytes:
    return hashlib.blake2b(photo_key(photo_id), digest_size=8).digest()


async def read_rows(settings: Settings, wanted: set[int]) -> dict[int, PhotoRow]:
    """The rows of the table `photos`, which know titles, tags and photographers."""
    keys = {photo_key(each) for each in wanted}
    newest: dict[bytes, bytes] = {}
    async for message in kafka.read_topic(settings, changelog_topic(settings, "photos")):
        if message.key in keys and message.value:
            newest[message.key] = message.value
    rows = map(PhotoRow.from_bytes, newest.values())
    return {row.photo_id: row for row in rows}


def _points(space: Space, photos: Sequence[PhotoEmbedded], rows: dict[int, PhotoRow]) -> list[PhotoPoint]:
    image_embeddings = np.stack([each.image_embedding for each in photos])
    labels = np.stack([each.label_indices for each in photos]), np.stack([each.label_scores for each in photos])
    joint = space.project(image_embeddings, *labels)
    search = space.search_vectors(image_embeddings, joint)
    shown = [_photo(space, each, rows.get(each.photo_id), joint[row]) for row, each in enumerate(photos)]
    return [PhotoPoint(photo, joint[row], search[row]) for row, photo in enumerate(shown)]


def _photo(space: Space, record: PhotoEmbedded, row: PhotoRow | None, joint_embedding: np.ndarray) -> Photo:
    row = row or PhotoRow(record.photo_id)
    return Photo(
        photo_id=record.photo_id,
        url=record.url,
        title=row.text("title"),
        tags=tuple(row.value("tags") or ()),
        user_id=row.text("user_id"),
        width_px=record.width_px,
        height_px=record.height_px,
        labels=space.labels(record.label_indices, record.label_scores, ROW_LABELS),
        words=space.nearest_words(joint_embedding, WORDS_SHOWN),
        time_ms=record.version.time_ms,
    )
