"""`catalogue_photos`: from photo activity to the rows of the table `photos`; an edit never meets the encoder."""

from __future__ import annotations

from collections.abc import Sequence

import faust
from faust.types import EventT, StreamT

from agents.facts import fact_from
from agents.persistence import do_batch
from stream_app.catalogue import PhotoRow, with_event
from stream_app.dead_letters import DeadLetters
from stream_app.errors import EventRejected
from stream_app.settings import Settings
from stream_app.tables import RowTable


def declare_cataloguing(
    app: faust.App,
    activity: faust.Topic,
    rows: RowTable[PhotoRow],
    dead_letters: DeadLetters,
    settings: Settings,
) -> None:
    """Declare the agent on `app`."""

    @app.agent(activity, name="catalogue_photos")
    async def catalogue_photos(stream: StreamT) -> None:
        async for events in stream.noack_take(settings.index_batch_size, within=settings.index_batch_seconds):
            await do_batch(lambda batch: catalogue_batch(batch, rows), events, "catalogue", dead_letters)


async def catalogue_batch(events: Sequence[EventT], rows: RowTable[PhotoRow]) -> None:
    """Merge `events` into the rows of their photos; returns when the rows are durable."""
    for event in events:
        try:
            fact = fact_from(event)
        except EventRejected:
            continue  # the embedding agent reads the same topic and has sent it to the dead letters
        before = rows.get(fact.photo_id) or PhotoRow(fact.photo_id)
        after = with_event(before, fact.activity, fact.version)
        if after != before:
            rows.set(event, fact.photo_id, after)
    await rows.confirmed()
