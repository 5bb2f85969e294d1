"""The two ways in which a browser or a program changes the album: uploading and deleting."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web

from stream_app.album import Album
from stream_app.contract.photos import PhotoRequest
from stream_app.contract.uploads import RejectedFile, UploadAnswer, UploadedPhoto, UploadRequest
from stream_app.contract.values import id_of
from stream_app.errors import EventRejected, PhotoRejected
from stream_app.in_time import in_time
from stream_app.web.bodies import SentFile, SentPhotos, read_photos
from stream_app.web.parameters import request_of
from stream_app.web.photo_types import name_as, require_readable_photo
from stream_app.web.replies import json_reply
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
        asked = request_of(UploadRequest, request)
        sent = await read_photos(request, self._upload_bytes_max, asked.name, ("title", "tags"))
        accepted, rejected = await self._upload_each(sent, sent.metadata(asked.title, asked.tags))
        if not accepted:
            raise rejected[0][1]
        answer = UploadAnswer(
            photo_id=accepted[0].photo_id,
            photos=accepted,
            rejected=[RejectedFile(name=file.name, detail=str(error)) for file, error in rejected],
        )
        return json_reply(answer, HTTPStatus.ACCEPTED, Location=accepted[0].location)

    async def delete(self, request: web.Request) -> web.Response:
        """Deletes a photo: 204 when it can no longer be found."""
        photo_id = id_of(request_of(PhotoRequest, request).photo_id)
        await in_time(self._album.delete(photo_id))
        await self._thumbnails.forget(photo_id)
        return web.Response(status=204)

    async def _upload_each(
        self, sent: SentPhotos, metadata: dict[str, Any]
    ) -> tuple[list[UploadedPhoto], list[Rejection]]:
        accepted: list[UploadedPhoto] = []
        rejected: list[Rejection] = []
        for file in sent.files:
            try:
                kind = require_readable_photo(file.data, repr(file.name))
                name = name_as(kind, file.name)
                photo_id = await in_time(self._album.upload(file.data, name, dict(metadata)))
            except (PhotoRejected, EventRejected) as error:
                rejected.append((file, error))
            else:
                place = f"/api/photos/{photo_id}"
                accepted.append(UploadedPhoto(photo_id=str(photo_id), location=place, name=file.name))
        return accepted, rejected
