"""The rows of galleries and quests: any order of the same events, with repetitions, ends in the same rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_app.collection_events import (
    BriefChanged,
    CollectionDeleted,
    CollectionEvent,
    PhotoEntered,
    PhotoLeft,
)
from stream_app.collection_rows import (
    ENTRIES_MAX,
    CollectionRow,
    MemberRow,
    changed_row,
    is_over,
    kind_of_version,
    row_from_bytes,
)
from stream_app.collection_views import Gallery, Quest, gallery_of, quest_of
from stream_app.errors import CollectionNotFound
from stream_app.versions import Version

#: A busy machine is no failure.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

Fact = tuple[CollectionEvent, Version]
Rows = dict[int | None, CollectionRow]


def fact(event: CollectionEvent, offset: int | None = None) -> Fact:
    """The event with the version that its place in the log gives it."""
    time_ms = event.time_ms or 0
    return event, Version(time_ms, kind_of_version(event), 0, time_ms if offset is None else offset)


def added(time_ms: int, photo_id: int = 1, user_id: int | None = None) -> Fact:
    """A submission of the photo to quest 7, or an addition; rows do not tell them apart."""
    return fact(PhotoEntered("quest", 7, time_ms, photo_id, user_id))


def left(time_ms: int, photo_id: int = 1) -> Fact:
    """Its withdrawal."""
    return fact(PhotoLeft("quest", 7, time_ms, photo_id))


def brief(time_ms: int, words: str | None = None, examples: tuple[int, ...] | None = None) -> Fact:
    """A change of the brief."""
    return fact(BriefChanged("quest", 7, time_ms, words, examples))


def deleted(time_ms: int) -> Fact:
    """The end of the quest."""
    return fact(CollectionDeleted("quest", 7, time_ms))


def rows_after(facts: list[Fact], rows: Rows | None = None) -> Rows:
    """The rows that the agent keeps: a deletion clears away what it settles."""
    rows = dict(rows or {})
    for event, version in facts:
        if changed := changed_row(rows.get, event, version):
            rows[changed[0]] = changed[1]
            if isinstance(event, CollectionDeleted):
                rows = {
                    at: row for at, row in rows.items() if not isinstance(row, MemberRow) or not is_over(row, version)
                }
    return rows


def quest(facts: list[Fact]) -> Quest:
    """The quest that the facts make."""
    return quest_of(7, rows_after(facts).values(), 1)


def submitted(facts: list[Fact]) -> list[tuple[int, int, int]]:
    """(photo_id, time, how often again) of its submissions, in their order."""
    return [(each.photo_id, each.version.time_ms, len(each.again)) for each in quest(facts).submissions]


def shown(facts: list[Fact]) -> Any:
    """What anybody can see of the quest."""
    try:
        return quest(facts)
    except CollectionNotFound as error:
        return str(error)


moments = st.integers(1, 8)
photos = st.integers(1, 3)
facts = st.lists(
    st.one_of(
        st.builds(added, moments, photos, st.none() | st.integers(1, 2)),
        st.builds(left, moments, photos),
        st.builds(brief, moments, st.sampled_from(["", "red"]), st.sampled_from([None, (), (5,)])),
        st.builds(deleted, moments),
    ),
    max_size=12,
    # One place in the log holds one event.
    unique_by=lambda each: each[1],
)


class TestAnyOrder:
    """Events come late, twice and out of order."""

    @patient
    @given(facts, st.randoms(use_true_random=False))
    def test_any_order_shows_the_same_quest(self, some: list[Fact], random: Any) -> None:
        """With repetitions among them."""
        others = some + [each for each in some if random.random() < 0.5]
        random.shuffle(others)

        assert shown(others) == shown(some)

    @patient
    @given(facts)
    def test_a_row_comes_back_from_the_table_as_it_went(self, some: list[Fact]) -> None:
        """Whatever it has been through."""
        for row in rows_after(some).values():
            assert row_from_bytes(row.to_bytes()) == row

    @patient
    @given(facts)
    def test_what_is_in_the_rows_changes_nothing_again(self, some: list[Fact]) -> None:
        """So a batch can be done again."""
        rows = rows_after(some)

        assert all(changed_row(rows.get, *each) is None for each in some)


class TestMembers:
    """Who is in, and since when."""

    def test_a_photo_stands_where_it_first_came_in(self) -> None:
        """A submission again is counted, and does not move it."""
        assert submitted([added(3, 2), added(1), added(5), added(6)]) == [(1, 1, 2), (2, 3, 0)]

    def test_one_event_sent_twice_is_not_a_submission_again(self) -> None:
        """The same moment at another place of the log."""
        again = fact(PhotoEntered("quest", 7, 1, 1), offset=99)

        assert submitted([added(1), again]) == [(1, 1, 0)]
        assert submitted([again, added(1)]) == [(1, 1, 0)]

    def test_after_a_withdrawal_it_begins_anew(self) -> None:
        """At the end, and with nothing counted."""
        assert submitted([added(1), added(2), added(3, 2), left(4), added(5)]) == [(2, 3, 0), (1, 5, 0)]

    def test_a_withdrawal_wins_a_tie(self) -> None:
        """As a deletion does among photos."""
        assert submitted([left(1), added(1)]) == []

    def test_a_withdrawal_before_its_submission_still_counts(self) -> None:
        """It came late, and happened later."""
        assert submitted([left(2), added(1)]) == []

    def test_whoever_submitted_is_remembered(self) -> None:
        """Each time."""
        [only] = quest([added(1, user_id=5), added(2, user_id=6)]).submissions

        assert (only.user_id, [each.user_id for each in only.again]) == (5, [6])

    def test_submitting_for_ever_takes_no_more_than_its_room(self) -> None:
        """The first stays, and the newest."""
        many = [added(time_ms) for time_ms in range(1, 100)]

        assert submitted(many) == [(1, 1, ENTRIES_MAX - 1)]
        assert submitted([*many, left(99)]) == []
        assert len(rows_after(many)[1].to_bytes()) < 1_000


class TestTheCollectionItself:
    """Known, empty, deleted."""

    def test_one_that_was_never_heard_of_is_not_found(self) -> None:
        """And says so."""
        with pytest.raises(CollectionNotFound, match=r"no gallery 7.*never heard of.*begins with its first photo"):
            gallery_of(7, [], 0)

    @pytest.mark.parametrize("some", [[left(1)], [added(1), left(2)], [brief(1, "")]])
    def test_one_with_nothing_in_it_is_empty(self, some: list[Fact]) -> None:
        """Whatever made it known."""
        assert gallery_of(7, rows_after(some).values(), 3) == Gallery(7, (), 3)

    def test_one_that_was_deleted_is_not_found(self) -> None:
        """With what was in it, also what comes late."""
        with pytest.raises(CollectionNotFound, match="deleted"):
            quest([added(1), brief(1, "red"), deleted(2), added(2, 2), brief(2, "blue")])

    def test_what_comes_after_a_deletion_begins_it_anew(self) -> None:
        """Without anything of before, whichever comes first."""
        later = [added(3, 2), brief(3, examples=(9,))]

        for some in ([added(1), brief(1, "red"), deleted(2), *later], [*later, added(1), brief(1, "red"), deleted(2)]):
            again = quest(some)
            assert (again.words, again.example_photo_ids) == ("", (9,))
            assert [each.photo_id for each in again.submissions] == [2]

    def test_a_deletion_leaves_no_rows_of_members_behind(self) -> None:
        """Its own row says all that there is to say."""
        assert set(rows_after([added(1), added(1, 2), left(1, 3), deleted(2)])) == {None}

    def test_words_and_examples_of_a_brief_change_apart(self) -> None:
        """Each is what was said of it last."""
        some = quest([brief(1, "red", (1,)), brief(3, "blue"), brief(2, "green", (2, 3))])

        assert (some.words, some.example_photo_ids) == ("blue", (2, 3))
