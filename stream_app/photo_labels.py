"""The topic `photo-labels`: what every photo shows, hidden ones too, as a stream; see `schemas/`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from models.probabilities import label_probabilities, word_probabilities
from models.space import Space
from stream_app.catalogue import ROW_LABELS
from stream_app.contract.photos import Classified
from stream_app.contract.values import rounded
from stream_app.lazy_producer import LazyProducer
from stream_app.records import PhotoEmbedded, photo_key

WORDS_KEPT = 10
#: A photo's labels are a kilobyte, and come hundreds at a time.
LABEL_BATCH_BYTES = 262_144

#: By photo: its newest record, or None once it is gone.
Changed = Mapping[int, PhotoEmbedded | None]


class Labels(Protocol):
    """Where the labels of photos go."""

    async def publish(self, changed: Mapping[int, Changed]) -> None:
        """Return when the labels of these photos, by partition, are durable."""
        ...


class LabelLog:
    """Writes labels to a compacted topic, each photo's in its partition; None as its null."""

    def __init__(self, topic: str, space: Space, producer: LazyProducer) -> None:
        self._topic, self._space, self._producer = topic, space, producer

    async def publish(self, changed: Mapping[int, Changed]) -> None:
        """Return when the broker has confirmed them all; raises KafkaError, ServiceUnavailable."""
        records = [each for photos in changed.values() for each in photos.values() if each is not None]
        texts = await asyncio.to_thread(self._values, records)
        values = dict(zip([each.photo_id for each in records], texts, strict=True))
        # Beside each other: the private broker takes a batch at a time of each partition. And all of them to the end,
        # whatever becomes of one, so that none is under way any more when they are tried again.
        sent = await asyncio.gather(
            *(self._send(partition, photos, values) for partition, photos in changed.items()), return_exceptions=True
        )
        for each in sent:
            if isinstance(each, BaseException):
                raise each

    async def _send(self, partition: int, changed: Changed, values: Mapping[int, bytes]) -> None:
        messages = [(photo_key(photo_id), values.get(photo_id)) for photo_id in changed]
        await self._producer.send_all(self._topic, partition, messages)

    def _values(self, records: Sequence[PhotoEmbedded]) -> list[bytes]:
        if not records:
            return []
        words = nearest_words(records, self._space)
        return [_value(record, near, self._space) for record, near in zip(records, words, strict=True)]


class NoLabels:
    """For a worker that keeps no such topic."""

    async def publish(self, changed: Mapping[int, Changed]) -> None:
        """Nothing is written."""


def classified(
    labels: Sequence[tuple[str, float]], words: Sequence[tuple[str, float]], space: Space
) -> tuple[list[Classified], list[Classified]]:
    """Labels and words as every answer shows them, with how likely each is right."""
    of_labels = label_probabilities([score for _, score in labels], space.vision_id)
    of_words = word_probabilities([score for _, score in words], space.space_id)
    return _with(labels, of_labels), _with(words, of_words)


def nearest_words(records: Sequence[PhotoEmbedded], space: Space) -> list[list[tuple[str, float]]]:
    """For each photo the words that its row in the album shows, found for all in one product of matrices."""
    joint = space.project(*(np.stack(each) for each in zip(*map(_seen, records), strict=True)))
    # As far as an index holds it, for whose sake a photo's words are those that its row in the album shows.
    held = np.stack([space.joint_half(space.word_query(each)) for each in joint])
    return space.vocabulary.nearest_of_each(held, WORDS_KEPT)


def _seen(record: PhotoEmbedded) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return record.image_embedding, record.label_indices, record.label_scores


def _with(pairs: Sequence[tuple[str, float]], probabilities: Sequence[float | None]) -> list[Classified]:
    return [
        Classified(name, rounded(score), None if probability is None else rounded(probability))
        for (name, score), probability in zip(pairs, probabilities, strict=True)
    ]


def _value(record: PhotoEmbedded, words: Sequence[tuple[str, float]], space: Space) -> bytes:
    labels = space.labels(record.label_indices, record.label_scores, ROW_LABELS)
    shown_labels, shown_words = classified(labels, words, space)
    version = record.version
    return msgspec.json.encode(
        {
            "photo_id": str(record.photo_id),
            "version": {"time_ms": version.time_ms, "partition": version.partition, "offset": version.offset},
            "space_id": space.space_id,
            "labels": shown_labels,
            "words": shown_words,
        }
    )
