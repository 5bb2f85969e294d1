"""The tags of the live stream: what `photo-activity` holds and what comes, until there is enough to learn from."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing

from aiokafka import ConsumerRecord

from models.word_tags import PhotoTags
from stream_app import kafka
from stream_app.activity import PhotoDeleted, UserDeleted, parse_event
from stream_app.errors import EventRejected, SettingsError
from stream_app.settings import Settings
from stream_app.topics import activity_topic

Progress = Callable[[int], None]  # how many photos have tags by now


async def read_tag_stream(
    settings: Settings, *, count: int | None = None, seconds: float | None = None, progress: Progress | None = None
) -> PhotoTags:
    """The tags of the photos on the stream, from its beginning until `count` photos have some or `seconds` are over.

    Raises SettingsError when there is neither bound or no such topic, and ServiceUnavailable.
    """
    if count is None and seconds is None:
        raise SettingsError("The stream has no end", expected="--count, --seconds or both", received="neither")
    photos, ends_at = PhotoTags(), time.monotonic() + seconds if seconds is not None else float("inf")
    async with aclosing(kafka.follow_topic(settings, activity_topic(settings))) as arriving:
        async for records in arriving:
            for record in records:
                _note(photos, record)
                if count is not None and len(photos) >= count:
                    return photos
            if progress:
                progress(len(photos))
            if time.monotonic() >= ends_at:
                break
    return photos


def _note(photos: PhotoTags, record: ConsumerRecord) -> None:
    try:
        event = parse_event(record.value, record.key)
    except EventRejected:
        photos.counts.unreadable += 1
        return
    if isinstance(event, PhotoDeleted):
        photos.forget(event.photo_id)
    elif not isinstance(event, UserDeleted):  # whose photos are deleted one by one as well
        photos.note(event.photo_id, event.metadata.tags)
