"""The questions a browser or a program can ask of the album: photos, searches, numbers."""

from __future__ import annotations

import time

from aiohttp import web

from stream_app.album import Album
from stream_app.web.bodies import read_one_photo
from stream_app.web.parameters import k_of, offset_of, photo_id_of, words_of
from stream_app.web.photo_types import require_readable_photo
from stream_app.web.problems import in_time
from stream_app.web.replies import classification_json, photo_json, search_json


class QuestionViews:
    """Views that read the album and change nothing."""

    def __init__(self, album: Album, upload_bytes_max: int) -> None:
        self._album = album
        self._upload_bytes_max = upload_bytes_max

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.get("/api/photos", self.photos),
            web.get("/api/photos/{photo_id}", self.photo),
            web.get("/api/photos/{photo_id}/related", self.related),
            web.get("/api/search", self.search_words),
            web.post("/api/search/image", self.search_image),
            web.post("/api/classify", self.classify),
            web.get("/api/stats", self.stats),
        ]

    async def photos(self, request: web.Request) -> web.Response:
        """The album, newest first, from `offset` on."""
        offset, k = offset_of(request), k_of(request)
        photos = await in_time(self._album.photos(offset, k))
        return web.json_response({"photos": [photo_json(photo) for photo in photos], "offset": offset})

    async def photo(self, request: web.Request) -> web.Response:
        """One photo with its labels and words."""
        return web.json_response(photo_json(await in_time(self._album.photo(photo_id_of(request)))))

    async def related(self, request: web.Request) -> web.Response:
        """The photos most like one of the album."""
        began = time.perf_counter()
        reply = await in_time(self._album.related(photo_id_of(request), k_of(request)))
        return web.json_response(search_json(reply, began))

    async def search_words(self, request: web.Request) -> web.Response:
        """The photos nearest to words."""
        began = time.perf_counter()
        reply = await in_time(self._album.search_words(words_of(request), k_of(request)))
        return web.json_response(search_json(reply, began))

    async def search_image(self, request: web.Request) -> web.Response:
        """The photos nearest to the one in the body; `took_ms` counts from its last byte."""
        k = k_of(request)
        image = await self._sent_image(request)
        began = time.perf_counter()
        reply = await in_time(self._album.search_image(image, k))
        return web.json_response(search_json(reply, began))

    async def classify(self, request: web.Request) -> web.Response:
        """What the photo in the body shows."""
        k = k_of(request)
        image = await self._sent_image(request)
        return web.json_response(classification_json(await in_time(self._album.classify(image, k))))

    async def stats(self, request: web.Request) -> web.Response:
        """Numbers of this worker, `photos` among them; the page learns the upload limit from here."""
        numbers = {"upload_bytes_max": self._upload_bytes_max} | await in_time(self._album.stats())
        return web.json_response(numbers, headers={"Cache-Control": "no-store"})

    async def _sent_image(self, request: web.Request) -> bytes:
        image = await read_one_photo(request, self._upload_bytes_max)
        require_readable_photo(image)
        return image
