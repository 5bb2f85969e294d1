"""What is an event of collection-activity, and what is said of what is none."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stream_app.collection_events import (
    FORM,
    TYPES,
    BriefChanged,
    CollectionDeleted,
    CollectionEvent,
    PhotoEntered,
    PhotoLeft,
    collection_event_to_json,
    parse_collection_event,
)
from stream_app.errors import EventRejected
from stream_app.event_json import EVENT_BYTES_MAX, ID_MAX

#: A busy machine is no failure.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ADDED = {"type": "gallery.photo_added", "gallery_id": 7, "photo_id": 42}
BRIEF = {"type": "quest.brief_changed", "gallery_id": None, "photo_id": None, "quest_id": 7}


def parsed(**fields: Any) -> CollectionEvent:
    """The addition with other fields; a field given as None is left out."""
    message = {name: value for name, value in (ADDED | fields).items() if value is not None}
    return parse_collection_event(json.dumps(message).encode())


class TestValid:
    """What is understood."""

    @pytest.mark.parametrize("example", FORM.schema["examples"], ids=lambda each: each["type"])
    def test_the_examples_of_the_schema_are_events(self, example: dict[str, Any]) -> None:
        """One of each type, so that a reader can copy it."""
        event = parse_collection_event(orjson.dumps(example))

        assert orjson.loads(collection_event_to_json(event))["type"] == example["type"]

    def test_every_type_has_an_example(self) -> None:
        """The schema, the examples and the code name the same types."""
        assert {each["type"] for each in FORM.schema["examples"]} == TYPES
        assert set(FORM.schema["properties"]["type"]["enum"]) == TYPES

    def test_an_addition_says_which_gallery_and_which_photo(self) -> None:
        """As numbers, whichever way they came."""
        assert parsed(gallery_id="7", time=5) == PhotoEntered("gallery", 7, 5, 42)

    def test_a_submission_says_whose_it_is(self) -> None:
        """Where it says so at all."""
        submitted = {"type": "quest.photo_submitted", "gallery_id": None, "quest_id": 7}

        assert parsed(**submitted, user_id="9") == PhotoEntered("quest", 7, None, 42, 9)
        assert parsed(**submitted) == PhotoEntered("quest", 7, None, 42)

    def test_a_brief_says_only_what_it_names(self) -> None:
        """Words without examples leave the examples alone; an example named twice is one."""
        assert parsed(**BRIEF, words="") == BriefChanged("quest", 7, None, "", None)
        assert parsed(**BRIEF, example_photo_ids=[3, "3", "4"]) == BriefChanged("quest", 7, None, None, (3, 4))

    def test_galleries_and_quests_do_not_share_their_ids(self) -> None:
        """Seven may be both."""
        gallery = parsed(type="gallery.deleted", photo_id=None)
        quest = parsed(type="quest.deleted", gallery_id=None, quest_id=7, photo_id=None)

        assert gallery == CollectionDeleted("gallery", 7, None)
        assert quest == CollectionDeleted("quest", 7, None)

    def test_the_key_may_be_left_out(self) -> None:
        """But not be another id than that of the collection."""
        value = orjson.dumps(ADDED)

        assert parse_collection_event(value, b"7") == parse_collection_event(value)
        with pytest.raises(EventRejected, match=r"not its gallery_id; expected 7.*received b'42'"):
            parse_collection_event(value, b"42")


class TestRejected:
    """What is not, and what is said of it."""

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"type": "gallery.renamed"}, r"type cannot be used; expected gallery.photo_added or .*gallery.renamed"),
            ({"type": None}, "The event has no type"),
            ({"gallery_id": None}, "The event has no gallery_id; expected an integer from 0"),
            ({"gallery_id": None, "quest_id": 7}, "The event has no gallery_id"),
            ({"photo_id": None}, "The event has no photo_id"),
            ({"photo_id": -1}, "photo_id cannot be used; expected an integer from 0 .*received -1"),
            ({"photo_id": 4.0}, "photo_id cannot be used"),
            ({"photo_id": True}, "photo_id cannot be used"),
            ({"photo_id": str(ID_MAX + 1)}, "photo_id is too large"),
            ({"gallery_id": "07"}, "gallery_id cannot be used"),
            ({"time": "2026-11-23T22:16:00"}, "add Z for UTC"),
            ({"time": "2026-02-30T22:16:00Z"}, "The time does not exist"),
            (BRIEF, "The event has no brief; expected words, example_photo_ids, or both"),
            (BRIEF | {"words": "x" * 201}, "words cannot be used.* Shorten it"),
            (BRIEF | {"example_photo_ids": list(range(101))}, "example_photo_ids cannot be used.* Shorten it"),
            (BRIEF | {"example_photo_ids": [1, "x"]}, r"example_photo_ids\[1\] cannot be used"),
            (BRIEF | {"example_photo_ids": 1}, "example_photo_ids cannot be used"),
        ],
    )
    def test_a_wrong_field_is_named(self, fields: dict[str, Any], said: str) -> None:
        """With what was expected and what came."""
        with pytest.raises(EventRejected, match=said):
            parsed(**fields)

    def test_null_is_not_the_same_as_left_out(self) -> None:
        """Which is what can be done about it."""
        with pytest.raises(EventRejected, match=r"words cannot be used.*Leave the field out"):
            parse_collection_event(orjson.dumps({"type": "quest.brief_changed", "quest_id": 7, "words": None}))

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (None, "The message is empty"),
            (b"", "The message is empty"),
            (b"\xff", "The event is not JSON"),
            (b'{"type":', "The event is not JSON"),
            (b"[]", "The event is not a JSON object"),
            (b" " * (EVENT_BYTES_MAX + 1), "The event is too large"),
        ],
    )
    def test_what_is_no_object_is_refused(self, value: bytes | None, said: str) -> None:
        """In one line, whatever it is."""
        with pytest.raises(EventRejected, match=said) as rejected:
            parse_collection_event(value)

        assert "\n" not in str(rejected.value)

    @patient
    @given(st.binary(max_size=60))
    def test_no_bytes_at_all_raise_anything_else(self, value: bytes) -> None:
        """They come from outside."""
        with pytest.raises(EventRejected):
            parse_collection_event(value)


ids = st.integers(0, ID_MAX)
times = st.none() | st.integers(0, 253402300799999)
events = st.one_of(
    st.builds(PhotoEntered, st.just("gallery"), ids, times, ids),
    st.builds(PhotoEntered, st.just("quest"), ids, times, ids, st.none() | ids),
    st.builds(PhotoLeft, st.sampled_from(["gallery", "quest"]), ids, times, ids),
    st.builds(CollectionDeleted, st.sampled_from(["gallery", "quest"]), ids, times),
    st.builds(BriefChanged, st.just("quest"), ids, times, st.text(max_size=9), st.none() | st.tuples(ids)),
)


class TestRoundTrip:
    """What is written is read."""

    @patient
    @given(events)
    def test_an_event_comes_back_as_it_went(self, event: CollectionEvent) -> None:
        """And any validator of JSON Schema takes it."""
        value = collection_event_to_json(event)

        assert parse_collection_event(value, b"%d" % event.collection_id) == event
        Draft202012Validator(FORM.schema).validate(orjson.loads(value))
