"""The row of a photo: any order of the same facts, with repetitions, ends in the same row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_app.activity import Metadata, PhotoDeleted, PhotoEdited, PhotoUploaded, VisibilityChanged
from stream_app.catalogue import Failure, PhotoRow, UserRow, joined, with_deletion, with_embedding, with_event
from stream_app.records import PhotoEmbedded, PhotoRemoved
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version

EMPTY = PhotoRow(7)


def at(time_ms: int, kind: int = KIND_CHANGED) -> Version:
    """A version of that time, with an offset that follows it."""
    return Version(time_ms, kind, 0, time_ms)


def uploaded(time_ms: int, **metadata: object) -> tuple[PhotoUploaded, Version]:
    """An upload and its version."""
    return PhotoUploaded(7, time_ms, f"file:///{time_ms}.jpg", None, Metadata(**metadata)), at(time_ms)


def edited(time_ms: int, **metadata: object) -> tuple[PhotoEdited, Version]:
    """An edit and its version."""
    return PhotoEdited(7, time_ms, Metadata(**metadata)), at(time_ms)


def shown(time_ms: int, visibility: str) -> tuple[VisibilityChanged, Version]:
    """A change of visibility and its version."""
    return VisibilityChanged(7, time_ms, visibility), at(time_ms)


def deleted(time_ms: int) -> tuple[PhotoDeleted, Version]:
    """A deletion and its version."""
    return PhotoDeleted(7, time_ms), at(time_ms, KIND_DELETED)


def embedded(time_ms: int) -> PhotoEmbedded:
    """The embedding of the upload of that time."""
    arrays = np.zeros(4, "<f2"), np.arange(2, dtype="<u2"), np.ones(2, "<f2")
    return PhotoEmbedded(7, at(time_ms), f"file:///{time_ms}.jpg", f"{time_ms:064x}", 640, 480, *arrays)


def merged(facts: list) -> PhotoRow:
    """The row after `facts` in their order."""
    row = EMPTY
    for fact in facts:
        if isinstance(fact, PhotoEmbedded):
            row = with_embedding(row, fact, "00ff" * 16)
        elif isinstance(fact, PhotoRemoved):
            row = with_deletion(row, fact.version)
        else:
            row = with_event(row, *fact)
    return row


moments = st.integers(1, 6)
facts = st.lists(
    st.one_of(
        moments.map(uploaded),
        moments.map(lambda t: uploaded(t, title=f"upload {t}")),
        moments.map(lambda t: edited(t, tags=(f"edit {t}",))),
        moments.map(lambda t: shown(t, "hidden")),
        moments.map(deleted),
        moments.map(embedded),
    ),
    max_size=8,
    unique_by=repr,
)


def distinct_moments(some: list) -> list:
    """Facts of which no two of a kind claim the same version, as the log guarantees."""
    seen, kept = set(), []
    for fact in some:
        key = (type(fact), fact.version) if isinstance(fact, PhotoEmbedded) else fact[1]
        if key not in seen:
            seen.add(key)
            kept.append(fact)
    return kept


class TestAnyOrder:
    """Facts come late, twice and in any order."""

    @given(facts.map(distinct_moments), st.randoms())
    def test_the_same_facts_in_any_order_make_the_same_row(self, some, random):
        """Kafka keeps the order within one topic only, so order must not matter."""
        shuffled = some + some
        random.shuffle(shuffled)

        assert merged(shuffled) == merged(some)

    @given(facts.map(distinct_moments), st.data())
    def test_two_rows_join_to_the_row_of_all_their_facts(self, some, data):
        """What a worker has accepted goes onto what the table knows, whether it overlaps or not."""
        events = [each for each in some if not isinstance(each, PhotoEmbedded)]
        accepted = data.draw(st.lists(st.sampled_from(events), unique_by=id)) if events else []
        tabled = [each for each in some if each not in accepted] + data.draw(st.sampled_from([accepted, []]))

        assert joined(merged(tabled), merged(accepted)) == merged(some)

    @given(facts.map(distinct_moments))
    def test_a_row_survives_the_table(self, some):
        """What is read back from bytes is what was written."""
        row = merged(some)

        assert PhotoRow.from_bytes(row.to_bytes()) == row


class TestDeletion:
    """A deleted photo stays deleted."""

    def test_a_deletion_before_its_upload_wins(self):
        """The deletion is younger, although it came first."""
        assert not merged([deleted(5), uploaded(3), embedded(3)]).known

    def test_a_deletion_wins_a_tie(self):
        """Uploaded and deleted in the same millisecond is deleted."""
        assert not merged([deleted(3), uploaded(3)]).known

    def test_a_later_upload_brings_the_photo_back(self):
        """Somebody uploaded it again."""
        row = merged([uploaded(1), deleted(2), uploaded(3), embedded(3)])

        assert row.findable
        assert row.url == "file:///3.jpg"

    def test_nothing_of_the_photo_remains_in_its_row(self):
        """Tags and titles are personal data."""
        row = merged([uploaded(1, title="private", tags=("me",)), embedded(1), deleted(2)])

        assert row == PhotoRow(7, deletion_version=at(2, KIND_DELETED))


class TestEdits:
    """Each field of the metadata is a register of its own."""

    def test_an_edit_before_its_upload_is_kept(self):
        """The upload carries no title, so the edit's title stays."""
        row = merged([edited(5, title="later"), uploaded(3)])

        assert row.value("title") == "later"

    def test_a_late_edit_of_another_field_still_counts(self):
        """A newer edit of the tags says nothing of the title."""
        row = merged([uploaded(1), edited(5, tags=("dog",)), edited(3, title="late")])

        assert (row.value("title"), row.value("tags")) == ("late", ["dog"])

    def test_an_edit_alone_makes_no_photo(self):
        """There is nothing to show yet."""
        assert not merged([edited(1, title="what of?")]).known


