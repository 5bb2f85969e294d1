"""Compares the buckets in Redis with the embeddings topic, which is the truth, and mends what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from stream_app.errors import ServiceUnavailable
from stream_app.index.buckets import SCAN_PAGE, RedisBuckets
from stream_app.index.redis_calls import answering
from stream_app.index.upkeep_scripts import CHECK_BUCKETS, CHECK_PHOTOS, FORGET
from stream_app.index.values import Entry, is_removed, vector_in, version_in
from stream_app.record_vectors import Batch, VectorLog

#: Prefixes of one table that one call of the script looks into: a few thousand photos.
PREFIXES_PER_CALL = 16
#: As far as float16 and another order of adding up may take a number of a vector from what it was.
VECTOR_TOLERANCE = 2e-3

Say = Callable[[str, float], None]


@dataclass
class Findings:
    """What differs, by photo id; in the bucket counts one photo counts once a table."""

    photos: int = 0
    missing: set[int] = field(default_factory=set)
    stale: set[int] = field(default_factory=set)
    left_over: set[int] = field(default_factory=set)
    astray: set[int] = field(default_factory=set)
    stray_members: int = 0
    buckets: int = 0
    members: int = 0
    largest_bucket: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.stale or self.left_over or self.astray or self.stray_members)


async def check_buckets(
    buckets: RedisBuckets,
    log: VectorLog,
    partition_count: int,
    *,
    mend: bool = False,
    say: Say = lambda doing, share: None,
) -> Findings:
    """Look at every record, photo and bucket; with `mend` put right what is wrong. Safe while workers write.

    Raises SettingsError where there is no topic, and ServiceUnavailable.
    """
    await log.require()
    findings = Findings()
    for partition in range(partition_count):

        def say_of_one(doing: str, share: float, done: int = partition) -> None:
            say(f"Partition {done}: {doing}", (done + share) / partition_count)

        await _Check(buckets, log, partition, mend, findings).run(say_of_one)
    return findings


class _Check:
    """One partition."""

    def __init__(self, buckets: RedisBuckets, log: VectorLog, partition: int, mend: bool, findings: Findings) -> None:
        self._buckets, self._log, self._partition, self._mend = buckets, log, partition, mend
        self._findings = findings
        self._on_topic: set[int] = set()

    async def run(self, say: Say) -> None:
        end = await self._log.end_offset(self._partition)
        async for batch in self._log.batches(self._partition, 0, end):
            await self._compare(batch)
            say(f"{batch.next_offset:,} of {end:,} records", 0.6 * batch.next_offset / max(1, end))
        known = await self._check_photos(say)
        # What was embedded meanwhile is in Redis with good reason, and it is on the topic by now.
        async for batch in self._log.batches(self._partition, end, await self._log.end_offset(self._partition)):
            self._on_topic |= _photo_ids(batch)
        await self._check_left_over(known)
        await self._check_members(say)

    async def _compare(self, batch: Batch) -> None:
        pointer = await self._buckets.layouts.look(self._partition)
        expected = [*batch.entries, *(Entry(*each, np.empty(0)) for each in batch.removals)]
        self._on_topic |= _photo_ids(batch)
        if not expected:
            return
        key = self._buckets.key(self._partition, pointer.serving, "v")
        with answering():
            values = await self._buckets.client.hmget(key, [each.photo_id for each in expected])
        wrong = set()
        for entry, value in zip(expected, values, strict=True):
            kind = await self._fault(pointer.serving, entry, value)
            if kind is None:
                self._clear(entry.photo_id)
                continue
            if not (entry.photo_id in self._findings.missing or entry.photo_id in self._findings.stale):
                (self._findings.missing if kind == "missing" else self._findings.stale).add(entry.photo_id)
            wrong.add(entry.photo_id)
        if self._mend:
            await self._put(batch, wrong)

    async def _fault(self, serving: str, entry: Entry, value: bytes | None) -> str | None:
        if value is None:
            return "missing"
        version = version_in(value)
        if version != entry.version or is_removed(value) != (not len(entry.vector)):
            return "stale" if version <= entry.version else None
        if is_removed(value):
            return None
        vector = vector_in(await self._buckets.layouts.planes(serving), value)
        alike = vector.shape == entry.vector.shape and np.allclose(vector, entry.vector, atol=VECTOR_TOLERANCE)
        return None if alike else "stale"

    def _clear(self, photo_id: int) -> None:
        """An older record of the photo was found wanting, the newest is as it should be."""
        if not self._mend:
            self._findings.missing.discard(photo_id)
            self._findings.stale.discard(photo_id)

    async def _put(self, batch: Batch, wrong: set[int]) -> None:
        await self._buckets.put_many(
            self._partition, [each for each in batch.entries if each.photo_id in wrong], again=True
        )
        await self._buckets.remove_many(self._partition, [each for each in batch.removals if each[0] in wrong])

    async def _check_photos(self, say: Say) -> dict[int, bytes]:
        """The packed version of every photo that Redis knows."""
        known: dict[int, bytes] = {}
        cursor = b"0"
        while True:
            page = await self._buckets.serve(CHECK_PHOTOS, self._partition, cursor, SCAN_PAGE, int(self._mend))
            if page is None:
                return known
            cursor, astray, pairs = page
            self._findings.astray.update(map(int, astray))
            known.update(zip(map(int, pairs[::2]), pairs[1::2], strict=True))
            say(f"{len(known):,} photos in Redis", 0.7)
            if int(cursor) == 0:
                self._findings.photos += await self._buckets.count(self._partition)
                return known

    async def _check_left_over(self, known: dict[int, bytes]) -> None:
        left_over = sorted(known.keys() - self._on_topic)
        # A removal that the topic has forgotten does no harm: it is remembered, and nothing is found.
        removed = {photo_id for photo_id, _ in await self._buckets.removals(self._partition)}
        left_over = [each for each in left_over if each not in removed]
        self._findings.left_over |= set(left_over)
        if self._mend:
            for page in _slices(left_over, SCAN_PAGE):
                pairs = [part for photo_id in page for part in (photo_id, known[photo_id])]
                await self._buckets.serve(FORGET, self._partition, *pairs)

    async def _check_members(self, say: Say) -> None:
        pointer = await self._buckets.layouts.look(self._partition)
        if not pointer.serving:
            return
        planes = await self._buckets.layouts.planes(pointer.serving)
        for table in range(planes.table_count):
            for prefixes in _slices(range(1 << planes.bits_per_key), PREFIXES_PER_CALL):
                bounds = prefixes[0], prefixes[-1]
                answer = await self._buckets.serve(CHECK_BUCKETS, self._partition, table, *bounds, int(self._mend))
                if answer is None:
                    raise ServiceUnavailable("Redis has lost a partition while it was being checked")
                met, members, strays, largest = answer
                self._findings.buckets += met
                self._findings.members += members
                self._findings.stray_members += strays
                self._findings.largest_bucket = max(self._findings.largest_bucket, largest)
            say(f"{table + 1} of {planes.table_count} tables", 0.7 + 0.3 * (table + 1) / planes.table_count)


def _photo_ids(batch: Batch) -> set[int]:
    return {each.photo_id for each in batch.entries} | {photo_id for photo_id, _ in batch.removals}


def _slices(whole: Sequence[int], length: int) -> Iterable[Sequence[int]]:
    return (whole[first : first + length] for first in range(0, len(whole), length))
