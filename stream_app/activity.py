"""The events of `photo-activity`: what comes in, checked against the JSON Schema in `schemas/`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from stream_app import event_json
from stream_app.errors import EventRejected
from stream_app.event_json import ID_EXPECTED, ID_MAX, TIME_EXPECTED, EventForm, check_key, whole_id

PHOTO_ID_MAX = ID_MAX


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
    message = FORM.read(value)
    time_ms = event_json.time_ms(message.get("time"))
    if message["type"] == "user.deleted":
        user_id = whole_id(message["user_id"], "user_id")
        check_key(key, user_id, "user_id")
        return UserDeleted(user_id, time_ms, message.get("relayed", False))
    photo_id = whole_id(message["photo_id"], "photo_id")
    check_key(key, photo_id, "photo_id")
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
    return FORM.schema


_TYPES = {
    PhotoUploaded: "photo.uploaded",
    PhotoEdited: "photo.edited",
    VisibilityChanged: "photo.visibility_changed",
    PhotoDeleted: "photo.deleted",
    UserDeleted: "user.deleted",
}


def _metadata(message: dict[str, Any]) -> Metadata:
    user_id = whole_id(message["user_id"], "user_id") if "user_id" in message else None
    tags = tuple(message["tags"]) if "tags" in message else None
    return Metadata(user_id, message.get("title"), tags, message.get("visibility"))


def _misplaced_visibility(received: str) -> EventRejected:
    """The only field that some types must not have."""
    return EventRejected(
        "An edit cannot change the visibility",
        expected="an event of its own",
        received=received,
        remedy='Send {"type": "photo.visibility_changed", "photo_id": ..., "visibility": ...}.',
    )


FORM = EventForm(
    schema_path=Path(__file__).parent / "schemas" / "photo-activity.schema.json",
    shape='{"type": ..., "photo_id": ...}',
    expected={
        "type": " or ".join(_TYPES.values()),
        "photo_id": ID_EXPECTED,
        "user_id": ID_EXPECTED,
        "time": TIME_EXPECTED,
        "url": "a file:, http: or https: address, percent-encoded, of at most 8192 characters",
        "sha256": "64 hexadecimal digits",
        "title": "a string of at most 500 characters",
        "tags": "at most 100 strings of 1 to 100 characters",
        "visibility": "public or hidden",
        "relayed": "true, which only Sightline itself writes",
    },
    needed=frozenset({"type", "photo_id", "url"}),
    no_deletion='To delete a photo send {"type": "photo.deleted", "photo_id": ...}.',
    misplaced=_misplaced_visibility,
)
