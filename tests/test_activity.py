"""What is an event of photo-activity, and what is said of what is none."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stream_app.activity import (
    PHOTO_ID_MAX,
    Event,
    Metadata,
    PhotoDeleted,
    PhotoEdited,
    PhotoUploaded,
    UserDeleted,
    VisibilityChanged,
    event_key,
    event_to_json,
    parse_event,
    schema,
)
from stream_app.errors import EventRejected
from stream_app.event_json import EVENT_BYTES_MAX

UPLOAD = {"type": "photo.uploaded", "photo_id": 7, "url": "https://example.org/7.jpg"}
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def parsed(**fields: Any) -> Event:
    """The upload with other fields; a field given as None is left out."""
    message = {name: value for name, value in (UPLOAD | fields).items() if value is not None}
    return parse_event(json.dumps(message).encode())


class TestValid:
    def test_an_upload_carries_everything(self) -> None:
        """All fields arrive, in the types used inside."""
        metadata = {"user_id": "9", "title": "Dusk", "tags": ["harbour", "evening"]}

        event = parsed(time=5, sha256=SHA256.upper(), **metadata)

        expected = Metadata(user_id=9, title="Dusk", tags=("harbour", "evening"))
        assert event == PhotoUploaded(7, 5, "https://example.org/7.jpg", SHA256, expected)

    def test_an_edit_carries_only_what_was_given(self) -> None:
        """A field that is not there says nothing; an empty one says that it is empty now."""
        event = parsed(type="photo.edited", url=None, title="", tags=[])

        assert event == PhotoEdited(7, None, Metadata(title="", tags=()))
        assert event.metadata.given() == {"title": "", "tags": []}

    def test_a_deletion_needs_only_its_id(self) -> None:
        """Type and photo_id are all there is to say."""
        assert parsed(type="photo.deleted", url=None) == PhotoDeleted(7, None)

    def test_a_photo_is_hidden_and_shown_by_an_event_of_its_own(self) -> None:
        """Or it comes hidden with its upload."""
        event = parsed(type="photo.visibility_changed", url=None, visibility="hidden")

        assert event == VisibilityChanged(7, None, "hidden")
        assert event.metadata.given() == {"visibility": "hidden"}
        assert parsed(visibility="hidden").metadata == Metadata(visibility="hidden")

    def test_a_user_is_deleted_by_the_user_id_alone(self) -> None:
        """Which is the key of the message, too."""
        event = parse_event(b'{"type": "user.deleted", "user_id": "9", "time": 5}', b"9")

        assert event == UserDeleted(9, 5)

    def test_unknown_fields_are_ignored(self) -> None:
        """Producers may say more than we ask."""
        assert parsed(camera={"make": "Leica"}) == parsed()

    @pytest.mark.parametrize("photo_id", [0, "0", 2**53 + 1, str(2**53 + 1), PHOTO_ID_MAX, str(PHOTO_ID_MAX)])
    def test_an_id_comes_as_a_number_or_as_decimals(self, photo_id: int | str) -> None:
        """All 63 bits arrive, either way."""
        assert parsed(photo_id=photo_id).photo_id == int(photo_id)

    @pytest.mark.parametrize(
        "time",
        [
            "2026-11-23T22:16:00.001Z",
            "2026-11-23t22:16:00.001z",
            "2026-11-23 23:16:00.001+01:00",
            "2026-11-23T22:16:00.001999Z",
            1_795_472_160_001,
        ],
    )
    def test_every_way_to_write_a_time_is_the_same_millisecond(self, time: int | str) -> None:
        """RFC 3339 in any zone, or milliseconds."""
        assert parsed(time=time).time_ms == 1_795_472_160_001

    def test_the_key_is_the_photo_id_in_decimals(self) -> None:
        """As a producer writes it that keeps a photo's events in one partition."""
        assert parse_event(orjson.dumps(UPLOAD), b"7").photo_id == 7

    @pytest.mark.parametrize("url", ["file:///a/b%20c.jpg", "HTTP://EXAMPLE.ORG", "https://example.org/ü.jpg"])
    def test_addresses_of_all_three_kinds_are_taken(self, url: str) -> None:
        """What may be read from them is decided where they are read."""
        event = parsed(url=url)

        assert isinstance(event, PhotoUploaded)
        assert event.url == url


