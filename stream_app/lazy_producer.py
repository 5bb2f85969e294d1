"""A plain Kafka producer of one worker, connected when the first message is due; beside Faust's own.

Faust's writes no null, which is how a compacted topic forgets, and to topics alone that it was told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaProducer

from stream_app import kafka
from stream_app.settings import Settings


class LazyProducer:
    """`connected` gives the producer, `stop` ends it; `options` beside those of `stream_app.kafka`."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self._settings, self._options = settings, options
        self._producer: AIOKafkaProducer | None = None
        self._running = AsyncExitStack()
        self._connecting = asyncio.Lock()

    async def connected(self) -> AIOKafkaProducer:
        """The producer, connected; raises ServiceUnavailable."""
        async with self._connecting:
            if self._producer is None:
                producer = kafka.producer(self._settings, **self._options)
                self._producer = await self._running.enter_async_context(producer)
            return self._producer

    async def send_all(self, topic: str, partition: int, messages: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Return when the broker has confirmed these (key, value), in their order; raises KafkaError as well."""
        producer = await self.connected()
        # Tansu counts a batch as one offset at the end of the log: where the last batch has one message, that is right.
        for group in (messages[:-1], messages[-1:]) if self._settings.embedded_broker else (messages,):
            for each in [await producer.send(topic, value, key, partition) for key, value in group]:
                await each

    async def stop(self) -> None:
        """Send what is left, and disconnect; safe to repeat."""
        await self._running.aclose()
