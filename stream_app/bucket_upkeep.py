"""What lies in Redis and how much memory it takes; and the removal of layouts and spaces that nobody uses any more."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from stream_app.errors import SettingsError
from stream_app.index.buckets import USED_KEY, RedisBuckets
from stream_app.index.layouts import layout_key
from stream_app.index.redis_calls import answering, call
from stream_app.index.upkeep_scripts import REMOVE_LAYOUT_KEYS

_OURS = re.compile(rb"\{(?P<space>[^:{}]+):(?P<partition>\d+)\}:(?:layout$|(?P<layout>[0-9a-f]{8}):(?P<rest>.+))")
SCAN_COUNT = 1_000
KEYS_PER_CALL = 500
#: Keys whose memory is measured; of the others it is taken to be the same.
MEASURED_MAX = 2_000
#: An unused layout's description goes when nobody has asked for it for so long: it may just be about to be used.
LAYOUT_IDLE_SECONDS = 3_600


class Holder(NamedTuple):
    """Whose a key is; `layout_id` is empty for a pointer."""

    space_id: str
    partition: int
    layout_id: str


@dataclass
class Usage:
    """The memory of one layout of one space, over all partitions."""

    space_id: str
    layout_id: str
    photos: int = 0
    serving: bool = False
    buckets: int = 0
    members: float = 0.0
    value_bytes: float = 0.0
    bucket_bytes: float = 0.0

    @property
    def bytes_per_photo(self) -> float:
        """Values and buckets together."""
        return (self.value_bytes + self.bucket_bytes) / max(1, self.photos)


async def measure(buckets: RedisBuckets) -> list[Usage]:
    """Every layout of every space in Redis, largest first; a sample of keys is measured. Raises ServiceUnavailable."""
    usages: dict[tuple[str, str], Usage] = {}
    measured: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    async for key, holder, rest in _keys(buckets.client):
        if not holder.layout_id:
            continue
        name = holder.space_id, holder.layout_id
        usage = usages.setdefault(name, Usage(*name))
        with answering():
            if rest == b"v":
                await _add_partition(buckets.client, usage, holder, key)
            elif rest.startswith(b"b:"):
                usage.buckets += 1
                if len(measured[name]) < MEASURED_MAX:
                    measured[name].append(
                        (await buckets.client.memory_usage(key) or 0, await buckets.client.scard(key))
                    )
    for name, seen in measured.items():
        usages[name].bucket_bytes = usages[name].buckets * sum(size for size, _ in seen) / len(seen)
        usages[name].members = usages[name].buckets * sum(members for _, members in seen) / len(seen)
    return sorted(usages.values(), key=lambda each: -each.photos)


async def expire_layouts(buckets: RedisBuckets) -> int:
    """Remove what layouts of this space left that neither serve nor are being filled; the number of keys."""
    return await _expire(buckets, idle_before=None)


async def expire(buckets: RedisBuckets, *, idle_hours: float) -> int:
    """The same for every space; and spaces other than this one that no worker has written to for `idle_hours`."""
    if idle_hours < 1:
        raise SettingsError("--idle-hours is too small", expected="at least 1", received=f"{idle_hours:g}")
    return await _expire(buckets, idle_before=time.time() - 3600 * idle_hours)


async def _expire(buckets: RedisBuckets, idle_before: float | None) -> int:
    used = await _last_used(buckets)
    waiting: dict[Holder, list[bytes]] = defaultdict(list)
    removed = 0
    async for key, holder, _ in _keys(buckets.client):
        if idle_before is None and holder.space_id != buckets.space_id:
            continue
        idle = idle_before is not None and used.get(holder.space_id, 0.0) < idle_before
        if not holder.layout_id and not idle:
            continue
        waiting[holder].append(key)
        if len(waiting[holder]) == KEYS_PER_CALL:
            removed += await _remove(buckets, holder, waiting.pop(holder), idle)
    for holder, keys in waiting.items():
        idle = idle_before is not None and used.get(holder.space_id, 0.0) < idle_before
        removed += await _remove(buckets, holder, keys, idle)
    return removed + await _remove_descriptions(buckets)


async def _remove(buckets: RedisBuckets, holder: Holder, keys: list[bytes], idle: bool) -> int:
    """Remove keys of a layout unless the pointer names it at that very moment, which a script sees to."""
    pointer = f"{{{holder.space_id}:{holder.partition}}}:layout"
    names = [pointer, *(key.decode() for key in keys)]
    return int(await call(buckets.client, REMOVE_LAYOUT_KEYS, names, holder.layout_id, int(idle)))


async def _remove_descriptions(buckets: RedisBuckets) -> int:
    """Remove layouts that no pointer names and that nobody has looked at for a while."""
    named: set[str] = set()
    async for key, holder, _ in _keys(buckets.client):
        if not holder.layout_id:
            with answering():
                named |= {each.decode() for each in await buckets.client.hvals(key)}
    removed = 0
    with answering():
        async for key in buckets.client.scan_iter(match=layout_key("*"), count=SCAN_COUNT):
            if key.decode().rpartition(":")[2] not in named:
                idle_seconds = await buckets.client.object("IDLETIME", key)
                if idle_seconds is not None and idle_seconds >= LAYOUT_IDLE_SECONDS:
                    removed += await buckets.client.unlink(key)
    return removed


async def _last_used(buckets: RedisBuckets) -> dict[str, float]:
    """When each space was last written to; the one that the command is about is always in use."""
    with answering():
        known = await buckets.client.hgetall(USED_KEY)
    return {space.decode(): float(seconds) for space, seconds in known.items()} | {buckets.space_id: float("inf")}


async def _add_partition(client: Any, usage: Usage, holder: Holder, key: bytes) -> None:
    known = await client.hlen(key)
    usage.photos += known - await client.scard(key[:-1] + b"d")
    usage.value_bytes += await client.memory_usage(key, samples=MEASURED_MAX) or 0
    serving = await client.hget(f"{{{holder.space_id}:{holder.partition}}}:layout", "serving")
    usage.serving |= (serving or b"").decode() == holder.layout_id


async def _keys(client: Any) -> AsyncIterator[tuple[bytes, Holder, bytes]]:
    """Every key of a partition: its name, whose it is, and what follows the layout in its name."""
    with answering():
        async for key in client.scan_iter(match="{*:*}:*", count=SCAN_COUNT):
            if found := _OURS.fullmatch(key):
                holder = Holder(found["space"].decode(), int(found["partition"]), (found["layout"] or b"").decode())
                yield key, holder, found["rest"] or b""
