"""One worker as a client reaches it: requests, retries, and problems as exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import urllib3

from stream_app.contract.operations import Operation
from stream_app.contract.plain_routes import PlainRoute
from stream_app.contract.problems import Problem
from stream_app.errors import ServiceUnavailable, SettingsError, SightlineError

A = TypeVar("A")

#: A worker that says when to come back is not waited for any longer.
WAIT_SECONDS_MAX = 60
BACKOFF_SECONDS = 0.5


class RequestFailed(SightlineError):
    """The worker answered with a problem; `status` is HTTP's."""

    def __init__(self, problem: str, *, status: int, **advice: str | None) -> None:
        self.status = status
        super().__init__(problem, **advice)

    def __reduce__(self) -> tuple[Any, ...]:
        words = {"expected": self.expected, "received": self.received, "remedy": self.remedy}
        return _failed, (self.problem, self.status, words)


class Connection:
    """Keeps connections to one worker; safe to share among threads."""

    def __init__(self, url: str, *, timeout_seconds: float, retries: int) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingsError(
                "The worker's address cannot be used",
                expected="an address as http://127.0.0.1:6066",
                received=repr(url),
            )
        self._url = url.rstrip("/")
        retrying = urllib3.Retry(
            total=retries,
            read=False,  # it may have been done
            redirect=False,
            status_forcelist=[HTTPStatus.SERVICE_UNAVAILABLE],
            allowed_methods=None,
            raise_on_status=False,
            backoff_factor=BACKOFF_SECONDS,
            retry_after_max=WAIT_SECONDS_MAX,
        )
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(timeout_seconds), retries=retrying)

    def close(self) -> None:
        """Ends the connections."""
        self._pool.clear()

    def ask(
        self,
        route: Operation | PlainRoute,
        values: Mapping[str, Any],
        photo: bytes | None = None,
        further_headers: Mapping[str, str] = {},
    ) -> bytes:
        """What a route answers to these fields; raises RequestFailed and ServiceUnavailable."""
        given = {name: value for name, value in values.items() if value is not None}
        path = route.path.format(**{name: quote(str(given.pop(name)), safe="") for name in route.path_names})
        headers, body = {"Accept": "application/json, */*", **further_headers}, photo
        if route.body == "json":
            headers["Content-Type"], body, given = "application/json", msgspec.json.encode(given), {}
        elif photo is not None:
            headers["Content-Type"] = "application/octet-stream"
        return self._send(route.method, _address(self._url + path, given), headers, body)

    def _send(self, method: str, address: str, headers: dict[str, str], body: bytes | None) -> bytes:
        try:
            reply = self._pool.request(method, address, headers=headers, body=body)
        except urllib3.exceptions.HTTPError as error:
            reason = str(getattr(error, "reason", None) or error).rsplit(": ", 1)[-1]
            raise ServiceUnavailable(
                f"No worker answers at {self._url}",
                received=" ".join(reason.split())[:200],
                remedy="Start one with `sightline up`, or give another address.",
            ) from error
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _problem(reply.status, reply.data)
        return reply.data


def answer_of(kind: type[A], data: bytes) -> A:
    """An answer of that type; raises SightlineError for one that is no such answer."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise SightlineError(
            "The answer cannot be read",
            expected=f"a {kind.__name__}",
            received=str(error)[:200],
            remedy="Is it a worker of this version that answers?",
        ) from error


def _address(place: str, values: Mapping[str, Any]) -> str:
    """`place` with the values as its query."""
    texts = [(name, _text(each)) for name, value in values.items() for each in _listed(value)]
    return f"{place}?{urlencode(texts, quote_via=quote)}" if texts else place


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(status: int, data: bytes) -> RequestFailed:
    try:
        problem = msgspec.json.decode(data, type=Problem)
    except msgspec.MsgspecError:
        return RequestFailed(
            f"The worker answered {status}", status=status, received=data[:200].decode(errors="replace") or None
        )
    advice = {"expected": problem.expected, "received": problem.received, "remedy": problem.remedy}
    return RequestFailed(problem.detail, status=status, **advice)


def _failed(problem: str, status: int, words: dict[str, str | None]) -> RequestFailed:
    return RequestFailed(problem, status=status, **words)
