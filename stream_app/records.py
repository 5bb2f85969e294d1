"""What the embeddings topic carries: one record for each photo, the durable truth that every index is made from."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson

from stream_app.errors import RecordCorrupt
from stream_app.versions import Version

log = logging.getLogger(__name__)

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class PhotoEmbedded:
    """A photo as the vision model saw it; no joint embedding, so that a new projection is only a replay.

    `image_embedding` is float16 [d]; `label_indices` uint16 [t] and `label_scores` float16 [t] are the best
    classes, best first, with their softmax probabilities.
    """

    photo_id: int
    version: Version
    url: str
    sha256: str
    width_px: int
    height_px: int
    image_embedding: np.ndarray
    label_indices: np.ndarray
    label_scores: np.ndarray


@dataclass(frozen=True)
class PhotoRemoved:
    """A photo is gone; the record stays so that an older one, arriving late, cannot bring it back."""

    photo_id: int
    version: Version


EmbeddingRecord = PhotoEmbedded | PhotoRemoved


def record_to_bytes(record: EmbeddingRecord) -> bytes:
    """A four-byte length, a JSON header, and behind it the three arrays as they lie in memory."""
    header: dict[str, object] = {"photo_id": record.photo_id, "version": record.version}
    if isinstance(record, PhotoRemoved):
        return _framed(header, b"")
    arrays = (
        np.ascontiguousarray(record.image_embedding, "<f2"),
        np.ascontiguousarray(record.label_indices, "<u2"),
        np.ascontiguousarray(record.label_scores, "<f2"),
    )
    header |= {
        "url": record.url,
        "sha256": record.sha256,
        "width_px": record.width_px,
        "height_px": record.height_px,
        "lengths": [len(each) for each in arrays],
    }
    return _framed(header, b"".join(each.tobytes() for each in arrays))


class Message(Protocol):
    """What aiokafka and Faust both call a message."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> Any: ...


def record_of(message: Message) -> EmbeddingRecord | None:
    """The record of a message; None for what is none, which is said once, and which nobody must stumble over again."""
    if message.value is None:
        return None
    try:
        return record_from_bytes(message.value)
    except RecordCorrupt as error:
        log.warning(
            "left out: %s, partition %d, offset %d: %s", message.topic, message.partition, message.offset, error
        )
        return None


def record_from_bytes(data: bytes) -> EmbeddingRecord:
    """The inverse of `record_to_bytes`; raises RecordCorrupt on bytes that are no record."""
    try:
        record = _parse(data)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, struct.error) as error:
        raise RecordCorrupt(
            "Bytes are no embedding record",
            expected="what an embed agent of Sightline wrote",
            received=f"{len(data)} bytes, {error}",
        ) from error
    if isinstance(record, PhotoEmbedded) and not np.isfinite(record.image_embedding).all():
        raise RecordCorrupt("An embedding record has numbers that are not finite", received=f"photo {record.photo_id}")
    return record


def _parse(data: bytes) -> EmbeddingRecord:
    if len(data) < _LENGTH.size:
        raise ValueError(f"an embedding record has at least {_LENGTH.size} bytes, received {len(data)}")
    (length,) = _LENGTH.unpack_from(data)
    header = orjson.loads(data[_LENGTH.size : _LENGTH.size + length])
    version = Version(*(_whole(each) for each in header.pop("version")))
    header["photo_id"] = _whole(header["photo_id"])
    if "lengths" not in header:
        return PhotoRemoved(header["photo_id"], version)
    d, t, s = header.pop("lengths")
    at = _LENGTH.size + length
    if len(data) != at + 2 * (d + t + s):
        raise ValueError(f"an embedding record of {d} + {t} + {s} numbers was cut short at {len(data)} bytes")
    return PhotoEmbedded(
        version=version,
        image_embedding=np.frombuffer(data, "<f2", d, at),
        label_indices=np.frombuffer(data, "<u2", t, at + 2 * d),
        label_scores=np.frombuffer(data, "<f2", s, at + 2 * (d + t)),
        **header,
    )


def _whole(number: object) -> int:
    if not isinstance(number, int):
        raise TypeError(f"{number!r} is no whole number")
    return number


def photo_key(photo_id: int) -> bytes:
    """The key of a photo on every topic and in every table, so that partitions agree: ASCII decimals."""
    return b"%d" % photo_id


def _framed(header: dict[str, object], body: bytes) -> bytes:
    packed = orjson.dumps(header, default=list)
    return _LENGTH.pack(len(packed)) + packed + body
