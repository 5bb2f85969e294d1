"""Buckets that grow too large are cut by their next bits, on a real Valkey."""

import numpy as np
import pytest
import redis.asyncio

from stream_app.index import buckets as buckets_module
from stream_app.index.buckets import Entry, RedisBuckets
from stream_app.index.lsh import Hyperplanes
from stream_app.versions import Version

DIMENSIONS, MOST = 32, 16
PLANES = Hyperplanes(DIMENSIONS, bits_per_key=4, depth=20, table_count=3)


@pytest.fixture
def buckets(valkey_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch) -> RedisBuckets:
    """Small buckets, and no reading of whole partitions instead."""
    monkeypatch.setattr(buckets_module, "BUCKET_PHOTOS_MAX", MOST)
    monkeypatch.setattr(buckets_module, "SCAN_PHOTOS_MAX", 0)
    return RedisBuckets(valkey_client, space_id="space", planes=PLANES)


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def at(time_ms: int) -> Version:
    return Version(time_ms, 0, 0, time_ms)


async def fill(buckets: RedisBuckets, vectors: np.ndarray, time_ms: int = 1) -> None:
    await buckets.put_many(0, [Entry(photo_id, at(time_ms), vector) for photo_id, vector in enumerate(vectors)])


async def members_by_table(valkey_client: redis.asyncio.Redis) -> dict[int, list[tuple[int, set[bytes]]]]:
    """For each table its buckets: node and members."""
    found: dict[int, list[tuple[int, set[bytes]]]] = {}
    async for key in valkey_client.scan_iter("*:b:*"):
        _, table, node = key.decode().rsplit(":", 2)
        found.setdefault(int(table), []).append((int(node), await valkey_client.smembers(key)))
    return found


async def test_no_bucket_is_larger_than_its_limit(buckets, valkey_client):
    """Four hundred photos in buckets of sixteen, begun with sixteen buckets a table."""
    await fill(buckets, unit(400))

    tables = await members_by_table(valkey_client)
    assert max(len(members) for table in tables.values() for _, members in table) <= MOST


async def test_a_photo_stays_in_one_bucket_of_each_table_and_in_the_right_one(buckets, valkey_client):
    """The bucket's node is a one before the last bits of the photo's key."""
    vectors = unit(400)
    await fill(buckets, vectors)
    keys = ((PLANES.all_margins(vectors) > 0) * (1 << np.arange(PLANES.depth))).sum(axis=2)

    for table, cut in (await members_by_table(valkey_client)).items():
        assert sorted(int(each) for _, members in cut for each in members) == list(range(400))
        for node, members in cut:
            prefix = node ^ (1 << node.bit_length() - 1)
            assert {int(keys[int(each), table]) % (1 << node.bit_length() - 1) for each in members} == {prefix}


async def test_cut_buckets_are_read_whole(buckets, monkeypatch):
    """With enough candidates wished every photo is met, once, and not by reading the whole partition instead."""
    monkeypatch.setattr(buckets, "_scan", None)
    await fill(buckets, unit(400))

    hits = await buckets.search(0, unit(1, seed=1)[0], 400)

    assert sorted(hit.photo_id for hit in hits) == list(range(400))


async def test_a_search_reads_no_more_than_it_was_told_and_a_bucket(buckets, valkey_client, monkeypatch):
    """Reading stops at the first bucket that makes the candidates enough."""
    monkeypatch.setattr(buckets_module, "CANDIDATES_MIN", 40)
    monkeypatch.setattr(buckets_module, "CANDIDATES_PER_HIT", 0)
    await fill(buckets, unit(400))
    asked = []

    def allow(photo_id: int) -> bool:
        asked.append(photo_id)
        return len(asked) > 38  # so that every candidate is asked about, and one is found

    await buckets.search(0, unit(1, seed=1)[0], 1, allow=allow)

    assert 39 <= len(asked) <= 40 + MOST


async def test_the_nearest_buckets_are_read_first(buckets, monkeypatch):
    """Of forty candidates nearly all near copies are found, in whichever cut bucket they lie."""
    monkeypatch.setattr(buckets_module, "CANDIDATES_MIN", 40)
    monkeypatch.setattr(buckets_module, "CANDIDATES_PER_HIT", 0)
    vectors = unit(2_000)
    near = vectors[:50] + 0.2 * unit(50, seed=1)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    await fill(buckets, vectors)

    found = [(await buckets.search(0, query, 1))[0].photo_id for query in near]

    assert sum(photo == place for place, photo in enumerate(found)) >= 47


async def test_replaced_and_removed_photos_leave_cut_buckets(buckets, valkey_client):
    """Wherever a cut has moved them."""
    await fill(buckets, unit(400))
    await fill(buckets, unit(400, seed=1), time_ms=2)
    await buckets.remove_many(0, [(photo_id, at(3)) for photo_id in range(1, 400)])

    tables = await members_by_table(valkey_client)
    assert [[members for _, members in tables[table]] for table in range(PLANES.table_count)] == [[{b"0"}]] * 3


async def test_photos_that_are_all_alike_stay_together_and_are_found(buckets, valkey_client):
    """No plane can tell them apart: the bucket is not cut, and each is found."""
    await fill(buckets, np.repeat(unit(1), 200, axis=0))

    assert len(await buckets.search(0, unit(1)[0], 200)) == 200
    assert [len(table) for table in (await members_by_table(valkey_client)).values()] == [1] * 3


async def test_a_bucket_of_alike_photos_is_cut_once_others_come(buckets, valkey_client):
    """It is tried again when it has doubled."""
    await fill(buckets, np.repeat(unit(1), 30, axis=0))
    others = [Entry(1_000 + each, at(1), vector) for each, vector in enumerate(unit(600, seed=1))]
    await buckets.put_many(0, others)

    tables = await members_by_table(valkey_client)
    assert all(max(len(members) for _, members in table) <= 64 for table in tables.values())


async def test_the_largest_bucket_is_read_in_part_only(buckets, valkey_client, monkeypatch):
    """More than 4,096 members that nothing tells apart would keep Redis from serving others."""
    monkeypatch.setattr(buckets_module, "CANDIDATES_MIN", 10)
    monkeypatch.setattr(buckets_module, "CANDIDATES_PER_HIT", 0)
    await fill(buckets, np.repeat(unit(1), 5_000, axis=0))
    asked = []

    await buckets.search(0, unit(1)[0], 1, allow=lambda photo_id: bool(asked.append(photo_id)) or len(asked) >= 4_096)

    assert len(set(asked[:4_096])) == 4_096 and len(asked) <= 4_097
