"""The buckets in Redis: every photo's vector, and the LSH buckets that lead to it, for any worker to search.

Keys of one partition share the hash tag `{space:partition}`, so that a Cluster keeps them on one node:

    {space:partition}:<layout>:v                     hash: photo_id -> value
    {space:partition}:<layout>:d                     set of the photo ids that are removed
    {space:partition}:<layout>:b:<table>:<bucket>    set of the photo ids in a bucket (small integers)

A value is the packed version (21 bytes), then for a living photo its bucket keys (3 bytes a table) and its
vector (float16); a removed photo's value is the version alone.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha1
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from redis.exceptions import NoScriptError, RedisError

from stream_app.errors import QueryRejected, ServiceUnavailable
from stream_app.index.lsh import Hyperplanes
from stream_app.index.ranking import Allow, Hit, best_hits, rerank
from stream_app.index.vectors import unit_vector, unit_vectors
from stream_app.versions import Version

VERSION_BYTES = 21
KEY_BYTES = 3

#: Entries one call of the script writes: Redis serves nobody else meanwhile (about 0.1 ms for ten).
ENTRIES_PER_CALL = 50
#: A partition of at most so many photos is read whole: exact, and quicker than hunting through empty buckets.
SCAN_PHOTOS_MAX = 1_000
#: Buckets that one search looks into, round by round, until it has enough candidates.
PROBES_PER_ROUND = (64, 192, 768, 3_072)
PROBES_PER_UNION = 64
CANDIDATES_PER_HIT, CANDIDATES_MIN = 40, 2_000
#: Vectors read at a time; about half a megabyte.
READ_VECTORS = 1_000

#: Compare-and-set: an entry whose version is not newer changes nothing. Repeating it is harmless, also after
#: a call that Redis broke off, because the value is written last. Bucket keys are computed inside and so are
#: not declared as KEYS: they carry the hash tag of KEYS[1], which is what a Cluster asks of them.
PUT_SCRIPT = """
local values, removed, prefix, tables = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])

local function newer(one, other)  -- not `>`: that compares by the server's locale
  for at = 1, 21 do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a > b end
  end
  return false
end

local function each_bucket(value, command, photo_id)
  if #value == 21 then return end
  for table = 0, tables - 1 do
    local a, b, c = string.byte(value, 22 + 3 * table, 24 + 3 * table)
    redis.call(command, prefix .. table .. ':' .. (a * 65536 + b * 256 + c), photo_id)
  end
end

