"""A worker looking at itself: what its rooms say, put together every two seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from models.space import Space
from stream_app.dead_letters import DeadLetter, list_dead_letters, replay_dead_letter
from stream_app.encoder_queue import CountedEncoder
from stream_app.errors import ServiceUnavailable
from stream_app.freshness import Freshness
from stream_app.index.sizes import ShardSize, size_of
from stream_app.live_index import LiveIndex
from stream_app.metrics import REDIS_REACHABLE, REDIS_WRITES_WAITING, SHARD_ROWS, STREAM_LAG
from stream_app.observations import Number, Observations
from stream_app.recall_probe import RecallProbe
from stream_app.redis_client import RedisClient
from stream_app.redis_health import RedisState, look_at_redis
from stream_app.settings import Settings
from stream_app.stream_lag import Lag, LogEnds, Place, Position, lags
from stream_app.tallies import gauges, per_second, tallies
from stream_app.topics import activity_topic, collections_topic
from stream_app.watch import EVERY_SECONDS, KEPT_SECONDS, worker_card

log = logging.getLogger(__name__)

ENDS_SECONDS = 2.0
#: How often it is looked whether recall can be measured; after a measurement the probe itself says how long to rest.
PROBE_SECONDS = 4.0
#: Of more partitions than these only the sums are remembered over time.
PLOTTED_PARTITIONS_MAX = 16
DIGITS = 4
NAP_SECONDS = 0.01


@dataclass(frozen=True)
class WatchRoom:
    """What is looked at, handed in by the app; `positions` are those of the partitions of topics."""

    settings: Settings
    space: Space
    index: LiveIndex
    encoder: CountedEncoder
    redis_client: RedisClient
    freshness: Freshness
    embeddings_topic: str
    positions: Callable[[Iterable[str]], dict[Place, Position]]
    ready: Callable[[], tuple[bool, str]]


@dataclass
class _Seen:
    """What was seen last of things that are looked at in their own time."""

    ends: dict[Place, int] = field(default_factory=dict)
    broker_problem: str = ""
    redis: RedisState = field(default_factory=lambda: RedisState(False, problem="not asked yet"))


class WorkerWatch:
    """Observes one worker; see `stream_app.watch.Watch` for what each method promises."""

    def __init__(self, room: WatchRoom) -> None:
        self.card = worker_card(room.settings, room.space)
        self.observations = Observations(int(KEPT_SECONDS / EVERY_SECONDS))
        self._room = room
        self._streams = {
            "activity": activity_topic(room.settings),
            "embeddings": room.embeddings_topic,
            "collections": collections_topic(room.settings),
        }
        self._seen = _Seen()
        self._ends = LogEnds(room.settings)
        self._probe = RecallProbe(room.settings.search_recall)
        self._before = (time.monotonic(), tallies())
        self._letters_free = asyncio.Lock()

    async def run(self) -> None:
        """Look again and again, until it is cancelled."""
        try:
            await asyncio.gather(
                _again_and_again(self._observe, EVERY_SECONDS),
                _again_and_again(self._ask_redis, EVERY_SECONDS),
                _again_and_again(self._ask_broker, ENDS_SECONDS),
                _again_and_again(self._probe_recall, PROBE_SECONDS),
            )
        finally:
            self.observations.close()
            await self._ends.close()

    async def dead_letters(self) -> list[DeadLetter]:
        """Those that were not replayed yet, oldest first; one reading at a time."""
        async with self._letters_free:
            return await list_dead_letters(self._room.settings)

    async def replay(self, place: str) -> DeadLetter | None:
        """Send one to where it came from; after each other, so that a double click sends one."""
        async with self._letters_free:
            return await replay_dead_letter(self._room.settings, place)

    async def _observe(self) -> None:
        began = time.monotonic()
        shards = self._room.index.shards()
        sizes = await asyncio.to_thread(lambda: {each: size_of(shard) for each, shard in shards.items()})
        behind = lags(self._seen.ends, self._room.positions(self._streams.values()))
        self._tell_prometheus(sizes, behind)
        numbers = self._rates(began) | self._numbers(sizes, behind)
        numbers["loop.late_ms"] = await _lateness_ms()
        rounded = {name: None if each is None else round(each, DIGITS) for name, each in numbers.items()}
        self.observations.add(time.time_ns() // 1_000_000, rounded, self._state(sizes, behind))

    async def _ask_redis(self) -> None:
        self._seen.redis = await look_at_redis(self._room.redis_client)
        REDIS_REACHABLE.set(self._seen.redis.reachable)

    async def _ask_broker(self) -> None:
        try:
            self._seen.ends = await self._ends.ask(self._room.positions(self._streams.values()))
            self._seen.broker_problem = ""
        except ServiceUnavailable as away:
            self._seen.ends, self._seen.broker_problem = {}, str(away)

    async def _probe_recall(self) -> None:
        if self._room.index.ready:
            shards = list(self._room.index.shards().values())
            await asyncio.sleep(await self._probe.probe(shards, self._room.index.asked))

    def _rates(self, now: float) -> dict[str, Number]:
        then, before = self._before
        self._before = (now, tallies())
        return per_second(before, self._before[1], now - then)

    def _numbers(self, sizes: Mapping[int, ShardSize], behind: Mapping[Place, Lag]) -> dict[str, Number]:
        redis = self._seen.redis
        waits = self._room.freshness.percentiles()
        numbers: dict[str, Number] = {f"freshness.{name}": value for name, value in waits.items()}
        for kind, (mean, _) in self._probe.means().items():
            numbers[f"recall.{kind}"] = mean
        for stream, topic in self._streams.items():
            here = {partition: lag for (name, partition), lag in behind.items() if name == topic}
            numbers[f"lag.{stream}"] = sum(each.waiting for each in here.values()) if here else None
            numbers[f"queue.{stream}"] = sum(each.in_hand for each in here.values()) if here else None
            for partition, lag in sorted(here.items())[:PLOTTED_PARTITIONS_MAX]:
                numbers[f"lag.{stream}.{partition}"] = lag.waiting
        return (
            gauges()
            | numbers
            | {
                "queue.encoder": self._room.encoder.waiting,
                "queue.redis": self._room.index.writes_waiting,
                "index.photos": sum(each.photos for each in sizes.values()),
                "index.memtable_rows": sum(each.memtable_rows for each in sizes.values()),
                "index.segments": sum(len(each.segments) for each in sizes.values()),
                "redis.ping_ms": redis.ping_ms,
                "redis.memory_bytes": redis.memory_bytes,
            }
        )

    def _state(self, sizes: Mapping[int, ShardSize], behind: Mapping[Place, Lag]) -> dict[str, Any]:
        ready, reason = self._room.ready()
        seen = tallies()
        return {
            "ready": ready,
            "reason": reason,
            "partitions": [self._partition(each, sizes[each], behind) for each in sorted(sizes)],
            "redis": vars(self._seen.redis),
            "broker_problem": self._seen.broker_problem,
            "recall_queries": {kind: count for kind, (_, count) in self._probe.means().items()},
            "since_start": {name: seen[name] for name in sorted(seen)},
        }

    def _partition(self, partition: int, size: ShardSize, behind: Mapping[Place, Lag]) -> dict[str, Any]:
        lag = {stream: behind.get((topic, partition)) for stream, topic in self._streams.items()}
        return {
            "partition": partition,
            "photos": size.photos,
            "memtable_rows": size.memtable_rows,
            "segments": [each._asdict() for each in size.segments],
            "merging": size.merging,
            "lag": {stream: each.waiting if each else None for stream, each in lag.items()},
        }

    def _tell_prometheus(self, sizes: Mapping[int, ShardSize], behind: Mapping[Place, Lag]) -> None:
        REDIS_WRITES_WAITING.set(self._room.index.writes_waiting)
        streams = {topic: stream for stream, topic in self._streams.items()}
        STREAM_LAG.clear()  # of partitions that another worker has now
        for (topic, partition), lag in behind.items():
            STREAM_LAG.labels(streams[topic], partition).set(lag.waiting)
        SHARD_ROWS.clear()
        for partition, size in sizes.items():
            SHARD_ROWS.labels(partition, "memtable").set(size.memtable_rows)
            for segment in size.segments:
                SHARD_ROWS.labels(partition, segment.kind).inc(segment.rows)


async def _again_and_again(deed: Callable[[], Awaitable[None]], every_seconds: float) -> None:
    """Who watches must not fall: a deed that fails is tried again, and only its first failure in a row is logged."""
    failing = False
    while True:
        began = time.monotonic()
        try:
            await deed()
            failing = False
        except Exception:
            if not failing:
                log.exception("The worker could not look at itself")
            failing = True
        await asyncio.sleep(max(every_seconds / 2, every_seconds - (time.monotonic() - began)))


async def _lateness_ms() -> float:
    """By how much the event loop comes back too late from a nap, as every request that waits for its turn does."""
    before = time.perf_counter()
    await asyncio.sleep(NAP_SECONDS)
    return max(0.0, time.perf_counter() - before - NAP_SECONDS) * 1000
