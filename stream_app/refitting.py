"""Fits new planes to the photos that there are, fills their buckets beside the old ones, and switches.

The order is what makes it safe. First every partition is told of the new layout: from then on each write, of whichever
worker, goes to both. Whatever was written before that is on the topic, up to the end that is read next, and is filled
in; only deletions may be ahead of the topic, and are copied. Versions decide where both bring the same photo. Then the
pointer of the partition moves, in one step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from models.space import Space
from stream_app.bucket_upkeep import expire_layouts
from stream_app.errors import ServiceUnavailable
from stream_app.index.buckets import RedisBuckets
from stream_app.index.fitting import Trial, fit_planes
from stream_app.index.layout import save_layout
from stream_app.index.lsh import Hyperplanes
from stream_app.record_vectors import VectorLog
from stream_app.redis_client import layout_path, open_buckets
from stream_app.settings import Settings

Say = Callable[[str, float], None]


@dataclass(frozen=True)
class Refit:
    """What a fit has done."""

    layout_id: str
    bits_per_key: int
    sampled: int
    photos: int
    trials: tuple[Trial, ...]
    keys_expired: int


async def refit(settings: Settings, space: Space, *, sample_count: int, say: Say) -> Refit:
    """Fit, fill, switch, and remove the buckets of layouts that nobody uses any more.

    Raises SettingsError, ServiceUnavailable, and LayoutRejected for too few photos. Broken off at any moment it leaves
    the old layout in service; repeating it is safe.
    """
    log, trials = VectorLog(settings, space), list[Trial]()
    async with open_buckets(settings, space) as buckets:
        say("Reading a sample of the photos", 0.0)
        sample = await log.sample(sample_count)
        counts = [await buckets.count(partition) for partition in range(settings.partition_count)]
        say(f"Fitting planes to {len(sample):,} photos", 0.0)
        photo_count = max(*counts, len(sample) // settings.partition_count)
        planes = await asyncio.to_thread(fit_planes, sample, photo_count=photo_count, say=trials.append)
        save_layout(planes, layout_path(settings, space))
        await fill_and_switch(buckets, log, planes, settings.partition_count, say)
        expired = await expire_layouts(buckets)
        photos = sum([await buckets.count(partition) for partition in range(settings.partition_count)])
    return Refit(planes.layout_id, planes.bits_per_key, len(sample), photos, tuple(trials), expired)


async def fill_and_switch(
    buckets: RedisBuckets, log: VectorLog, planes: Hyperplanes, partition_count: int, say: Say = lambda *_: None
) -> None:
    """Serve every partition from `planes`; raises ServiceUnavailable when another fit has begun meanwhile."""
    others = [
        partition
        for partition in range(partition_count)
        if (await buckets.layouts.look(partition)).serving != planes.layout_id
    ]
    for partition in others:
        await buckets.layouts.announce(partition, planes)
    for place, partition in enumerate(others):
        end = await log.end_offset(partition)
        async for batch in log.batches(partition, 0, end):
            if not await buckets.fill(partition, planes.layout_id, batch.entries, batch.removals):
                raise _overtaken(partition)
            done = (place + batch.next_offset / max(1, end)) / len(others)
            say(f"Filling partition {partition}: {batch.next_offset:,} of {end:,} records", done)
        await buckets.fill(partition, planes.layout_id, [], await buckets.removals(partition))
        if not await buckets.layouts.switch(partition, planes):
            raise _overtaken(partition)


def _overtaken(partition: int) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"The layout of partition {partition} was not filled to its end",
        expected="no other `sightline lsh fit` at the same time, and a Redis that stays",
        remedy="Start it again: what serves now stays until it is done.",
    )
