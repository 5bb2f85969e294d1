"""The operations of the contract over HTTP: from path, query and body to a request, from an answer to JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import orjson
from aiohttp import web

from stream_app.contract.operations import OPERATIONS, Handler, Handlers, Operation
from stream_app.contract.reading import request_from_json, request_from_texts
from stream_app.contract.values import Request
from stream_app.errors import QueryRejected
from stream_app.web.bodies import read_one_photo, too_large
from stream_app.web.photo_types import require_readable_photo
from stream_app.web.problems import in_time

JSON_BYTES_MAX = 64 * 1024

View = Callable[[web.Request], Awaitable[web.Response]]


class OperationViews:
    """One view for each operation that has a handler."""

    def __init__(self, handlers: Handlers, upload_bytes_max: int) -> None:
        self._handlers = handlers
        self._upload_bytes_max = upload_bytes_max

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views; those without a variable part go first, since the first that fits is taken."""
        offered = [each for each in OPERATIONS if each.name in self._handlers]
        offered.sort(key=lambda each: len(each.path_names))
        return [web.route(each.method, each.path, self._view(each, self._handlers[each.name])) for each in offered]

    def _view(self, operation: Operation, handler: Handler) -> View:
        async def view(request: web.Request) -> web.Response:
            asked = await self._request(operation, request)
            answer = await in_time(handler(asked))
            if answer is None:
                return web.Response(status=HTTPStatus.NO_CONTENT)
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

        view.__doc__ = operation.summary
        return view

    async def _request(self, operation: Operation, request: web.Request) -> Request:
        """What is asked; raises QueryRejected, PhotoRejected and RequestRefused."""
        path = dict(request.match_info)
        texts = {name: request.query.getall(name) for name in request.query}
        if twice := sorted(set(texts) & set(path)):
            raise QueryRejected(f"{twice[0]} is given twice", expected="in the path alone", received=texts[twice[0]][0])
        if operation.body == "json":
            if texts:
                raise QueryRejected(
                    "the parameters stand in the wrong place", expected="JSON in the body", received="an address with ?"
                )
            return request_from_json(operation.request, await self._json(request), path)
        more: dict[str, Any] = {}
        if operation.body == "photo":
            request_from_texts(operation.request, texts, path)  # a large body is not read for a request that is wrong
            more = await self._photo(request, texts)
        return request_from_texts(operation.request, texts, path | more)

    async def _photo(self, request: web.Request, texts: Mapping[str, list[str]]) -> dict[str, Any]:
        """The photo in the body; none is needed where its address is given."""
        if texts.get("url") and not request.can_read_body:
            return {}
        image = await read_one_photo(request, self._upload_bytes_max)
        require_readable_photo(image)
        return {"image": image}

    async def _json(self, request: web.Request) -> object:
        """The body as JSON; raises RequestRefused for a large one, QueryRejected for what is no JSON."""
        data = bytearray()
        async for chunk in request.content.iter_chunked(JSON_BYTES_MAX):
            data += chunk
            if len(data) > JSON_BYTES_MAX:
                raise too_large(JSON_BYTES_MAX, f"more than {JSON_BYTES_MAX} bytes")
        try:
            return orjson.loads(bytes(data))
        except orjson.JSONDecodeError as error:
            raise QueryRejected(
                "the body cannot be used",
                expected="a JSON object in UTF-8",
                received=f"{len(data)} bytes that are no JSON: {error}"[:160],
            ) from error
