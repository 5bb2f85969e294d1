"""The events of `collection-activity`: what comes in, checked against the JSON Schema in `schemas/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from stream_app import event_json
from stream_app.errors import EventRejected
from stream_app.event_json import ID_EXPECTED, TIME_EXPECTED, EventForm, check_key, whole_id

Kind = Literal["gallery", "quest"]


@dataclass(frozen=True)
class PhotoEntered:
    """A photo was added to a gallery or submitted to a quest; `user_id` is whose submission it is.

    `time_ms` is in UTC since 1970; None leaves it to the broker's clock, as in the other events.
    """

    kind: Kind
    collection_id: int
    time_ms: int | None
    photo_id: int
    user_id: int | None = None


@dataclass(frozen=True)
class PhotoLeft:
    """A photo was removed from a gallery or withdrawn from a quest."""

    kind: Kind
    collection_id: int
    time_ms: int | None
    photo_id: int


@dataclass(frozen=True)
class BriefChanged:
    """A quest asks for something else; None where the event says nothing, so that what was asked for stays."""

    kind: Literal["quest"]
    collection_id: int
    time_ms: int | None
    words: str | None = None
    example_photo_ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CollectionDeleted:
    """A gallery or quest is gone with all that was in it."""

    kind: Kind
    collection_id: int
    time_ms: int | None


CollectionEvent = PhotoEntered | PhotoLeft | BriefChanged | CollectionDeleted


def parse_collection_event(value: bytes | None, key: bytes | None = None) -> CollectionEvent:
    """The event in a message; raises EventRejected, in one line, when there is none."""
    message = FORM.read(value)
    kind: Kind = "gallery" if message["type"].startswith("gallery.") else "quest"
    collection_id = whole_id(message[f"{kind}_id"], f"{kind}_id")
    check_key(key, collection_id, f"{kind}_id")
    time_ms = event_json.time_ms(message.get("time"))
    match message["type"]:
        case "gallery.deleted" | "quest.deleted":
            return CollectionDeleted(kind, collection_id, time_ms)
        case "quest.brief_changed":
            return _brief(collection_id, time_ms, message)
    photo_id = whole_id(message["photo_id"], "photo_id")
    if message["type"] in ("gallery.photo_removed", "quest.photo_withdrawn"):
        return PhotoLeft(kind, collection_id, time_ms, photo_id)
    user_id = whole_id(message["user_id"], "user_id") if kind == "quest" and "user_id" in message else None
    return PhotoEntered(kind, collection_id, time_ms, photo_id, user_id)


def collection_event_to_json(event: CollectionEvent) -> bytes:
    """The event as it goes onto the topic; `parse_collection_event` gives the same event back."""
    message: dict[str, object] = {"type": _TYPES[type(event), event.kind], f"{event.kind}_id": str(event.collection_id)}
    if event.time_ms is not None:
        message["time"] = event.time_ms
    if isinstance(event, PhotoEntered | PhotoLeft):
        message["photo_id"] = str(event.photo_id)
    if isinstance(event, PhotoEntered) and event.user_id is not None:
        message["user_id"] = str(event.user_id)
    if isinstance(event, BriefChanged):
        if event.words is not None:
            message["words"] = event.words
        if event.example_photo_ids is not None:
            message["example_photo_ids"] = [str(each) for each in event.example_photo_ids]
    return orjson.dumps(message)


def collection_key(collection_id: int) -> bytes:
    """The key of a collection on its topic, so that its events share a partition: ASCII decimals."""
    return b"%d" % collection_id


_TYPES: dict[tuple[type, str], str] = {
    (PhotoEntered, "gallery"): "gallery.photo_added",
    (PhotoLeft, "gallery"): "gallery.photo_removed",
    (CollectionDeleted, "gallery"): "gallery.deleted",
    (BriefChanged, "quest"): "quest.brief_changed",
    (PhotoEntered, "quest"): "quest.photo_submitted",
    (PhotoLeft, "quest"): "quest.photo_withdrawn",
    (CollectionDeleted, "quest"): "quest.deleted",
}
TYPES = frozenset(_TYPES.values())

FORM = EventForm(
    schema_path=Path(__file__).parent / "schemas" / "collection-activity.schema.json",
    shape='{"type": ..., "gallery_id" or "quest_id": ...}',
    expected={
        "type": " or ".join(_TYPES.values()),
        "gallery_id": ID_EXPECTED,
        "quest_id": ID_EXPECTED,
        "photo_id": ID_EXPECTED,
        "user_id": ID_EXPECTED,
        "words": "a string of at most 200 characters",
        "example_photo_ids": f"at most 100 times {ID_EXPECTED}",
        "time": TIME_EXPECTED,
    },
    needed=frozenset({"type", "gallery_id", "quest_id", "photo_id"}),
    no_deletion='To delete a gallery send {"type": "gallery.deleted", "gallery_id": ...}.',
)


def _brief(quest_id: int, time_ms: int | None, message: dict[str, Any]) -> BriefChanged:
    if not {"words", "example_photo_ids"} & message.keys():
        raise EventRejected(
            "The event has no brief",
            expected="words, example_photo_ids, or both",
            received=event_json.shown(message),
            remedy="An empty string or list takes away what was there.",
        )
    given = message.get("example_photo_ids")
    examples = None if given is None else tuple(dict.fromkeys(whole_id(each, "example_photo_ids") for each in given))
    return BriefChanged("quest", quest_id, time_ms, message.get("words"), examples)
