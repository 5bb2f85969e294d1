"""Errors as problems (RFC 9457), the same over HTTP and over Kafka: one table from our errors to HTTP's statuses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, TypeVar

from stream_app import errors

Answer = TypeVar("Answer")

ANSWER_SECONDS_MAX = 30.0

# The first listed class of an error's ancestry decides. What is not listed is our own fault: 500.
STATUSES: dict[type[BaseException], HTTPStatus] = {
    errors.UnknownWords: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QueryRejected: HTTPStatus.BAD_REQUEST,
    errors.EventRejected: HTTPStatus.BAD_REQUEST,
    errors.PhotoRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PhotoNotFound: HTTPStatus.NOT_FOUND,
    errors.CollectionNotFound: HTTPStatus.NOT_FOUND,
    errors.PhotoUnreachable: HTTPStatus.BAD_GATEWAY,
    errors.ServiceUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EncoderFailed: HTTPStatus.SERVICE_UNAVAILABLE,
}


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


def status_of(error: BaseException) -> HTTPStatus | None:
    """The status of an error that a person can act on; None for what we did not foresee."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)


def problem_of(error: errors.SightlineError, status: HTTPStatus) -> dict[str, Any]:
    """The problem that says what an error says."""
    return problem(status, error.problem, error.expected, error.received, error.remedy)


def unforeseen_problem() -> dict[str, Any]:
    """What is answered to an error of ours, whose internals are for the log alone."""
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the worker failed to answer",
        remedy="Try again; if it stays, the worker's log says what happened.",
    )


def problem(
    status: HTTPStatus,
    detail: str,
    expected: str | None = None,
    received: str | None = None,
    remedy: str | None = None,
) -> dict[str, Any]:
    """A problem as JSON has it."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "expected": expected,
        "received": received,
        "remedy": remedy,
    }