_ids = st.integers(0, PHOTO_ID_MAX)
_times = st.none() | st.integers(0, 253402300799999)
_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=100)
_metadata = st.builds(
    Metadata,
    user_id=st.none() | _ids,
    title=st.none() | _text,
    tags=st.none() | st.lists(_text, max_size=5).map(tuple),
)
_events = st.one_of(
    st.builds(
        PhotoUploaded,
        _ids,
        _times,
        st.just("https://example.org/7.jpg"),
        st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
        _metadata,
    ),
    st.builds(PhotoEdited, _ids, _times, _metadata),
    st.builds(VisibilityChanged, _ids, _times, st.sampled_from(["public", "hidden"])),
    st.builds(PhotoDeleted, _ids, _times),
    st.builds(UserDeleted, _ids, _times, st.booleans()),
)


@given(_events)
def test_what_is_written_is_read_back(event: Event) -> None:
    """Every event survives the topic."""
    assert parse_event(event_to_json(event), b"%d" % event_key(event)) == event


class TestRejected:
    @pytest.mark.parametrize("value", [None, b""])
    def test_an_empty_message_is_no_deletion(self, value: bytes | None) -> None:
        """It is told how to delete."""
        with pytest.raises(EventRejected, match=r"empty.*photo\.deleted"):
            parse_event(value)

    @pytest.mark.parametrize("value", [b"{", b"\xff\xfe{}", b"not JSON", b'{"type": "\xe9"}', b"NaN", b"\x00"])
    def test_what_is_no_json_is_rejected(self, value: bytes) -> None:
        """Cut short, in another encoding, or something else."""
        with pytest.raises(EventRejected, match="not JSON"):
            parse_event(value)

    @pytest.mark.parametrize("value", [b"[]", b"5", b'"x"', b"null", b"true"])
    def test_json_that_is_no_object_is_rejected(self, value: bytes) -> None:
        """An event has fields."""
        with pytest.raises(EventRejected, match="not a JSON object"):
            parse_event(value)

    def test_an_event_may_not_be_too_large(self) -> None:
        """Before it is decoded."""
        with pytest.raises(EventRejected, match="too large"):
            parse_event(orjson.dumps(UPLOAD | {"x": "x" * EVENT_BYTES_MAX}))

    @pytest.mark.parametrize("name", ["type", "photo_id", "url"])
    def test_a_missing_field_is_named(self, name: str) -> None:
        """With what it should have been."""
        with pytest.raises(EventRejected, match=f"The event has no {name}; expected"):
            parsed(**{name: None})

    @pytest.mark.parametrize(
        ("kind", "name"),
        [("user.deleted", "user_id"), ("photo.visibility_changed", "visibility"), ("photo.deleted", "photo_id")],
    )
    def test_what_an_event_of_its_kind_must_have_is_named(self, kind: str, name: str) -> None:
        """Each kind has its own."""
        with pytest.raises(EventRejected, match=f"The event has no {name}; expected"):
            parsed(**({"type": kind, "url": None} | ({"photo_id": None} if name == "photo_id" else {})))

    def test_an_edit_that_would_change_the_visibility_is_told_how(self) -> None:
        """To pass over it in silence would leave a photo public that its owner wants hidden."""
        with pytest.raises(EventRejected, match=r"An edit cannot.*photo\.visibility_changed"):
            parsed(type="photo.edited", url=None, visibility="hidden")

    @pytest.mark.parametrize(
        "photo_id", [True, False, 5.0, -1, 2**63, 2**64, "-1", "01", "5\n", " 5", "", "٣", "1e3", [5], {}]
    )
    def test_an_id_of_another_kind_is_rejected(self, photo_id: object) -> None:
        """Booleans, fractions, signs, spaces, other digits."""
        with pytest.raises(EventRejected, match="photo_id cannot be used; expected an integer from 0"):
            parsed(photo_id=photo_id)

    def test_an_id_beyond_63_bits_is_rejected_as_a_string_too(self) -> None:
        """2^63 has 19 digits, as the largest id has."""
        with pytest.raises(EventRejected, match="photo_id is too large"):
            parsed(photo_id=str(2**63))

    @pytest.mark.parametrize("time", ["2026-11-23T22:16:00", "2026-11-23", "2026-11-23 22:16:00.5"])
    def test_a_time_without_a_zone_is_rejected_with_what_to_add(self, time: str) -> None:
        """It could be any of 38 moments."""
        with pytest.raises(EventRejected, match="add Z for UTC"):
            parsed(time=time)

    @pytest.mark.parametrize(
        "time",
        [
            *(-1, True, 1.5, 1_795_472_160_000_000, "", "yesterday"),
            *("2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z", "2026-11-23T22:16:00+25:00"),
            *("2026-11-23T22:16Z", "20261123T221600Z", "0001-01-01T00:00:00+14:00"),
        ],
    )
    def test_a_time_that_cannot_be_is_rejected(self, time: object) -> None:
        """Negative, in another unit, not in the calendar, not RFC 3339."""
        with pytest.raises(EventRejected, match="expected RFC 3339 with an offset"):
            parsed(time=time)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("type", "photo.renamed"),
            ("url", "ftp://example.org/7.jpg"),
            ("url", "7.jpg"),
            ("url", "https://example.org/a b.jpg"),
            ("sha256", "abc"),
            ("user_id", "Ada"),
            ("title", "x" * 501),
            ("title", 5),
            ("tags", "harbour"),
            ("tags", ["x"] * 101),
            ("visibility", "private"),
            ("visibility", True),
        ],
    )
    def test_a_field_of_another_kind_is_named(self, name: str, value: object) -> None:
        """The message begins with its name."""
        with pytest.raises(EventRejected, match=f"^{name} cannot be used; expected .*; received "):
            parsed(**{name: value})

    def test_a_bad_tag_is_pointed_at(self) -> None:
        """By its place in the list."""
        with pytest.raises(EventRejected, match=r"tags\[1\] cannot be used"):
            parsed(tags=["harbour", 5])

    @pytest.mark.parametrize("fields", [{"title": "x" * 501}, {"tags": ["x"] * 101}, {"tags": ["a", "x" * 101]}])
    def test_what_is_too_long_is_to_be_shortened(self, fields: dict[str, object]) -> None:
        """Of a list, or of one thing in it."""
        with pytest.raises(EventRejected, match="Shorten it"):
            parsed(**fields)

    def test_null_is_not_the_same_as_absent(self) -> None:
        """The message says to leave the field out."""
        with pytest.raises(EventRejected, match="Leave the field out"):
            parse_event(orjson.dumps(UPLOAD | {"title": None}))

    @pytest.mark.parametrize("key", [b"8", b'"7"', b"07", b"", b"\x00\x00\x00\x07", b"7 "])
    def test_a_key_that_is_not_the_photo_id_is_rejected(self, key: bytes) -> None:
        """Its events would be spread over partitions, and lose their order."""
        with pytest.raises(EventRejected, match="key of the message is not its photo_id"):
            parse_event(orjson.dumps(UPLOAD), key)

    def test_the_key_of_a_users_event_is_the_user_id(self) -> None:
        """One user's deletions share a partition."""
        with pytest.raises(EventRejected, match="key of the message is not its user_id"):
            parse_event(b'{"type": "user.deleted", "user_id": 9}', b"7")

    @given(st.binary(max_size=200))
    def test_no_bytes_whatever_raise_anything_else(self, value: bytes) -> None:
        """One bad message must never stop the stream."""
        with pytest.raises(EventRejected) as rejected:
            parse_event(value)
        assert "\n" not in str(rejected.value)


class TestSchema:
    def test_the_schema_is_a_schema(self) -> None:
        """Of the draft that it names."""
        Draft202012Validator.check_schema(schema())

    def test_its_examples_are_events(self) -> None:
        """All of them, so nobody copies a wrong one."""
        assert len([parse_event(orjson.dumps(each)) for each in schema()["examples"]]) == 5

    def test_every_field_is_described(self) -> None:
        """A schema is documentation."""
        assert all(field["description"] for field in schema()["properties"].values())
