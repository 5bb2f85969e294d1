"""The buckets in Redis: every photo's vector, and the LSH buckets that lead to it, for any worker to search.

Keys of one partition share the hash tag `{space:partition}`, so that a Cluster keeps them on one node:

    {space:partition}:layout                       hash: the names of the layouts `serving` and, at times, `filling`
    {space:partition}:<layout>:v                   hash: photo_id -> value
    {space:partition}:<layout>:d                   set of the photo ids that are removed
    {space:partition}:<layout>:b:<table>:<node>    set of the photo ids in a bucket (small integers)
    {space:partition}:<layout>:s:<table>           set of the nodes that grew too large and were cut in two

A value is the packed version (21 bytes), then for a living photo its keys (20 bits a table) and its vector (float16);
a removed photo's value is the version alone. Two keys belong to no partition: `sightline:layout:<layout>` holds a
layout, `sightline:spaces` says when a space was last used.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stream_app.errors import QueryRejected, ServiceUnavailable
from stream_app.index import scripts
from stream_app.index.layouts import Layouts, Pointer
from stream_app.index.lsh import TABLE_COUNT, Hyperplanes
from stream_app.index.ranking import Allow, Hit, best_hits
from stream_app.index.redis_calls import answering, call, call_all
from stream_app.index.scripts import Script
from stream_app.index.values import Entry, Rows, is_removed, query_value, values_of, vector_in, version_in
from stream_app.index.vectors import unit_vector
from stream_app.versions import Version

__all__ = ["Entry", "RedisBuckets", "cold_planes"]

#: Entries one call of the script writes: Redis serves nobody else meanwhile, for a millisecond or two.
ENTRIES_PER_CALL = 20
#: A bucket above this is cut by its next bit. Small enough that a search reads what is near and not what happens to
#: share a bucket with it; large enough that Redis spends little more on a set than its members, and far below the 512
#: from which on it keeps a set of integers at seven times the memory.
BUCKET_PHOTOS_MAX = 64
#: A partition of at most so many photos is read whole: exact, and quicker than hunting through empty buckets.
SCAN_PHOTOS_MAX = 1_000
#: Photos of one page of a scan, half a megabyte.
SCAN_PAGE = 1_000
CANDIDATES_PER_HIT, CANDIDATES_MIN = 40, 4_000
#: Bits of a table before anything is known of the photos; the buckets are cut further as they fill.
COLD_BITS, COLD_DEPTH = 8, 20
#: How often a read or a write may meet a pointer that has just been moved.
MOVES_MAX = 10
#: What a search answers instead of candidates where the partition is better read whole.
SMALL = 1
USED_KEY, USED_SECONDS = "sightline:spaces", 60.0

_Values = Callable[[Hyperplanes], Sequence[tuple[int, bytes]]]


def cold_planes(dimensions: int, *, table_count: int = TABLE_COUNT) -> Hyperplanes:
    """The random planes that every worker begins with."""
    return Hyperplanes(dimensions, bits_per_key=COLD_BITS, depth=COLD_DEPTH, table_count=table_count)


class RedisBuckets:
    """Buckets and vectors of all partitions of one space; `client` (redis.asyncio) must not decode.

    `planes` are those of partitions that nobody has written to yet; for all others Redis knows them, and a worker
    follows a switch with its very next search or write. Every method raises ServiceUnavailable when Redis does not
    answer or refuses.
    """

    def __init__(self, client: Any, *, space_id: str, planes: Hyperplanes) -> None:
        self.client = client
        self.space_id = space_id
        self.layouts = Layouts(client, space_id=space_id, first=planes)
        self.dimensions = planes.dimensions
        self._used_at = -USED_SECONDS

    async def put_many(self, partition: int, entries: Sequence[Entry], *, again: bool = False) -> list[bool]:
        """Add or replace photos; False for each whose version is not newer than what is known.

        With `again` also the same version is written, to mend what was damaged. Raises VectorRejected, and puts
        none, when one vector is bad.
        """
        return await self._write(partition, len(entries), lambda planes: values_of(planes, entries), again)

    async def remove_many(self, partition: int, removals: Sequence[tuple[int, Version]]) -> list[bool]:
        """Remove photos and remember the versions, so that an older put later changes nothing."""
        values = [(photo_id, version.pack()) for photo_id, version in removals]
        return await self._write(partition, len(values), lambda planes: values)

    async def search(self, partition: int, vector: ArrayLike, k: int, *, allow: Allow | None = None) -> list[Hit]:
        """The `k` photos found nearest to `vector`, best first; fewer only when the partition has no more."""
        if k < 1:
            raise QueryRejected("k is out of range", expected="at least 1", received=str(k))
        query = unit_vector(vector, self.dimensions)
        for _ in range(MOVES_MAX):
            serving = (await self.layouts.pointer(partition)).serving
            try:
                return await self._search(partition, serving, query, k, allow) if serving else []
            except _Moved:
                await self.layouts.look(partition)
        raise _restless(partition)

    async def vector(self, partition: int, photo_id: int) -> np.ndarray | None:
        """The photo's vector, float32 [dimensions], or None when it is not here."""
        serving = (await self.layouts.look(partition)).serving
        with answering():
            value = await self.client.hget(self.key(partition, serving, "v"), photo_id)
        return None if value is None or is_removed(value) else vector_in(await self.layouts.planes(serving), value)

    async def count(self, partition: int) -> int:
        """The number of photos that can be found."""
        serving = (await self.layouts.look(partition)).serving
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.hlen(self.key(partition, serving, "v"))
            pipe.scard(self.key(partition, serving, "d"))
            with answering():
                known, removed = await pipe.execute()
        return known - removed

    async def versions(self, partition: int) -> dict[int, Version]:
        """The newest version known of every photo, also of the removed ones."""
        serving = (await self.layouts.look(partition)).serving
        with answering():
            values = self.client.hscan_iter(self.key(partition, serving, "v"), count=SCAN_PAGE)
            return {int(photo_id): version_in(value) async for photo_id, value in values}

    async def removals(self, partition: int) -> list[tuple[int, Version]]:
        """The removed photos that are remembered, and when each was removed."""
        serving = (await self.layouts.look(partition)).serving
        found: list[tuple[int, Version]] = []
        with answering():
            photo_ids = [
                each async for each in self.client.sscan_iter(self.key(partition, serving, "d"), count=SCAN_PAGE)
            ]
            for first in range(0, len(photo_ids), SCAN_PAGE):
                page = photo_ids[first : first + SCAN_PAGE]
                values = await self.client.hmget(self.key(partition, serving, "v"), page)
                found += [(int(each), version_in(value)) for each, value in zip(page, values, strict=True) if value]
        return found

    async def fill(
        self, partition: int, layout_id: str, entries: Sequence[Entry], removals: Sequence[tuple[int, Version]]
    ) -> bool:
        """Write to the layout that is being filled, and to no other; False when another one has been announced."""
        pointer = await self.layouts.look(partition)
        if pointer.filling != layout_id:
            return False
        planes = await self.layouts.planes(layout_id)
        values = [*values_of(planes, entries), *((photo_id, version.pack()) for photo_id, version in removals)]
        answers = await self._put(partition, pointer, planes, values, again=False)
        return not values or answers is not None

    async def serve(self, script: Script, partition: int, *arguments: Any) -> Any:
        """What a script answers about the layout in service; None where nothing was ever written.

        Raises ServiceUnavailable when that layout was switched in this moment.
        """
        pointer = await self.layouts.look(partition)
        if not pointer.serving:
            return None
        keys, layout = self.arguments(partition, pointer, await self.layouts.planes(pointer.serving))
        answer = await call(self.client, script, keys, *layout, *arguments)
        if answer is None:
            raise _restless(partition)
        return answer

    async def say_used(self) -> None:
        """Now and then, so that nobody takes this space for one that may go."""
        if time.monotonic() - self._used_at >= USED_SECONDS:
            with answering():
                await self.client.hset(USED_KEY, self.space_id, int(time.time()))
            self._used_at = time.monotonic()

    def key(self, partition: int, layout_id: str, rest: str) -> str:
        """The name of a key of one layout in one partition."""
        return self.layouts.key(partition, f"{layout_id}:{rest}")

    def arguments(self, partition: int, pointer: Pointer, planes: Hyperplanes) -> tuple[list[str], list[Any]]:
        """The KEYS of a script, and the part of its ARGV that tells it the layout."""
        keys = [self.layouts.key(partition, "layout"), self.key(partition, planes.layout_id, "v")]
        shape = planes.table_count, planes.bits_per_key, planes.depth
        return keys, [*pointer, self.key(partition, planes.layout_id, ""), *shape]

    async def _write(self, partition: int, count: int, values: _Values, again: bool = False) -> list[bool]:
        changed = [False] * count
        if not count:
            return changed
        pointer = await self.layouts.pointer(partition)
        for _ in range(MOVES_MAX):
            if pointer.serving and await self._write_all(partition, pointer, values, again, changed):
                await self.say_used()
                return changed
            pointer = await self.layouts.begin(partition)
        raise _restless(partition)

    async def _write_all(
        self, partition: int, pointer: Pointer, values: _Values, again: bool, changed: list[bool]
    ) -> bool:
        """Write to every layout in use; False when the pointer has moved, and all must be written once more."""
        for layout_id in pointer.names():
            planes = await self.layouts.planes(layout_id)
            answers = await self._put(partition, pointer, planes, values(planes), again)
            if answers is None:
                return False
            if layout_id == pointer.serving:
                changed[:] = [before or now for before, now in zip(changed, answers, strict=True)]
        return True

    async def _put(
        self, partition: int, pointer: Pointer, planes: Hyperplanes, values: Sequence[tuple[int, bytes]], again: bool
    ) -> list[bool] | None:
        keys, layout = self.arguments(partition, pointer, planes)
        options = BUCKET_PHOTOS_MAX, int(again)
        slices = [values[first : first + ENTRIES_PER_CALL] for first in range(0, len(values), ENTRIES_PER_CALL)]
        calls = [(keys, [*layout, *options, *itertools.chain(*each)]) for each in slices]
        answers = await call_all(self.client, scripts.PUT, calls) if calls else []
        return None if None in answers else [bool(changed) for answer in answers for changed in answer]

    async def _search(self, partition: int, serving: str, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        planes = await self.layouts.planes(serving)
        margins = planes.all_margins(query[None, :])
        bounds = max(CANDIDATES_MIN, CANDIDATES_PER_HIT * k), SCAN_PHOTOS_MAX
        asked = query_value(margins), (margins**2).astype("<f4").tobytes()
        answer = await self._read(scripts.READ_BUCKETS, partition, planes, *bounds, *asked)
        hits = [] if answer == SMALL else Rows(planes, answer).hits(query, k, allow)
        return hits if len(hits) == k else await self._scan(partition, planes, query, k, allow)

    async def _scan(
        self, partition: int, planes: Hyperplanes, query: np.ndarray, k: int, allow: Allow | None
    ) -> list[Hit]:
        hits: list[Hit] = []
        cursor = b"0"
        while True:
            cursor, page = await self._read(scripts.READ_PAGE, partition, planes, cursor, SCAN_PAGE)
            hits = best_hits([hits, Rows(planes, page).hits(query, k, allow)], k)
            if int(cursor) == 0:
                return hits

    async def _read(self, script: Script, partition: int, planes: Hyperplanes, *arguments: Any) -> Any:
        keys, layout = self.arguments(partition, Pointer(planes.layout_id), planes)
        answer = await call(self.client, script, keys, *layout, *arguments)
        if answer is None:
            raise _Moved
        return answer


class _Moved(Exception):
    """The pointer names another layout than the one that was to be read."""


def _restless(partition: int) -> ServiceUnavailable:
    return ServiceUnavailable(f"The layout of partition {partition} does not come to rest", remedy="Try again.")
