"""Photos on the embeddings topic, as the embed agent leaves them there; nothing looks at a picture for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.space import Space
from stream_app import kafka, topics
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved, photo_key, record_to_bytes
from stream_app.settings import Settings
from stream_app.versions import KIND_DELETED, Version


def version(time_ms: int, kind: int = 0) -> Version:
    """One that is told by its time."""
    return Version(time_ms, kind, 0, time_ms)


def embedded(space: Space, photo_ids: Sequence[int], *, time_ms: int = 1, seed: int = 0) -> list[PhotoEmbedded]:
    """Photos with embeddings that follow from the seed and the id."""
    length = len(space.mean_embedding)
    records = []
    for photo_id in photo_ids:
        random = np.random.default_rng([seed, photo_id])
        records.append(
            PhotoEmbedded(
                photo_id=photo_id,
                version=version(time_ms),
                url="file:///none.png",
                sha256="",
                width_px=1,
                height_px=1,
                image_embedding=(random.random(length) * random.random(length)).astype(np.float16),
                label_indices=random.permutation(len(space.tag_vectors))[:3].astype(np.uint16),
                label_scores=np.array([0.6, 0.3, 0.1], np.float16),
            )
        )
    return records


def removed(photo_ids: Sequence[int], *, time_ms: int = 2) -> list[PhotoRemoved]:
    """Their deletions."""
    return [PhotoRemoved(each, version(time_ms, KIND_DELETED)) for each in photo_ids]


async def make_topics(settings: Settings, space: Space) -> None:
    """The topics of the album."""
    await topics.create_topics(settings, topics.topic_specs(settings, space.vision_id))


async def append(settings: Settings, space: Space, records: Sequence[EmbeddingRecord]) -> None:
    """Put records on the topic; a photo's partition is the last digits of its id."""
    name = topics.embeddings_topic(settings, space.vision_id)
    async with kafka.producer(settings) as producer:
        sent = [
            await producer.send(
                name,
                record_to_bytes(each),
                key=photo_key(each.photo_id),
                partition=each.photo_id % settings.partition_count,
            )
            for each in records
        ]
        for each in sent:
            await each
