"""The events of `photo-activity`: what comes in, checked against the JSON Schema in `schemas/`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from stream_app.errors import EventRejected

SCHEMA_PATH = Path(__file__).parent / "schemas" / "photo-activity.schema.json"
EVENT_BYTES_MAX = 1_000_000
PHOTO_ID_MAX = 2**63 - 1


@dataclass(frozen=True)
class Metadata:
    """What its owner says about a photo; None where an event says nothing, so that what was known stays.

    `visibility`, public or hidden, comes with an upload or in an event of its own, never with an edit.
    """

    user_id: int | None = None
    title: str | None = None
    tags: tuple[str, ...] | None = None
    visibility: str | None = None

    def given(self) -> dict[str, object]:
        """The fields that the event carried, as they are kept in JSON: ids as decimals in a string."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.user_id is not None:
            given["user_id"] = str(self.user_id)
        if self.tags is not None:
            given["tags"] = list(self.tags)
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class PhotoUploaded:
    """A photo is there, or its bytes are others now; `sha256` is lower-case hex.

    `time_ms` is in UTC since 1970; None leaves it to the broker's clock, as in the other events.
    """

    photo_id: int
    time_ms: int | None
    url: str
    sha256: str | None = None
    metadata: Metadata = Metadata()


@dataclass(frozen=True)
class PhotoEdited:
    """The metadata of a photo changed, its bytes did not."""

    photo_id: int
    time_ms: int | None
    metadata: Metadata


@dataclass(frozen=True)
class VisibilityChanged:
    """A photo is hidden, or shown again; nothing else of it changed."""

    photo_id: int
    time_ms: int | None
    visibility: str

    @property
    def metadata(self) -> Metadata:
        """The change as metadata, which it is."""
        return Metadata(visibility=self.visibility)


@dataclass(frozen=True)
class PhotoDeleted:
    """A photo is gone."""

    photo_id: int
    time_ms: int | None


@dataclass(frozen=True)
class UserDeleted:
    """A photographer is gone, and with them every photo that they had uploaded by then.

    `relayed` marks the copies in the other partitions: photos of one user lie in all of them.
    """

    user_id: int
    time_ms: int | None
    relayed: bool = False


PhotoEvent = PhotoUploaded | PhotoEdited | VisibilityChanged | PhotoDeleted
Event = PhotoEvent | UserDeleted


def parse_event(value: bytes | None, key: bytes | None = None) -> Event:
    """The event in a message; raises EventRejected, in one line, when there is none."""
    message = _message(value)
    if not _validator().is_valid(message):
        raise _rejection(message)
    time_ms = _time_ms(message.get("time"))
    if message["type"] == "user.deleted":
        user_id = _number(message["user_id"], "user_id")
        _check_key(key, user_id, "user_id")
        return UserDeleted(user_id, time_ms, message.get("relayed", False))
    photo_id = _number(message["photo_id"], "photo_id")
    _check_key(key, photo_id, "photo_id")
    match message["type"]:
        case "photo.deleted":
            return PhotoDeleted(photo_id, time_ms)
        case "photo.visibility_changed":
            return VisibilityChanged(photo_id, time_ms, message["visibility"])
        case "photo.edited":
            return PhotoEdited(photo_id, time_ms, _metadata(message))
    sha256 = message["sha256"].lower() if "sha256" in message else None
    return PhotoUploaded(photo_id, time_ms, message["url"], sha256, _metadata(message))


def event_key(event: Event) -> int:
    """The id whose decimals are the key of the event's message."""
    return event.user_id if isinstance(event, UserDeleted) else event.photo_id


def event_to_json(event: Event) -> bytes:
    """The event as it goes onto the topic; `parse_event` gives the same event back."""
    message: dict[str, object] = {"type": _TYPES[type(event)]}
    if event.time_ms is not None:
        message["time"] = event.time_ms
    if isinstance(event, UserDeleted):
        return orjson.dumps(message | {"user_id": str(event.user_id)} | ({"relayed": True} if event.relayed else {}))
    message["photo_id"] = str(event.photo_id)
    if isinstance(event, PhotoUploaded):
        message["url"] = event.url
        if event.sha256:
            message["sha256"] = event.sha256
    if not isinstance(event, PhotoDeleted):
        message |= event.metadata.given()
    return orjson.dumps(message)


def schema() -> dict[str, Any]:
    """The JSON Schema of an event."""
    loaded: dict[str, Any] = orjson.loads(SCHEMA_PATH.read_bytes())
    return loaded


_TYPES = {
    PhotoUploaded: "photo.uploaded",
    PhotoEdited: "photo.edited",
    VisibilityChanged: "photo.visibility_changed",
    PhotoDeleted: "photo.deleted",
    UserDeleted: "user.deleted",
}


