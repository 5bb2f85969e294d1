"""Memory and expiry of what lies in Redis, on a real one."""

from __future__ import annotations

import time

import numpy as np
import pytest
import redis.asyncio

from stream_app.bucket_upkeep import expire, expire_layouts, measure
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.index.buckets import USED_KEY, Entry, RedisBuckets
from stream_app.index.layouts import layout_key
from stream_app.index.lsh import Hyperplanes
from stream_app.index.redis_calls import call
from stream_app.index.upkeep_scripts import REMOVE_LAYOUT_KEYS
from stream_app.versions import Version

DIMENSIONS = 32
OLD, NEW = (Hyperplanes(DIMENSIONS, bits_per_key=4, depth=20, seed=seed) for seed in (1, 2))


def entries(count: int) -> list[Entry]:
    vectors = np.random.default_rng(0).standard_normal((count, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Entry(2**62 + each, Version(1, 0, 0, each), vector) for each, vector in enumerate(vectors)]


async def filled(valkey_client: redis.asyncio.Redis, space_id: str, count: int = 50) -> RedisBuckets:
    """A space with photos in two partitions."""
    buckets = RedisBuckets(valkey_client, space_id=space_id, planes=OLD)
    for partition in range(2):
        await buckets.put_many(partition, entries(count))
    return buckets


async def switch(buckets: RedisBuckets, planes: Hyperplanes) -> None:
    for partition in range(2):
        await buckets.layouts.announce(partition, planes)
        assert await buckets.fill(partition, planes.layout_id, entries(50), [])
        assert await buckets.layouts.switch(partition, planes)


async def keys(valkey_client: redis.asyncio.Redis, pattern: str) -> list[bytes]:
    return [key async for key in valkey_client.scan_iter(pattern)]


async def test_memory_is_measured_by_space_and_layout(valkey_client):
    """What Redis says it uses, but for a little that belongs to nobody."""
    before = (await valkey_client.info("memory"))["used_memory"]
    buckets = await filled(valkey_client, "one", 4_000)
    used = (await valkey_client.info("memory"))["used_memory"] - before

    [usage] = await measure(buckets)

    assert (usage.space_id, usage.layout_id, usage.photos, usage.serving) == ("one", OLD.layout_id, 8_000, True)
    assert usage.members == pytest.approx(8 * 8_000, rel=0.2)
    assert 0.7 * used < usage.value_bytes + usage.bucket_bytes < 1.3 * used


async def test_a_former_layout_expires_after_a_switch(valkey_client):
    """All of its keys; what serves loses none."""
    buckets = await filled(valkey_client, "one")
    await switch(buckets, NEW)
    kept = await keys(valkey_client, f"*:{NEW.layout_id}:*")

    assert await expire_layouts(buckets) > 10
    assert await keys(valkey_client, f"*:{OLD.layout_id}:*") == []
    assert sorted(await keys(valkey_client, f"*:{NEW.layout_id}:*")) == sorted(kept)
    assert [await buckets.count(partition) for partition in range(2)] == [50, 50]


async def test_a_layout_that_is_being_filled_stays(valkey_client):
    """It serves nobody yet, but it will."""
    buckets = await filled(valkey_client, "one")
    await buckets.layouts.announce(0, NEW)
    await buckets.fill(0, NEW.layout_id, entries(50), [])
    filling = await keys(valkey_client, f"*:{NEW.layout_id}:*")

    assert len(filling) > 10
    assert await expire_layouts(buckets) == 0
    assert sorted(await keys(valkey_client, f"*:{NEW.layout_id}:*")) == sorted(filling)


async def test_keys_of_a_layout_that_has_come_into_use_are_not_removed(valkey_client):
    """The pointer is looked at in the same step in which keys are removed."""
    buckets = await filled(valkey_client, "one")
    pointer, values = buckets.layouts.key(0, "layout"), buckets.key(0, OLD.layout_id, "v")

    assert await call(valkey_client, REMOVE_LAYOUT_KEYS, [pointer, values], OLD.layout_id, 0) == 0
    assert await buckets.count(0) == 50


async def test_a_space_that_nobody_uses_goes_and_the_own_one_never(valkey_client):
    """However long ago the own one was last written to."""
    own, other = await filled(valkey_client, "own"), await filled(valkey_client, "other")
    long_ago = int(time.time()) - 3 * 3600
    await valkey_client.hset(USED_KEY, mapping={"own": long_ago, "other": long_ago})

    assert await expire(own, idle_hours=2) > 10
    assert await keys(valkey_client, "{other:*") == []
    assert [await own.count(partition) for partition in range(2)] == [50, 50]
    assert await other.search(0, entries(1)[0].vector, 1) == []


async def test_a_space_that_was_used_a_while_ago_stays(valkey_client):
    """Another worker may serve it; writing to it says so."""
    own, other = await filled(valkey_client, "own"), await filled(valkey_client, "other")

    assert await expire(own, idle_hours=1) == 0
    assert [await other.count(partition) for partition in range(2)] == [50, 50]


async def test_a_worker_without_uploads_says_that_its_space_is_in_use(valkey_client):
    """Its background work does, though nothing is written for weeks."""
    own, other = await filled(valkey_client, "own"), await filled(valkey_client, "other")
    await valkey_client.hset(USED_KEY, "other", int(time.time()) - 1_000 * 3600)
    restarted = RedisBuckets(valkey_client, space_id="other", planes=OLD)
    await restarted.say_used()

    assert await expire(own, idle_hours=1) == 0
    assert await other.count(0) == 50


async def test_layouts_that_no_pointer_names_go_when_nobody_has_asked_for_them(valkey_client):
    """Not at once: it may be one that is about to be announced."""
    buckets = await filled(valkey_client, "one")
    await switch(buckets, NEW)
    await expire_layouts(buckets)

    assert sorted(await keys(valkey_client, layout_key("*"))) == sorted(
        layout_key(each.layout_id).encode() for each in (OLD, NEW)
    )


async def test_keys_of_others_are_never_touched(valkey_client):
    """Also when they look a little like ours."""
    buckets = await filled(valkey_client, "one")
    others = ["session:1", "{one}:layout", "{one:x}:00000000:v", "{one:0}:other", "{one:0}:12345678"]
    for key in others:
        await valkey_client.set(key, "x")
    await valkey_client.hset(USED_KEY, "one", 0)

    await expire(buckets, idle_hours=1)

    assert await valkey_client.exists(*others) == len(others)


async def test_less_than_an_hour_is_refused(valkey_client):
    """A space would go between two writes."""
    with pytest.raises(SettingsError, match=r"at least 1; received 0\.5"):
        await expire(await filled(valkey_client, "one"), idle_hours=0.5)


async def test_a_redis_that_is_away_is_said_in_one_line():
    """For the report and for expiry."""
    async with redis.asyncio.Redis.from_url("redis://127.0.0.1:9/0") as valkey_client:
        buckets = RedisBuckets(valkey_client, space_id="one", planes=OLD)
        for attempt in (measure(buckets), expire(buckets, idle_hours=1), expire_layouts(buckets)):
            with pytest.raises(ServiceUnavailable, match="Redis does not answer"):
                await attempt
