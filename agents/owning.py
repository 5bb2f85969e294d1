"""`tell_owners` and `keep_portfolios`: from photo activity, by way of a topic keyed by user_id, to the portfolios."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import faust
from faust.types import EventT, StreamT

from agents.facts import fact_from
from agents.persistence import do_batch
from agents.turns import in_turns
from stream_app.activity import UserDeleted
from stream_app.catalogue import PhotoRow
from stream_app.collection_tables import CollectionTable
from stream_app.dead_letters import DeadLetters
from stream_app.errors import EventRejected
from stream_app.portfolios import PhotoOwner, PortfolioRow, owner_news
from stream_app.records import photo_key
from stream_app.settings import Settings
from stream_app.tables import RowTable
from stream_app.versions import BEFORE_ALL

#: How often a worker with an embedded broker looks whether news was lost.
CHECK_SECONDS = 600.0
CHECKED_TOGETHER = 200


@dataclass(frozen=True)
class OwnersRoom:
    """What the agents work with, handed in by the app; `news` is the topic between them."""

    photos: RowTable[PhotoRow]
    owners: RowTable[PhotoOwner]
    news: faust.Topic
    portfolios: CollectionTable[PortfolioRow]
    dead_letters: DeadLetters


def declare_owning(app: faust.App, activity: faust.Topic, room: OwnersRoom, settings: Settings) -> None:
    """Declare the agents on `app`."""
    size, seconds = settings.index_batch_size, settings.index_batch_seconds

    @app.agent(activity, name="tell_owners")
    async def tell_owners(stream: StreamT) -> None:
        async for events in stream.noack_take(size, within=seconds):
            await do_batch(lambda batch: tell_batch(batch, room), events, "tell", room.dead_letters)

    @app.agent(room.news, name="keep_portfolios")
    async def keep_portfolios(stream: StreamT) -> None:
        async for events in stream.noack_take(size, within=seconds):
            await do_batch(lambda batch: keep_batch(batch, room), events, "keep", room.dead_letters)

    if settings.embedded_broker:

        @app.task
        async def tell_again() -> None:
            await room.portfolios.recovered()
            while True:
                await tell_what_was_lost(room)
                await asyncio.sleep(CHECK_SECONDS)


async def tell_batch(events: Sequence[EventT], room: OwnersRoom) -> None:
    """Tell photographers what `events` say of their photos; returns when the news and the rows are durable."""
    owners: dict[int, tuple[EventT, PhotoOwner]] = {}
    news: dict[tuple[int, int], PortfolioRow] = {}
    async for event in in_turns(events):
        try:
            fact = fact_from(event)
        except EventRejected:
            continue  # the embedding agent reads the same topic and has sent it to the dead letters
        if isinstance(fact.activity, UserDeleted):
            continue  # their photos go by events of their own
        before = owners[fact.photo_id][1] if fact.photo_id in owners else _owner(fact.photo_id, room)
        after = before.with_event(fact.activity, fact.version)
        owners[fact.photo_id] = event, after
        for user_id, told in owner_news(before, after, fact.version):
            here = user_id, fact.photo_id
            news[here] = news[here].with_news(told) if here in news else told
    # Before the rows: a row no longer knows whose the photo was before.
    sent = [await room.news.send(key=photo_key(user), value=told.to_bytes()) for (user, _), told in news.items()]
    await asyncio.gather(*sent)
    for photo_id, (event, after) in owners.items():
        if after != room.owners.get(photo_id):
            room.owners.set(event, photo_id, after)
    await room.owners.confirmed()


async def keep_batch(events: Sequence[EventT], room: OwnersRoom) -> None:
    """Merge news into the portfolios of their photographers; returns when the rows are durable."""
    async for event in in_turns(events):
        user_id, told = int(event.message.key), PortfolioRow.from_bytes(event.message.value)
        before = room.portfolios.get(user_id, told.photo_id) or PortfolioRow(told.photo_id)
        after = before.with_news(told)
        if after != before:
            room.portfolios.set(event, user_id, told.photo_id, after)
    await room.portfolios.confirmed()


async def tell_what_was_lost(room: OwnersRoom) -> None:
    """Tell photographers what the photos' rows know and their portfolios do not.

    News that was on its way is lost with an embedded broker that is killed, and albums of before there were portfolios
    never had any. Only for a worker that has all partitions.
    """
    for number, photo in enumerate(room.photos.rows()):
        owner = PhotoOwner.of(photo)
        if owner.user_id is not None:
            await _tell_news(owner.user_id, owner.news(), room)
        await _breathe(number)
    for number, user_id in enumerate(room.portfolios.collection_ids()):
        for row in room.portfolios.rows_of(user_id):
            owner = PhotoOwner.of(room.photos.get(row.photo_id) or PhotoRow(row.photo_id))
            if row.present and owner.user_id != user_id:
                lost = replace(owner.news(), owned_version=BEFORE_ALL, lost_version=owner.owned_version)
                await _tell_news(user_id, lost, room)
        await _breathe(number)


async def _tell_news(user_id: int, told: PortfolioRow, room: OwnersRoom) -> None:
    known = room.portfolios.get(user_id, told.photo_id) or PortfolioRow(told.photo_id)
    if known.with_news(told) != known:
        await room.news.send(key=photo_key(user_id), value=told.to_bytes())


async def _breathe(number: int) -> None:
    """Let the event loop go on now and then."""
    if number % CHECKED_TOGETHER == 0:
        await asyncio.sleep(0)


def _owner(photo_id: int, room: OwnersRoom) -> PhotoOwner:
    if (owner := room.owners.get(photo_id)) is not None:
        return owner
    photo = room.photos.get(photo_id)
    return PhotoOwner(photo_id) if photo is None else PhotoOwner.of(photo)
