"""The photos in the body of a request: raw bytes or a form, counted while they arrive."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http import HttpProcessingError

from stream_app.errors import QueryRejected
from stream_app.web.problems import RequestRefused

CHUNK_BYTES = 256 * 1024
#: A body may come slowly, but it has to end.
BODY_SECONDS_MAX = 300.0
FIELD_BYTES_MAX = 16 * 1024
PARTS_MAX = 1_000
NAME_CHARACTERS_MAX = 200
TITLE_CHARACTERS_MAX = 300
TAGS_MAX = 100


@dataclass(frozen=True)
class SentFile:
    """One file of a request, under a name without folders or control characters."""

    name: str
    data: bytes
    field: str = ""


@dataclass
class SentPhotos:
    """What a request sent: its files in order, and the fields title and tags."""

    files: list[SentFile] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """Title and tags as an upload's metadata; tags may be repeated or separated by commas."""
        title = " ".join(self.fields.get("title", [])).strip()[:TITLE_CHARACTERS_MAX]
        tags = [tag.strip() for text in self.fields.get("tags", []) for tag in text.split(",")]
        tags = list(dict.fromkeys(tag for tag in tags if tag))[:TAGS_MAX]
        return ({"title": title} if title else {}) | ({"tags": tags} if tags else {})

    def fingerprint(self) -> str:
        """The same for what asks for the same, in whatever form it came; for another thread, since it may be much."""
        photos = [[each.name, hashlib.sha256(each.data).hexdigest()] for each in self.files]
        return hashlib.sha256(orjson.dumps([photos, self.metadata()])).hexdigest()


async def read_photos(request: web.Request, bytes_max: int) -> SentPhotos:
    """The files of a request; raises QueryRejected when there is none or they cannot be read.

    Raises RequestRefused above `bytes_max` (413), and when they take too long to arrive (408).
    """
    if (request.content_length or 0) > bytes_max:
        raise too_large(bytes_max, f"{request.content_length} bytes")
    read = _read_form if request.content_type.startswith("multipart/") else _read_raw
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            sent = await read(request, bytes_max)
    except TimeoutError:
        raise RequestRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            "the request took too long to arrive",
            expected=f"all of it within {BODY_SECONDS_MAX:.0f} s",
            remedy="Send fewer or smaller photos at a time.",
        ) from None
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise QueryRejected(
            "the body cannot be read",
            expected="a photo as the body, or a form with a file",
            received=" ".join(str(error).split())[:200],
            remedy="Try: curl --data-binary @photo.jpg, or curl -F image=@photo.jpg.",
        ) from error
    if not sent.files:
        raise QueryRejected(
            "the request has no photo",
            expected="a photo as the body, or a form with a file",
            received="no file",
            remedy="Try: curl --data-binary @photo.jpg, or curl -F image=@photo.jpg.",
        )
    return sent


async def read_one_photo(request: web.Request, bytes_max: int) -> bytes:
    """The bytes of the photo to search by: the raw body, the file of field `image`, or the first file."""
    sent = await read_photos(request, bytes_max)
    return next((file for file in sent.files if file.field == "image"), sent.files[0]).data


def too_large(bytes_max: int, received: str) -> RequestRefused:
    """The refusal of a body that is larger than SIGHTLINE_UPLOAD_BYTES_MAX."""
    return RequestRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "the request is too large",
        expected=f"at most {bytes_max} bytes",
        received=received,
        remedy="Send fewer or smaller photos at a time, or raise SIGHTLINE_UPLOAD_BYTES_MAX.",
    )


def clean_name(name: str) -> str:
    """A file name without folders and control characters; of a long one the end, "photo" if empty."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    return kept[-NAME_CHARACTERS_MAX:] or "photo"


async def _read_raw(request: web.Request, bytes_max: int) -> SentPhotos:
    chunks = request.content.iter_chunked(CHUNK_BYTES)
    data = await _gather(chunks, bytes_max, bytes_max)
    name = clean_name(request.query.get("name", "photo"))
    fields = {key: request.query.getall(key) for key in ("title", "tags") if key in request.query}
    return SentPhotos([SentFile(name, data)] if data else [], fields)


async def _read_form(request: web.Request, bytes_max: int) -> SentPhotos:
    sent = SentPhotos()
    left = bytes_max
    try:
        async for part in _parts(await request.multipart()):
            limit = left if part.filename else min(left, FIELD_BYTES_MAX)
            data = await _gather(_chunks_of(part), limit, bytes_max)
            left -= len(data)
            _keep(sent, part, data)
    except (ValueError, AssertionError, LookupError, RuntimeError) as error:
        # aiohttp's form reader has no error of its own: a broken boundary or header is any of these.
        raise QueryRejected(
            "the form cannot be read",
            expected="a multipart/form-data body with its boundary",
            received=type(error).__name__,
            remedy="Try: curl -F image=@photo.jpg.",
        ) from error
    return sent


async def _parts(reader: MultipartReader) -> AsyncIterator[BodyPartReader]:
    count = 0
    while (part := await reader.next()) is not None:
        count += 1
        if count > PARTS_MAX or not isinstance(part, BodyPartReader):
            raise ValueError("too many parts, or a form within the form")
        yield part


def _keep(sent: SentPhotos, part: BodyPartReader, data: bytes) -> None:
    if part.filename:
        sent.files.append(SentFile(clean_name(part.filename), data, part.name or ""))
    elif part.name:
        sent.fields.setdefault(part.name, []).append(data.decode("utf-8", "replace"))


async def _chunks_of(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield chunk


async def _gather(chunks: AsyncIterator[bytes], limit: int, bytes_max: int) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > limit:
            raise too_large(bytes_max, f"more than {limit} bytes")
    return bytes(data)
