"""The messages of `photo-queries` and of its replies: from bytes and headers to a question, from answers to bytes.

Whom to answer stands in the headers, ours, Spring's or Faust's, or else in the JSON; see `schemas/`. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate
from typing import Any

import msgspec
import orjson

from stream_app.contract.near_names import did_you_mean
from stream_app.contract.problems import Problem, problem_of
from stream_app.errors import RequestMalformed, SightlineError

REQUESTS_MAX = 1_000
TIMEOUT_MS, TIMEOUT_MS_MAX = 60_000, 600_000
CORRELATION_BYTES_MAX = 200
#: What may be the name of a topic, by Kafka's own rule.
TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")

REPLY_TO = ("reply_to", "kafka_replyTopic", "Faust-Ag-ReplyTo")
CORRELATION_ID = ("correlation_id", "kafka_correlationId", "Faust-Ag-CorrelationId")
SPRING_PARTITION = "kafka_replyPartition"

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class ReplyAddress:
    """Where a caller waits, and under what; `names_wanted` are the headers that its own library looks for.

    A caller that used Faust's `ask` gets Faust's own envelope, and never more than one message.
    """

    topic: str
    correlation_id: bytes = b""
    partition: int | None = None
    names_wanted: tuple[str, ...] = ()
    by_faust: bool = False

    def headers(self) -> Headers:
        """The headers of a reply."""
        names = dict.fromkeys(["correlation_id", *self.names_wanted])
        return [(name, self.correlation_id) for name in names] if self.correlation_id else []

    @property
    def correlation_text(self) -> str | None:
        """The correlation id as JSON can hold it; None for the bytes of other programs' ids."""
        try:
            return self.correlation_id.decode() or None
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    operation: str
    request: object


@dataclass(frozen=True)
class Question:
    """One message: a single request, or several that are answered together."""

    requests: list[Asked]
    is_bulk: bool
    timeout_ms: int


def message_of(value: bytes | None) -> object:
    """The decoded JSON of a message; raises RequestMalformed."""
    try:
        return orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise RequestMalformed(
            "the message cannot be used",
            expected="a JSON object in UTF-8",
            received=f"{len(value or b'')} bytes that are no JSON: {error}"[:160],
        ) from error


def headers_of(headers: object) -> dict[str, bytes]:
    """Headers by name, as Faust or aiokafka has them; the last of a name counts, as in Spring."""
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers or []  # type: ignore[assignment]
    return {str(name): value if isinstance(value, bytes) else str(value).encode() for name, value in pairs if value}


def address_of(message: object, headers: Mapping[str, bytes]) -> ReplyAddress | None:
    """Where the reply goes; None where nothing usable says so."""
    fields = message if isinstance(message, Mapping) else {}
    named = _first(headers, REPLY_TO)
    topic = fields.get("reply_to") if named is None else named.decode(errors="replace")
    if not isinstance(topic, str) or not TOPIC_NAME.fullmatch(topic):
        return None
    correlation_id = _first(headers, CORRELATION_ID)
    if correlation_id is None:
        text = fields.get("correlation_id")
        correlation_id = text.encode(errors="replace") if isinstance(text, str) else b""
    return ReplyAddress(
        topic,
        correlation_id[:CORRELATION_BYTES_MAX],
        _partition(fields, headers),
        tuple(name for name in CORRELATION_ID if name in headers),
        _is_faust_envelope(fields) or "Faust-Ag-ReplyTo" in headers,
    )


def question_of(message: object, address: ReplyAddress | None = None) -> Question:
    """What is asked; raises RequestMalformed."""
    if isinstance(message, Mapping) and _is_faust_envelope(message):
        message = message.get("value")
    if not isinstance(message, Mapping):
        raise _rejected("the message cannot be used", "a JSON object with operation and request", message)
    if address is not None and not address.correlation_id:
        raise _rejected("correlation_id is missing", "it in a header, or as text in the message", "nothing")
    timeout_ms = message.get("timeout_ms", TIMEOUT_MS)
    if not isinstance(timeout_ms, int) or isinstance(timeout_ms, bool) or not 1 <= timeout_ms <= TIMEOUT_MS_MAX:
        raise _rejected("timeout_ms cannot be used", f"milliseconds, 1 to {TIMEOUT_MS_MAX}", timeout_ms)
    if "requests" not in message:
        return Question([_asked(message, _ABOUT_THE_MESSAGE)], False, timeout_ms)
    requests = message["requests"]
    if not isinstance(requests, list) or not 1 <= len(requests) <= REQUESTS_MAX:
        received = f"{len(requests)} of them" if isinstance(requests, list) else requests
        raise _rejected("requests cannot be used", f"a list of 1 to {REQUESTS_MAX} requests", received)
    _check_names(message, {"requests"} | _ABOUT_THE_MESSAGE)
    return Question([_asked(each) for each in requests], True, timeout_ms)


def answer_bytes(operation: str, answer: object) -> bytes:
    """One answer as JSON, which a reply holds as it is."""
    return msgspec.json.encode({"operation": operation, "answer": answer})


