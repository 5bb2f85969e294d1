"""What supervisors and Prometheus ask: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from stream_app.album import Album


class ProbeViews:
    """Views for machines; none of them waits for anything."""

    def __init__(self, album: Album, registry: CollectorRegistry = REGISTRY) -> None:
        self._album = album
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.get("/healthz", self.alive),
            web.get("/livez", self.alive),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def alive(self, request: web.Request) -> web.Response:
        """200 as long as the event loop turns."""
        return web.json_response({"alive": True}, headers=_FRESH)

    async def ready(self, request: web.Request) -> web.Response:
        """200 when partitions are assigned and recovered, else 503 with the reason."""
        ready, reason = self._album.ready()
        return web.json_response({"ready": ready, "reason": reason}, status=200 if ready else 503, headers=_FRESH)

    async def metrics(self, request: web.Request) -> web.Response:
        """Everything registered with Prometheus' registry, in its text format."""
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST} | _FRESH
        )


_FRESH = {"Cache-Control": "no-store"}