class TestVisibility:
    """A hidden photo is there, but in no search."""

    def test_a_photo_is_public_until_something_else_is_said(self):
        """And says that it is hidden afterwards."""
        before, after = merged([uploaded(1), embedded(1)]), merged([uploaded(1), embedded(1), shown(2, "hidden")])

        assert (before.findable, before.hidden) == (True, False)
        assert (after.findable, after.hidden, after.known) == (False, True, True)

    def test_the_newest_word_counts_in_whatever_order_they_come(self):
        """Also before the upload; and an upload that says nothing of it leaves it as it is."""
        assert merged([shown(5, "hidden"), uploaded(3), embedded(3), shown(4, "public")]).hidden
        assert merged([uploaded(1, visibility="hidden"), shown(2, "public"), uploaded(3), embedded(3)]).findable

    def test_a_photo_that_comes_back_after_its_deletion_is_public(self):
        """Nothing of the photo before is left."""
        assert merged([uploaded(1), shown(2, "hidden"), deleted(3), uploaded(4), embedded(4)]).findable


class TestUsers:
    """Whose deletion takes a photo along."""

    def test_a_photo_goes_with_its_user_when_it_was_uploaded_by_then(self):
        """At the very millisecond, too; and not when it came later, or is another one's."""
        row = merged([uploaded(3, user_id=9)])

        assert [row.went_with(UserRow(9, time_ms)) for time_ms in (2, 3, 4)] == [False, True, True]
        assert not row.went_with(UserRow(8, 4))
        assert not merged([uploaded(3)]).went_with(UserRow(9, 4))

    def test_a_photo_belongs_to_whom_its_newest_event_names(self):
        """Wherever the name comes from."""
        row = merged([uploaded(1, user_id=9), edited(2, user_id=8)])

        assert [row.went_with(UserRow(user_id, 5)) for user_id in (8, 9)] == [True, False]

    def test_a_user_survives_the_table(self):
        """What is read back from bytes is what was written."""
        assert UserRow.from_bytes(UserRow(9, 5).to_bytes()) == UserRow(9, 5)


class TestFailures:
    """Why a photo cannot be found."""

    def test_a_failure_is_that_of_the_present_upload_or_none(self):
        """What failed before it, and what nobody has catalogued yet, is no word about it."""
        row = merged([uploaded(3)])

        assert [row.failed_by(Failure(at(time_ms), "damaged")) for time_ms in (2, 3, 4)] == [False, True, False]
