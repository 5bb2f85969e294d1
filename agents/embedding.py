"""`embed_photos`: from photo activity to the embeddings topic; the only agent that looks at photographs."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import faust
import orjson
from faust.types import EventT, StreamT

from agents.encoding import encode_patiently
from agents.facts import Fact, fact_from, facts_of, waves
from agents.persistence import do_batch
from models.encoder import AsyncEncoder, Encoding
from stream_app.activity import PhotoDeleted, PhotoUploaded
from stream_app.catalogue import Failure
from stream_app.dead_letters import REASON_CHARACTERS_MAX, DeadLetters
from stream_app.embedding_log import EmbeddingLog
from stream_app.errors import EventRejected, PhotoRejected, PhotoUnreachable, SightlineError
from stream_app.metrics import PHOTOS_EMBEDDED, PHOTOS_REJECTED
from stream_app.photos import PhotoReader, shown_address
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved
from stream_app.settings import Settings
from stream_app.tables import RowTable, require_own
from stream_app.versions import BEFORE_ALL, Version

log = logging.getLogger(__name__)

FETCH_TRIES = 3

Upload = Fact[PhotoUploaded]
Entry = tuple[Fact[Any], EmbeddingRecord]


@dataclass(frozen=True)
class EmbeddedRow:
    """The last that was written of a photo to the embeddings topic; `sha256` is empty after a deletion.

    `failure` is that of a newer upload, which could not be written; it says nothing of what is written already.
    """

    version: Version = BEFORE_ALL
    sha256: str = ""
    offset: int = 0
    failure: Failure | None = None

    def with_record(self, version: Version, sha256: str, offset: int) -> EmbeddedRow:
        """The row after a record was written: what failed before it is settled."""
        failed_since = self.failure is not None and self.failure.version > version
        return EmbeddedRow(version, sha256, offset, self.failure if failed_since else None)

    def with_failure(self, failure: Failure) -> EmbeddedRow:
        """The row after an upload failed; unchanged when something newer is known of the photo."""
        known = max(self.version, self.failure.version if self.failure else BEFORE_ALL)
        return replace(self, failure=failure) if failure.version > known else self

    def to_bytes(self) -> bytes:
        """As JSON, for the table."""
        return orjson.dumps([self.version, self.sha256, self.offset, self.failure], default=list)

    @classmethod
    def from_bytes(cls, data: bytes) -> EmbeddedRow:
        """The inverse of `to_bytes`; rows of the first release have no place for a failure."""
        version, sha256, offset, *rest = orjson.loads(data)
        failure = Failure(Version(*rest[0][0]), rest[0][1]) if any(rest) else None
        return cls(Version(*version), sha256, offset, failure)


@dataclass(frozen=True)
class EmbeddingRoom:
    """What the agent works with, handed in by the app.

    `is_removed` says whether the log has a deletion of the photo that is newer than a version.
    """

    encoder: AsyncEncoder
    reader: PhotoReader
    embeddings: EmbeddingLog
    rows: RowTable[EmbeddedRow]
    dead_letters: DeadLetters
    is_removed: Callable[[int, Version], bool]


def declare_embedding(app: faust.App, activity: faust.Topic, room: EmbeddingRoom, settings: Settings) -> None:
    """Declare the agent on `app`."""

    @app.agent(activity, name="embed_photos")
    async def embed_photos(stream: StreamT) -> None:
        async for events in stream.noack_take(settings.embed_batch_size, within=settings.embed_batch_seconds):
            await do_batch(lambda batch: embed_batch(batch, room), events, "embed", EmbedFailures(room))


@dataclass(frozen=True)
class EmbedFailures:
    """The dead letters of the agent: an upload among them also leaves word in the row of its photo."""

    room: EmbeddingRoom

    async def put(self, event: EventT, stage: str, reason: str) -> None:
        """Set an event aside that fails for a reason of no kind that we know."""
        await _bury(event, stage, reason, self.room)
        with suppress(EventRejected):
            for upload in facts_of(PhotoUploaded, [fact_from(event)]):
                _note_failure(upload, reason, self.room)
        await self.room.rows.confirmed()


async def embed_batch(events: Sequence[EventT], room: EmbeddingRoom) -> None:
    """Write what `events` say about photos to the embeddings topic; returns when all of it is durable."""
    for wave in waves(await _valid_facts(events, room)):
        due = [fact for fact in wave if _is_news(fact, room)]
        removals = facts_of(PhotoDeleted, due)
        await _append(room, [(fact, PhotoRemoved(fact.photo_id, fact.version)) for fact in removals])
        await _append(room, await _embedded(facts_of(PhotoUploaded, due), room))
    await room.rows.confirmed()


async def _valid_facts(events: Sequence[EventT], room: EmbeddingRoom) -> list[Fact[Any]]:
    """The facts that concern a photo's pixels; what is no event goes to the dead letters."""
    facts = []
    for event in events:
        try:
            fact = fact_from(event)
        except EventRejected as rejected:
            await _bury(event, "validate", str(rejected), room)
            continue
        if isinstance(fact.activity, PhotoUploaded | PhotoDeleted):
            facts.append(fact)
    return facts


