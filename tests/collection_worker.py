"""A worker that catalogues photos and keeps collections and does nothing else, in the process of the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

import faust

from agents.cataloguing import CatalogueRoom, declare_cataloguing
from stream_app import kafka, topics
from stream_app.app import join_collections
from stream_app.catalogue import PhotoRow, UserRow
from stream_app.dead_letters import DeadLetters
from stream_app.errors import CollectionNotFound, ServiceUnavailable
from stream_app.faust_app import raw_topic, row_table
from stream_app.local_services import faust_settings
from stream_app.settings import Settings
from stream_app.tables import PartitionRows, RowTable

T = TypeVar("T")
WAIT_SECONDS_MAX = 60.0


class CollectionWorker:
    """Started with `async with`; `room` is what is asked of it."""

    def __init__(self, settings: Settings, name: str = "worker") -> None:
        self._settings = settings
        options: dict[str, Any] = {
            "broker": settings.broker_url,
            "datadir": settings.data_dir / name,
            "topic_partitions": settings.partition_count,
            "web_enabled": False,
            "broker_commit_interval": 0.2,
            "stream_wait_empty": False,
        }
        self.app = faust.App(settings.app_id, autodiscover=False, **(options | faust_settings(settings)))
        activity = raw_topic(self.app, topics.activity_topic(settings))
        dead_letters = DeadLetters(raw_topic(self.app, topics.dead_letters_topic(settings)))
        photos: RowTable[PhotoRow] = row_table(self.app, "photos", PhotoRow, settings)
        users: PartitionRows[UserRow] = PartitionRows(
            self.app,
            "users",
            partition_count=settings.partition_count,
            to_bytes=UserRow.to_bytes,
            from_bytes=UserRow.from_bytes,
        )
        room = CatalogueRoom(activity, photos, users, dead_letters, settings.partition_count)
        declare_cataloguing(self.app, room, settings)
        self.room = join_collections(self.app, settings, activity, photos, dead_letters)

    async def __aenter__(self) -> CollectionWorker:
        self._settings.data_dir.mkdir(exist_ok=True)
        await topics.create_topics(self._settings, topics.topic_specs(self._settings, "none"))
        await self.app.start()
        await self.until(lambda: self.room._room.portfolios.owned_partitions, "partitions")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.app.stop()

    def gallery(self, gallery_id: int) -> tuple[int, ...]:
        """The members of a gallery."""
        return self.room.gallery(gallery_id).photo_ids

    def portfolio(self, user_id: int) -> tuple[int, ...]:
        """The photos of a portfolio."""
        return self.room.portfolio(user_id).photo_ids

    def knows(self, gallery_id: int) -> bool:
        """Whether this worker answers for a gallery."""
        try:
            self.room.gallery(gallery_id)
        except (CollectionNotFound, ServiceUnavailable):
            return False
        return True

    @property
    def owned_count(self) -> int:
        """How many partitions of the galleries this worker has."""
        return len(self.room._room.tables["gallery"].owned_partitions or ())

    async def send(self, topic: str, *messages: tuple[bytes | None, bytes]) -> None:
        """Send (key, value)s and return when the broker has them."""
        async with kafka.producer(self._settings) as producer:
            for key, value in messages:
                await producer.send_and_wait(f"{self._settings.topic_prefix}{topic}", value, key)

    async def until(self, question: Callable[[], T], what: str) -> T:
        """The first true answer; one that is not there yet is none."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            try:
                answer = question()
            except (CollectionNotFound, ServiceUnavailable) as error:
                answer = None
                said: object = error
            else:
                said = answer
            if answer:
                return answer
            assert time.monotonic() < deadline, f"{what}: not within {WAIT_SECONDS_MAX:.0f} s, last answer {said!r}"
            await asyncio.sleep(0.02)
