"""How Redis is: whether it answers, how quickly, and how much memory it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from stream_app.errors import ServiceUnavailable
from stream_app.index.redis_calls import answering
from stream_app.redis_client import RedisClient

#: Redis that answers later than this counts as away: searches would have given it up.
ANSWER_SECONDS_MAX = 2.0


@dataclass(frozen=True)
class RedisState:
    """What was seen last. `memory_max_bytes` is 0 where Redis sets itself no limit; `problem` says why it is away."""

    reachable: bool
    ping_ms: float | None = None
    memory_bytes: int | None = None
    memory_max_bytes: int = 0
    problem: str = ""


async def look_at_redis(client: RedisClient) -> RedisState:
    """Its state; of a Cluster the slowest answer, and the memory of all its primary nodes together."""
    target = {"target_nodes": "primaries"} if isinstance(client, redis.asyncio.RedisCluster) else {}
    began = time.perf_counter()
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            with answering():
                await client.ping(**target)
                ping_ms = (time.perf_counter() - began) * 1000
                told = await client.info("memory", **target)
    except TimeoutError:
        return RedisState(False, problem=f"no answer within {ANSWER_SECONDS_MAX:.0f} s")
    except ServiceUnavailable as away:
        return RedisState(False, problem=away.received or away.problem)
    return _state(ping_ms, _nodes(told))


def _nodes(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What each node told: one server tells of itself, a Cluster by node."""
    return [told] if "used_memory" in told else [each for each in told.values() if isinstance(each, Mapping)]


def _state(ping_ms: float, nodes: Sequence[Mapping[str, Any]]) -> RedisState:
    return RedisState(
        reachable=True,
        ping_ms=ping_ms,
        memory_bytes=sum(int(each.get("used_memory", 0)) for each in nodes),
        memory_max_bytes=sum(int(each.get("maxmemory", 0)) for each in nodes),
    )
