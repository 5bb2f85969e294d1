"""The body of a request: photos as raw bytes or a form, or JSON; counted while it arrives."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http import HttpProcessingError

from stream_app.errors import RequestMalformed
from stream_app.web.problems import RequestRefused

CHUNK_BYTES = 256 * 1024
#: A body may come slowly, but it has to end.
BODY_SECONDS_MAX = 300.0
JSON_BYTES_MAX = 64 * 1024
#: The field of a form that holds the photo; a file of any other name will do.
PHOTO_FIELD = "image"
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

    def metadata(self, title: str, tags: Sequence[str]) -> dict[str, Any]:
        """Title and tags as an upload's metadata: those of the form, where it has some, else these."""
        title = " ".join(self.fields.get("title", [title])).strip()[:TITLE_CHARACTERS_MAX]
        tags = [tag.strip() for text in self.fields.get("tags", tags) for tag in text.split(",")]
        tags = list(dict.fromkeys(tag for tag in tags if tag))[:TAGS_MAX]
        return ({"title": title} if title else {}) | ({"tags": tags} if tags else {})

    def fingerprint(self, metadata: dict[str, Any]) -> str:
        """The same for what asks for the same, in whatever form it came; for another thread, since it may be much."""
        photos = [[each.name, hashlib.sha256(each.data).hexdigest()] for each in self.files]
        return hashlib.sha256(orjson.dumps([photos, metadata])).hexdigest()


async def read_photos(
    request: web.Request, bytes_max: int, name: str = "", field_names: Collection[str] = ()
) -> SentPhotos:
    """The files of a request; one that is the whole body has the name `name`, a form may have these other fields.

    Raises RequestMalformed when there is none or they cannot be read, and RequestRefused above `bytes_max` (413) and
    when they take too long to arrive (408).
    """
    if (request.content_length or 0) > bytes_max:
        raise _too_large(bytes_max, f"{request.content_length} bytes")
    is_form = request.content_type.startswith("multipart/")
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            sent = await (
                _read_form(request, bytes_max, field_names) if is_form else _read_raw(request, bytes_max, name)
            )
    except TimeoutError:
        raise _too_slow("Send fewer or smaller photos at a time.") from None
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise RequestMalformed(
            "the body cannot be read",
            expected="a photo as the body, or a form with a file",
            received=" ".join(str(error).split())[:200],
            remedy="Try: curl --data-binary @photo.jpg, or curl -F image=@photo.jpg.",
        ) from error
    if not sent.files:
        raise RequestMalformed(
            "the request has no photo",
            expected="a photo as the body, or a form with a file",
            received="no file",
            remedy="Try: curl --data-binary @photo.jpg, or curl -F image=@photo.jpg.",
        )
    return sent


async def read_one_photo(request: web.Request, bytes_max: int) -> bytes:
    """The bytes of the photo to search by: the raw body, the file of field `image`, or the first file."""
    sent = await read_photos(request, bytes_max)
    return next((file for file in sent.files if file.field == PHOTO_FIELD), sent.files[0]).data


async def read_json(request: web.Request) -> object:
    """The body as JSON; raises RequestRefused for another kind (415) or a large one, RequestMalformed for no JSON."""
    if request.headers.get("Content-Type") and not _is_json(request.content_type):
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the body is of another kind",
            expected="application/json",
            received=request.headers["Content-Type"][:80],
            remedy="Try: curl -H 'Content-Type: application/json' -d '{}'.",
        )
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            data = await _gather(request.content.iter_chunked(CHUNK_BYTES), JSON_BYTES_MAX, JSON_BYTES_MAX)
        return orjson.loads(data)
    except TimeoutError:
        raise _too_slow("Send it at once.") from None
    except (HttpProcessingError, web.RequestPayloadError, orjson.JSONDecodeError) as error:
        raise RequestMalformed(
            "the body cannot be used", expected="a JSON object in UTF-8", received=" ".join(str(error).split())[:160]
        ) from error


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


def _too_large(bytes_max: int, received: str) -> RequestRefused:
    remedy = "Send fewer or smaller photos at a time, or raise SIGHTLINE_UPLOAD_BYTES_MAX."
    return RequestRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "the request is too large",
        expected=f"at most {bytes_max} bytes",
        received=received,
        remedy="Ask for less at a time." if bytes_max == JSON_BYTES_MAX else remedy,
    )


def _too_slow(remedy: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.REQUEST_TIMEOUT,
        "the request took too long to arrive",
        expected=f"all of it within {BODY_SECONDS_MAX:.0f} s",
        remedy=remedy,
    )


def clean_name(name: str) -> str:
    """A file name without folders and control characters; of a long one the end, "photo" if empty."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    return kept[-NAME_CHARACTERS_MAX:] or "photo"


async def _read_raw(request: web.Request, bytes_max: int, name: str) -> SentPhotos:
    data = await _gather(request.content.iter_chunked(CHUNK_BYTES), bytes_max, bytes_max)
    return SentPhotos([SentFile(clean_name(name), data)] if data else [])


async def _read_form(request: web.Request, bytes_max: int, field_names: Collection[str]) -> SentPhotos:
    sent = SentPhotos()
    left = bytes_max
    try:
        async for part in _parts(await request.multipart()):
            limit = left if part.filename or part.name == PHOTO_FIELD else min(left, FIELD_BYTES_MAX)
            data = await _gather(_chunks_of(part), limit, bytes_max)
            left -= len(data)
            _keep(sent, part, data, field_names)
    except (ValueError, AssertionError, LookupError, RuntimeError) as error:
        # aiohttp's form reader has no error of its own: a broken boundary or header is any of these.
        raise RequestMalformed(
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


def _keep(sent: SentPhotos, part: BodyPartReader, data: bytes, field_names: Collection[str]) -> None:
    if part.filename or part.name == PHOTO_FIELD:
        sent.files.append(SentFile(clean_name(part.filename or ""), data, part.name or ""))
    elif part.name and part.name in field_names:
        sent.fields.setdefault(part.name, []).append(data.decode("utf-8", "replace"))
    else:
        raise RequestMalformed(
            "a field of the form cannot be used",
            expected=f"files, and {' and '.join(field_names)}" if field_names else "files",
            received=repr(part.name)[:60],
        )


async def _chunks_of(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield chunk


async def _gather(chunks: AsyncIterator[bytes], limit: int, bytes_max: int) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > limit:
            raise _too_large(bytes_max, f"more than {limit} bytes")
    return bytes(data)
