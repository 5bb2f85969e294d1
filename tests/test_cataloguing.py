"""The cataloguing agent's plain function over real topics: what a user's deletion becomes in each partition."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import faust
import pytest
from faust_events import NOW_MS, faust_event

from agents.cataloguing import CatalogueRoom, catalogue_batch
from stream_app import kafka, topics
from stream_app.activity import (
    Event,
    Metadata,
    PhotoDeleted,
    PhotoEdited,
    PhotoUploaded,
    UserDeleted,
    VisibilityChanged,
    parse_event,
)
from stream_app.catalogue import PhotoRow, UserRow
from stream_app.local_services import faust_settings
from stream_app.settings import Settings
from stream_app.tables import PartitionRows, RowTable
from stream_app.versions import CLOCK_SKEW_MS_MAX

USER, OTHER = 9, 8


class Agent:
    """The agent of one worker that has every partition; each batch is given to it by hand."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._settings = settings
        self._offsets = itertools.count(1)
        name = topics.activity_topic(settings)
        self.room = CatalogueRoom(
            activity=app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"),
            photos=_table(RowTable, app, "photos", PhotoRow, settings),
            users=_table(PartitionRows, app, "users", UserRow, settings),
            dead_letters=None,
            partition_count=settings.partition_count,
        )

    async def work_on(self, *activities: Event, partition: int = 1) -> None:
        """One batch of these events at the next offsets of a partition."""
        events = [
            faust_event(each, self.room.activity, partition=partition, offset=next(self._offsets))
            for each in activities
        ]
        await catalogue_batch(events, self.room)

    def known(self) -> set[int]:
        """The photos that are there."""
        return {row.photo_id for row in self.room.photos.rows() if row.known}

    async def sent(self) -> dict[int, list[Event]]:
        """What the agent has put into each partition of `photo-activity`."""
        found: dict[int, list[Event]] = {each: [] for each in range(self._settings.partition_count)}
        async with kafka.consumer(self._settings) as consumer:
            here = [kafka.TopicPartition(topics.activity_topic(self._settings), each) for each in found]
            consumer.assign(here)
            ends = await consumer.end_offsets(here)
            while any([await consumer.position(each) < end for each, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    for message in batch:
                        found[message.partition].append(parse_event(message.value, message.key))
        return found


def _table(kind: type, app: faust.App, name: str, row: Any, settings: Settings) -> Any:
    count = settings.partition_count
    return kind(app, name, partition_count=count, to_bytes=row.to_bytes, from_bytes=row.from_bytes)


def upload(photo_id: int, time_ms: int, user_id: int | None = USER) -> PhotoUploaded:
    """A photo of a user."""
    return PhotoUploaded(photo_id, time_ms, f"https://example.org/{photo_id}", None, Metadata(user_id=user_id))


@pytest.fixture
async def agent(log_settings: Settings) -> AsyncIterator[Agent]:
    """On empty topics."""
    await topics.create_topics(log_settings, topics.topic_specs(log_settings, "tiny"))
    options = faust_settings(log_settings) | {"broker": log_settings.broker_url, "datadir": log_settings.data_dir}
    app = faust.App(log_settings.app_id, autodiscover=False, **options)
    async with app.producer:
        yield Agent(app, log_settings)


class TestUserDeleted:
    """One event in one partition, photos in all of them."""

    async def test_the_photos_of_its_partition_go_and_every_other_partition_gets_a_copy(self, agent: Agent) -> None:
        """The copies say that they are ones, and carry the time that counts."""
        await agent.work_on(upload(1, 100), upload(2, 100), upload(3, 100, OTHER), upload(4, 100, None))
        await agent.work_on(upload(5, 100), partition=2)
        await agent.work_on(UserDeleted(USER, 200))

        copy = UserDeleted(USER, 200, relayed=True)
        assert agent.known() == {3, 4, 5}
        assert await agent.sent() == {
            0: [copy],
            1: [PhotoDeleted(1, 200), PhotoDeleted(2, 200)],
            2: [copy],
            3: [copy],
        }

    async def test_a_copy_deletes_the_photos_of_its_partition_and_goes_no_further(self, agent: Agent) -> None:
        """Else it would go round for ever."""
        await agent.work_on(upload(5, 100), partition=2)
        await agent.work_on(UserDeleted(USER, 200, relayed=True), partition=2)

        assert agent.known() == set()
        assert await agent.sent() == {0: [], 1: [], 2: [PhotoDeleted(5, 200)], 3: []}

    async def test_each_partition_keeps_the_deletion_for_itself(self, agent: Agent) -> None:
        """One that moves to another worker takes its own along, and leaves those of the others."""
        for partition in (1, 2):
            await agent.work_on(UserDeleted(USER, 200, relayed=True), partition=partition)

        known = [agent.room.users.get(each, USER) for each in range(4)]
        assert known == [None, UserRow(USER, 200), UserRow(USER, 200), None]

    async def test_an_upload_that_comes_late_is_gone_at_once_and_a_later_one_lives(self, agent: Agent) -> None:
        """The event's own time counts, not when it came in."""
        await agent.work_on(UserDeleted(USER, 200, relayed=True))
        await agent.work_on(upload(1, 200), upload(2, 201), upload(3, 100, OTHER))

        assert agent.known() == {2, 3}
        assert (await agent.sent())[1] == [PhotoDeleted(1, 200)]

    async def test_a_photo_that_is_only_later_said_to_be_theirs_goes_too(self, agent: Agent) -> None:
        """Its owner came in an edit, and the edit behind the deletion."""
        await agent.work_on(upload(1, 100, None), UserDeleted(USER, 200, relayed=True))
        assert agent.known() == {1}
        await agent.work_on(PhotoEdited(1, 150, Metadata(user_id=USER)))

        assert agent.known() == set()

    async def test_the_latest_of_two_deletions_counts_in_any_order(self, agent: Agent) -> None:
        """An old one that comes late opens no door."""
        await agent.work_on(UserDeleted(USER, 200, relayed=True), UserDeleted(USER, 100, relayed=True))
        await agent.work_on(upload(1, 150))

        assert agent.known() == set()

    async def test_to_do_it_twice_ends_in_the_same_state(self, agent: Agent) -> None:
        """A worker may die at any moment, and another does the whole batch again."""
        batch = [upload(1, 100), UserDeleted(USER, 200), upload(2, 300)]
        await agent.work_on(*batch)
        await agent.work_on(*batch)

        assert agent.known() == {2}

    async def test_what_is_announced_is_deleted_for_whoever_reads_the_topic(self, agent: Agent) -> None:
        """The agents meet their own events, and nothing more follows."""
        await agent.work_on(upload(1, 100), UserDeleted(USER, 200, relayed=True))
        await agent.work_on(*(await agent.sent())[1])

        assert agent.known() == set()
        assert (await agent.sent())[1] == [PhotoDeleted(1, 200)]

    async def test_a_time_ahead_of_the_broker_is_brought_back_to_it(self, agent: Agent) -> None:
        """A clock that runs ahead may not delete what is uploaded next year."""
        await agent.work_on(UserDeleted(USER, NOW_MS + 10**10, relayed=True))

        assert agent.room.users.get(1, USER) == UserRow(USER, NOW_MS + CLOCK_SKEW_MS_MAX)


async def test_a_hidden_photo_stays_in_the_catalogue(agent: Agent) -> None:
    """Its row says so, and it is the same row when it is shown again."""
    await agent.work_on(upload(1, 100), VisibilityChanged(1, 200, "hidden"))
    hidden = agent.room.photos.get(1)
    await agent.work_on(VisibilityChanged(1, 300, "public"), VisibilityChanged(1, 250, "hidden"))
    shown = agent.room.photos.get(1)

    assert hidden and hidden.hidden and hidden.known
    assert shown and not shown.hidden
