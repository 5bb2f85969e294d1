"""Errors as application/problem+json (RFC 9457): one table from our errors to HTTP statuses."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

from aiohttp import web

from stream_app import errors

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = TypeVar("Answer")

ANSWER_SECONDS_MAX = 30.0

# The first listed class of an error's ancestry decides. What is not listed is our own fault: 500.
STATUSES: dict[type[BaseException], HTTPStatus] = {
    errors.UnknownWords: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryRejected: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.EventRejected: HTTPStatus.BAD_REQUEST,
    errors.PhotoRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PhotoNotFound: HTTPStatus.NOT_FOUND,
    errors.CollectionNotFound: HTTPStatus.NOT_FOUND,
    errors.PhotoUnreachable: HTTPStatus.BAD_GATEWAY,
    errors.ServiceUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EncoderFailed: HTTPStatus.SERVICE_UNAVAILABLE,
}


class RequestRefused(errors.SightlineError):
    """A request that the server does not serve, whatever it asks for; `status` says why in HTTP's terms."""

    def __init__(self, status: HTTPStatus, problem: str, **advice: str | None) -> None:
        self.status = status
        super().__init__(problem, **advice)


async def in_time(answer: Awaitable[Answer]) -> Answer:
    """The answer of the album; raises ServiceUnavailable when it takes too long, so that no request hangs."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            return await answer
    except TimeoutError:
        raise errors.ServiceUnavailable(
            "the album did not answer in time",
            expected=f"an answer within {ANSWER_SECONDS_MAX:.0f} s",
            remedy="Try again; /readyz and /api/stats say what the worker is doing.",
        ) from None


def problem_response(error: errors.SightlineError, status: HTTPStatus) -> web.Response:
    """The problem+json body of an error that a person can act on."""
    return _response(status, error.problem, error.expected, error.received, error.remedy)


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
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
    if status is None:
        return _unforeseen_problem(request)
    return problem_response(error, status)


def _unforeseen_problem(request: web.Request) -> web.Response:
    log.exception("%s %r failed", request.method, request.path)
    return _response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the worker failed to answer",
        remedy="Try again; if it stays, the worker's log says what happened.",
    )


def _plain_http_problem(request: web.Request, refusal: web.HTTPException) -> web.Response:
    status = HTTPStatus(refusal.status)
    if status == HTTPStatus.NOT_FOUND:
        return _response(
            status,
            "there is nothing at this address",
            received=_shown(request.path),
            remedy="The page is at /.",
        )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = refusal.headers.get("Allow", "")
        reply = _response(status, "this address does not take that method", allowed, request.method)
        reply.headers["Allow"] = allowed
        return reply
    return _response(status, refusal.reason or status.phrase)


def _response(
    status: HTTPStatus,
    detail: str,
    expected: str | None = None,
    received: str | None = None,
    remedy: str | None = None,
) -> web.Response:
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "expected": expected,
        "received": received,
        "remedy": remedy,
    }
    headers = {"Retry-After": "2"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return web.Response(status=status, text=json.dumps(body), content_type="application/problem+json", headers=headers)


def _shown(text: str, characters_max: int = 80) -> str:
    return text if len(text) <= characters_max else f"{text[:characters_max]}…"
