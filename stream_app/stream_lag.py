"""How far the worker is behind the log: where each partition ends, how far it is read, how far it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted

from stream_app import kafka
from stream_app.settings import Settings

Place = tuple[str, int]
"""A topic and a partition of it."""


class Position(NamedTuple):
    """How far one partition has come, as offsets of the next message: `read` into memory, `done` and acknowledged."""

    read: int
    done: int


class Lag(NamedTuple):
    """Messages of one partition: `waiting` are not done, and of these `in_hand` are in this worker's memory."""

    waiting: int
    in_hand: int


class LogEnds:
    """Asks the broker itself: while Faust's buffers are full it fetches nothing, and knows no end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AIOKafkaConsumer | None = None

    async def ask(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset that the next message of each place will get; raises ServiceUnavailable."""
        here = [TopicPartition(*each) for each in places]
        if not here:
            return {}
        try:
            client = await self._started()
            return {(each.topic, each.partition): end for each, end in (await client.end_offsets(here)).items()}
        except (KafkaError, OSError) as error:
            await self.close()
            raise kafka.no_answer(self._settings, error) from error

    async def close(self) -> None:
        """Let go of the connection; the next question makes another."""
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    async def _started(self) -> AIOKafkaConsumer:
        if self._client is None:
            self._client = AIOKafkaConsumer(**kafka.consumer_options(self._settings))
            await self._client.start()
        return self._client


def positions_of(app: faust.App, topics: Iterable[str]) -> dict[Place, Position]:
    """Of each partition of `topics` that the worker has been given; empty before it begins."""
    wanted = set(topics)
    try:
        assigned = [each for each in app.consumer.assignment() if each.topic in wanted]
    except ConsumerNotStarted:  # the web answers before Faust's consumer has begun
        return {}
    return {(each.topic, each.partition): _position(app.consumer, each) for each in assigned}


def lags(ends: Mapping[Place, int], positions: Mapping[Place, Position]) -> dict[Place, Lag]:
    """The lag of each place whose end and position are known."""
    return {
        place: Lag(max(0, max(ends[place], at.read) - at.done), max(0, at.read - at.done))
        for place, at in positions.items()
        if place in ends
    }


def _position(consumer: Any, place: Any) -> Position:
    done = consumer._committed_offset.get(place) or 0
    read = consumer._read_offset.get(place)  # the last one that was read
    return Position(read=done if read is None else max(done, read + 1), done=done)
