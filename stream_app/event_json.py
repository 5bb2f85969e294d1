"""JSON events as they come in over a topic: what every kind of them has in common, and how one is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from stream_app.errors import EventRejected

EVENT_BYTES_MAX = 1_000_000
ID_MAX = 2**63 - 1
ID_EXPECTED = f"an integer from 0 to {ID_MAX}, or the same as a string of decimals"
TIME_EXPECTED = "RFC 3339 with an offset, as 2026-11-23T22:16:00Z, or milliseconds since 1970"


@dataclass(frozen=True)
class EventForm:
    """The form of the events of one topic: a JSON Schema, and in a few words for people what it says of a field.

    `shape` is how an event looks, `needed` which fields cannot be left out; `no_deletion` says how something is taken
    away, since an empty message does not, and `misplaced` what to say of a field that its type must not have.
    """

    schema_path: Path
    shape: str
    expected: Mapping[str, str]
    needed: frozenset[str]
    no_deletion: str
    misplaced: Callable[[str], EventRejected] | None = None

    def read(self, value: bytes | None) -> dict[str, Any]:
        """The JSON object in the bytes of a message; raises EventRejected, in one line, when it has not the form."""
        message = self._object(value)
        if not self._validator.is_valid(message):
            raise self._rejection(message)
        return message

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of an event."""
        loaded: dict[str, Any] = orjson.loads(self.schema_path.read_bytes())
        return loaded

    def _object(self, value: bytes | None) -> dict[str, Any]:
        if not value:
            raise EventRejected(
                "The message is empty",
                expected=self.shape,
                remedy=self.no_deletion,
            )
        if len(value) > EVENT_BYTES_MAX:
            raise EventRejected(
                "The event is too large", expected=f"at most {EVENT_BYTES_MAX} bytes", received=str(len(value))
            )
        try:
            message = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise EventRejected(
                f"The event is not JSON ({error})",
                expected="a JSON object in UTF-8",
                received=shown(value),
                remedy="Correct whatever wrote it, and send it anew.",
            ) from None
        if not isinstance(message, dict):
            raise EventRejected("The event is not a JSON object", expected=self.shape, received=shown(message))
        return message

    @cached_property
    def _validator(self) -> Draft202012Validator:
        """Strict where JSON Schema is lenient: 5.0 is no integer, and a pattern's `$` is the very end."""
        integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, each: type(each) is int)
        strict = extend(Draft202012Validator, {"pattern": _pattern}, type_checker=integers)
        validator: Draft202012Validator = strict(self.schema)
        return validator

    def _rejection(self, message: dict[str, Any]) -> EventRejected:
        """What is wrong with a message that the schema refuses."""
        error = best_match(self._validator.iter_errors(message))
        assert error is not None
        if error.validator == "required":
            # The validator names all required fields; the first that is missing is the one to speak of.
            missing = next(name for name in error.validator_value if name not in message)
            return EventRejected(
                f"The event has no {missing}", expected=self.expected[missing], received=shown(message)
            )
        if not error.absolute_path and self.misplaced is not None:
            return self.misplaced(shown(message))
        name = str(error.absolute_path[0])
        too_long = error.validator in ("maxLength", "maxItems")
        return EventRejected(
            f"{error.json_path.removeprefix('$.')} cannot be used",
            expected=self.expected[name],
            received=shown(error.instance),
            remedy="Shorten it." if too_long else self._remedy(name, error.instance),
        )

    def _remedy(self, name: str, received: object) -> str | None:
        if received is None and name not in self.needed:
            return "Leave the field out."
        if name == "time" and isinstance(received, str) and _NAIVE_TIME.fullmatch(received):
            return "Say which time zone it is in: add Z for UTC, or an offset such as +01:00."
        if name == "time" and type(received) is int and received > 0:
            return "Times are in milliseconds, not in micro- or nanoseconds."
        return None


def whole_id(given: int | str, name: str) -> int:
    """The number of an id; the schema bounds numbers, but of decimals in a string only the digits."""
    number = int(given)
    if number > ID_MAX:
        raise EventRejected(f"{name} is too large", expected=f"at most {ID_MAX}", received=str(given))
    return number


def time_ms(given: int | str | None) -> int | None:
    """Milliseconds since 1970 of a time that has the form; raises EventRejected on one that never was."""
    if given is None or isinstance(given, int):
        return given
    try:
        milliseconds = (datetime.fromisoformat(given.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        raise EventRejected("The time does not exist", expected=TIME_EXPECTED, received=shown(given)) from None
    if milliseconds < 0:
        raise EventRejected("The time is before 1970", expected=TIME_EXPECTED, received=shown(given))
    return milliseconds


def check_key(key: bytes | None, own_id: int, name: str) -> None:
    """Raises EventRejected when a message has another key than the id that decides on its partition."""
    if key is not None and key != b"%d" % own_id:
        raise EventRejected(
            f"The key of the message is not its {name}",
            expected=f"{own_id} in ASCII decimals, or no key",
            received=shown(key),
            remedy=f"Events of one {name} must share a partition: use it as the key.",
        )


def shown(received: object) -> str:
    """At most 80 characters of what came."""
    text = repr(received)
    return text if len(text) <= 80 else f"{text[:76]} ..."


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")


def _pattern(_: object, pattern: str, instance: object, __: object) -> Any:
    if isinstance(instance, str) and not (re.search(pattern, instance) and instance[-1:] != "\n"):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")
