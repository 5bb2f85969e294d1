"""Problems as answers (RFC 9457): one table from our errors to statuses, the same whichever way was asked."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from msgspec import Meta

from stream_app import errors
from stream_app.contract.values import Answer

# The first listed class of an error's ancestry decides. What is not listed is our own fault: 500.
STATUSES: dict[type[BaseException], HTTPStatus] = {
    errors.RequestMalformed: HTTPStatus.BAD_REQUEST,
    errors.QueryRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.EventRejected: HTTPStatus.BAD_REQUEST,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PhotoRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.PhotoNotFound: HTTPStatus.NOT_FOUND,
    errors.CollectionNotFound: HTTPStatus.NOT_FOUND,
    # Not 502: whoever watches over workers would take one for sick that was given the address of a sick server.
    errors.PhotoUnreachable: HTTPStatus.FAILED_DEPENDENCY,
    errors.ServiceUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EncoderFailed: HTTPStatus.SERVICE_UNAVAILABLE,
}

#: What each status means here; the document and the page say it in these words.
MEANINGS: dict[int, str] = {
    400: "The request is not as this document says.",
    403: "Another site's page sent the request.",
    404: "There is nothing of that id.",
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    421: "The worker does not answer to that host name.",
    422: "The request is well-formed, but cannot be answered: words that nobody knows, a photo that is none.",
    424: "The photo's own address does not answer now.",
    500: "The worker failed; its log says why.",
    503: "The worker, Kafka, Redis or the encoder is not ready; Retry-After says when to ask again.",
}


class Problem(Answer, frozen=True, kw_only=True):
    """What went wrong, what was expected, what came, and what to do."""

    type: Annotated[str, Meta(description="always about:blank: the status says which kind it is")] = "about:blank"
    title: Annotated[str, Meta(description="the status in words")]
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="one plain sentence")]
    expected: str | None = None
    received: str | None = None
    remedy: Annotated[str | None, Meta(description="what to do about it")] = None


def status_of(error: BaseException) -> HTTPStatus | None:
    """The status of an error that a caller can act on; None for one that is our own fault."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)


def problem_of(error: errors.SightlineError, status: HTTPStatus) -> Problem:
    """An error that a person can act on, as it is answered."""
    return Problem(
        title=status.phrase,
        status=int(status),
        detail=error.problem,
        expected=error.expected,
        received=error.received,
        remedy=error.remedy,
    )


def unforeseen_problem() -> Problem:
    """What is answered to an error of ours, whose internals are for the log alone."""
    failed = errors.SightlineError(
        "the worker failed to answer", remedy="Try again; if it stays, the worker's log says what happened."
    )
    return problem_of(failed, HTTPStatus.INTERNAL_SERVER_ERROR)
