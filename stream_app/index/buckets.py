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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from redis.exceptions import NoScriptError, RedisError

from stream_app.errors import QueryRejected, ServiceUnavailable
from stream_app.index import scripts
from stream_app.index.lsh import Hyperplanes
from stream_app.index.ranking import Allow, Hit, best_hits, bounded, rerank
from stream_app.index.scripts import Script
from stream_app.index.vectors import unit_vector, unit_vectors
from stream_app.versions import Version

VERSION_BYTES = 21
KEY_BYTES = 3
ID_DIGITS = 19
ID_POWERS = 10 ** np.arange(ID_DIGITS - 1, -1, -1, dtype=np.int64)

#: Entries one call of the script writes: Redis serves nobody else meanwhile, for about a millisecond.
ENTRIES_PER_CALL = 50
#: A partition of at most so many photos is read whole: exact, and quicker than hunting through empty buckets.
SCAN_PHOTOS_MAX = 1_000
#: Photos of one page of a scan, half a megabyte.
SCAN_PAGE = 1_000
#: Buckets that one search looks into, round by round, until there are enough candidates.
PROBES_PER_ROUND = (256, 768, 3_072)
PROBES_PER_UNION = 32
CANDIDATES_PER_HIT, CANDIDATES_MIN = 40, 2_000


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

    async def search(self, partition: int, vector: ArrayLike, k: int, *, allow: Allow | None = None) -> list[Hit]:
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
        return (
            None
            if value is None or len(value) == VERSION_BYTES
            else self._vectors(np.frombuffer(value, dtype=np.uint8)[None, :])[0]
        )

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
            values = self._client.hscan_iter(self._key(partition, "v"), count=SCAN_PAGE)
            return {int(photo_id): Version.unpack(value[:VERSION_BYTES]) async for photo_id, value in values}

    async def _write(self, partition: int, values: Sequence[tuple[int, bytes]]) -> list[bool]:
        if not values:
            return []
        with _answering():
            try:
                answers = await self._put(partition, values)
            except NoScriptError:  # Redis was restarted, or this is its first call
                await self._client.script_load(scripts.PUT.text)
                answers = await self._put(partition, values)
        return [bool(changed) for answer in answers for changed in answer]

    async def _put(self, partition: int, values: Sequence[tuple[int, bytes]]) -> list[list[int]]:
        keys = [self._key(partition, "v"), self._key(partition, "d")]
        async with self._client.pipeline(transaction=False) as pipe:
            for first in range(0, len(values), ENTRIES_PER_CALL):
                entries = itertools.chain(*values[first : first + ENTRIES_PER_CALL])
                pipe.evalsha(scripts.PUT.sha, 2, *keys, self._key(partition, "b:"), self._planes.table_count, *entries)
            return await pipe.execute()

    async def _probe(self, partition: int, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        probes, prefix = self._planes.probes(query), self._key(partition, "b:")
        enough = max(CANDIDATES_MIN, CANDIDATES_PER_HIT * k)
        hits: list[Hit] = []
        candidates = 0
        for probe_count in PROBES_PER_ROUND:
            keys = [f"{prefix}{each.table}:{each.bucket_key}" for each in itertools.islice(probes, probe_count)]
            keys.insert(0, self._key(partition, "v"))
            rows = self._rows(await self._evaluate(scripts.READ_BUCKETS, keys, enough, PROBES_PER_UNION))
            candidates += len(rows)
            hits = best_hits([hits, self._ranked(rows, query, k, allow)], k)
            if len(hits) == k and candidates >= enough:
                break
        return hits

    async def _scan(self, partition: int, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        hits: list[Hit] = []
        keys, cursor = [self._key(partition, "v")], b"0"
        while True:
            cursor, page = await self._evaluate(scripts.READ_PAGE, keys, cursor, SCAN_PAGE)
            hits = best_hits([hits, self._ranked(self._rows(page), query, k, allow)], k)
            if int(cursor) == 0:
                return hits

    async def _evaluate(self, script: Script, keys: Sequence[str], *arguments: Any) -> Any:
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._client.eval(script.text, len(keys), *keys, *arguments)

    def _ranked(self, rows: np.ndarray, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        photo_ids = (rows[:, :ID_DIGITS].astype(np.int64) - ord("0")) @ ID_POWERS
        values = rows[:, ID_DIGITS:]
        best, scores = rerank(self._vectors(values), photo_ids, query, k, allow)
        return [
            Hit(int(photo_ids[row]), bounded(score), Version.unpack(values[row, :VERSION_BYTES].tobytes()), "buckets")
            for row, score in zip(best, scores, strict=True)
        ]

    def _rows(self, answer: bytes) -> np.ndarray:
        """A script's rows: uint8 [n, row length]."""
        length = ID_DIGITS + VERSION_BYTES + KEY_BYTES * self._planes.table_count + 2 * self._planes.dimensions
        return np.frombuffer(answer, dtype=np.uint8).reshape(-1, length)

    def _vectors(self, values: np.ndarray) -> np.ndarray:
        """The vectors in living photos' values, uint8 [n, value length]: float32 [n, dimensions]."""
        start = VERSION_BYTES + KEY_BYTES * self._planes.table_count
        return np.ascontiguousarray(values[:, start:]).view("<f2").astype(np.float32)

    def _key(self, partition: int, rest: str) -> str:
        return f"{{{self._space_id}:{partition}}}:{self._planes.layout_id}:{rest}"


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
