"""Galleries, quests and portfolios, from the event to the answer, on a real broker."""

from __future__ import annotations

import json

from collection_worker import CollectionWorker

from stream_app.settings import Settings


def event(kind: str, **fields: object) -> tuple[bytes, bytes]:
    """Key and value of an event."""
    return str(fields.get("gallery_id", fields.get("quest_id"))).encode(), json.dumps({"type": kind} | fields).encode()


async def test_a_gallery_is_what_was_added_and_not_removed(log_settings: Settings) -> None:
    """In the order of addition, whatever the order of arrival."""
    async with CollectionWorker(log_settings) as worker:
        await worker.send(
            "collection-activity",
            event("gallery.photo_removed", gallery_id=7, photo_id=1, time=5),
            event("gallery.photo_added", gallery_id=7, photo_id=3, time=4),
            event("gallery.photo_added", gallery_id=7, photo_id=2, time=2),
            event("gallery.photo_added", gallery_id=7, photo_id=1, time=1),
            event("gallery.photo_added", gallery_id=7, photo_id=2, time=2),
        )
        await worker.until(lambda: worker.room.gallery(7).photo_ids == (2, 3), "two members")
