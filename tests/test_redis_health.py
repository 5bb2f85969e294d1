"""How Redis is seen: by real servers, and by their absence."""

from __future__ import annotations

import redis.asyncio

from stream_app.redis_health import look_at_redis


async def test_a_server_that_answers_tells_its_memory(valkey_client: redis.asyncio.Redis) -> None:
    """And how quickly it answered."""
    state = await look_at_redis(valkey_client)

    assert state.reachable and state.problem == ""
    assert state.memory_bytes is not None and state.memory_bytes > 100_000
    assert state.ping_ms is not None


async def test_a_server_that_is_away_is_a_state_and_no_error(unused_tcp_port: int) -> None:
    """With a reason: nothing that looks at Redis may fall with it."""
    async with redis.asyncio.Redis(host="127.0.0.1", port=unused_tcp_port) as client:
        state = await look_at_redis(client)

    assert not state.reachable and state.problem
    assert state.memory_bytes is None and state.ping_ms is None
