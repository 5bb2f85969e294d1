"""Errors as application/problem+json (RFC 9457): what `stream_app.problems` says, over HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from stream_app import errors
from stream_app.problems import in_time as in_time  # every view imports it from here
from stream_app.problems import problem, problem_of, status_of, unforeseen_problem

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestRefused(errors.SightlineError):
    """A request that the server does not serve, whatever it asks for; `status` says why in HTTP's terms."""

    def __init__(self, status: HTTPStatus, problem: str, **advice: str | None) -> None:
        self.status = status
        super().__init__(problem, **advice)


def problem_response(error: errors.SightlineError, status: HTTPStatus) -> web.Response:
    """The problem+json body of an error that a person can act on."""
    return _response(status, problem_of(error, status))


@web.middleware
async def answer_with_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every error into a problem; what we did not foresee is logged, its internals never answered."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        return _plain_http_problem(request, refusal)
    except RequestRefused as refused:
        return problem_response(refused, refused.status)
    except errors.SightlineError as error:
        return _known_problem(request, error)
    except ConnectionError:
        if request.transport is not None and not request.transport.is_closing():
            return _unforeseen_problem(request)
        # The client hung up in the middle of its own request: nobody is left to read an answer, or a log.
        return web.Response(status=HTTPStatus.BAD_REQUEST)
    except Exception:
        return _unforeseen_problem(request)


def _known_problem(request: web.Request, error: errors.SightlineError) -> web.Response:
    status = status_of(error)
    if status is None:
        return _unforeseen_problem(request)
    return problem_response(error, status)


def _unforeseen_problem(request: web.Request) -> web.Response:
    log.exception("%s %r failed", request.method, request.path)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, unforeseen_problem())


def _plain_http_problem(request: web.Request, refusal: web.HTTPException) -> web.Response:
    status = HTTPStatus(refusal.status)
    if status == HTTPStatus.NOT_FOUND:
        shown = _shown(request.path)
        said = problem(status, "there is nothing at this address", received=shown, remedy="The page is at /.")
        return _response(status, said)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = refusal.headers.get("Allow", "")
        reply = _response(status, problem(status, "this address does not take that method", allowed, request.method))
        reply.headers["Allow"] = allowed
        return reply
    return _response(status, problem(status, refusal.reason or status.phrase))


def _response(status: HTTPStatus, said: dict[str, Any]) -> web.Response:
    headers = {"Retry-After": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return web.Response(status=status, text=json.dumps(said), content_type="application/problem+json", headers=headers)


def _shown(text: str, characters_max: int = 80) -> str:
    return text if len(text) <= characters_max else f"{text[:characters_max]}…"
