"""Faust's Kafka transport, so that a rebalance loses no event: nobody reads while the reader is put in its place.

After a rebalance Faust seeks to the committed offsets, one partition after the other, and then empties the queues of
its agents. What it had read of the first partitions by then was lost: neither worked on nor read again, and since it
left a gap nothing of these partitions was ever committed any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from faust.transport.drivers import aiokafka
from faust.types import TP

from stream_app import laned_producer

#: How long a fetch waits for records, and so the longest that a seek waits for a fetch.
FETCH_SECONDS_MAX = 0.25


class Consumer(aiokafka.Consumer):
    """A consumer whose seeks and fetches never overlap."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetch: asyncio.Future[Any] | None = None
        self._handed_over = asyncio.Event()
        self._handed_over.set()

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
        partitions = None if active_partitions is None else frozenset(active_partitions)
        self._fetch = asyncio.ensure_future(super()._getmany(partitions, min(timeout, FETCH_SECONDS_MAX)))
        self._fetch.add_done_callback(lambda fetch: fetch.cancelled() or fetch.exception())
        # Whoever is cancelled does not end the fetch in its thread, which moves the reader all the same.
        return await asyncio.shield(self._fetch)

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
