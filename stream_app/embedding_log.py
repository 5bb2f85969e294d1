"""The topic `photo-embeddings`: appending to it, and reading back what was appended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust import Topic

from stream_app import kafka
from stream_app.records import EmbeddingRecord, photo_key, record_of, record_to_bytes
from stream_app.settings import Settings

Appended = tuple[int, EmbeddingRecord]


class EmbeddingLog:
    """The durable truth of one vision model, one compacted partition beside each partition of activity.

    Who only reads has no use for `topic`, which is what records are sent to.
    """

    def __init__(self, topic: Topic | None, name: str, settings: Settings) -> None:
        self.name = name
        self._topic = topic
        self._settings = settings

    async def append(self, partition: int, records: Sequence[EmbeddingRecord]) -> list[int]:
        """Append records in their order; returns their offsets once the broker has confirmed them all."""
        assert self._topic, "opened for reading only"
        sent = [
            await self._topic.send(key=photo_key(record.photo_id), value=record_to_bytes(record), partition=partition)
            for record in records
        ]
        return [(await future).offset for future in sent]

    async def read_back(self, partition: int, offsets: Sequence[int]) -> dict[int, EmbeddingRecord]:
        """The records at `offsets`; those that the log no longer has are left out."""
        here = TopicPartition(self.name, partition)
        found: dict[int, EmbeddingRecord] = {}
        async with _assigned(self._settings, here) as consumer:
            end = (await consumer.end_offsets([here]))[here]
            for offset in sorted(each for each in offsets if each < end):
                if await consumer.position(here) != offset:
                    consumer.seek(here, offset)
                message = await consumer.getone(here)
                if message.offset == offset and (record := record_of(message)):
                    found[offset] = record
        return found

    async def read(self, partition: int, begin: int, end: int) -> AsyncIterator[Appended]:
        """(offset, record) from `begin` up to, not including, `end`, straight from the broker.

        Compaction leaves gaps, also at the end, so the reader stops by its position and not by what it saw.
        """
        here = TopicPartition(self.name, partition)
        async with _assigned(self._settings, here) as consumer:
            first = (await consumer.beginning_offsets([here]))[here]
            end = min(end, (await consumer.end_offsets([here]))[here])
            if max(begin, first) >= end:
                return
            consumer.seek(here, max(begin, first))
            while await consumer.position(here) < end:
                for batch in (await consumer.getmany(here, timeout_ms=200)).values():
                    for message in batch:
                        if message.offset >= end:
                            return
                        if record := record_of(message):
                            yield message.offset, record

    async def end_offset(self, partition: int) -> int:
        """The offset that the next record of `partition` will get."""
        here = TopicPartition(self.name, partition)
        async with _assigned(self._settings, here) as consumer:
            return (await consumer.end_offsets([here]))[here]


@asynccontextmanager
async def _assigned(settings: Settings, here: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of one partition, outside of any group."""
    async with kafka.consumer(settings) as consumer:
        consumer.assign([here])
        yield consumer
