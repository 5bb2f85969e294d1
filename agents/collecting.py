"""`collect_activity`: from collection activity to the rows of galleries and quests, whose photos need not be known."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

import faust
from faust.types import EventT, StreamT

from agents.persistence import do_batch
from agents.turns import in_turns
from stream_app.collection_events import CollectionDeleted, CollectionEvent, Kind, parse_collection_event
from stream_app.collection_rows import CollectionRow, MemberRow, changed_row, is_over, kind_of_version
from stream_app.collection_tables import CollectionTable
from stream_app.dead_letters import DeadLetters
from stream_app.errors import EventRejected
from stream_app.metrics import PHOTOS_REJECTED
from stream_app.settings import Settings
from stream_app.versions import version_of

log = logging.getLogger(__name__)

Tables = Mapping[Kind, CollectionTable[CollectionRow]]


def declare_collecting(
    app: faust.App, activity: faust.Topic, tables: Tables, dead_letters: DeadLetters, settings: Settings
) -> None:
    """Declare the agent on `app`."""

    @app.agent(activity, name="collect_activity")
    async def collect_activity(stream: StreamT) -> None:
        async for events in stream.noack_take(settings.collect_batch_size, within=settings.collect_batch_seconds):
            await do_batch(lambda batch: collect_batch(batch, tables, dead_letters), events, "collect", dead_letters)


async def collect_batch(events: Sequence[EventT], tables: Tables, dead_letters: DeadLetters) -> None:
    """Merge `events` into the rows of their collections; returns when the rows and the dead letters are durable."""
    async for event in in_turns(events):
        message = event.message
        try:
            activity = parse_collection_event(message.value, message.key)
        except EventRejected as rejected:
            log.warning("dead letter from partition %d: %s", message.partition, rejected)
            PHOTOS_REJECTED.labels("collect").inc()
            await dead_letters.put(event, "collect", str(rejected))
        else:
            _collect(event, activity, tables[activity.kind])
    for table in tables.values():
        await table.confirmed()


def _collect(source: EventT, activity: CollectionEvent, table: CollectionTable[CollectionRow]) -> None:
    """Write the row that an event changes; of a deleted collection nothing older is kept but the deletion."""
    message, collection_id = source.message, activity.collection_id
    broker_time_ms, kind = int(message.timestamp * 1000), kind_of_version(activity)
    version = version_of(activity.time_ms, broker_time_ms, kind, message.partition, message.offset)
    changed = changed_row(partial(table.get, collection_id), activity, version)
    if changed is None:
        return
    table.set(source, collection_id, *changed)
    if isinstance(activity, CollectionDeleted):
        for row in table.rows_of(collection_id):
            if isinstance(row, MemberRow) and is_over(row, version):
                table.remove(source, collection_id, row.photo_id)
