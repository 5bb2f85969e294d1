"""What was accepted is known at once, and forgotten as soon as the table knows it."""

from __future__ import annotations

import pytest

from stream_app.accepted import ACCEPTED_SECONDS_MAX, AcceptedChanges
from stream_app.activity import Event, Metadata, PhotoDeleted, PhotoUploaded
from stream_app.catalogue import PhotoRow, with_event
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version


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
def accepted(clock: Clock) -> AcceptedChanges:
    """Nothing yet, and room for three photos."""
    return AcceptedChanges(photos_max=3, clock_seconds=clock)


def uploaded(photo_id: int, time_ms: int, **metadata: object) -> tuple[Event, Version]:
    """An upload and its version."""
    event = PhotoUploaded(photo_id, time_ms, f"file:///{time_ms}.jpg", None, Metadata(**metadata))
    return event, Version(time_ms, KIND_CHANGED, 0, time_ms)


def deleted(photo_id: int, time_ms: int) -> tuple[Event, Version]:
    """A deletion and its version."""
    return PhotoDeleted(photo_id, time_ms), Version(time_ms, KIND_DELETED, 0, time_ms)


def row_of(*facts: tuple[Event, Version]) -> PhotoRow:
    """What the table has of the photo after these events."""
    row = PhotoRow(facts[0][0].photo_id)
    for fact in facts:
        row = with_event(row, *fact)
    return row


def test_a_photo_is_known_before_the_table_knows_it(accepted: AcceptedChanges) -> None:
    """With its title, and until it is deleted."""
    accepted.note(*uploaded(7, 1, title="Leaf"))
    first = accepted.seen_in(7, None)
    accepted.note(*deleted(7, 2))
    then = accepted.seen_in(7, None)

    assert first and first.known and first.value("title") == "Leaf"
    assert then == row_of(uploaded(7, 1), deleted(7, 2))


def test_what_the_table_knows_is_forgotten(accepted: AcceptedChanges) -> None:
    """Its row is the answer from then on."""
    facts = uploaded(7, 1, tags=("a",)), deleted(7, 2), uploaded(7, 3)
    for fact in facts:
        accepted.note(*fact)

    assert accepted.seen_in(7, row_of(*facts[:2])) == row_of(*facts)
    assert len(accepted) == 1
    assert accepted.seen_in(7, row_of(*facts)) == row_of(*facts)
    assert len(accepted) == 0


def test_a_newer_row_is_not_held_back(accepted: AcceptedChanges) -> None:
    """Somebody else deleted the photo in the meantime."""
    accepted.note(*uploaded(7, 1))
    row = row_of(uploaded(7, 1), deleted(7, 2))

    assert accepted.seen_in(7, row) == row
    assert len(accepted) == 0


def test_another_photo_is_left_alone(accepted: AcceptedChanges) -> None:
    """Known or not."""
    accepted.note(*uploaded(7, 1))

    assert accepted.seen_in(8, None) is None
    assert accepted.seen_in(9, row_of(uploaded(9, 1))) == row_of(uploaded(9, 1))


def test_what_never_comes_is_not_waited_for(accepted: AcceptedChanges, clock: Clock) -> None:
    """After some minutes the table is right, whatever it says."""
    accepted.note(*uploaded(7, 1))
    clock.seconds = ACCEPTED_SECONDS_MAX + 1

    assert accepted.seen_in(7, None) is None
    assert len(accepted) == 0


def test_what_is_old_goes_also_when_nobody_asks_for_it(accepted: AcceptedChanges, clock: Clock) -> None:
    """Each new photo takes the old ones away."""
    accepted.note(*uploaded(7, 1))
    accepted.note(*uploaded(8, 1))
    clock.seconds = ACCEPTED_SECONDS_MAX + 1
    accepted.note(*uploaded(9, 1))

    assert len(accepted) == 1


def test_no_crowd_of_uploads_takes_more_than_its_room(accepted: AcceptedChanges) -> None:
    """The photo that was changed longest ago makes place."""
    for photo_id in (1, 2, 3):
        accepted.note(*uploaded(photo_id, 1))
    accepted.note(*uploaded(1, 2))
    accepted.note(*uploaded(4, 1))

    assert [bool(accepted.seen_in(photo_id, None)) for photo_id in (1, 2, 3, 4)] == [True, False, True, True]
