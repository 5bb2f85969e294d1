"""The Redis of the settings: one server, or a Cluster; and the buckets in it that a worker and the commands share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import redis.asyncio
from redis.asyncio.cluster import ClusterNode

from models.space import Space
from stream_app.errors import LayoutRejected, SettingsError
from stream_app.index.buckets import RedisBuckets, cold_planes
from stream_app.index.layout import load_layout
from stream_app.index.lsh import Hyperplanes
from stream_app.settings import Settings

log = logging.getLogger(__name__)

RedisClient = redis.asyncio.Redis | redis.asyncio.RedisCluster

#: `redis+cluster://host:port,host:port`: any nodes of the Cluster, which tell of the others; rediss: with TLS.
CLUSTER_SCHEMES = {"redis+cluster": False, "rediss+cluster": True}


def connect(settings: Settings) -> RedisClient:
    """A client, which connects when it is first used; raises SettingsError for an address that is none."""
    scheme, _, rest = settings.redis_url.partition("://")
    try:
        if scheme not in CLUSTER_SCHEMES:
            return redis.asyncio.from_url(settings.redis_url)
        credentials, _, places = rest.rstrip("/").rpartition("@")
        user, _, password = credentials.partition(":")
        nodes = [ClusterNode(host, int(port)) for host, _, port in (each.rpartition(":") for each in places.split(","))]
        return redis.asyncio.RedisCluster(
            startup_nodes=nodes,
            username=user or None,
            password=password or None,
            ssl=CLUSTER_SCHEMES[scheme],
        )
    except ValueError as error:
        raise SettingsError(
            "The address of Redis cannot be used",
            expected="SIGHTLINE_REDIS_URL as redis://host:port/0, or redis+cluster://host:port,host:port",
            received=f"{scheme}://…: {error}" if "@" in rest else repr(settings.redis_url),
        ) from None


@asynccontextmanager
async def open_buckets(settings: Settings, space: Space) -> AsyncIterator[RedisBuckets]:
    """The buckets of a space, for a command; raises SettingsError where no Redis is set."""
    if not settings.redis_url:
        raise SettingsError("SIGHTLINE_REDIS_URL is not set", expected="the address of a running Redis")
    client = connect(settings)
    try:
        yield RedisBuckets(client, space_id=space.space_id, planes=first_planes(settings, space))
    finally:
        await client.aclose()


def layout_path(settings: Settings, space: Space) -> Path:
    """Where the layout that was fitted last is kept, beside the shards of its space."""
    return settings.data_dir / "index" / space.space_id / "layout.lsh"


def first_planes(settings: Settings, space: Space) -> Hyperplanes:
    """What a partition begins with that Redis knows nothing of: what was fitted last here, else random planes."""
    try:
        fitted = load_layout(layout_path(settings, space), dimensions=space.search_dimensions)
    except LayoutRejected as damage:
        log.warning("%s", damage)
        fitted = None
    return fitted or cold_planes(space.search_dimensions)
