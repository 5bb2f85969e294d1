"""Sending many events to the activity topics: bounded in flight, counted when the broker has confirmed them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream_app import kafka
from stream_app.collection_events import collection_key
from stream_app.records import photo_key
from stream_app.settings import Settings
from stream_app.topics import activity_topic, collections_topic, create_topics, recognised, topic_specs

IN_FLIGHT_MAX = 500


class ActivitySender:
    """Sends events in their order; made by `activity_sender`."""

    def __init__(self, producer: AIOKafkaProducer, settings: Settings) -> None:
        self._producer = producer
        self._settings = settings
        self._unconfirmed: set[asyncio.Future[Any]] = set()

    async def send(self, key_id: int, event: bytes, delivered: Callable[[], object] = bool) -> None:
        """Take one event of a photo or user; `delivered` is called when it is safe. Raises ServiceUnavailable."""
        await self._send(activity_topic(self._settings), photo_key(key_id), event, delivered)

    async def send_collection(self, collection_id: int, event: bytes, delivered: Callable[[], object] = bool) -> None:
        """Take one event of a gallery or quest, as `send` takes a photo's."""
        await self._send(collections_topic(self._settings), collection_key(collection_id), event, delivered)

    async def _send(self, topic: str, key: bytes, event: bytes, delivered: Callable[[], object]) -> None:
        try:
            while len(self._unconfirmed) >= IN_FLIGHT_MAX:
                await self._settle(asyncio.FIRST_COMPLETED)
            confirmed = await self._producer.send(topic, event, key)
        except KafkaError as error:
            raise kafka.no_answer(self._settings, error) from error
        confirmed.add_done_callback(lambda done: done.cancelled() or done.exception() or delivered())
        self._unconfirmed.add(confirmed)

    async def confirmed(self) -> None:
        """Return when the broker has everything that was sent; raises ServiceUnavailable."""
        try:
            await self._settle(asyncio.ALL_COMPLETED)
        except KafkaError as error:
            raise kafka.no_answer(self._settings, error) from error

    async def _settle(self, when: str) -> None:
        if self._unconfirmed:
            done, self._unconfirmed = await asyncio.wait(self._unconfirmed, return_when=when)
            for each in done:
                each.result()


@asynccontextmanager
async def activity_sender(settings: Settings) -> AsyncIterator[ActivitySender]:
    """A sender, once the topics are there as they should be: a broker would make them with the wrong partitions."""
    settings = await recognised(settings)
    needed = activity_topic(settings), collections_topic(settings)
    specs = [each for each in topic_specs(settings, "") if each.name in needed]
    await create_topics(settings, specs)
    async with kafka.producer(settings) as producer:
        yield ActivitySender(producer, settings)
