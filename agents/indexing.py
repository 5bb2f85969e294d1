"""`index_embeddings`: from the embeddings topic to shard, Redis and row; after it a photo is findable, and labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import faust
from faust.types import EventT, StreamT

from agents.persistence import do_batch
from stream_app.catalogue import PhotoRow, with_deletion, with_embedding
from stream_app.dead_letters import DeadLetters
from stream_app.embedding_log import EmbeddingLog
from stream_app.freshness import Freshness
from stream_app.live_index import LiveIndex
from stream_app.metrics import EMBEDDINGS_INDEXED
from stream_app.photo_labels import Changed, Labels
from stream_app.photo_signatures import signatures
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved, record_of
from stream_app.settings import Settings
from stream_app.tables import RowTable

Arrival = tuple[EventT, EmbeddingRecord]


@dataclass(frozen=True)
class IndexingRoom:
    """What the agent works with, handed in by the app."""

    index: LiveIndex
    rows: RowTable[PhotoRow]
    embeddings: EmbeddingLog
    dead_letters: DeadLetters
    vision_id: str
    labels: Labels
    freshness: Freshness = field(default_factory=Freshness)


def declare_indexing(app: faust.App, topic: faust.Topic, room: IndexingRoom, settings: Settings) -> None:
    """Declare the agent on `app`."""

    @app.agent(topic, name="index_embeddings")
    async def index_embeddings(stream: StreamT) -> None:
        async for events in stream.noack_take(settings.index_batch_size, within=settings.index_batch_seconds):
            await do_batch(lambda batch: index_batch(batch, room), events, "index", room.dead_letters)


async def index_batch(events: Sequence[EventT], room: IndexingRoom) -> None:
    """Make the records of `events` findable; returns when Redis, the shards and the rows have them."""
    await room.index.opened()
    arrivals = [(event, record) for event in events if (record := record_of(event.message))]
    for partition in {event.message.partition for event in events}:
        records = [record for event, record in arrivals if event.message.partition == partition]
        last = max(event.message.offset for event in events if event.message.partition == partition)
        await room.index.apply(partition, records, next_offset=last + 1)
    for event, record in arrivals:
        _update_row(event, record, room)
    room.freshness.findable(record.version for _, record in arrivals if isinstance(record, PhotoEmbedded))
    await room.rows.confirmed()
    by_partition: dict[int, list[EmbeddingRecord]] = {}
    for event, record in arrivals:
        by_partition.setdefault(event.message.partition, []).append(record)
    await room.labels.publish({partition: _changed(here, room) for partition, here in by_partition.items()})
    await _reassert_deletions(arrivals, room)
    EMBEDDINGS_INDEXED.inc(len(arrivals))


def _update_row(event: EventT, record: EmbeddingRecord, room: IndexingRoom) -> None:
    before = room.rows.get(record.photo_id) or PhotoRow(record.photo_id)
    if isinstance(record, PhotoRemoved):
        after = with_deletion(before, record.version)
    else:
        [signature] = signatures(record.image_embedding[None], room.vision_id)
        after = with_embedding(before, record, signature.tobytes().hex())
    if after != before:
        room.rows.set(event, record.photo_id, after)


def _changed(records: Sequence[EmbeddingRecord], room: IndexingRoom) -> Changed:
    """What is to be said of the photos of `records`, of each once; nothing of one that something newer is known of."""
    changed: dict[int, PhotoEmbedded | None] = {}
    for record in records:
        row = room.rows.get(record.photo_id)
        if row is None or not row.known:
            changed[record.photo_id] = None
        elif isinstance(record, PhotoEmbedded) and record.version == row.embedding_version:
            changed[record.photo_id] = record
    return changed


async def _reassert_deletions(arrivals: Sequence[Arrival], room: IndexingRoom) -> None:
    """Put a deletion back at the end of the log where an older embedding came in behind it.

    Compaction keeps the last record of a photo, not the newest: without this, a rebuild from the compacted log
    would bring the photo back.
    """
    for event, record in arrivals:
        row = room.rows.get(record.photo_id)
        if row and isinstance(record, PhotoEmbedded) and record.version < row.deletion_version and not row.known:
            removed = PhotoRemoved(record.photo_id, row.deletion_version)
            await room.embeddings.append(event.message.partition, [removed])
