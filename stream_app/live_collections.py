"""The galleries, quests and portfolios of this worker: what the web asks of them, and what it changes in them."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import faust

from stream_app import kafka
from stream_app.accepted_collections import AcceptedEvents
from stream_app.collection_events import (
    CollectionDeleted,
    CollectionEvent,
    Kind,
    PhotoEntered,
    PhotoLeft,
    collection_event_to_json,
    collection_key,
    parse_collection_event,
)
from stream_app.collection_rows import CollectionRow, changed_row, kind_of_version
from stream_app.collection_tables import CollectionTable
from stream_app.collection_views import Gallery, Portfolio, Quest, gallery_of, portfolio_of, quest_of
from stream_app.errors import ServiceUnavailable
from stream_app.portfolios import PortfolioRow
from stream_app.versions import Version, version_of

TAKEN_SECONDS_MAX = 15.0

View = TypeVar("View")
Kept = Callable[[int, int], Awaitable[None]]
_Sent = tuple[CollectionEvent, Version]


@dataclass(frozen=True)
class CollectionRoom:
    """What collections live on, handed in by the app.

    `kept` waits, for each kind, until the embedded log holds an offset of the changelog; None where the broker
    itself outlives us.
    """

    tables: Mapping[Kind, CollectionTable[CollectionRow]]
    portfolios: CollectionTable[PortfolioRow]
    activity: faust.Topic
    partition_count: int
    kept: Mapping[Kind, Kept] | None = None


class LiveCollections:
    """Reads collections from their rows, and knows what it has accepted ahead of the agent."""

    def __init__(self, room: CollectionRoom) -> None:
        self._room = room
        self._accepted = AcceptedEvents()

    def gallery(self, gallery_id: int) -> Gallery:
        """The gallery; raises CollectionNotFound and ServiceUnavailable."""
        return self._view("gallery", gallery_id, gallery_of)

    def quest(self, quest_id: int) -> Quest:
        """The quest; raises CollectionNotFound and ServiceUnavailable."""
        return self._view("quest", quest_id, quest_of)

    def portfolio(self, user_id: int) -> Portfolio:
        """The portfolio of one photographer; raises CollectionNotFound and ServiceUnavailable."""
        table = self._room.portfolios
        self._require_here(table, user_id)
        return table.view_of(user_id, lambda rows: portfolio_of(user_id, rows, table.version_of(user_id)))

    def portfolios(self) -> list[Portfolio]:
        """Those of all photographers whom this worker keeps and who have a photo, in no order."""
        every = [self.portfolio(user_id) for user_id in self._room.portfolios.collection_ids()]
        return [each for each in every if each.photo_ids]

    async def publish(self, events: Sequence[CollectionEvent]) -> None:
        """Send events; returns when they are durable, and this worker's answers know them.

        An event without a time happens now, after all that is known of its photo or collection. Raises
        EventRejected, and nothing was sent, and ServiceUnavailable, and some may have been.
        """
        for event in events:
            parse_collection_event(collection_event_to_json(event))  # what the agent would refuse is not sent
        collections = {(each.kind, each.collection_id) for each in events}
        newest_ms = {each: self._accepted.newest_time_ms(*each) for each in collections}
        dated = [self._dated(each, newest_ms[each.kind, each.collection_id]) for each in events]
        sent = [await self._send(each) for each in dated]
        accepted = [(event, _version(event, await confirmed)) for event, confirmed in zip(dated, sent, strict=True)]
        for event, version in accepted:
            self._accepted.note(event, version)
            self._room.tables[event.kind].touch(event.collection_id)
        if self._room.kept is not None:
            await self._until_kept(accepted, self._room.kept)

    def _view(self, kind: Kind, collection_id: int, made: Callable[[int, list[CollectionRow], int], View]) -> View:
        table = self._room.tables[kind]
        self._require_here(table, collection_id)

        def made_now(rows: list[CollectionRow]) -> View:
            ahead = self._accepted.laid_over(kind, collection_id, rows)
            return made(collection_id, ahead, table.version_of(collection_id))

        return table.view_of(collection_id, made_now)

    def _require_here(self, table: CollectionTable[Any], collection_id: int) -> None:
        """Raises ServiceUnavailable where this worker cannot know whether there is such a collection."""
        owned = table.owned_partitions
        if owned is None:
            raise ServiceUnavailable(
                "Collections are not open yet",
                received="tables that are being recovered",
                remedy="Ask again in a moment.",
            )
        partition = kafka.partition_of(collection_key(collection_id), self._room.partition_count)
        # Another client's partitioner may have put it elsewhere: what is here is here.
        if partition not in owned and not table.knows(collection_id):
            raise ServiceUnavailable(
                f"Collection {collection_id} is kept by another worker",
                expected=f"one of the partitions {sorted(owned)}",
                received=str(partition),
                remedy="Ask the other workers.",
            )

    def _dated(self, event: CollectionEvent, accepted_ms: int) -> CollectionEvent:
        """The event with a time: now, but after what it answers to, whatever clock that was dated by."""
        if event.time_ms is not None:
            return event
        newest_ms = max([accepted_ms, *(each.newest_version.time_ms for each in self._rows_before(event))])
        return dataclasses.replace(event, time_ms=max(time.time_ns() // 1_000_000, newest_ms + 1))

    def _rows_before(self, event: CollectionEvent) -> list[CollectionRow]:
        """The rows that decide on what an event changes."""
        table = self._room.tables[event.kind]
        if isinstance(event, CollectionDeleted):
            return table.rows_of(event.collection_id)
        rows = [table.get(event.collection_id)]
        if isinstance(event, PhotoEntered | PhotoLeft):
            rows.append(table.get(event.collection_id, event.photo_id))
        return [each for each in rows if each is not None]

    async def _send(self, event: CollectionEvent) -> Awaitable[Any]:
        key, value = collection_key(event.collection_id), collection_event_to_json(event)
        confirmed: Awaitable[Any] = await self._room.activity.send(key=key, value=value)
        return confirmed

    async def _until_kept(self, accepted: Sequence[_Sent], kept: Mapping[Kind, Kept]) -> None:
        """Return when the rows of these events survive the end of the embedded broker."""
        deadline = time.monotonic() + TAKEN_SECONDS_MAX
        for event, version in accepted:
            known = partial(self._room.tables[event.kind].get, event.collection_id)
            while changed_row(known, event, version) is not None:
                if time.monotonic() > deadline:
                    raise ServiceUnavailable(
                        "It is accepted, but not taken in yet",
                        expected=f"the agent to take it in within {TAKEN_SECONDS_MAX:.0f} s",
                        received="a backlog",
                        remedy="It is not lost while `sightline up` runs.",
                    )
                await asyncio.sleep(0.01)
        for kind, partition in {(event.kind, version.partition) for event, version in accepted}:
            table = self._room.tables[kind]
            await table.confirmed()
            await kept[kind](partition, table.confirmed_offset(partition))


def _version(event: CollectionEvent, sent: Any) -> Version:
    """The version that the agent will give an event that the broker has confirmed."""
    broker_time_ms = int(sent.timestamp or event.time_ms or 0)
    return version_of(event.time_ms, broker_time_ms, kind_of_version(event), sent.partition, sent.offset)
