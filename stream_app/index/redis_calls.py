"""How the index speaks to Redis: scripts by their checksum, many in one go, and one error for all that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from stream_app.errors import ServiceUnavailable
from stream_app.index.scripts import Script


async def call(client: Any, script: Script, keys: Sequence[str], *arguments: Any) -> Any:
    """What one script answers; raises ServiceUnavailable."""
    return (await call_all(client, script, [(keys, arguments)]))[0]


async def call_all(client: Any, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
    """What a script answers to each of several calls, sent together; raises ServiceUnavailable.

    A call may be carried out twice: where a server did not know the script, all of them are sent again.
    """
    with answering():
        try:
            return await _send(client, script, calls)
        except NoScriptError:  # Redis was restarted, or this is its first call
            await client.script_load(script.text)
            return await _send(client, script, calls)


async def _send(client: Any, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
    if len(calls) == 1:
        ((keys, arguments),) = calls
        return [await client.evalsha(script.sha, len(keys), *keys, *arguments)]
    pipe = client.pipeline(transaction=False)
    for keys, arguments in calls:
        # Not `evalsha`: the pipeline of a Cluster refuses it by that name, though all keys are on one node.
        pipe.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
    return list(await pipe.execute())


@contextmanager
def answering() -> Iterator[None]:
    """Raises ServiceUnavailable for whatever the driver raises in the block."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
        raise ServiceUnavailable(
            "Redis does not answer",
            received=str(error) or type(error).__name__,
            remedy="Check SIGHTLINE_REDIS_URL and the server; writes wait and are tried again.",
        ) from error
