"""Faust's Kafka transport, so that a rebalance loses no event: nobody reads while the reader is put in its place.

After a rebalance Faust seeks to the committed offsets, one partition after the other, and then empties the queues of
its agents. What it had read of the first partitions by then was lost: neither worked on nor read again, and since it
left a gap nothing of these partitions was ever committed any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Set
from typing import Any

from faust.transport.drivers import aiokafka
from faust.types import TP

from stream_app import laned_producer

#: The generation of a worker that has no partitions just now: no event is of it.
NO_GENERATION = -1
#: How long a fetch waits for records, and so the longest that a seek waits for a fetch.
FETCH_SECONDS_MAX = 0.25
#: How long to wait where no agent has room for more.
FULL_SECONDS = 0.05
#: How many records of one topic are handed over before it is the turn of the others.
RECORDS_TOGETHER = 100


class ConsumerThread(aiokafka.AIOKafkaConsumerThread):
    """Where records are fetched: a little of each topic in turn.

    Faust hands over all that a fetch has brought before it fetches again, tens of thousands of records where there is
    a backlog, and stands still once the queue of an agent is full: galleries then waited until thousands of photos
    were embedded.
    """

    async def _fetch_records(
        self, consumer: Any, active_partitions: Set[TP] | None, timeout: float | None = None, max_records: Any = None
    ) -> Any:
        topics: dict[str, set[TP]] = {}
        for each in active_partitions or ():
            topics.setdefault(each.topic, set()).add(each)
        found: dict[TP, Any] = {}
        for partitions in topics.values():
            found |= await super()._fetch_records(consumer, partitions, 0, RECORDS_TOGETHER)
        return found or await super()._fetch_records(consumer, active_partitions, timeout, RECORDS_TOGETHER)


class Consumer(aiokafka.Consumer):
    """A consumer whose seeks and fetches never overlap."""

    def _new_consumer_thread(self) -> aiokafka.AIOKafkaConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetch: asyncio.Future[Any] | None = None
        self._handed_over = asyncio.Event()
        self._handed_over.set()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """From here on, and not only when others have its partitions, what this worker has read is not its own."""
        self.app.consumer_generation_id = NO_GENERATION
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Seek to where the work goes on; Faust, which calls this, resumes the flow when its queues are empty."""
        self.stop_flow()
        await self._handed_over.wait()
        if self._fetch is not None:
            await asyncio.wait({self._fetch})
        await super().perform_seek()
        await self._seek_to_beginnings()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """As Faust's; a message is being handed over for as long as the next one is not asked for."""
        try:
            async for tp, message in super().getmany(timeout):
                self._handed_over.clear()
                yield tp, message
                self._handed_over.set()
        finally:
            self._handed_over.set()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        # The set is that of the partitions that are read at this moment, and changes while the thread works with it.
        partitions = None if active_partitions is None else frozenset(filter(self._has_room, active_partitions))
        if partitions is not None and not partitions:
            await asyncio.sleep(FULL_SECONDS)
            return {}
        self._fetch = asyncio.ensure_future(super()._getmany(partitions, min(timeout, FETCH_SECONDS_MAX)))
        self._fetch.add_done_callback(lambda fetch: fetch.cancelled() or fetch.exception())
        # Whoever is cancelled does not end the fetch in its thread, which moves the reader all the same.
        return await asyncio.shield(self._fetch)

    def _has_room(self, partition: TP) -> bool:
        """Whether every agent on the topic can take a turn of it.

        Faust stops reading for a queue that is nearly full, but goes on when another agent's on the same topic has
        been emptied, and then stands still, with all topics, until the first one has room.
        """
        queues = [each.queue for each in self.app.topics._topic_name_index.get(partition.topic, ())]
        return all(each.maxsize - each.qsize() >= RECORDS_TOGETHER for each in queues)

    async def _seek_to_beginnings(self) -> None:
        """Where nothing was ever committed Faust leaves the reader wherever an earlier fetch has moved it."""
        unread = [
            each
            for each in self.assignment()
            if self._read_offset.get(each) is None and not self._is_changelog_tp(each)
        ]
        if unread:
            await self.seek_wait(await self.earliest_offsets(*unread))


class Transport(aiokafka.Transport):
    """What `steady://` addresses are served by; see `stream_app.local_services.faust_settings`."""

    Consumer = Consumer
    Producer = laned_producer.Producer
