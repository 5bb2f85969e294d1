"""A real HTTP server over an album in memory, on a free port of this machine, for the tests of the web."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from memory_album import MemoryAlbum, MemorySearch

from stream_app.contract.operations import handlers_of
from stream_app.photo_answers import PhotoAnswers
from stream_app.settings import Settings
from stream_app.web import application_options, attach_web
from stream_app.word_answers import WordAnswers


@asynccontextmanager
async def serving(album: MemoryAlbum, data_dir: Path, *desks: object, **settings: Any) -> AsyncIterator[TestClient]:
    """A client of a running server; `desks` have further operations, `settings` are those of the worker."""
    chosen = Settings.from_environment({}, data_dir=data_dir, **settings)
    web_app = web.Application(**application_options(chosen))
    ours = (MemorySearch(album), PhotoAnswers(album), WordAnswers(album.vocabulary))
    attach_web(web_app, album, handlers_of([*ours, *desks]), chosen)
    async with TestClient(TestServer(web_app)) as client:
        yield client


async def problem_of(reply: Any, status: int) -> dict[str, Any]:
    """The problem body of a reply that must have that status."""
    assert reply.status == status
    assert reply.content_type == "application/problem+json"
    body: dict[str, Any] = await reply.json(content_type=None)
    assert body["status"] == status and body["title"] and body["detail"]
    return body
