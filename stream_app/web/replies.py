"""Answers of the contract as replies."""

from __future__ import annotations

import hashlib
from http import HTTPStatus

import msgspec
from aiohttp import web

from stream_app.contract.values import Answer


def json_reply(answer: Answer, status: int = HTTPStatus.OK, **headers: str) -> web.Response:
    """An answer as JSON."""
    return web.Response(
        body=msgspec.json.encode(answer), status=status, content_type="application/json", headers=headers
    )


def fixed_reply(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """What stays the same as long as the worker runs: the browser asks each time whether it has changed."""
    etag = hashlib.sha256(body).hexdigest()[:20]
    if any(each.value == etag for each in request.if_none_match or ()):
        reply = web.Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        reply = web.Response(body=body, content_type=content_type, charset="utf-8")
        reply.enable_compression()
    reply.etag = etag
    reply.headers["Cache-Control"] = "no-cache"
    return reply
