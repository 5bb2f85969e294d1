"""Faust's Kafka producer, so that the rows of one table do not wait for those of another.

Faust keeps one queue for all rows that wait to be sent, and while more than a hundred wait in it its consumer hands
nothing on, whatever topic it comes from. On a broker that takes one record at a time a burst of uploads, of which each
writes several rows, so held up every event of a gallery for seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from faust.transport.drivers import aiokafka
from faust.transport.producer import ProducerBuffer
from faust.types.tuples import FutureMessage

#: The agents wait for their rows, so no more than their batches ever wait here; this is for an accident.
WAITING_MAX = 100_000


class _Lanes(ProducerBuffer):
    """What waits to be sent: in its order within each partition of a topic, and not beyond."""

    max_messages = WAITING_MAX

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lanes: dict[tuple[Any, int | None], deque[FutureMessage]] = {}

    def put(self, fut: FutureMessage) -> None:
        lane = fut.message.channel, fut.message.partition
        waiting = self._lanes.setdefault(lane, deque())
        waiting.append(fut)
        if len(waiting) == 1:
            self.add_future(self._send_all(lane))

    async def _send_all(self, lane: tuple[Any, int | None]) -> None:
        waiting = self._lanes[lane]
        while waiting:
            await self._send_pending(waiting[0])
            waiting.popleft()
            self.message_sent.set()
        del self._lanes[lane]

    @property
    def size(self) -> int:
        return sum(map(len, self._lanes.values()))


class Producer(aiokafka.Producer):
    """A producer with a lane for each partition of a topic."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = _Lanes(loop=self.loop, beacon=self.beacon)
        self.buffer.app = self.app
