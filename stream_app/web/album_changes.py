"""The two ways in which a browser or a program changes the album: uploading and deleting."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from stream_app.album import Album
from stream_app.contract.photos import PhotoRequest
from stream_app.contract.uploads import RejectedFile, UploadAnswer, UploadedPhoto, UploadRequest
from stream_app.contract.values import id_of
from stream_app.errors import EventRejected, PhotoRejected, RequestMalformed
from stream_app.idempotency import IdempotencyKeys
from stream_app.in_time import in_time
from stream_app.web.bodies import SentFile, SentPhotos, read_photos
from stream_app.web.parameters import request_of
from stream_app.web.photo_types import name_as, require_readable_photo
from stream_app.web.thumbnails import Thumbnails

Rejection = tuple[SentFile, PhotoRejected | EventRejected]


class ChangeViews:
    """Views that change the album; each answers when the change is durable."""

    def __init__(
        self, album: Album, thumbnails: Thumbnails, idempotency: IdempotencyKeys, upload_bytes_max: int
    ) -> None:
        self._album = album
        self._thumbnails = thumbnails
        self._idempotency = idempotency
        self._upload_bytes_max = upload_bytes_max

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.post("/api/photos", self.upload),
            web.delete("/api/photos/{photo_id}", self.delete),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Takes photos into the album: 202 with their ids; one that is no photo does not stop the others.

        Under an Idempotency-Key a repetition gets the same answer, and makes no second photo.
        """
        key = idempotency_key_of(request)
        asked = request_of(UploadRequest, request)
        sent = await read_photos(request, self._upload_bytes_max, asked.name, ("title", "tags"))
        metadata = sent.metadata(asked.title, asked.tags)
        if key is None:
            return _accepted(await self._upload_all(sent, metadata))
        fingerprint = await asyncio.to_thread(sent.fingerprint, metadata)
        kept, repeated = await self._idempotency.once(key, fingerprint, lambda: self._upload_all(sent, metadata))
        return _accepted(kept, {"Idempotent-Replayed": "true"} if repeated else {})

    async def delete(self, request: web.Request) -> web.Response:
        """Deletes a photo: 204 when it can no longer be found."""
        photo_id = id_of(request_of(PhotoRequest, request).photo_id)
        await in_time(self._album.delete(photo_id))
        await self._thumbnails.forget(photo_id)
        return web.Response(status=204)

    async def _upload_all(self, sent: SentPhotos, metadata: dict[str, Any]) -> dict[str, Any]:
        """The answer as JSON has it; raises what the first photo was refused for when none was accepted."""
        accepted, rejected = await self._upload_each(sent, metadata)
        if not accepted:
            raise rejected[0][1]
        answer = UploadAnswer(
            photo_id=accepted[0].photo_id,
            photos=accepted,
            rejected=[RejectedFile(name=file.name, detail=str(error)) for file, error in rejected],
        )
        found: dict[str, Any] = msgspec.to_builtins(answer)
        return found

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


def idempotency_key_of(request: web.Request) -> str | None:
    """The request's Idempotency-Key, where it has one; raises RequestMalformed for one that cannot be used."""
    keys = request.headers.getall("Idempotency-Key", [])
    if not keys:
        return None
    if len(keys) > 1 or not re.fullmatch(r"[!-~]{1,255}", keys[0]):
        raise RequestMalformed(
            "The Idempotency-Key cannot be used",
            expected="one key of 1 to 255 visible ASCII characters, without blanks",
            received=" and ".join(repr(each[:80]) for each in keys[:2]),
            remedy="A random UUID will do.",
        )
    return keys[0]


def _accepted(body: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    location = {"Location": body["photos"][0]["location"]}
    return web.json_response(body, status=HTTPStatus.ACCEPTED, headers=location | (headers or {}))