def _message(value: bytes | None) -> dict[str, Any]:
    """The JSON object in the bytes of a message."""
    if not value:
        raise EventRejected(
            "The message is empty",
            expected="a JSON object",
            remedy='To delete a photo send {"type": "photo.deleted", "photo_id": ...}.',
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
            received=_shown(value),
            remedy="Correct whatever wrote it, and send it anew.",
        ) from None
    if not isinstance(message, dict):
        raise EventRejected(
            "The event is not a JSON object",
            expected='{"type": ..., "photo_id": ...}',
            received=_shown(message),
        )
    return message


def _number(given: int | str, name: str) -> int:
    """The schema bounds numbers; of decimals in a string it can bound only the digits."""
    number = int(given)
    if number > PHOTO_ID_MAX:
        raise EventRejected(f"{name} is too large", expected=f"at most {PHOTO_ID_MAX}", received=str(given))
    return number


def _check_key(key: bytes | None, number: int, name: str) -> None:
    if key is not None and key != b"%d" % number:
        raise EventRejected(
            f"The key of the message is not its {name}",
            expected=f"{number} in ASCII decimals, or no key",
            received=_shown(key),
            remedy=f"Events of one {name} must share a partition: use it as the key.",
        )


def _time_ms(given: int | str | None) -> int | None:
    if given is None or isinstance(given, int):
        return given
    try:
        time_ms = (datetime.fromisoformat(given.upper()) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        raise EventRejected("The time does not exist", expected=_EXPECTED["time"], received=_shown(given)) from None
    if time_ms < 0:
        raise EventRejected("The time is before 1970", expected=_EXPECTED["time"], received=_shown(given))
    return time_ms


def _metadata(message: dict[str, Any]) -> Metadata:
    user_id = _number(message["user_id"], "user_id") if "user_id" in message else None
    tags = tuple(message["tags"]) if "tags" in message else None
    return Metadata(user_id, message.get("title"), tags, message.get("visibility"))


#: For people: what the schema says of a field, in a few words.
_EXPECTED = {
    "type": " or ".join(_TYPES.values()),
    "photo_id": f"an integer from 0 to {PHOTO_ID_MAX}, or the same as a string of decimals",
    "user_id": f"an integer from 0 to {PHOTO_ID_MAX}, or the same as a string of decimals",
    "time": "RFC 3339 with an offset, as 2026-11-23T22:16:00Z, or milliseconds since 1970",
    "url": "a file:, http: or https: address, percent-encoded, of at most 8192 characters",
    "sha256": "64 hexadecimal digits",
    "title": "a string of at most 500 characters",
    "tags": "at most 100 strings of 1 to 100 characters",
    "visibility": "public or hidden",
    "relayed": "true, which only Sightline itself writes",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")


def _rejection(message: dict[str, Any]) -> EventRejected:
    """What is wrong with a message that the schema refuses."""
    error = best_match(_validator().iter_errors(message))
    assert error is not None
    if error.validator == "required":
        # The validator names all required fields; the first that is missing is the one to speak of.
        missing = next(name for name in error.validator_value if name not in message)
        return EventRejected(f"The event has no {missing}", expected=_EXPECTED[missing], received=_shown(message))
    if not error.absolute_path:  # the only field that some types must not have
        return EventRejected(
            "An edit cannot change the visibility",
            expected="an event of its own",
            received=_shown(message),
            remedy='Send {"type": "photo.visibility_changed", "photo_id": ..., "visibility": ...}.',
        )
    name = str(error.absolute_path[0])
    return EventRejected(
        f"{error.json_path.removeprefix('$.')} cannot be used",
        expected=_EXPECTED[name],
        received=_shown(error.instance),
        remedy="Shorten it." if error.validator in ("maxLength", "maxItems") else _remedy(name, error.instance),
    )


def _remedy(name: str, received: object) -> str | None:
    if received is None and name not in ("type", "photo_id", "url"):
        return "Leave the field out."
    if name == "time" and isinstance(received, str) and _NAIVE_TIME.fullmatch(received):
        return "Say which time zone it is in: add Z for UTC, or an offset such as +01:00."
    if name == "time" and type(received) is int and received > 0:
        return "Times are in milliseconds, not in micro- or nanoseconds."
    return None


def _shown(received: object) -> str:
    """At most 80 characters of what came."""
    text = repr(received)
    return text if len(text) <= 80 else f"{text[:76]} ..."


@cache
def _validator() -> Draft202012Validator:
    """Strict where JSON Schema is lenient: 5.0 is no integer, and a pattern's `$` is the very end."""
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, each: type(each) is int)
    strict = extend(Draft202012Validator, {"pattern": _pattern}, type_checker=integers)
    validator: Draft202012Validator = strict(schema())
    return validator


def _pattern(_: object, pattern: str, instance: object, __: object) -> Any:
    if isinstance(instance, str) and not (re.search(pattern, instance) and instance[-1:] != "\n"):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")
