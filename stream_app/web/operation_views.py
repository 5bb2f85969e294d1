"""The operations of the contract over HTTP: from path, query and body to a request, from an answer to JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from stream_app.contract.operations import OPERATIONS, Handler, Handlers, Operation
from stream_app.contract.reading import request_from_json
from stream_app.contract.values import Request
from stream_app.errors import QueryRejected, RequestMalformed
from stream_app.in_time import in_time
from stream_app.web.bodies import read_json, read_one_photo
from stream_app.web.parameters import request_of
from stream_app.web.photo_types import require_readable_photo
from stream_app.web.replies import json_reply

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
        return [self._route(each, self._view(each, self._handlers[each.name])) for each in offered]

    def _route(self, operation: Operation, view: View) -> web.RouteDef:
        if operation.method == "GET":
            return web.get(operation.path, view)  # HEAD, too
        return web.route(operation.method, operation.path, view)

    def _view(self, operation: Operation, handler: Handler) -> View:
        async def view(request: web.Request) -> web.Response:
            asked = await self._request(operation, request)
            answer = await in_time(handler(asked))
            if answer is None:
                return web.Response(status=HTTPStatus.NO_CONTENT)
            return json_reply(answer)

        view.__doc__ = operation.summary
        return view

    async def _request(self, operation: Operation, request: web.Request) -> Request:
        """What is asked; raises RequestMalformed, PhotoRejected and RequestRefused."""
        if operation.body == "json":
            if request.query:
                raise RequestMalformed(
                    "the parameters stand in the wrong place", expected="JSON in the body", received="an address with ?"
                )
            return request_from_json(operation.request, await read_json(request), dict(request.match_info))
        if operation.body == "photo" and "image" in request.query:
            raise RequestMalformed("the photo stands in the wrong place", expected="the body", received="?image=")
        asked = request_of(operation.request, request)  # a large body is not read for a request that is wrong
        if operation.body == "photo" and (request.can_read_body or not request.query.get("url")):
            return request_of(operation.request, request, {"image": await self._photo(request)})
        return asked

    async def _photo(self, request: web.Request) -> bytes:
        if not request.can_read_body:
            raise QueryRejected(
                "the request has no photo",
                expected="a photo as the body, a form with a file, or ?url=",
                received="none of them",
                remedy="Try: curl --data-binary @photo.jpg, or curl -F image=@photo.jpg.",
            )
        image = await read_one_photo(request, self._upload_bytes_max)
        require_readable_photo(image)
        return image
