"""Filters of hits, and the index of tags."""

from __future__ import annotations

from typing import Any

import pytest

from stream_app.catalogue import PhotoRow
from stream_app.contract.searching import PhotoFilter
from stream_app.errors import QueryRejected
from stream_app.photo_filter import RowFilter, time_ms
from stream_app.tag_index import TagIndex
from stream_app.versions import Version

AT = Version(1_000_000, 0, 0, 1)
ROW = PhotoRow(
    7,
    upload_version=AT,
    width_px=640,
    height_px=480,
    metadata={"tags": (["Golden  Hour", "beach"], AT), "user_id": ("12", AT)},
)


def allows(row: PhotoRow = ROW, **asked: Any) -> bool:
    """Whether a filter of these parameters lets the row through."""
    return RowFilter(PhotoFilter(**asked), lambda _: ["seashore", "sandbar"]).allows(row)


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"tag": ["golden hour"]}, {"tag": ["hour"]}),
        ({"tag": ["night", "BEACH"]}, {"tag": ["night"]}),
        ({"label": ["Seashore"]}, {"label": ["sea"]}),
        ({"user_id": ["12", 13]}, {"user_id": [13]}),
        ({"exclude_user": [13]}, {"exclude_user": [12]}),
        ({"after": "1000000"}, {"after": "1000001"}),
        ({"before": "1970-01-01T00:16:41Z"}, {"before": "1970-01-01T01:16:40+01:00"}),
        ({"after": "1970-01-01"}, {"after": "1970-01-02"}),
        ({"before": " 1970-01-02 "}, {"before": "1970-01-01"}),
        ({"orientation": "landscape"}, {"orientation": "square"}),
        ({"min_width": 640}, {"min_width": 641}),
        ({"min_height": 480}, {"min_height": 481}),
    ],
)
def test_each_filter_lets_its_photos_through_and_no_others(asked: dict[str, Any], refused: dict[str, Any]) -> None:
    """The same photo, asked for and not asked for."""
    assert allows(**asked)
    assert not allows(**refused)


def test_all_filters_must_agree() -> None:
    """One that does not is enough, and is counted."""
    filtering = RowFilter(PhotoFilter(tag=["beach"], orientation="portrait", min_width=9_999), lambda _: [])

    assert not filtering.allows(ROW)
    assert filtering.refused == {"orientation": 1}


def test_a_photo_of_nobody_is_found_unless_somebody_is_asked_for() -> None:
    """Excluding a photographer excludes no photo without one."""
    row = PhotoRow(8, upload_version=AT)

    assert allows(row, exclude_user=[12])
    assert not allows(row, user_id=[12])


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01T00:00:00Z", "2026-02-30", "2026-W01-1", "2026-01-01T00:00:00", "-5", "1e9"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    """It says what to write."""
    with pytest.raises(QueryRejected, match="RFC 3339"):
        time_ms(text, "after")


class TestTagIndex:
    def test_tags_are_found_whatever_their_letters(self) -> None:
        """And go with what the owner says next, and with the photo."""
        tags = TagIndex()
        tags.note(ROW)
        assert tags.photos("GOLDEN hour") == {7} and tags.has(7, "Beach")

        later = Version(2_000_000, 0, 0, 2)
        tags.note(PhotoRow(7, upload_version=AT, metadata={"tags": (["night"], later)}))
        assert (tags.photos("beach"), tags.photos("night")) == (frozenset(), {7})

        tags.note(PhotoRow(7, upload_version=AT, deletion_version=later, metadata={"tags": (["night"], later)}))
        assert tags.photos("night") == frozenset() and not tags.has(7, "night")

    def test_it_begins_anew_after_a_rebalance(self) -> None:
        """What another worker has now is forgotten."""
        tags = TagIndex()
        tags.note(ROW)
        tags.begin_anew([PhotoRow(8, upload_version=AT, metadata={"tags": (["beach"], AT)})])

        assert tags.photos("beach") == {8}
