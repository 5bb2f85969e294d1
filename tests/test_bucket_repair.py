"""Redis against the topic: what differs is named and mended. On a real broker and a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from embedded_photos import append, embedded, make_topics, removed, version

from models.space import Space
from stream_app.bucket_repair import Findings, check_buckets
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.index.buckets import Entry, RedisBuckets
from stream_app.index.upkeep_scripts import FORGET
from stream_app.record_vectors import VectorLog, search_vectors
from stream_app.redis_client import connect, first_planes
from stream_app.settings import Settings

PARTITIONS = 2


@pytest.fixture(scope="module")
def space(tiny_bundle) -> Space:
    return Space.load(tiny_bundle)


@pytest.fixture
async def album(settings: Settings, space: Space) -> Settings:
    """Two partitions with thirty photos each on the topic, one of them deleted again; Redis is empty."""
    settings = replace(settings, partition_count=PARTITIONS)
    await make_topics(settings, space)
    await append(settings, space, [*embedded(space, range(60)), *removed([58, 59])])
    return settings


@pytest.fixture
async def buckets(album: Settings, space: Space) -> AsyncIterator[RedisBuckets]:
    client = connect(album)
    yield RedisBuckets(client, space_id=space.space_id, planes=first_planes(album, space))
    await client.aclose()


async def check(album: Settings, space: Space, buckets: RedisBuckets, *, mend: bool = False) -> Findings:
    return await check_buckets(buckets, VectorLog(album, space), PARTITIONS, mend=mend)


async def put(space: Space, buckets: RedisBuckets, photo_ids, *, time_ms: int = 1, seed: int = 0) -> None:
    records = embedded(space, photo_ids, time_ms=time_ms, seed=seed)
    for record, vector in zip(records, search_vectors(space, records), strict=True):
        entry = Entry(record.photo_id, record.version, vector)
        await buckets.put_many(record.photo_id % PARTITIONS, [entry], again=True)


async def test_an_emptied_redis_is_named_and_rebuilt_whole(album, space, buckets):
    """Every photo is missing, then none; a deleted one does not come back."""
    before = await check(album, space, buckets)
    mended = await check(album, space, buckets, mend=True)
    after = await check(album, space, buckets)

    assert before.missing == mended.missing == set(range(60)) and before.photos == 0
    assert after.whole and (after.photos, after.members) == (58, 58 * 8)
    query = np.ones(space.search_dimensions, np.float32) / np.sqrt(space.search_dimensions)
    found = {hit.photo_id for partition in range(2) for hit in await buckets.search(partition, query, 100)}
    assert found == set(range(58))


async def test_what_is_whole_is_left_alone(album, space, buckets):
    """A rebuild of a whole Redis finds nothing to do."""
    await check(album, space, buckets, mend=True)

    assert (await check(album, space, buckets, mend=True)).whole


async def test_each_kind_of_fault_is_told_apart_and_mended(album, space, buckets):
    """One photo missing, one of an older version, one with another vector, one alive that was deleted, one unknown."""
    await check(album, space, buckets, mend=True)
    serving = (await buckets.layouts.look(0)).serving
    values = buckets.key(0, serving, "v")
    await buckets.client.hdel(values, 2)
    await append(album, space, embedded(space, [4], time_ms=7, seed=1))
    await put(space, buckets, [6], seed=5)
    await buckets.client.hset(values, 58, await buckets.client.hget(values, 8))
    await buckets.client.srem(buckets.key(0, serving, "d"), 58)
    await put(space, buckets, [100])

    found = await check(album, space, buckets)
    assert (found.missing, found.stale, found.left_over) == ({2}, {4, 6, 58}, {100})

    mended = await check(album, space, buckets, mend=True)
    assert (mended.missing, mended.stale, mended.left_over) == ({2}, {4, 6, 58}, {100})
    after = await check(album, space, buckets)
    assert after.whole and after.photos == 58
    assert (await buckets.versions(0))[4] == version(7)


async def test_a_photo_that_lacks_a_bucket_and_a_member_that_is_a_stranger_are_mended(album, space, buckets):
    """One set lost a member, another one gained two."""
    await check(album, space, buckets, mend=True)
    serving = (await buckets.layouts.look(1)).serving
    one, other = [key async for key in buckets.client.scan_iter(buckets.key(1, serving, "b:*"))][:2]
    photo_id = await buckets.client.spop(one)
    await buckets.client.sadd(other, 777, 779)

    found = await check(album, space, buckets)
    assert (found.astray, found.stray_members, found.whole) == ({int(photo_id)}, 2, False)

    await check(album, space, buckets, mend=True)
    assert (await check(album, space, buckets)).whole


async def test_what_comes_in_during_a_check_is_no_fault(album, space, buckets):
    """It is on the topic before it is in Redis, though behind the end that was read first."""
    await check(album, space, buckets, mend=True)
    arrived = []

    class Arriving(VectorLog):
        """Lets a photo arrive after the topic was read and before Redis is looked through."""

        async def batches(self, partition, begin, end):
            async for batch in super().batches(partition, begin, end):
                yield batch
            if not arrived:
                arrived.append(partition)
                await append(album, space, embedded(space, [200]))
                await put(space, buckets, [200])

    found = await check_buckets(buckets, Arriving(album, space), PARTITIONS, mend=True)

    assert found.whole and await buckets.vector(0, 200) is not None


async def test_a_photo_that_was_left_over_and_came_back_is_not_forgotten(album, space, buckets):
    """Forgetting compares the version: what is newer than what was seen stays."""
    await check(album, space, buckets, mend=True)
    await put(space, buckets, [100])
    await put(space, buckets, [100], time_ms=9)

    assert await buckets.serve(FORGET, 0, 100, version(1).pack()) == 0
    assert await buckets.vector(0, 100) is not None
    assert await buckets.serve(FORGET, 0, 100, version(9).pack()) == 1
    assert await buckets.vector(0, 100) is None


async def test_deletions_that_the_topic_has_forgotten_are_no_fault(album, space, buckets):
    """They are remembered longer than they need be."""
    await check(album, space, buckets, mend=True)
    await buckets.remove_many(0, [(300, version(5, 1))])

    assert (await check(album, space, buckets)).whole


async def test_an_album_that_never_was_is_said_in_one_line(settings, space, buckets):
    """With what to do."""
    other = replace(settings, topic_prefix="another.")
    with pytest.raises(SettingsError, match=r"There is no topic another.photo-embeddings.*Start a worker first"):
        await check_buckets(buckets, VectorLog(other, space), PARTITIONS)


async def test_a_redis_that_is_away_is_said_in_one_line(album, space):
    """For both commands."""
    client = connect(replace(album, redis_url="redis://127.0.0.1:9/0"))
    away = RedisBuckets(client, space_id=space.space_id, planes=first_planes(album, space))
    for mend in (False, True):
        with pytest.raises(ServiceUnavailable, match="Redis does not answer"):
            await check(album, space, away, mend=mend)
    await client.aclose()
