"""From old planes to new ones without losing a photo, on a real broker and a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from embedded_photos import append, embedded, make_topics, removed, version

from models.space import Space
from stream_app.bucket_upkeep import expire_layouts
from stream_app.errors import LayoutRejected, ServiceUnavailable, SettingsError
from stream_app.index.buckets import Entry, RedisBuckets
from stream_app.index.layout import load_layout
from stream_app.index.layouts import Pointer
from stream_app.index.lsh import Hyperplanes
from stream_app.record_vectors import VectorLog, search_vectors
from stream_app.redis_client import connect, first_planes, layout_path
from stream_app.refitting import fill_and_switch, refit
from stream_app.settings import Settings


@pytest.fixture(scope="module")
def space(tiny_bundle) -> Space:
    return Space.load(tiny_bundle)


@pytest.fixture
async def album(settings: Settings, space: Space) -> Settings:
    """One partition, topics made, nothing on them."""
    settings = replace(settings, partition_count=1)
    await make_topics(settings, space)
    return settings


@pytest.fixture
async def buckets(album: Settings, space: Space) -> AsyncIterator[RedisBuckets]:
    client = connect(album)
    yield RedisBuckets(client, space_id=space.space_id, planes=first_planes(album, space))
    await client.aclose()


def another(space: Space, seed: int = 9) -> Hyperplanes:
    return Hyperplanes(space.search_dimensions, bits_per_key=5, depth=20, seed=seed)


async def write(buckets: RedisBuckets, space: Space, records: list) -> None:
    """As the index agent would."""
    vectors = search_vectors(space, records)
    await buckets.put_many(
        0, [Entry(each.photo_id, each.version, vector) for each, vector in zip(records, vectors, strict=True)]
    )


async def findable(buckets: RedisBuckets) -> set[int]:
    """Every photo of the partition that a search can find."""
    query = np.ones(buckets.dimensions, np.float32) / np.sqrt(buckets.dimensions)
    return {hit.photo_id for hit in await buckets.search(0, query, 1_000_000)}


async def test_the_buckets_of_a_new_layout_are_filled_from_the_topic(album, space, buckets):
    """All photos are served from it, and the worker that wrote the old ones follows at once."""
    records = embedded(space, range(60))
    await append(album, space, records)
    await write(buckets, space, records)
    planes = another(space)

    await fill_and_switch(buckets, VectorLog(album, space), planes, 1)

    assert await buckets.layouts.look(0) == Pointer(planes.layout_id, "")
    assert await findable(buckets) == set(range(60))


async def test_no_search_sees_a_half_filled_layout(album, space, buckets):
    """Until the switch the old one answers, from all of its photos."""
    records = embedded(space, range(600))
    await append(album, space, records)
    await write(buckets, space, records)
    seen: list[set[int]] = []

    switched = asyncio.Event()

    async def search_on() -> None:
        while not switched.is_set():
            seen.append(await findable(buckets))
            await asyncio.sleep(0.01)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(search_on())
        try:
            await fill_and_switch(buckets, VectorLog(album, space), another(space), 1)
        finally:
            switched.set()
    seen.append(await findable(buckets))

    assert len(seen) > 3
    assert all(each == set(range(600)) for each in seen)


async def test_photos_added_and_removed_during_a_switch_are_not_lost(album, space, buckets):
    """By a worker that knows nothing of it; many switches, one after another."""
    records = embedded(space, range(300))
    await append(album, space, records)
    await write(buckets, space, records)
    worker_client = connect(album)
    worker = RedisBuckets(worker_client, space_id=space.space_id, planes=first_planes(album, space))
    alive = set(range(300))
    stop = asyncio.Event()

    async def work() -> None:
        photo_id = 300
        while not stop.is_set():
            (added,) = embedded(space, [photo_id])
            await append(album, space, [added])
            await write(worker, space, [added])
            gone = removed([photo_id - 200])
            await worker.remove_many(0, [(each.photo_id, each.version) for each in gone])
            await append(album, space, gone)  # a deletion is in Redis before it is on the topic
            alive.add(photo_id)
            alive.discard(photo_id - 200)
            photo_id += 1

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(work())
        try:
            for seed in range(3):
                await fill_and_switch(buckets, VectorLog(album, space), another(space, seed), 1)
                await expire_layouts(buckets)
        finally:
            stop.set()
    await worker_client.aclose()

    assert len(alive) == 300 and max(alive) > 300
    assert await findable(buckets) == alive
    assert await buckets.count(0) == 300


async def test_a_deletion_that_the_topic_does_not_know_yet_survives_the_switch(album, space, buckets):
    """It came ahead of the log, before the new layout was announced."""
    records = embedded(space, range(10))
    await append(album, space, records)
    await write(buckets, space, records)
    await buckets.remove_many(0, [(3, version(5, 1))])

    await fill_and_switch(buckets, VectorLog(album, space), another(space), 1)

    assert await findable(buckets) == set(range(10)) - {3}


async def test_a_fit_that_was_broken_off_leaves_the_old_layout_in_service(album, space, buckets):
    """And the next one does it all."""
    records = embedded(space, range(20))
    await append(album, space, records)
    await write(buckets, space, records)
    before = (await buckets.layouts.look(0)).serving
    await buckets.layouts.announce(0, another(space, 1))
    assert (await buckets.layouts.look(0)).serving == before and await findable(buckets) == set(range(20))

    await fill_and_switch(buckets, VectorLog(album, space), another(space, 2), 1)

    assert await findable(buckets) == set(range(20))


async def test_of_two_fits_at_once_one_gives_way(album, space, buckets):
    """It says so, and what the other one announced is not switched to by mistake."""
    await write(buckets, space, embedded(space, range(5)))
    await buckets.layouts.announce(0, another(space, 1))
    await buckets.layouts.announce(0, another(space, 2))

    assert not await buckets.fill(0, another(space, 1).layout_id, [], [])
    assert not await buckets.layouts.switch(0, another(space, 1))
    assert (await buckets.layouts.look(0)).filling == another(space, 2).layout_id


async def test_a_fit_reads_the_topic_switches_and_cleans_up(album, space, buckets):
    """The layout is in a file beside the shards, and no key of the former layout is left."""
    records = embedded(space, range(1_100))
    await append(album, space, records)
    await write(buckets, space, records)
    before = (await buckets.layouts.look(0)).serving

    done = await refit(album, space, sample_count=1_000, say=lambda doing, share: None)

    kept = load_layout(layout_path(album, space), dimensions=space.search_dimensions)
    assert kept is not None and kept.layout_id == done.layout_id == (await buckets.layouts.look(0)).serving
    assert (done.sampled, done.photos) == (1_000, 1_100)
    assert await findable(buckets) == set(range(1_100))
    assert [key async for key in buckets.client.scan_iter(f"*:{before}:*")] == []


async def test_an_emptied_redis_begins_with_what_was_fitted_last(album, space, buckets):
    """A worker that starts then takes the planes from its data folder."""
    await append(album, space, embedded(space, range(1_000)))
    done = await refit(album, space, sample_count=1_000, say=lambda doing, share: None)
    await buckets.client.flushall()

    again = RedisBuckets(buckets.client, space_id=space.space_id, planes=first_planes(album, space))
    await write(again, space, embedded(space, range(5)))

    assert (await again.layouts.look(0)).serving == done.layout_id


async def test_too_few_photos_are_said_in_one_line(album, space, buckets):
    """And nothing changes."""
    await append(album, space, embedded(space, range(10)))

    with pytest.raises(LayoutRejected, match=r"at least 1,000 photos; received 10\."):
        await refit(album, space, sample_count=1_000, say=lambda doing, share: None)

    assert await buckets.layouts.look(0) == Pointer()


async def test_an_album_that_never_was_is_said_in_one_line(settings, space):
    """No topic is made by looking for it."""
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"There is no topic .*photo-embeddings"):
            await refit(settings, space, sample_count=1_000, say=lambda doing, share: None)


async def test_a_redis_that_is_away_is_said_in_one_line(album, space):
    """The old layout stays as it is."""
    await append(album, space, embedded(space, range(5)))
    away = replace(album, redis_url="redis://127.0.0.1:9/0")

    with pytest.raises(ServiceUnavailable, match="Redis does not answer"):
        await refit(away, space, sample_count=1_000, say=lambda doing, share: None)


async def test_a_damaged_layout_file_is_passed_over_with_a_warning(album, space, caplog):
    """A worker starts with random planes, and says why."""
    path = layout_path(album, space)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")

    assert first_planes(album, space).kind == "random"
    assert "layout.lsh is no layout of buckets" in caplog.text
