"""The index of the partitions that this worker owns: a shard of each on disk, and its buckets in Redis."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.space import Space
from stream_app.embedding_log import EmbeddingReader
from stream_app.errors import SegmentCorrupt, ServiceUnavailable
from stream_app.index.buckets import Entry, RedisBuckets
from stream_app.index.ranking import Hit, best_hits
from stream_app.index.shard import Shard, ShardSettings
from stream_app.record_vectors import search_vectors
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved
from stream_app.settings import Settings
from stream_app.versions import KIND_DELETED, Version

log = logging.getLogger(__name__)

#: Records that are projected at once while a partition is replayed: large enough for one good matrix product.
REPLAY_BATCH_SIZE = 512
#: Words on which segments try how well words find their photos.
WORD_EXAMPLES = 96
#: Queries that are remembered, so that it can be measured how well they are answered.
ASKED_KEPT = 32

#: Fibonacci hashing (Knuth): neighbouring ids come to lie far apart.
HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)

Allow = Callable[[int], bool]
#: A query vector, and whether it is of words.
Asked = tuple[np.ndarray, bool]


@dataclass
class _Holding:
    """One partition: its shard, and how far into the log the shard has come."""

    shard: Shard
    next_offset: int = 0
    replayed: bool = False


class LiveIndex:
    """Applies embedding records and answers searches, for the partitions that are open."""

    def __init__(self, settings: Settings, space: Space, embeddings: EmbeddingReader, buckets: RedisBuckets) -> None:
        self._settings = settings
        self._space = space
        self._embeddings = embeddings
        self._buckets = buckets
        self._holdings: dict[int, _Holding] = {}
        self._opened = asyncio.Event()
        self._opening = asyncio.Lock()
        self._rebalances = 0
        #: Whether all was replayed once; from then on Redis answers for what is moving.
        self.was_ready = False
        #: The newest queries, oldest first.
        self.asked: deque[Asked] = deque(maxlen=ASKED_KEPT)
        #: Records that Redis has not confirmed yet.
        self.writes_waiting = 0
        # One writer at a time: shards allow many readers beside one writer.
        self._writing = asyncio.Lock()

    async def open(self, partitions: Iterable[int], log_id: str) -> None:
        """Hold just these partitions: seal and close the others, open what is new and replay what it lacks."""
        rebalances = self._rebalances
        async with self._opening:
            await self.keep_only(partitions)
            new = [each for each in partitions if each not in self._holdings]
            for partition in new:
                self._holdings[partition] = _Holding(await asyncio.to_thread(self._open_shard, partition, log_id))
            await asyncio.gather(*(self._replay(partition) for partition in new))
            self.was_ready = True
            if rebalances == self._rebalances:  # else these are no longer the partitions to wait for
                self._opened.set()

    async def keep_only(self, partitions: Iterable[int]) -> None:
        """Seal and close the shards of all other partitions; what is sealed need not be replayed again."""
        async with self._writing:
            for partition in set(self._holdings) - set(partitions):
                holding = self._holdings.pop(partition)
                await asyncio.to_thread(self._seal, holding)
                holding.shard.close()

    async def close(self) -> None:
        """Seal and close every shard."""
        await self.keep_only(())

    async def opened(self) -> None:
        """Return when the partitions of the last assignment were replayed."""
        await self._opened.wait()

    def expect_partitions(self) -> None:
        """A rebalance has begun: not ready until an `open` of after it has been through."""
        self._rebalances += 1
        self._opened.clear()

    @property
    def ready(self) -> bool:
        """Whether every open shard holds all that was in the log when it was opened."""
        return self._opened.is_set()

    async def apply(self, partition: int, records: Sequence[EmbeddingRecord], next_offset: int) -> None:
        """Make `records` findable in Redis and in the shard, or gone from them; safe to repeat."""
        vectors = await asyncio.to_thread(self.search_vectors, records)
        self.writes_waiting += len(records)
        try:
            await self._until_redis_answers(lambda: self._write_buckets(partition, records, vectors))
        finally:
            self.writes_waiting -= len(records)
        async with self._writing:
            if holding := self._holdings.get(partition):
                await asyncio.to_thread(_write_shard, holding.shard, records, vectors)
                holding.next_offset = max(holding.next_offset, next_offset)

    async def remove(self, partition: int, photo_id: int, version: Version) -> None:
        """Make one photo unfindable at once, ahead of the log."""
        async with self._writing:
            if holding := self._holdings.get(partition):
                holding.shard.remove(photo_id, version)
        await self._buckets.remove_many(partition, [(photo_id, version)])

    async def search(
        self, vector: np.ndarray, k: int, allow: Allow, *, is_word: bool = False, is_exact: bool = False
    ) -> tuple[list[Hit], dict[int, str]]:
        """The best `k` hits over all partitions, and which source answered for each: shard or buckets.

        A word's vector lies where no photo does, and is searched for with the effort that this takes. `is_exact` asks
        for all of the nearest: every vector is compared.
        """
        recall = 1.0 if is_exact else None
        self.asked.append((vector, is_word))
        ready = self._replayed()
        found = await asyncio.to_thread(
            lambda: [shard.search(vector, k, allow=allow, recall=recall, outside=is_word) for shard in ready.values()]
        )
        sources = dict.fromkeys(ready, "shard")
        for partition in set(range(self._settings.partition_count)) - set(ready):
            try:
                found.append(await self._buckets.search(partition, vector, k, allow=allow))
                sources[partition] = "buckets"
            except ServiceUnavailable:
                sources[partition] = "unavailable"
        return best_hits(found, k), sources

    async def vector(self, photo_id: int) -> np.ndarray | None:
        """The search vector, float32 [search_dimensions], of a photo, or None where it is not indexed."""
        for holding in self._holdings.values():
            if (vector := holding.shard.vector(photo_id)) is not None:
                return vector
        for partition in set(range(self._settings.partition_count)) - set(self._replayed()):
            if (vector := await self._buckets.vector(partition, photo_id)) is not None:
                return vector
        return None

    def sampled_vectors(self, count: int) -> np.ndarray:
        """float32 [at most `count`, search_dimensions] of photos chosen at random, but the same each time."""
        shards = list(self._replayed().values())
        photo_ids = np.array([each for shard in shards for each in shard.photo_ids()], np.int64)
        chosen = photo_ids[np.argsort(photo_ids.astype(np.uint64) * HASH_FACTOR, kind="stable")[:count]]
        found = (shard.vector(int(each)) for each in chosen for shard in shards)
        vectors = [vector for vector in found if vector is not None]
        return np.array(vectors, np.float32).reshape(-1, self._space.search_dimensions)

    def is_removed(self, photo_id: int, since: Version) -> bool:
        """Whether the log says that a photo was deleted after the version `since`."""
        versions = (holding.shard.version(photo_id) for holding in self._holdings.values())
        return any(each is not None and each.kind == KIND_DELETED and each > since for each in versions)

    def photo_count(self) -> int:
        """The number of photos that a search can find in the open shards."""
        return sum(len(holding.shard) for holding in self._holdings.values())

    def shards(self) -> dict[int, Shard]:
        """The open shards by partition, also those that are still being replayed."""
        return {number: each.shard for number, each in sorted(self._holdings.items())}

    def describe(self) -> dict[str, dict[str, int | bool]]:
        """Size and position of each open shard, for the stats."""
        return {
            str(number): {
                "photos": len(each.shard),
                "segments": len(each.shard.manifest.segments),
                "next_offset": each.next_offset,
                "ready": each.replayed,
            }
            for number, each in sorted(self._holdings.items())
        }

    async def seal_and_merge(self) -> None:
        """Background work: seal what has grown, merge what the policy asks for; and say that the space is in use."""
        with suppress(ServiceUnavailable):
            await self._buckets.say_used()
        for holding in list(self._holdings.values()):
            if holding.shard.needs_seal():
                await asyncio.to_thread(self._seal, holding)
            await asyncio.to_thread(holding.shard.merge_once)

    def search_vectors(self, records: Sequence[EmbeddingRecord]) -> np.ndarray:
        """float32 [n, search_dimensions] of the embedded photos among `records`, in their order."""
        return search_vectors(self._space, records)

    def _open_shard(self, partition: int, log_id: str) -> Shard:
        """The shard on disk; a damaged one is begun anew, since the log has all of it."""
        try:
            return self._shard(partition, log_id)
        except SegmentCorrupt as damage:
            log.warning("%s Building partition %d anew from the log.", damage, partition)
            shutil.rmtree(self._directory(partition))
            return self._shard(partition, log_id)

    def _shard(self, partition: int, log_id: str) -> Shard:
        return Shard(
            self._directory(partition),
            dimensions=self._space.search_dimensions,
            space_id=self._space.space_id,
            log_id=f"{log_id}/{self._embeddings.name}/{partition}",
            settings=ShardSettings(
                recall=self._settings.search_recall, memtable_vectors_max=self._settings.memtable_vectors_max
            ),
            outside_queries=self._space.word_query_examples(WORD_EXAMPLES),
        )

    def _directory(self, partition: int) -> Path:
        return self._settings.data_dir / "index" / self._space.space_id / str(partition)

    def _replayed(self) -> dict[int, Shard]:
        return {number: each.shard for number, each in self._holdings.items() if each.replayed}

    async def _replay(self, partition: int) -> None:
        """Read what the shard lacks straight from the log: much faster than Faust's stream, and before it."""
        holding = self._holdings[partition]
        holding.next_offset = holding.shard.manifest.next_offset
        end = await self._embeddings.end_offset(partition)
        batch: list[EmbeddingRecord] = []
        async for offset, record in self._embeddings.read(partition, holding.next_offset, end):
            batch.append(record)
            if len(batch) == REPLAY_BATCH_SIZE:
                await self._write_replayed(holding.shard, batch)
                holding.next_offset, batch = offset + 1, []
        await self._write_replayed(holding.shard, batch)
        holding.next_offset = max(end, holding.next_offset)
        holding.replayed = True

    async def _write_replayed(self, shard: Shard, records: Sequence[EmbeddingRecord]) -> None:
        vectors = await asyncio.to_thread(self.search_vectors, records)
        async with self._writing:  # a deletion, or a batch that began before the rebalance, may want to write too
            await asyncio.to_thread(_write_shard, shard, records, vectors)

    def _seal(self, holding: _Holding) -> None:
        # The offset is read first: what is added meanwhile is sealed too, and replayed without harm.
        if holding.replayed:
            holding.shard.seal(holding.next_offset)

    async def _write_buckets(self, partition: int, records: Sequence[EmbeddingRecord], vectors: np.ndarray) -> None:
        photos = [each for each in records if isinstance(each, PhotoEmbedded)]
        entries = [Entry(photo.photo_id, photo.version, vector) for photo, vector in zip(photos, vectors, strict=True)]
        await self._buckets.put_many(partition, entries)
        removed = [(each.photo_id, each.version) for each in records if isinstance(each, PhotoRemoved)]
        await self._buckets.remove_many(partition, removed)

    async def _until_redis_answers(self, write: Callable) -> None:
        """Redis away: writes wait and resume, and nothing is acknowledged meanwhile."""
        pause_seconds = 0.1
        while True:
            try:
                return await write()
            except ServiceUnavailable as away:
                log.warning("%s Trying again in %.1f s.", away, pause_seconds)
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(5.0, pause_seconds * 2)


def _write_shard(shard: Shard, records: Sequence[EmbeddingRecord], vectors: np.ndarray) -> None:
    photos = [each for each in records if isinstance(each, PhotoEmbedded)]
    if photos:
        shard.add_many([each.photo_id for each in photos], [each.version for each in photos], vectors)
    gone = [each for each in records if isinstance(each, PhotoRemoved)]
    if gone:
        shard.remove_many([each.photo_id for each in gone], [each.version for each in gone])
