"""The live index on a damaged disk, with a real log to build from."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sent_embeddings import send_embeddings

from models.space import Space
from stream_app.embedding_log import EmbeddingReader
from stream_app.index.buckets import RedisBuckets
from stream_app.index.lsh import Hyperplanes
from stream_app.live_index import LiveIndex
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic


def live_index(settings: Settings, space: Space) -> LiveIndex:
    """One that only replays: no Redis is asked."""
    buckets = RedisBuckets(None, space_id=space.space_id, planes=Hyperplanes(space.search_dimensions))
    reader = EmbeddingReader(embeddings_topic(settings, space.vision_id), settings)
    return LiveIndex(settings, space, reader, buckets)


async def photos_of(settings: Settings, space: Space) -> int:
    """How many photos partition 0 has once it was opened; it is sealed and closed again."""
    index = live_index(settings, space)
    await index.open([0], "log")
    count = index.photo_count()
    await index.close()
    return count


@pytest.mark.parametrize("name", ["segment-*/vectors.npy", "tombstones-*.npy", "manifest.json"])
async def test_a_damaged_shard_is_built_anew_from_the_log(
    log_settings: Settings, tiny_bundle: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The log says which file it was; nobody need do anything."""
    space = Space.load(tiny_bundle)
    await send_embeddings(log_settings, space, 20)
    assert await photos_of(log_settings, space) == 19
    (path,) = (log_settings.data_dir / "index" / space.space_id / "0").glob(name)
    path.write_bytes(path.read_bytes()[:-1])

    assert await photos_of(log_settings, space) == 19
    assert f"{path} is damaged" in caplog.text and "Building partition 0 anew from the log" in caplog.text


async def test_an_open_that_a_rebalance_overtakes_makes_nothing_ready(
    log_settings: Settings, tiny_bundle: Path
) -> None:
    """Its partitions are those of before; what waits for the new ones goes on waiting."""
    space = Space.load(tiny_bundle)
    await send_embeddings(log_settings, space, 20)
    index = live_index(log_settings, space)
    overtaken = asyncio.create_task(index.open([0], "log"))
    await asyncio.sleep(0)
    index.expect_partitions()
    await overtaken
    assert not index.ready

    await index.open([0], "log")
    assert index.ready
    await index.close()
