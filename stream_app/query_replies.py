"""Answering what came over Kafka: by the handlers of HTTP, a bounded number at a time, each before its time is up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from stream_app.contract.near_names import did_you_mean
from stream_app.contract.operations import BY_NAME, Handlers
from stream_app.contract.problems import Problem, problem_of, status_of, unforeseen_problem
from stream_app.contract.reading import request_from_json
from stream_app.contract.values import Request
from stream_app.errors import RequestMalformed, ServiceUnavailable, SightlineError
from stream_app.in_time import in_time
from stream_app.metrics import QUERIES_ANSWERED
from stream_app.query_messages import Asked, Question, answer_bytes, problem_bytes

log = logging.getLogger(__name__)

#: Of one message's requests so many are worked on at once: a thousand of them may not keep others waiting.
OF_ONE_MESSAGE_AT_ONCE = 8


class QueryDesk:
    """Answers questions with `handlers`, `at_once` requests at a time; `check_photo` raises PhotoRejected."""

    def __init__(self, handlers: Handlers, check_photo: Callable[[bytes], object], at_once: int) -> None:
        self._handlers = handlers
        self._check_photo = check_photo
        self._places = asyncio.Semaphore(at_once)

    async def answers(self, question: Question, asked_at_ms: int) -> list[bytes]:
        """An answer or a problem for each request, in their order; what came too late is not worked on."""
        left_ms = asked_at_ms + question.timeout_ms - time.time() * 1000
        deadline = asyncio.get_running_loop().time() + left_ms / 1000
        answers = [b""] * len(question.requests)
        numbers = iter(range(len(answers)))

        async def work() -> None:
            for number in numbers:
                answers[number] = await self._answer(question.requests[number], deadline, question.timeout_ms)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(OF_ONE_MESSAGE_AT_ONCE, len(answers))):
                group.create_task(work())
        return answers

    async def _answer(self, asked: Asked, deadline: float, timeout_ms: int) -> bytes:
        try:
            answer = await self._answered(asked, deadline, timeout_ms)
        except Exception as error:
            said = problem_said_of(error, asked.operation)
            QUERIES_ANSWERED.labels(str(said.status)).inc()
            return problem_bytes(asked.operation, said)
        QUERIES_ANSWERED.labels("200").inc()
        return answer_bytes(asked.operation, answer)

    async def _answered(self, asked: Asked, deadline: float, timeout_ms: int) -> Any:
        request = self._request(asked)
        try:
            async with asyncio.timeout_at(deadline):
                async with self._places:
                    if asyncio.get_running_loop().time() >= deadline:
                        raise TimeoutError  # the timeout itself would let it begin
                    return await in_time(self._handlers[asked.operation](request))
        except TimeoutError:
            raise ServiceUnavailable(
                "the request was not answered before its time was up",
                expected=f"an answer within {timeout_ms} ms of when the broker had it",
                received="more requests than the workers can answer",
                remedy="Ask again, give it more timeout_ms, or run more workers.",
            ) from None

    def _request(self, asked: Asked) -> Request:
        """What is asked, read as HTTP reads a body; raises RequestMalformed, PhotoRejected."""
        operation = BY_NAME.get(asked.operation)
        if operation is None or asked.operation not in self._handlers:
            raise RequestMalformed(
                "there is no such operation",
                expected=", ".join(self._handlers),
                received=repr(asked.operation)[:60],
                remedy=did_you_mean(asked.operation, self._handlers),
            )
        request = request_from_json(operation.request, asked.request)
        if image := getattr(request, "image", b""):
            self._check_photo(image)
        return request


def problem_said_of(error: Exception, what: str) -> Problem:
    """The problem that HTTP answers to the same error; what we did not foresee is logged."""
    if isinstance(error, SightlineError) and (status := status_of(error)) is not None:
        return problem_of(error, status)
    log.error("%s failed", what, exc_info=error)
    return unforeseen_problem()
