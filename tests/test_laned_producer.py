"""What is sent "soon": in order within a partition, and not behind what goes elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import faust
import pytest

from stream_app import kafka
from stream_app.local_services import faust_settings
from stream_app.settings import Settings
from stream_app.topics import TopicSpec, create_topics

MANY = 400


@pytest.fixture
async def app(log_settings: Settings, tmp_path: Path) -> AsyncIterator[faust.App]:
    """An app whose producer sends one record at a time, and two topics."""
    names = [f"{log_settings.topic_prefix}{each}" for each in ("busy", "calm")]
    await create_topics(log_settings, [TopicSpec(each, 4, 1, {}) for each in names])
    options = faust_settings(log_settings) | {"broker": log_settings.broker_url, "producer_max_batch_size": 1}
    app = faust.App(log_settings.app_id, autodiscover=False, datadir=tmp_path, **options)
    async with app.producer:
        yield app


def topic(app: faust.App, settings: Settings, name: str) -> faust.Topic:
    """A topic of raw bytes."""
    return app.topic(f"{settings.topic_prefix}{name}", key_type=bytes, value_type=bytes)


async def test_nothing_waits_behind_what_goes_to_another_topic(app: faust.App, log_settings: Settings) -> None:
    """Hundreds of photos' rows are on their way when a gallery's is written."""
    busy, calm = topic(app, log_settings, "busy"), topic(app, log_settings, "calm")
    before = [busy.send_soon(value=b"%d" % each, partition=0) for each in range(MANY)]

    await calm.send_soon(value=b"first", partition=0)

    assert not before[-1].done()
    await asyncio.gather(*before)


async def test_each_partition_keeps_its_order(app: faust.App, log_settings: Settings) -> None:
    """An older row must not come to lie behind a newer one."""
    busy = topic(app, log_settings, "busy")
    sent = [busy.send_soon(value=b"%d" % each, partition=each % 3) for each in range(MANY)]
    await asyncio.gather(*sent)

    records = [each async for each in kafka.read_topic(log_settings, busy.get_topic_name())]

    by_partition = {each: [int(r.value) for r in records if r.partition == each] for each in range(3)}
    assert by_partition == {each: list(range(each, MANY, 3)) for each in range(3)}


async def test_what_waits_is_sent_before_the_end(app: faust.App, log_settings: Settings) -> None:
    """A flush returns when all of it is with the broker."""
    sent = [topic(app, log_settings, "busy").send_soon(value=b"%d" % each, partition=0) for each in range(20)]

    await app.producer.flush()

    assert app.producer.buffer.size == 0
    await asyncio.gather(*sent)
