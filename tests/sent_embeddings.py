"""Embedding records on the log of a new album, as an embed agent would have appended them."""

from __future__ import annotations

import numpy as np

from models.space import Space
from stream_app import kafka
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved, record_to_bytes
from stream_app.settings import Settings
from stream_app.topics import create_topics, embeddings_topic, topic_specs
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version


async def send_embeddings(settings: Settings, space: Space, photo_count: int) -> None:
    """Photos 0 to `photo_count` on partition 0 of a new album, then the deletion of photo 3."""
    await create_topics(settings, topic_specs(settings, space.vision_id))
    records: list[EmbeddingRecord] = [_embedded(each, space) for each in range(photo_count)]
    records.append(PhotoRemoved(3, Version(99, KIND_DELETED, 0, 99)))
    async with kafka.producer(settings) as producer:
        for record in records:
            topic = embeddings_topic(settings, space.vision_id)
            await producer.send_and_wait(topic, record_to_bytes(record), key=b"%d" % record.photo_id, partition=0)


def _embedded(photo_id: int, space: Space) -> PhotoEmbedded:
    rng = np.random.default_rng(photo_id)
    image_embedding = rng.standard_normal(len(space.mean_embedding)).astype(np.float16)
    labels, scores = rng.permutation(5)[:2].astype(np.uint16), np.array([0.7, 0.2], np.float16)
    version = Version(photo_id + 1, KIND_CHANGED, 0, photo_id + 1)
    return PhotoEmbedded(photo_id, version, "file:///a.png", "", 1, 1, image_embedding, labels, scores)
