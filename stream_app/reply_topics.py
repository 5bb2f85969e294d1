"""Where replies go: to topics that their callers made under one prefix, and nowhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from stream_app import kafka
from stream_app.lazy_producer import LazyProducer
from stream_app.query_messages import ReplyAddress
from stream_app.settings import Settings
from stream_app.topics import reply_topic_prefix

#: How often at most the broker is asked which topics there are, and how long its answer counts.
LOOK_SECONDS, TRUST_SECONDS = 1.0, 60.0
#: What a message has beside its value: key, headers, and the batch around it.
AROUND_BYTES = 16_384


class ReplyTopics:
    """Sends replies; connects when the first one is due, `stop` ends it.

    Whoever may write to `photo-queries` names the topic of the reply: without a prefix the worker would be a tool to
    write anywhere, and where brokers make topics by themselves, to make them.
    """

    def __init__(self, settings: Settings) -> None:
        self.bytes_max = settings.reply_bytes_max
        self._prefix = reply_topic_prefix(settings)
        bytes_max = max(kafka.MESSAGE_BYTES_MAX, self.bytes_max + AROUND_BYTES)
        self._producer = LazyProducer(settings, max_request_size=bytes_max)
        self._partitions: Mapping[str, int] = {}
        self._looked_at = -TRUST_SECONDS
        self._looking = asyncio.Lock()

    async def stop(self) -> None:
        """Send what is left, and disconnect; safe to repeat."""
        await self._producer.stop()

    async def refusal(self, address: ReplyAddress) -> str | None:
        """Why nothing may be written to an address; None where it may. Raises KafkaError, ServiceUnavailable."""
        if not address.topic.startswith(self._prefix):
            return f"replies go to topics whose names begin with {self._prefix}, not to {address.topic}"
        count = await self._partition_count(address.topic)
        if count is None:
            return f"there is no topic {address.topic}: its caller makes it before asking"
        if address.partition is not None and not 0 <= address.partition < count:
            return f"{address.topic} has the partitions 0 to {count - 1}, and not {address.partition}"
        return None

    async def send(self, address: ReplyAddress, key: bytes | None, values: Sequence[bytes]) -> None:
        """Return when the broker has confirmed them all, in their order; raises as `refusal` does."""
        headers = address.headers()
        producer = await self._producer.connected()
        sent = [
            await producer.send(address.topic, value, key=key, partition=address.partition, headers=headers)
            for value in values
        ]
        for each in sent:
            await each

    async def _partition_count(self, topic: str) -> int | None:
        """Of a topic that there is; asked by its name, one that is not there might be made."""
        asked_at = time.monotonic()
        if asked_at - self._looked_at > TRUST_SECONDS or topic not in self._partitions:
            async with self._looking:
                # One look serves all who waited for it: names that nobody made must not hold up the others.
                if self._looked_at < asked_at:
                    await self._look()
        return self._partitions.get(topic)

    async def _look(self) -> None:
        await asyncio.sleep(max(0.0, self._looked_at + LOOK_SECONDS - time.monotonic()))
        producer = await self._producer.connected()
        looked_at = time.monotonic()
        cluster = await producer.client.fetch_all_metadata()
        counts = {each: cluster.partitions_for_topic(each) or () for each in cluster.topics()}
        self._partitions = {each: len(partitions) for each, partitions in counts.items() if partitions}
        self._looked_at = looked_at