def problem_bytes(operation: str | None, said: Problem) -> bytes:
    """One problem as JSON; one that concerns the whole message names no operation."""
    return msgspec.json.encode(({} if operation is None else {"operation": operation}) | {"problem": said})


def too_large(bytes_max: int, received: int) -> Problem:
    """The problem of an answer that no message can hold."""
    refused = SightlineError(
        "the answer is larger than a message may be",
        expected=f"at most {bytes_max} bytes",
        received=f"{received} bytes",
        remedy="Ask for fewer with k, or page by page with cursor; "
        "SIGHTLINE_REPLY_BYTES_MAX says how large a message may be.",
    )
    return problem_of(refused, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def reply_values(address: ReplyAddress, question: Question, answers: Sequence[bytes], bytes_max: int) -> list[bytes]:
    """The messages of a reply, each of at most `bytes_max`: one, or for many requests as many as it takes."""
    total = len(answers)
    room = bytes_max - len(_reply(address, _many([], total, total)))
    answers = [each if len(each) < room else _refused(each, bytes_max) for each in answers]
    if not question.is_bulk:
        return [_reply(address, answers[0])]
    parts = list(_parts(answers, room))
    if address.by_faust and len(parts) > 1:
        # A second reply would end the program that asked: its promise can be kept once only.
        return [_reply(address, problem_bytes(None, too_large(bytes_max, sum(map(len, answers)))))]
    firsts = accumulate(map(len, parts), initial=0)
    return [_reply(address, _many(part, first, total)) for part, first in zip(parts, firsts, strict=False)]


def problem_value(address: ReplyAddress, said: Problem) -> bytes:
    """The one message of a reply to what cannot be answered at all."""
    return _reply(address, problem_bytes(None, said))


_ABOUT_THE_MESSAGE = frozenset({"correlation_id", "reply_to", "reply_partition", "timeout_ms"})


def _asked(each: object, also: Set[str] = frozenset()) -> Asked:
    if not isinstance(each, Mapping) or not isinstance(each.get("operation"), str):
        raise _rejected("operation is missing", "the name of an operation, such as search", each)
    _check_names(each, {"operation", "request"} | also)
    return Asked(each["operation"], each.get("request", {}))


def _check_names(fields: Mapping[str, object], known: Set[str]) -> None:
    if unknown := sorted(set(fields) - known):
        inner = "What the operation takes stands in request." if "request" in known else None
        remedy = did_you_mean(unknown[0], known) or inner
        raise _rejected(f"there is no field {unknown[0][:40]!r}", ", ".join(sorted(known)), unknown[0], remedy)


def _rejected(problem: str, expected: str, received: object, remedy: str | None = None) -> RequestMalformed:
    shown = received if isinstance(received, str) else repr(received)
    return RequestMalformed(problem, expected=expected, received=shown[:60], remedy=remedy)


def _first(headers: Mapping[str, bytes], names: Sequence[str]) -> bytes | None:
    return next((headers[name] for name in names if name in headers), None)


def _partition(fields: Mapping[Any, Any], headers: Mapping[str, bytes]) -> int | None:
    """The partition that the caller reads; None where any will do."""
    if spring := headers.get(SPRING_PARTITION):
        return int.from_bytes(spring, "big", signed=True)
    given = fields.get("reply_partition")
    if text := headers.get("reply_partition"):
        given = int(text) if text.isdigit() and len(text) < 10 else -1
    if given is None:
        return None
    return given if isinstance(given, int) and not isinstance(given, bool) else -1


def _is_faust_envelope(fields: Mapping[Any, Any]) -> bool:
    about = fields.get("__faust")
    return isinstance(about, Mapping) and "ReqRepRequest" in str(about.get("ns"))


def _refused(answer: bytes, bytes_max: int) -> bytes:
    operation = orjson.loads(answer)["operation"]
    return problem_bytes(operation, too_large(bytes_max, len(answer)))


def _parts(answers: Sequence[bytes], room: int) -> Iterator[list[bytes]]:
    """The answers in their order, in groups of which each fits into `room` bytes with its commas."""
    part: list[bytes] = []
    size = 0
    for each in answers:
        if part and size + len(each) + 1 > room:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each) + 1
    yield part


def _many(answers: Sequence[bytes], first: int, total: int) -> bytes:
    """One part of a reply; a part that is written again, cut otherwise, still says where its answers belong."""
    return b'{"first":%d,"total":%d,"answers":[%s]}' % (first, total, b",".join(answers))


def _reply(address: ReplyAddress, body: bytes) -> bytes:
    """An object with the correlation id in front of what `body` has; for Faust in its envelope."""
    correlation_id = orjson.dumps(address.correlation_text)
    value = b'{"correlation_id":%s,%s' % (correlation_id, body[1:])
    if not address.by_faust:
        return value
    return b'{"__faust":{"ns":"@ReqRepResponse"},"key":null,"correlation_id":%s,"value":%s}' % (correlation_id, value)
