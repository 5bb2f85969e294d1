"""What was accepted of galleries and quests is known at once, and forgotten as soon as the tables know it."""

from __future__ import annotations

import pytest

from stream_app.accepted import ACCEPTED_SECONDS_MAX
from stream_app.accepted_collections import AcceptedEvents
from stream_app.collection_events import CollectionDeleted, CollectionEvent, PhotoEntered, PhotoLeft
from stream_app.collection_rows import CollectionRow, HeadRow, MemberRow, changed_row, kind_of_version
from stream_app.versions import Version


class Clock:
    """A clock that is moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """At its beginning."""
    return Clock()


@pytest.fixture
def accepted(clock: Clock) -> AcceptedEvents:
    """Nothing yet, and room for three events."""
    return AcceptedEvents(events_max=3, clock_seconds=clock)


def note(accepted: AcceptedEvents, *events: CollectionEvent) -> None:
    """Accept events."""
    for event in events:
        accepted.note(event, _version(event))


def added(photo_id: int, gallery_id: int = 7, time_ms: int = 1) -> PhotoEntered:
    """An addition to a gallery."""
    return PhotoEntered("gallery", gallery_id, time_ms, photo_id)


def members(rows: list[CollectionRow]) -> list[int]:
    """The photos that are in."""
    return [row.photo_id for row in rows if isinstance(row, MemberRow) and row.entries]


def row_of(event: CollectionEvent) -> CollectionRow:
    """What the table has after the first event of a photo."""
    changed = changed_row(lambda _: None, event, _version(event))
    assert changed is not None
    return changed[1]


def _version(event: CollectionEvent) -> Version:
    return Version(event.time_ms or 0, kind_of_version(event), 0, 0)


def test_an_event_is_known_before_the_table_knows_it(accepted: AcceptedEvents) -> None:
    """Over whatever the table has."""
    note(accepted, added(2))

    assert members(accepted.laid_over("gallery", 7, [row_of(added(1))])) == [1, 2]


def test_several_events_are_laid_over_each_other(accepted: AcceptedEvents) -> None:
    """In any order: the newest counts."""
    note(accepted, PhotoLeft("gallery", 7, 3, 2), added(2), CollectionDeleted("gallery", 7, 4))

    head, _ = sorted(accepted.laid_over("gallery", 7, []), key=lambda row: isinstance(row, MemberRow))

    assert isinstance(head, HeadRow)
    assert head.deletion_version.time_ms == 4


def test_what_the_table_knows_is_forgotten(accepted: AcceptedEvents) -> None:
    """And only that."""
    note(accepted, added(1), added(2))
    accepted.laid_over("gallery", 7, [row_of(added(1))])

    assert len(accepted) == 1


def test_other_collections_are_left_alone(accepted: AcceptedEvents) -> None:
    """Also a quest of the same number."""
    note(accepted, added(1))

    assert accepted.laid_over("gallery", 8, []) == accepted.laid_over("quest", 7, []) == []
    assert members(accepted.laid_over("gallery", 7, [])) == [1]


def test_the_newest_moment_that_was_accepted_is_known(accepted: AcceptedEvents) -> None:
    """What comes next must be dated after it."""
    note(accepted, added(1, time_ms=8), added(2, time_ms=3))

    assert (accepted.newest_time_ms("gallery", 7), accepted.newest_time_ms("gallery", 8)) == (8, 0)


def test_what_never_comes_is_not_waited_for(accepted: AcceptedEvents, clock: Clock) -> None:
    """The table may be right not to have it."""
    note(accepted, added(1))
    clock.seconds = ACCEPTED_SECONDS_MAX + 1

    assert accepted.laid_over("gallery", 7, []) == []
    assert len(accepted) == 0


def test_what_is_old_goes_also_when_nobody_asks_for_it(accepted: AcceptedEvents, clock: Clock) -> None:
    """With the next event."""
    note(accepted, added(1), added(2))
    clock.seconds = ACCEPTED_SECONDS_MAX + 1
    note(accepted, added(3, gallery_id=8))

    assert len(accepted) == 1


def test_no_crowd_of_events_takes_more_than_its_room(accepted: AcceptedEvents) -> None:
    """The collection that was changed longest ago goes first."""
    note(accepted, added(1, gallery_id=7), added(2, gallery_id=8), added(3, gallery_id=7), added(4, gallery_id=9))

    assert members(accepted.laid_over("gallery", 8, [])) == []
    assert members(accepted.laid_over("gallery", 7, [])) == [1, 3]