async def _embedded(uploads: Sequence[Upload], room: EmbeddingRoom) -> list[Entry]:
    """The records of uploads: those whose bytes are known are carried over, the others are encoded together."""
    carried = await _carried_over({fact: fact.activity.sha256 for fact in uploads}, room)
    to_read = [fact for fact in uploads if fact not in carried]
    read = await asyncio.gather(*(_read(fact, room) for fact in to_read))
    images = {fact: image for fact, image in zip(to_read, read, strict=True) if image is not None}
    digests = {fact: hashlib.sha256(image).hexdigest() for fact, image in images.items()}
    carried |= await _carried_over(digests, room)
    to_encode = [fact for fact in images if fact not in carried]
    encodings = await encode_patiently(room.encoder, [images[fact] for fact in to_encode]) if to_encode else []
    for fact, encoding in zip(to_encode, encodings, strict=True):
        if isinstance(encoding, PhotoRejected):
            await _reject(fact, "decode", encoding, room)
        else:
            carried[fact] = _record(fact, digests[fact], encoding)
            PHOTOS_EMBEDDED.inc()
    return list(carried.items())


async def _carried_over(digests: Mapping[Upload, str | None], room: EmbeddingRoom) -> dict[Upload, EmbeddingRecord]:
    """The present records of those facts whose photo has the same bytes already, with the facts' versions."""
    same = {
        fact: _known(fact, room) for fact, digest in digests.items() if digest and digest == _known(fact, room).sha256
    }
    carried: dict[Upload, EmbeddingRecord] = {}
    for partition in {fact.partition for fact in same}:
        here = {fact: row for fact, row in same.items() if fact.partition == partition}
        found = await room.embeddings.read_back(partition, [row.offset for row in here.values()])
        for fact, row in here.items():
            record = found.get(row.offset)
            if isinstance(record, PhotoEmbedded) and (record.photo_id, record.sha256) == (
                fact.photo_id,
                row.sha256,
            ):
                carried[fact] = replace(record, version=fact.version, url=fact.activity.url)
    return carried


async def _read(fact: Upload, room: EmbeddingRoom) -> bytes | None:
    """The bytes of the photo; None when they cannot be had, which is a dead letter by then."""
    pause_seconds = 0.5
    for attempt in range(1, FETCH_TRIES + 1):
        try:
            return await room.reader.read(fact.activity.url)
        except PhotoRejected as rejected:
            await _reject(fact, "fetch", rejected, room)
            return None
        except PhotoUnreachable as unreachable:
            if attempt == FETCH_TRIES:
                await _reject(fact, "fetch", unreachable, room)
                return None
            await asyncio.sleep(pause_seconds * attempt)
    return None


async def _append(room: EmbeddingRoom, entries: Sequence[Entry]) -> None:
    """Append records and note them in the table: first the log, so that a row never promises too much."""
    for fact, _ in entries:
        require_own(fact.source)
    for partition in {fact.partition for fact, _ in entries}:
        here = [(fact, record) for fact, record in entries if fact.partition == partition]
        offsets = await room.embeddings.append(partition, [record for _, record in here])
        for (fact, record), offset in zip(here, offsets, strict=True):
            sha256 = record.sha256 if isinstance(record, PhotoEmbedded) else ""
            row = _known(fact, room).with_record(fact.version, sha256, offset)
            room.rows.set(fact.source, fact.photo_id, row)


async def _reject(upload: Upload, stage: str, error: SightlineError, room: EmbeddingRoom) -> None:
    """A dead letter, and the reason in the row; neither for an upload whose file went with its deletion."""
    if room.is_removed(upload.photo_id, upload.version):
        return
    # The address is what the messages of the decoder cannot know.
    address, reason = shown_address(upload.activity.url), str(error)
    await _bury(upload.source, stage, reason if address in reason else f"{address}: {reason}", room)
    _note_failure(upload, str(error), room)


async def _bury(event: EventT, stage: str, reason: str, room: EmbeddingRoom) -> None:
    log.warning("dead letter from partition %d: %s", event.message.partition, reason)
    PHOTOS_REJECTED.labels(stage).inc()
    await room.dead_letters.put(event, stage, reason)


def _note_failure(upload: Upload, reason: str, room: EmbeddingRoom) -> None:
    before = _known(upload, room)
    after = before.with_failure(Failure(upload.version, reason[:REASON_CHARACTERS_MAX]))
    if after != before:
        room.rows.set(upload.source, upload.photo_id, after)


def _known(fact: Fact[Any], room: EmbeddingRoom) -> EmbeddedRow:
    return room.rows.get(fact.photo_id) or EmbeddedRow()


def _is_news(fact: Fact[Any], room: EmbeddingRoom) -> bool:
    """Whether a fact changes what was written of its photo.

    A file that is published again carries the event time and digest of before, only a later offset: no news. One
    that failed was not written, so it is tried again.
    """
    known = _known(fact, room)
    if room.is_removed(fact.photo_id, fact.version):
        return False
    if isinstance(fact.activity, PhotoUploaded) and fact.activity.sha256 == known.sha256:
        return fact.version.time_ms > known.version.time_ms
    return fact.version > known.version


def _record(fact: Upload, digest: str, encoding: Encoding) -> PhotoEmbedded:
    return PhotoEmbedded(
        photo_id=fact.photo_id,
        version=fact.version,
        url=fact.activity.url,
        sha256=digest,
        width_px=encoding.width_px,
        height_px=encoding.height_px,
        image_embedding=encoding.image_embedding,
        label_indices=encoding.label_indices,
        label_scores=encoding.label_scores,
    )
