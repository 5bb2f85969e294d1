"""What a worker reads after it has recovered its tables: everything that was never acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import faust
from aiokafka import TopicPartition
from faust.types import TP

from stream_app import kafka
from stream_app.local_services import faust_settings
from stream_app.settings import Settings
from stream_app.steady_transport import RECORDS_TOGETHER
from stream_app.topics import TopicSpec, create_topics

PARTITIONS = 4
EACH = 5
#: A coordinator under load takes so long for one partition, and an agent for one event.
SLOW_SECONDS = 0.2
WAIT_SECONDS_MAX = 30


@dataclass
class Reader:
    """A small worker with a table to recover, and what its agent was given, by partition."""

    settings: Settings
    topic: str
    seen: dict[int, set[int]] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it for the length of the block."""
        app = faust.App(
            self.settings.app_id,
            **{
                "broker": self.settings.broker_url,
                "topic_partitions": PARTITIONS,
                "topic_replication_factor": 1,
                "stream_wait_empty": False,
                "broker_commit_interval": 0.1,
                "web_enabled": False,
            }
            | faust_settings(self.settings),
        )
        app.transport.Consumer = with_slow_offsets(app.transport.Consumer)
        table = app.Table("counted", partitions=PARTITIONS, key_type=bytes, value_type=int, default=int)
        events = app.topic(self.topic, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw")

        @app.agent(events)
        async def note(stream):
            async for event in stream.events():
                await asyncio.sleep(SLOW_SECONDS)
                self.seen.setdefault(event.message.partition, set()).add(event.message.offset)
                table[event.key] = event.message.offset

        app.finalize()
        await app.start()
        try:
            yield
        finally:
            await app.stop()

    async def until_seen(self, last: int) -> None:
        """Wait for the event at offset `last` of every partition."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len([each for each in self.seen.values() if last in each]) < PARTITIONS:
                await asyncio.sleep(0.05)


def with_slow_offsets(consumer_type: type) -> type:
    """The same consumer, whose broker takes its time with every partition that it is asked about."""

    class SlowConsumer(consumer_type):
        async def seek_to_committed(self):
            real = self._thread._ensure_consumer()
            offsets = {}
            for each in sorted(self.assignment()):
                offsets |= await self._thread.call_thread(real.seek_to_committed, TopicPartition(*each))
                await asyncio.sleep(SLOW_SECONDS)
            return {TP(*each): offset for each, offset in offsets.items()}

    return SlowConsumer


async def send(settings: Settings, topic: str, count: int) -> None:
    """So many events to every partition."""
    async with kafka.producer(settings) as producer:
        for partition in range(PARTITIONS):
            for number in range(count):
                await producer.send_and_wait(topic, b"%d" % number, b"%d" % partition, partition)


async def test_what_is_read_while_offsets_are_still_asked_for_is_not_lost(log_settings):
    """Faust reads on while it seeks one partition after the other, and then empties the queues of its agents."""
    topic = f"{log_settings.topic_prefix}steady"
    await create_topics(log_settings, [TopicSpec(topic, PARTITIONS, 1, {})])
    await send(log_settings, topic, 1)
    first = Reader(log_settings, topic)
    async with first.running():
        await first.until_seen(0)
        await asyncio.sleep(1)  # it commits every tenth of a second
    await send(log_settings, topic, EACH)
    second = Reader(log_settings, topic)
    async with second.running():
        await second.until_seen(EACH)

    assert all(set(range(1, EACH + 1)) <= offsets for offsets in second.seen.values()), second.seen


async def test_a_backlog_of_one_topic_does_not_keep_another_waiting(log_settings):
    """However long an agent takes: its queue is full, and the other agent's is not."""
    busy, calm = (f"{log_settings.topic_prefix}{each}" for each in ("busy", "calm"))
    await create_topics(log_settings, [TopicSpec(each, PARTITIONS, 1, {}) for each in (busy, calm)])
    await send(log_settings, busy, 4 * RECORDS_TOGETHER)
    app = faust.App(
        log_settings.app_id,
        **{"broker": log_settings.broker_url, "topic_partitions": PARTITIONS, "web_enabled": False}
        | {"stream_buffer_maxsize": 6 * RECORDS_TOGETHER, "stream_wait_empty": False}
        | faust_settings(log_settings),
    )
    raw = {"key_type": bytes, "value_type": bytes, "value_serializer": "raw", "key_serializer": "raw"}
    begun, arrived = asyncio.Event(), asyncio.Event()

    @app.agent(app.topic(busy, **raw))
    async def hang(stream):
        async for _ in stream:
            begun.set()
            await asyncio.Event().wait()

    @app.agent(app.topic(calm, **raw))
    async def note(stream):
        async for _ in stream:
            arrived.set()

    app.finalize()
    await app.start()
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await begun.wait()
            await asyncio.sleep(2)  # the queue fills meanwhile
            await send(log_settings, calm, 1)
            await arrived.wait()
    finally:
        await app.stop()
