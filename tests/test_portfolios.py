"""Whose photos are whose: any order of the same events and news ends in the same portfolios."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_app.activity import Event, Metadata, PhotoDeleted, PhotoEdited, PhotoUploaded
from stream_app.catalogue import PhotoRow, with_event
from stream_app.collection_views import Portfolio, portfolio_of
from stream_app.errors import CollectionNotFound
from stream_app.portfolios import PhotoOwner, PortfolioRow, owner_news
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version

#: A busy machine is no failure.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ADA, BEN = 5, 6
Fact = tuple[Event, Version]
News = tuple[int, PortfolioRow]


def at(time_ms: int, kind: int = KIND_CHANGED) -> Version:
    """A version of that time, with an offset that follows it."""
    return Version(time_ms, kind, 0, time_ms)


def uploaded(time_ms: int, user_id: int | None = None) -> Fact:
    """An upload, of which it may be unknown whose it is."""
    return PhotoUploaded(7, time_ms, "file:///7.jpg", None, Metadata(user_id=user_id)), at(time_ms)


def edited(time_ms: int, user_id: int | None = None) -> Fact:
    """An edit of the owner, or of nothing that matters here."""
    return PhotoEdited(7, time_ms, Metadata(user_id=user_id, title="Dusk")), at(time_ms)


def deleted(time_ms: int) -> Fact:
    """A deletion."""
    return PhotoDeleted(7, time_ms), at(time_ms, KIND_DELETED)


def told(facts: list[Fact]) -> list[News]:
    """What photographers are told of the photo, in that order."""
    owner, news = PhotoOwner(7), []
    for fact in facts:
        before, owner = owner, owner.with_event(*fact)
        news += owner_news(before, owner, fact[1])
    return news


def owners(news: list[News]) -> set[int]:
    """Those who have the photo in their portfolio after this news."""
    rows: dict[int, PortfolioRow] = {}
    for user_id, row in news:
        rows[user_id] = rows.get(user_id, PortfolioRow(7)).with_news(row)
    return {user_id for user_id, row in rows.items() if row.present}


def owners_by_the_photo(facts: list[Fact]) -> set[int]:
    """The same as the row of the photo has it."""
    row = PhotoRow(7)
    for fact in facts:
        row = with_event(row, *fact)
    return {int(row.value("user_id"))} if row.known and row.value("user_id") is not None else set()


moments = st.integers(1, 9)
users = st.sampled_from([None, ADA, BEN])
facts = st.lists(
    st.one_of(st.builds(uploaded, moments, users), st.builds(edited, moments, users), st.builds(deleted, moments)),
    max_size=10,
    unique_by=lambda each: each[1],
)


class TestAnyOrder:
    """Events come late, twice and out of order, and so does the news that they make."""

    @patient
    @given(facts)
    def test_a_portfolio_has_just_the_photos_whose_rows_say_so(self, some: list[Fact]) -> None:
        """Two ways to the same answer."""
        assert owners(told(some)) == owners_by_the_photo(some)

    @patient
    @given(facts, st.randoms(use_true_random=False))
    def test_any_order_of_the_events_ends_in_the_same_portfolios(self, some: list[Fact], random: Any) -> None:
        """With repetitions among them."""
        others = some + [each for each in some if random.random() < 0.5]
        random.shuffle(others)

        assert owners(told(others)) == owners(told(some))

    @patient
    @given(facts, st.randoms(use_true_random=False))
    def test_any_order_of_the_news_ends_in_the_same_portfolios(self, some: list[Fact], random: Any) -> None:
        """Two workers may tell the same at once, after a rebalance."""
        news = told(some)
        others = news + [each for each in news if random.random() < 0.5]
        random.shuffle(others)

        assert owners(others) == owners(news)

    @patient
    @given(facts)
    def test_rows_come_back_from_the_table_as_they_went(self, some: list[Fact]) -> None:
        """Both kinds."""
        owner = PhotoOwner(7)
        for fact in some:
            owner = owner.with_event(*fact)

        assert PhotoOwner.from_bytes(owner.to_bytes()) == owner
        assert all(PortfolioRow.from_bytes(row.to_bytes()) == row for _, row in told(some))


class TestNews:
    """What is told, and when nothing is."""

    def test_a_photo_that_changes_hands_leaves_one_portfolio_for_the_other(self) -> None:
        """Both are told."""
        some = [uploaded(1, ADA), edited(2, BEN)]

        assert [user_id for user_id, _ in told(some)] == [ADA, BEN, ADA]
        assert owners(told(some)) == {BEN}

    def test_a_photo_that_comes_back_is_there_again(self) -> None:
        """What was lost once is not lost for ever."""
        assert owners(told([uploaded(1, ADA), edited(2, BEN), edited(3, ADA)])) == {ADA}

    def test_its_owner_is_told_of_a_deletion(self) -> None:
        """Though the photo's own row has forgotten whose it was."""
        assert owners(told([uploaded(1, ADA), deleted(2)])) == set()

    def test_a_photo_without_an_owner_concerns_nobody(self) -> None:
        """Until somebody says whose it is."""
        assert told([uploaded(1), edited(2), deleted(3)]) == []
        assert owners(told([uploaded(1), edited(2, ADA)])) == {ADA}

    def test_old_news_is_not_told(self) -> None:
        """An edit of before changes nothing."""
        before = told([uploaded(1, ADA), edited(5, ADA)])

        assert told([uploaded(1, ADA), edited(5, ADA), edited(3, BEN)]) == before

    def test_an_event_that_is_worked_on_again_is_told_again(self) -> None:
        """The row may have been durable before the news was."""
        assert told([uploaded(1, ADA), uploaded(1, ADA)]) == 2 * told([uploaded(1, ADA)])


class TestPortfolio:
    """What is shown."""

    def test_it_holds_present_photos_in_the_order_of_upload(self) -> None:
        """A photo that went is not among them."""
        rows = [
            PortfolioRow(1, at(9), upload_version=at(9)),
            PortfolioRow(2, at(3), upload_version=at(3)),
            PortfolioRow(3, at(3), lost_version=at(4), upload_version=at(3)),
        ]

        assert portfolio_of(ADA, rows, 4) == Portfolio(ADA, (2, 1), 4)

    def test_one_that_lost_all_is_empty_and_one_that_never_was_is_not_found(self) -> None:
        """Two answers."""
        assert portfolio_of(ADA, [PortfolioRow(3, at(3), at(4), at(3))], 4) == Portfolio(ADA, (), 4)
        with pytest.raises(CollectionNotFound, match="no portfolio of user 5"):
            portfolio_of(ADA, [], 0)
