"""Joins views, doors and page into the worker's own aiohttp application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from stream_app.album import Album
from stream_app.contract.operations import OPERATIONS, Handlers
from stream_app.errors import SightlineError
from stream_app.idempotency import IdempotencyKeys
from stream_app.settings import Settings
from stream_app.web.album_changes import ChangeViews
from stream_app.web.document_views import DocumentViews
from stream_app.web.images import ImageViews
from stream_app.web.operation_views import OperationViews
from stream_app.web.page import PageViews
from stream_app.web.probes import ProbeViews
from stream_app.web.problems import answer_with_problems
from stream_app.web.projector_view import ProjectorView
from stream_app.web.security import guard, set_security_headers
from stream_app.web.stats_view import StatsView
from stream_app.web.thumbnails import Thumbnails

#: As many ids, tags and words as the contract allows stand in an address; aiohttp alone would stop at 8 KB.
ADDRESS_BYTES_MAX = 256 * 1024
#: How often thumbnails of photos that are no more are looked for, and how often a worker that starts is asked again.
SWEEP_SECONDS = 600.0
READY_SECONDS = 5.0
#: A worker that has just started may still have deletions before it: it looks again soon, then ever less often.
FIRST_SWEEP_SECONDS = 10.0


def application_options(settings: Settings) -> dict[str, Any]:
    """What aiohttp's Application is made with: the doors, outermost first, and limits."""
    return {
        "middlewares": [set_security_headers, answer_with_problems, guard(settings)],
        "client_max_size": settings.upload_bytes_max,
        "handler_args": {"max_line_size": ADDRESS_BYTES_MAX},
    }


def attach_web(web_app: web.Application, album: Album, handlers: Handlers, settings: Settings) -> None:
    """Registers every route of Sightline; the application must be made with `application_options`."""
    thumbnails = Thumbnails(
        settings.data_dir / "thumbnails",
        pixels_max=settings.photo_pixels_max,
        bytes_max=settings.thumbnail_bytes_max,
    )
    for views in (
        OperationViews(handlers, settings.upload_bytes_max),
        DocumentViews([each for each in OPERATIONS if each.name in handlers], settings),
        StatsView(album, settings.upload_bytes_max),
        ChangeViews(album, thumbnails, IdempotencyKeys(settings.data_dir / "idempotency"), settings.upload_bytes_max),
        ImageViews(album, thumbnails),
        ProjectorView(album, thumbnails, pixels_max=settings.photo_pixels_max),
        ProbeViews(album),
        PageViews(),
    ):
        web_app.add_routes(views.routes())

    async def sweep_thumbnails(_: web.Application) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(thumbnails, album))
        yield
        sweeping.cancel()
        thumbnails.close()

    web_app.cleanup_ctx.append(sweep_thumbnails)


async def _sweep(thumbnails: Thumbnails, album: Album) -> None:
    """Now and then remove the thumbnails of photos that are no more, from the moment that the album can be asked."""
    pause_seconds = FIRST_SWEEP_SECONDS
    while True:
        try:
            await thumbnails.forget_unknown(album.known)
        except (SightlineError, OSError):
            await asyncio.sleep(READY_SECONDS)
            continue
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, SWEEP_SECONDS)
