"""Errors over HTTP: every one becomes application/problem+json."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from aiohttp import web

from stream_app import errors
from stream_app.contract.problems import Problem, problem_of, status_of, unforeseen_problem

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RequestRefused(errors.SightlineError):
    """A request that the server does not serve, whatever it asks for; `status` says why in HTTP's terms."""

    def __init__(self, status: HTTPStatus, problem: str, **advice: str | None) -> None:
        self.status = status
        super().__init__(problem, **advice)


def problem_response(error: errors.SightlineError, status: HTTPStatus) -> web.Response:
    """The problem+json body of an error that a person can act on."""
    return _response(problem_of(error, status))


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
    return _unforeseen_problem(request) if status is None else problem_response(error, status)


def _unforeseen_problem(request: web.Request) -> web.Response:
    log.exception("%s %r failed", request.method, request.path)
    return _response(unforeseen_problem())


def _plain_http_problem(request: web.Request, refusal: web.HTTPException) -> web.Response:
    status = HTTPStatus(refusal.status)
    if status == HTTPStatus.NOT_FOUND:
        nothing = errors.SightlineError(
            "there is nothing at this address",
            received=_shown(request.path),
            remedy="The page is at /, what can be asked at /api/docs.",
        )
        return problem_response(nothing, status)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = refusal.headers.get("Allow", "")
        wrong = errors.SightlineError(
            "this address does not take that method", expected=allowed, received=_shown(request.method)
        )
        reply = problem_response(wrong, status)
        reply.headers["Allow"] = allowed
        return reply
    return problem_response(errors.SightlineError(refusal.reason or status.phrase), status)


def _response(problem: Problem) -> web.Response:
    headers = {"Retry-After": "2"} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers=headers,
    )


def _shown(text: str, characters_max: int = 80) -> str:
    return text if len(text) <= characters_max else f"{text[:characters_max]}…"
