"""The buckets on a real three-master Cluster, through the address that a worker would be given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache

import numpy as np
import pytest
import redis.asyncio
from redis_cluster import running_cluster

from stream_app.bucket_upkeep import expire, measure
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.index import buckets as buckets_module
from stream_app.index.buckets import Entry, RedisBuckets
from stream_app.index.lsh import Hyperplanes
from stream_app.index.upkeep_scripts import CHECK_BUCKETS, CHECK_PHOTOS
from stream_app.redis_client import connect
from stream_app.redis_health import look_at_redis
from stream_app.settings import Settings
from stream_app.versions import KIND_DELETED, Version

DIMENSIONS, PARTITIONS = 32, 8
PLANES = Hyperplanes(DIMENSIONS, bits_per_key=4, depth=20)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[int]]]:
    """The ports of a Cluster by the kind of services, started when it is first asked for."""
    with ExitStack() as closing:

        @cache
        def started(services: str) -> list[int]:
            folder = tmp_path_factory.mktemp(f"cluster-{services}")
            return closing.enter_context(running_cluster(folder, real=services == "real"))

        yield started


@pytest.fixture
def ports(clusters: Callable[[str], list[int]], services: str) -> list[int]:
    return clusters(services)


@pytest.fixture
async def buckets(ports: list[int]) -> AsyncIterator[RedisBuckets]:
    """Emptied before each test."""
    client = connect(Settings(redis_url="redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)))
    await client.flushall(target_nodes="primaries")
    yield RedisBuckets(client, space_id="space", planes=PLANES)
    await client.aclose()


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def at(time_ms: int, kind: int = 0) -> Version:
    return Version(time_ms, kind, 0, time_ms)


async def fill(buckets: RedisBuckets, vectors: np.ndarray) -> None:
    for partition in range(PARTITIONS):
        await buckets.put_many(partition, [Entry(photo_id, at(1), each) for photo_id, each in enumerate(vectors)])


async def test_every_partition_is_written_searched_and_counted(buckets):
    """Wherever its slot lies; what is removed is gone."""
    vectors = unit(300)
    await fill(buckets, vectors)
    for partition in range(PARTITIONS):
        assert await buckets.remove_many(partition, [(7, at(2, KIND_DELETED))]) == [True]

        hits = await buckets.search(partition, vectors[5], 3)

        assert hits[0].photo_id == 5 and len(hits) == 3
        assert await buckets.count(partition) == 299
        assert await buckets.vector(partition, 7) is None
        assert [hit.photo_id for hit in await buckets.search(partition, vectors[7], 1)] != [7]


async def test_the_partitions_lie_on_all_masters(buckets, ports):
    """So that memory and work are shared; each partition lies whole on one of them."""
    await fill(buckets, unit(20))
    homes: dict[bytes, set[str]] = {}
    for node in buckets.client.get_primaries():
        async for key in buckets.client.scan_iter("{space:*", target_nodes=node):
            homes.setdefault(key.split(b"}")[0], set()).add(node.name)

    assert len(homes) == PARTITIONS and all(len(nodes) == 1 for nodes in homes.values())
    assert len(set().union(*homes.values())) == len(ports)


async def test_cut_buckets_are_searched_there_too(buckets, monkeypatch):
    """Through the scripts, whose keys all lie in one slot."""
    monkeypatch.setattr(buckets_module, "BUCKET_PHOTOS_MAX", 16)
    monkeypatch.setattr(buckets_module, "SCAN_PHOTOS_MAX", 0)
    monkeypatch.setattr(buckets, "_scan", None)
    vectors = unit(500)
    await buckets.put_many(0, [Entry(photo_id, at(1), each) for photo_id, each in enumerate(vectors)])

    assert len(await buckets.search(0, vectors[5], 500)) == 500


async def test_a_layout_is_switched_and_the_old_one_expires(buckets):
    """Partition by partition, on whichever node; no photo is lost, and no old key is left."""
    vectors = unit(50)
    await fill(buckets, vectors)
    planes = Hyperplanes(DIMENSIONS, bits_per_key=5, depth=20)
    for partition in range(PARTITIONS):
        await buckets.layouts.announce(partition, planes)
        entries = [Entry(photo_id, at(1), each) for photo_id, each in enumerate(vectors)]
        assert await buckets.fill(partition, planes.layout_id, entries, [])
        assert await buckets.layouts.switch(partition, planes)
    removed = await expire(buckets, idle_hours=1)

    assert removed > 8 * PARTITIONS
    assert [key async for key in buckets.client.scan_iter(f"*:{PLANES.layout_id}:*")] == []
    for partition in range(PARTITIONS):
        assert len(await buckets.search(partition, vectors[0], 50)) == 50


async def test_memory_and_membership_are_checked_there_too(buckets):
    """Over all nodes together."""
    await fill(buckets, unit(300))

    [usage] = await measure(buckets)
    assert (usage.photos, usage.serving) == (300 * PARTITIONS, True) and 100 < usage.bytes_per_photo < 2_000
    for partition in range(PARTITIONS):
        assert (await buckets.serve(CHECK_PHOTOS, partition, 0, 1_000, 0))[1] == []
        assert (await buckets.serve(CHECK_BUCKETS, partition, 0, 0, 15, 0))[1:3] == [300, 0]


async def test_scripts_that_the_nodes_forget_are_told_again(buckets):
    """After a restart, on each of them."""
    await fill(buckets, unit(5))
    await buckets.client.script_flush()

    await fill(buckets, unit(5, seed=1))
    assert [await buckets.count(partition) for partition in range(PARTITIONS)] == [5] * PARTITIONS


async def test_a_cluster_that_is_away_is_said_in_one_line():
    """Not with the driver's own words and traceback."""
    client = connect(Settings(redis_url="redis+cluster://127.0.0.1:9"))
    away = RedisBuckets(client, space_id="space", planes=PLANES)
    for attempt in (away.count(0), away.search(0, unit(1)[0], 1), away.put_many(0, [Entry(1, at(1), unit(1)[0])])):
        with pytest.raises(ServiceUnavailable, match="Redis does not answer"):
            await attempt
    await client.aclose()


@pytest.mark.parametrize("url", ["redis+cluster://", "redis+cluster://host", "rediss+cluster://host:x", "nonsense://x"])
def test_an_address_that_is_none_is_refused(url):
    """With how it should look."""
    with pytest.raises(SettingsError, match=r"expected SIGHTLINE_REDIS_URL as redis://.*redis\+cluster://"):
        connect(Settings(redis_url=url))


def test_a_password_in_an_address_is_not_repeated():
    """Errors end up in logs."""
    with pytest.raises(SettingsError) as refused:
        connect(Settings(redis_url="redis+cluster://me:secret@host"))
    assert "secret" not in str(refused.value)


async def test_the_health_of_a_cluster_is_that_of_its_masters_together(buckets, ports):
    """The memory of all three."""
    state = await look_at_redis(buckets.client)
    each = []
    for port in ports:
        async with redis.asyncio.Redis(port=port) as client:
            each.append((await look_at_redis(client)).memory_bytes)

    assert state.reachable
    assert state.memory_bytes > 2 * min(each)
