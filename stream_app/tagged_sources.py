"""Where photos with tags come from, for training: labelled folders, files of events, and the topics themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson

from models.encoder import Encoder, Encoding
from models.joint_training import TaggedPhotos
from models.labelled_photos import encode_once
from stream_app import kafka
from stream_app.catalogue import PhotoRow
from stream_app.errors import EventRejected, TrainingRejected
from stream_app.photo_points import read_rows
from stream_app.records import EmbeddingRecord, PhotoEmbedded, record_of
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic

BATCH = 64


async def tagged_of_topic(settings: Settings, vision_id: str, photos_max: int) -> TaggedPhotos:
    """The album's own photos with their tags, as the topics hold them: no photo is looked at again.

    At most `photos_max` of those that came last. Raises TrainingRejected when no photo has a tag.
    """
    newest: dict[int, EmbeddingRecord] = {}
    async for message in kafka.read_topic(settings, embeddings_topic(settings, vision_id)):
        if record := record_of(message):
            known = newest.get(record.photo_id)
            if known is None or record.version > known.version:
                newest[record.photo_id] = record
    records = [each for each in newest.values() if isinstance(each, PhotoEmbedded)]
    records = sorted(records, key=lambda each: each.version)[-photos_max:]
    rows = await read_rows(settings, {each.photo_id for each in records})
    tags = [_tags(rows.get(each.photo_id)) for each in records]
    tagged = [(record, each) for record, each in zip(records, tags, strict=True) if each]
    if not tagged:
        raise TrainingRejected(
            "No photo of the album has tags",
            expected="photo.uploaded or photo.edited events with tags",
            received=f"{len(records):,} photos without any",
        )
    return _stacked([record for record, _ in tagged], [each for _, each in tagged])


def tagged_of_folder(source: Path, encoder: Encoder, cache_dir: Path, *, say: Callable[[int], None]) -> TaggedPhotos:
    """A folder or tar file of labelled photos: the label is the tag."""
    photos = encode_once(source, encoder, cache_dir, say=say)
    names = [each.wordnet_id or each.names[0].text for each in photos.classes]
    tags = [[names[number]] for number in photos.class_of]
    return TaggedPhotos(photos.image_embeddings, photos.label_indices, photos.label_scores, tags)


def tagged_of_events(source: Path, encoder: Encoder, *, say: Callable[[int], None]) -> TaggedPhotos:
    """A JSONL file of photo.uploaded events, or of lines {"url": …, "tags": […]}, whose photos lie on this machine.

    Raises EventRejected naming the first line that is wrong, and TrainingRejected when no photo can be used.
    """
    lines = list(_lines(source))
    encodings: list[Encoding] = []
    tags: list[Sequence[str]] = []
    for start in range(0, len(lines), BATCH):
        batch = lines[start : start + BATCH]
        answers = encoder.encode_images([path.read_bytes() for path, _ in batch])
        for (_, photo_tags), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Encoding):
                encodings.append(answer)
                tags.append(photo_tags)
        say(len(batch))
    if not encodings:
        raise TrainingRejected(
            f"{source} holds no photo with tags that can be read",
            expected='lines like {"url": "file:///photos/a.jpg", "tags": ["dog", "beach"]}',
        )
    return _stacked(encodings, tags)


def _lines(source: Path) -> Iterator[tuple[Path, list[str]]]:
    with source.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                event = orjson.loads(line)
                url, tags = event["url"], event.get("tags") or []
                if not (isinstance(url, str) and isinstance(tags, list) and all(isinstance(t, str) for t in tags)):
                    raise TypeError("url must be a text, tags a list of texts")
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise EventRejected(
                    f"Line {number} of {source.name} is no photo with tags",
                    expected='{"url": …, "tags": […]}',
                    received=f"{error.__class__.__name__}: {error}",
                ) from error
            path = _local_path(url, source, number)
            if tags:
                yield path, tags


def _local_path(url: str, source: Path, number: int) -> Path:
    parts = urlsplit(url)
    path = source.parent / unquote(parts.path) if parts.scheme in ("", "file") else None
    if path is None or not path.is_file():
        raise EventRejected(
            f"The photo in line {number} of {source.name} is not on this machine",
            expected="a file: address, or a path beside the file",
            received=url,
            remedy="Publish the events and train with --topic: then no photo is looked at twice.",
        )
    return path


def _tags(row: PhotoRow | None) -> list[str]:
    return [str(tag) for tag in row.value("tags") or ()] if row is not None else []


def _stacked(photos: Sequence[Encoding | PhotoEmbedded], tags: Sequence[Sequence[str]]) -> TaggedPhotos:
    return TaggedPhotos(
        np.stack([each.image_embedding for each in photos]).astype(np.float32),
        np.stack([each.label_indices for each in photos]).astype(np.int64),
        np.stack([each.label_scores for each in photos]).astype(np.float32),
        tags,
    )
