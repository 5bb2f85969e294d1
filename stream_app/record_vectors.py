"""From embedding records to search vectors: what every index of a space is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

import numpy as np
from aiokafka.errors import KafkaError

from models.space import Space
from stream_app import kafka
from stream_app.embedding_log import EmbeddingReader
from stream_app.index.values import Entry
from stream_app.photo_points import FairSample
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved, record_of
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic
from stream_app.versions import Version

#: Records that are projected at once: large enough for one good matrix product.
BATCH_SIZE = 512


def search_vectors(space: Space, records: Sequence[EmbeddingRecord]) -> np.ndarray:
    """float32 [n, search_dimensions] of the embedded photos among `records`, in their order."""
    photos = [each for each in records if isinstance(each, PhotoEmbedded)]
    if not photos:
        return np.empty((0, space.search_dimensions), np.float32)
    image_embeddings = np.stack([each.image_embedding for each in photos])
    label_indices = np.stack([each.label_indices for each in photos])
    label_scores = np.stack([each.label_scores for each in photos])
    joint_embeddings = space.project(image_embeddings, label_indices, label_scores)
    return space.search_vectors(image_embeddings, joint_embeddings)


class Batch(NamedTuple):
    """Some records of one partition as the buckets take them; all before `next_offset` are read."""

    entries: list[Entry]
    removals: list[tuple[int, Version]]
    next_offset: int


class VectorLog:
    """The embeddings topic, read as search vectors of one space, with no worker running."""

    def __init__(self, settings: Settings, space: Space) -> None:
        self._settings = settings
        self._space = space
        self._log = EmbeddingReader(embeddings_topic(settings, space.vision_id), settings)

    async def sample(self, count: int) -> np.ndarray:
        """Vectors of at most `count` photos, a fair sample: float32 [n, search_dimensions].

        Raises SettingsError where no worker of this vision model ever ran, and ServiceUnavailable.
        """
        sample = FairSample(count)
        async for message in kafka.read_topic(self._settings, self._log.name):
            if record := record_of(message):
                sample.offer(record)
        photos = sample.photos()
        slices = range(0, len(photos), BATCH_SIZE)
        vectors = [search_vectors(self._space, photos[start : start + BATCH_SIZE]) for start in slices]
        return np.concatenate([*vectors, search_vectors(self._space, [])])

    async def require(self) -> None:
        """Raises SettingsError where there is no such topic, and ServiceUnavailable."""
        async with aclosing(kafka.read_topic(self._settings, self._log.name)) as records:
            async for _ in records:
                break

    async def end_offset(self, partition: int) -> int:
        """The offset that the next record of `partition` will get; raises ServiceUnavailable."""
        try:
            return await self._log.end_offset(partition)
        except KafkaError as error:
            raise kafka.no_answer(self._settings, error) from error

    async def batches(self, partition: int, begin: int, end: int) -> AsyncIterator[Batch]:
        """What lies in the log from `begin` up to, not including, `end`; raises ServiceUnavailable."""
        records: list[EmbeddingRecord] = []
        try:
            async for offset, record in self._log.read(partition, begin, end):
                records.append(record)
                if len(records) == BATCH_SIZE:
                    yield self._batch(records, offset + 1)
                    records = []
        except KafkaError as error:
            raise kafka.no_answer(self._settings, error) from error
        yield self._batch(records, end)

    def _batch(self, records: list[EmbeddingRecord], next_offset: int) -> Batch:
        photos = [each for each in records if isinstance(each, PhotoEmbedded)]
        vectors = search_vectors(self._space, photos)
        entries = [Entry(photo.photo_id, photo.version, vector) for photo, vector in zip(photos, vectors, strict=True)]
        removals = [(each.photo_id, each.version) for each in records if isinstance(each, PhotoRemoved)]
        return Batch(entries, removals, next_offset)
