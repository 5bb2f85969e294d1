"""`catalogue_photos`: from photo activity to the rows of the table `photos`; an edit never meets the encoder.

A user's deletion lands in one partition, and the user's photos lie in all of them. It is therefore copied into every
other partition of the same topic, where it stands in one order with the uploads; each partition keeps it in the table
`users`, so that an upload which comes later and is older changes nothing, and deletes the photos that it has by the
events that anybody would send. All of that may be done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import faust
from faust.types import EventT, StreamT

from agents.facts import Fact, fact_from
from agents.persistence import do_batch
from agents.turns import in_turns
from stream_app.activity import PhotoDeleted, PhotoEvent, UserDeleted, event_key, event_to_json
from stream_app.catalogue import PhotoRow, UserRow, with_deletion, with_event
from stream_app.dead_letters import DeadLetters
from stream_app.errors import EventRejected
from stream_app.records import photo_key
from stream_app.settings import Settings
from stream_app.tables import PartitionRows, RowTable
from stream_app.versions import KIND_DELETED, Version


@dataclass(frozen=True)
class CatalogueRoom:
    """What the agent works with, handed in by the app."""

    activity: faust.Topic
    photos: RowTable[PhotoRow]
    users: PartitionRows[UserRow]
    dead_letters: DeadLetters
    partition_count: int


def declare_cataloguing(app: faust.App, room: CatalogueRoom, settings: Settings) -> None:
    """Declare the agent on `app`."""

    @app.agent(room.activity, name="catalogue_photos")
    async def catalogue_photos(stream: StreamT) -> None:
        async for events in stream.noack_take(settings.index_batch_size, within=settings.index_batch_seconds):
            await do_batch(lambda batch: catalogue_batch(batch, room), events, "catalogue", room.dead_letters)


async def catalogue_batch(events: Sequence[EventT], room: CatalogueRoom) -> None:
    """Merge `events` into the rows of their photos; returns when the rows, and what follows from them, are durable."""
    async for event in in_turns(events):
        try:
            fact = fact_from(event)
        except EventRejected:
            continue  # the embedding agent reads the same topic and has sent it to the dead letters
        await (_delete_user(fact, room) if isinstance(fact.activity, UserDeleted) else _merge(fact, room))
    await room.photos.confirmed()
    await room.users.confirmed()


async def _merge(fact: Fact[PhotoEvent], room: CatalogueRoom) -> None:
    after = with_event(_row(fact.photo_id, room), fact.activity, fact.version)
    owner = room.users.get(fact.partition, int(user_id)) if (user_id := after.text("user_id")) else None
    if owner is not None and after.went_with(owner):
        # First the events, then the row: a row that says it already would be all that is left after a crash.
        await _announce([PhotoDeleted(fact.photo_id, owner.deleted_ms)], room, [fact.partition])
        after = with_event(_row(fact.photo_id, room), fact.activity, fact.version)
        after = with_deletion(after, _version(owner, fact.partition))
    if after != _row(fact.photo_id, room):
        room.photos.set(fact.source, fact.photo_id, after)


async def _delete_user(fact: Fact[UserDeleted], room: CatalogueRoom) -> None:
    user_id = fact.activity.user_id
    known = room.users.get(fact.partition, user_id) or UserRow(user_id)
    user = UserRow(user_id, max(known.deleted_ms, fact.version.time_ms))
    if user != known:
        room.users.set(fact.source, user_id, user)
    gone = await asyncio.to_thread(_photos_of, user, fact.partition, room)
    await _announce([PhotoDeleted(each, user.deleted_ms) for each in gone], room, [fact.partition])
    for photo_id in gone:
        row = with_deletion(_row(photo_id, room), _version(user, fact.partition))
        room.photos.set(fact.source, photo_id, row)
    if not fact.activity.relayed:
        copy = replace(fact.activity, time_ms=fact.version.time_ms, relayed=True)
        await _announce([copy], room, set(range(room.partition_count)) - {fact.partition})


def _photos_of(user: UserRow, partition: int, room: CatalogueRoom) -> list[int]:
    """Those that went with the user and lie in the partition; a worker knows rows of other ones, too."""
    rows = (row for row in room.photos.rows() if row.upload_version.partition == partition)
    return [row.photo_id for row in rows if row.went_with(user)]


async def _announce(
    events: Sequence[PhotoDeleted | UserDeleted], room: CatalogueRoom, partitions: Iterable[int]
) -> None:
    """Send events to each of `partitions`; returns when the broker has them."""
    sent = [
        await room.activity.send(key=photo_key(event_key(each)), value=event_to_json(each), partition=partition)
        for partition in partitions
        for each in events
    ]
    await asyncio.gather(*sent)


def _version(user: UserRow, partition: int) -> Version:
    """That of the deletion of the user's photos, until the events that were announced have a place in the log."""
    return Version(user.deleted_ms, KIND_DELETED, partition, 0)


def _row(photo_id: int, room: CatalogueRoom) -> PhotoRow:
    return room.photos.get(photo_id) or PhotoRow(photo_id)
