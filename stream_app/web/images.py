"""The photos themselves over HTTP: originals and thumbnails, never anything a browser could run."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from stream_app.album import Album, Photo
from stream_app.contract.uploads import SIDES_PX, ImageRequest
from stream_app.contract.values import id_of
from stream_app.in_time import in_time
from stream_app.web.bodies import clean_name
from stream_app.web.parameters import request_of
from stream_app.web.photo_types import require_photo
from stream_app.web.thumbnails import Thumbnails

# A photo opened in a tab of its own is a document too: it may load and run nothing at all.
IMAGE_POLICY = "default-src 'none'; sandbox"


class ImageViews:
    """The view of one photo's bytes; `?side=` asks for a WebP thumbnail."""

    def __init__(self, album: Album, thumbnails: Thumbnails) -> None:
        self._album = album
        self._thumbnails = thumbnails

    def routes(self) -> list[web.RouteDef]:
        """Every route of this view."""
        return [web.get("/api/photos/{photo_id}/image", self.image)]

    async def image(self, request: web.Request) -> web.Response:
        """The original, or a thumbnail; 304 when the browser has this version already."""
        asked = request_of(ImageRequest, request)
        photo_id, side_px = id_of(asked.photo_id), _rounded_up(asked.side)
        photo = await in_time(self._album.photo(photo_id))
        etag = f"{photo_id}-{photo.time_ms}-{side_px or 'original'}"
        if _has(request, etag):
            reply = web.Response(status=304)
        elif side_px is None:
            reply = _original(photo, await self._bytes(photo_id))
        else:
            reply = await self._thumbnail(photo, side_px)
        reply.etag = etag
        # Kept by the browser but asked about each time: a deleted photo must not come back from there.
        reply.headers["Cache-Control"] = "private, no-cache"
        reply.headers["Content-Security-Policy"] = IMAGE_POLICY
        return reply

    async def _thumbnail(self, photo: Photo, side_px: int) -> web.Response:
        small = await self._thumbnails.get(photo.photo_id, photo.time_ms, side_px, lambda: self._bytes(photo.photo_id))
        return web.Response(body=small, content_type="image/webp")

    async def _bytes(self, photo_id: int) -> bytes:
        data, _ = await in_time(self._album.image(photo_id))
        return data


def _original(photo: Photo, data: bytes) -> web.Response:
    kind = require_photo(data, "what is stored")
    reply = web.Response(body=data, content_type=kind)
    reply.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(_file_name(photo))}"
    return reply


def _file_name(photo: Photo) -> str:
    return clean_name(unquote(urlsplit(photo.url).path))


def _rounded_up(side_px: int | None) -> int | None:
    """The side that is made for one that is asked for."""
    return None if side_px is None else next(each for each in SIDES_PX if each >= side_px)


def _has(request: web.Request, etag: str) -> bool:
    return any(each.value == etag for each in request.if_none_match or ())