local changed = {}
for at = 3, #ARGV, 2 do
  local photo_id, value = ARGV[at], ARGV[at + 1]
  local known = redis.call('HGET', values, photo_id)
  if known and not newer(value, known) then
    changed[#changed + 1] = 0
  else
    if known then each_bucket(known, 'SREM', photo_id) end
    each_bucket(value, 'SADD', photo_id)
    redis.call(#value == 21 and 'SADD' or 'SREM', removed, photo_id)
    redis.call('HSET', values, photo_id, value)
    changed[#changed + 1] = 1
  end
end
return changed
"""
PUT_SHA = sha1(PUT_SCRIPT.encode()).hexdigest()


class Entry(NamedTuple):
    """One photo to put: its vector has `dimensions` numbers and unit length."""

    photo_id: int
    version: Version
    vector: np.ndarray


class RedisBuckets:
    """Buckets and vectors of all partitions of one space; `client` (redis.asyncio) must not decode.

    Every method raises ServiceUnavailable when Redis does not answer or refuses.
    """

    def __init__(self, client: Any, *, space_id: str, planes: Hyperplanes) -> None:
        self._client = client
        self._space_id = space_id
        self._planes = planes

    async def put_many(self, partition: int, entries: Sequence[Entry]) -> list[bool]:
        """Add or replace photos; False for each whose version is not newer than what is known.

        Raises VectorRejected, and puts none, when one vector is bad.
        """
        if not entries:
            return []
        vectors = unit_vectors([each.vector for each in entries], self._planes.dimensions)
        keys = self._planes.bucket_keys(vectors).astype(">u4").view(np.uint8).reshape(len(entries), -1, 4)
        packed_keys, narrow = keys[:, :, 4 - KEY_BYTES :], vectors.astype("<f2")
        return await self._write(
            partition,
            [
                (each.photo_id, each.version.pack() + packed_keys[at].tobytes() + narrow[at].tobytes())
                for at, each in enumerate(entries)
            ],
        )

    async def remove_many(self, partition: int, removals: Sequence[tuple[int, Version]]) -> list[bool]:
        """Remove photos and remember the versions, so that an older put later changes nothing."""
        return await self._write(partition, [(photo_id, version.pack()) for photo_id, version in removals])

    async def search(
        self, partition: int, vector: ArrayLike, k: int, *, allow: Allow | None = None
    ) -> list[Hit]:
        """The `k` photos found nearest to `vector`, best first; fewer only when the partition has no more."""
        if k < 1:
            raise QueryRejected("k is out of range", expected="at least 1", received=str(k))
        query = unit_vector(vector, self._planes.dimensions)
        with _answering():
            if await self._client.hlen(self._key(partition, "v")) > SCAN_PHOTOS_MAX:
                hits = await self._probe(partition, query, k, allow)
                if len(hits) == k:
                    return hits
            return await self._scan(partition, query, k, allow)

    async def vector(self, partition: int, photo_id: int) -> np.ndarray | None:
        """The photo's vector, float32 [dimensions], or None when it is not here."""
        with _answering():
            value = await self._client.hget(self._key(partition, "v"), photo_id)
        return None if value is None or len(value) == VERSION_BYTES else self._vector(value)

    async def count(self, partition: int) -> int:
        """The number of photos that can be found."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hlen(self._key(partition, "v"))
            pipe.scard(self._key(partition, "d"))
            with _answering():
                known, removed = await pipe.execute()
        return known - removed

    async def versions(self, partition: int) -> dict[int, Version]:
        """The newest version known of every photo, also of the removed ones."""
        with _answering():
            return {
                photo_id: Version.unpack(value[:VERSION_BYTES])
                async for photo_id, value in self._values(partition)
            }

    async def _write(self, partition: int, values: Sequence[tuple[int, bytes]]) -> list[bool]:
        if not values:
            return []
        with _answering():
            try:
                answers = await self._call_script(partition, values)
            except NoScriptError:  # Redis was restarted, or this is its first call
                await self._client.script_load(PUT_SCRIPT)
                answers = await self._call_script(partition, values)
        return [bool(changed) for answer in answers for changed in answer]

    async def _call_script(self, partition: int, values: Sequence[tuple[int, bytes]]) -> list[list[int]]:
        keys = [self._key(partition, "v"), self._key(partition, "d")]
        async with self._client.pipeline(transaction=False) as pipe:
            for some in _batches(values, ENTRIES_PER_CALL):
                arguments = [self._key(partition, "b:"), self._planes.table_count, *itertools.chain(*some)]
                pipe.evalsha(PUT_SHA, len(keys), *keys, *arguments)
            return await pipe.execute()

    async def _probe(self, partition: int, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        probes = self._planes.probes(query)
        seen: set[bytes] = set()
        hits: list[Hit] = []
        for probe_count in PROBES_PER_ROUND:
            prefix = self._key(partition, "b:")
            keys = [
                f"{prefix}{each.table}:{each.bucket_key}" for each in itertools.islice(probes, probe_count)
            ]
            fresh = await self._members(keys) - seen
            seen |= fresh
            hits = best_hits([hits, await self._rank(partition, fresh, query, k, allow)], k)
            if len(hits) == k and len(seen) >= max(CANDIDATES_MIN, CANDIDATES_PER_HIT * k):
                break
        return hits

    async def _members(self, bucket_keys: Sequence[str]) -> set[bytes]:
        async with self._client.pipeline(transaction=False) as pipe:
            for some in _batches(bucket_keys, PROBES_PER_UNION):
                pipe.sunion(list(some))
            return set().union(*await pipe.execute())

    async def _rank(
        self, partition: int, photo_ids: Iterable[bytes], query: np.ndarray, k: int, allow: Allow | None
    ) -> list[Hit]:
        hits: list[Hit] = []
        for some in _batches(sorted(photo_ids), READ_VECTORS):
            values = await self._client.hmget(self._key(partition, "v"), list(some))
            found = ((int(photo_id), value) for photo_id, value in zip(some, values, strict=True) if value)
            hits = best_hits([hits, self._ranked(found, query, k, allow)], k)
        return hits

    async def _scan(self, partition: int, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        hits: list[Hit] = []
        waiting: list[tuple[int, bytes]] = []
        async for photo_id, value in self._values(partition):
            waiting.append((photo_id, value))
            if len(waiting) == READ_VECTORS:
                hits = best_hits([hits, self._ranked(waiting, query, k, allow)], k)
                waiting.clear()
        return best_hits([hits, self._ranked(waiting, query, k, allow)], k)

    async def _values(self, partition: int) -> AsyncIterator[tuple[int, bytes]]:
        async for photo_id, value in self._client.hscan_iter(self._key(partition, "v"), count=READ_VECTORS):
            yield int(photo_id), value

    def _ranked(
        self, found: Iterable[tuple[int, bytes]], query: np.ndarray, k: int, allow: Allow | None
    ) -> list[Hit]:
        living = [
            (photo_id, Version.unpack(value[:VERSION_BYTES]), self._vector(value))
            for photo_id, value in found
            if len(value) > VERSION_BYTES and (allow is None or allow(photo_id))
        ]
        return rerank(living, query, k, "buckets")

    def _vector(self, value: bytes) -> np.ndarray:
        start = VERSION_BYTES + KEY_BYTES * self._planes.table_count
        return np.frombuffer(value, dtype="<f2", offset=start).astype(np.float32)

    def _key(self, partition: int, rest: str) -> str:
        return f"{{{self._space_id}:{partition}}}:{self._planes.layout_id}:{rest}"


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise ServiceUnavailable(
            "Redis does not answer",
            received=str(error) or type(error).__name__,
            remedy="Check SIGHTLINE_REDIS_URL and the server; writes wait and are tried again.",
        ) from error
