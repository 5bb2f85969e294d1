"""What a worker does beside its agents: open shards, start and stop, seal, erase, and say whether it is ready."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import faust
from faust.exceptions import ConsumerNotStarted

from models.encoder import AsyncEncoder
from stream_app.catalogue import PhotoRow
from stream_app.changes import AlbumChanges
from stream_app.live_index import LiveIndex
from stream_app.photos import PhotoReader
from stream_app.redis_client import RedisClient
from stream_app.settings import Settings
from stream_app.tables import RowTable
from stream_app.tag_index import TagIndex

log = logging.getLogger(__name__)

#: How often the store of uploads is looked through for what was deleted by an event.
ERASE_SECONDS = 600.0
#: Just after a start deletions may still be waiting to be catalogued.
FIRST_ERASE_SECONDS = 10.0


def follow_assignment(
    app: faust.App, index: LiveIndex, topic: str, log_id: str, tags: TagIndex, photos: RowTable[PhotoRow]
) -> None:
    """Open the shards of the partitions that this worker was given, once its tables are recovered."""

    async def expect(*_: Any, **__: Any) -> None:
        index.expect_partitions()

    async def recovered(*_: Any, **__: Any) -> None:
        owned = {each.partition for each in app.consumer.assignment() if each.topic == topic}
        app.loop.create_task(open_shards(owned))

    async def open_shards(owned: set[int]) -> None:
        try:
            await asyncio.to_thread(tags.begin_anew, photos.rows())
            await index.open(owned, log_id)
        except Exception as error:  # a worker that cannot open its shards must not look as if it could
            log.exception("The shards of partitions %s cannot be opened", sorted(owned))
            await app.crash(error)

    app.on_partitions_revoked.connect(expect, weak=False)
    app.on_rebalance_complete.connect(recovered, weak=False)


def keep_house(
    app: faust.App,
    settings: Settings,
    encoder: AsyncEncoder,
    index: LiveIndex,
    reader: PhotoReader,
    redis_client: RedisClient,
) -> None:
    """Start and stop what has a life of its own, and seal and merge between."""

    async def start_encoder(_: Any) -> None:
        await encoder.start()

    async def seal_and_merge(_: Any) -> None:
        await index.seal_and_merge()

    async def close(*_: Any, **__: Any) -> None:
        await index.close()
        await encoder.close()
        await reader.close()
        await redis_client.aclose()

    app.task(start_encoder)
    app.timer(interval=settings.seal_interval_seconds)(seal_and_merge)
    app.on_before_shutdown.connect(close, weak=False)


def erase_deleted(app: faust.App, changes: AlbumChanges, index: LiveIndex) -> None:
    """Now and then look for uploads that nobody has erased yet, from the moment that the rows are known."""

    async def erase() -> None:
        pause_seconds = FIRST_ERASE_SECONDS
        while True:
            await index.opened()
            try:
                await changes.erase_deleted()
            except OSError as error:
                log.warning("A deleted upload cannot be erased: %s", error)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, ERASE_SECONDS)

    app.task(erase)


def readiness(app: faust.App, index: LiveIndex) -> tuple[bool, str]:
    """Whether every partition is assigned and recovered, and if not, what is missing."""
    try:
        assigned = not app.rebalancing and bool(app.consumer.assignment())
    except ConsumerNotStarted:  # the web answers before Faust's consumer has begun
        assigned = False
    if not assigned:
        return False, "partitions are being assigned"
    if not index.ready:
        return False, "tables and shards are being recovered"
    return True, "partitions are assigned and recovered"
