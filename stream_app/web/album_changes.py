"""The two ways in which a browser or a program changes the album: uploading and deleting."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from stream_app.album import Album
from stream_app.errors import EventRejected, PhotoRejected
from stream_app.web.bodies import SentFile, SentPhotos, read_photos
from stream_app.web.parameters import photo_id_of
from stream_app.web.photo_types import name_as, require_readable_photo
from stream_app.web.problems import in_time
from stream_app.web.thumbnails import Thumbnails

Rejection = tuple[SentFile, PhotoRejected | EventRejected]


class ChangeViews:
    """Views that change the album; each answers when the change is durable."""

    def __init__(self, album: Album, thumbnails: Thumbnails, upload_bytes_max: int) -> None:
        self._album = album
        self._thumbnails = thumbnails
        self._upload_bytes_max = upload_bytes_max

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.post("/api/photos", self.upload),
            web.delete("/api/photos/{photo_id}", self.delete),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Takes photos into the album: 202 with their ids; one that is no photo does not stop the others."""
        sent = await read_photos(request, self._upload_bytes_max)
        accepted, rejected = await self._upload_each(sent)
        if not accepted:
            raise rejected[0][1]
        location = accepted[0]["location"]
        body = {
            "photo_id": accepted[0]["photo_id"],
            "photos": accepted,
            "rejected": [{"name": file.name, "detail": str(error)} for file, error in rejected],
        }
        return web.json_response(body, status=202, headers={"Location": location})

    async def delete(self, request: web.Request) -> web.Response:
        """Deletes a photo: 204 when it can no longer be found."""
        photo_id = photo_id_of(request)
        await in_time(self._album.delete(photo_id))
        await self._thumbnails.forget(photo_id)
        return web.Response(status=204)

    async def _upload_each(self, sent: SentPhotos) -> tuple[list[dict[str, Any]], list[Rejection]]:
        accepted: list[dict[str, Any]] = []
        rejected: list[Rejection] = []
        metadata = sent.metadata()
        for file in sent.files:
            try:
                kind = require_readable_photo(file.data, repr(file.name))
                name = name_as(kind, file.name)
                photo_id = await in_time(self._album.upload(file.data, name, dict(metadata)))
            except (PhotoRejected, EventRejected) as error:
                rejected.append((file, error))
            else:
                accepted.append({"photo_id": str(photo_id), "location": f"/api/photos/{photo_id}", "name": file.name})
        return accepted, rejected
