"""An album in memory for the tests of the web: real photos, real decoding, exact search over colours."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence, Set
from typing import Any

import numpy as np
from PIL import Image

from models.words import Vocabulary
from stream_app.album import Classification, Photo, PhotoHit, PhotoPoint, SearchReply
from stream_app.errors import PhotoNotFound, PhotoRejected, UnknownWords

COLOURS = {"red": (220, 30, 30), "green": (30, 190, 50), "blue": (30, 50, 220), "white": (250, 250, 250)}


def photo_bytes(colour: str = "red", width: int = 60, height: int = 40, kind: str = "JPEG") -> bytes:
    """A small real photo file, all of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), COLOURS.get(colour, colour)).save(out, kind)
    return out.getvalue()


class MemoryAlbum:
    """The album of a worker that has one shard, one vocabulary (of four colours, or `words`), and no disk."""

    def __init__(self, words: Vocabulary | None = None) -> None:
        self.is_ready = (True, "")
        self._words = words or Vocabulary(list(COLOURS), np.stack([_unit(each) for each in COLOURS.values()]))
        self._bytes: dict[int, bytes] = {}
        self._photos: dict[int, Photo] = {}
        self._vectors: dict[int, np.ndarray] = {}
        self._clock_ms = itertools.count(1_000_000)
        self._next_id = itertools.count(2**62)

    def add(self, data: bytes, name: str, photo_id: int | None = None, **metadata: Any) -> int:
        """Takes a photo in at once; raises PhotoRejected."""
        vector, (width, height) = _seen(data)
        photo_id = next(self._next_id) if photo_id is None else photo_id
        labels = _nearest_colours(vector)
        self._photos[photo_id] = Photo(
            photo_id=photo_id,
            url=f"file:///album/{name}",
            title=metadata.get("title"),
            tags=tuple(metadata.get("tags", ())),
            width_px=width,
            height_px=height,
            labels=labels,
            words=labels,
            time_ms=next(self._clock_ms),
        )
        self._bytes[photo_id], self._vectors[photo_id] = data, vector
        return photo_id

    async def photo(self, photo_id: int) -> Photo:
        if photo_id not in self._photos:
            raise PhotoNotFound(f"there is no photo {photo_id}", remedy="Search for it again.")
        return self._photos[photo_id]

    async def known(self, photo_ids: Set[int]) -> set[int]:
        return set(photo_ids & self._photos.keys())

    async def photos(self, offset: int, k: int) -> list[Photo]:
        newest_first = sorted(self._photos.values(), key=lambda photo: -photo.time_ms)
        return newest_first[offset : offset + k]

    async def points(self, offset: int, k: int) -> list[PhotoPoint]:
        photos = await self.photos(offset, k)
        return [PhotoPoint(each, self._vectors[each.photo_id], self._vectors[each.photo_id]) for each in photos]

    async def vocabulary(self) -> Vocabulary:
        return self._words

    async def related(self, photo_id: int, k: int) -> SearchReply:
        await self.photo(photo_id)
        return self._search(self._vectors[photo_id], k, but=[photo_id])

    async def search_words(self, text: str, k: int) -> SearchReply:
        known = [word for word in text.lower().split() if word in COLOURS]
        unknown = tuple(word for word in text.lower().split() if word not in COLOURS)
        if not known:
            raise UnknownWords(
                "no word of the query is known",
                expected="words such as " + ", ".join(COLOURS),
                received=text,
                remedy="Try another word.",
            )
        return self._search(np.sum([_unit(COLOURS[word]) for word in known], axis=0), k, unknown)

    async def search_image(self, image: bytes, k: int) -> SearchReply:
        return self._search(_seen(image)[0], k)

    async def classify(self, image: bytes, k: int) -> Classification:
        best = _nearest_colours(_seen(image)[0])[:k]
        return Classification(best, best)

    async def upload(self, image: bytes, file_name: str, metadata: dict[str, Any]) -> int:
        return self.add(image, file_name, **metadata)

    async def delete(self, photo_id: int) -> None:
        await self.photo(photo_id)
        for kept in (self._photos, self._bytes, self._vectors):
            kept.pop(photo_id)

    async def image(self, photo_id: int) -> tuple[bytes, str]:
        await self.photo(photo_id)
        return self._bytes[photo_id], "application/octet-stream"

    async def stats(self) -> dict[str, Any]:
        return {"photos": len(self._photos)}

    def ready(self) -> tuple[bool, str]:
        return self.is_ready

    def _search(
        self, vector: np.ndarray, k: int, unknown: tuple[str, ...] = (), but: Sequence[int] = ()
    ) -> SearchReply:
        unit = vector / np.linalg.norm(vector)
        scores = {each: float(self._vectors[each] @ unit) for each in self._vectors if each not in but}
        best = sorted(scores, key=lambda each: -scores[each])[:k]
        return SearchReply([self._hit(each, scores[each]) for each in best], True, {0: "shard"}, unknown)

    def _hit(self, photo_id: int, score: float) -> PhotoHit:
        photo = self._photos[photo_id]
        labels = tuple(name for name, _ in photo.labels[:1])
        return PhotoHit(
            photo_id,
            score,
            photo.url,
            photo.title,
            photo.tags,
            photo.width_px,
            photo.height_px,
            labels,
        )


def _seen(data: bytes) -> tuple[np.ndarray, tuple[int, int]]:
    try:
        with Image.open(io.BytesIO(data)) as photo:
            mean = np.asarray(photo.convert("RGB").resize((8, 8))).reshape(-1, 3).mean(axis=0)
            return _unit(mean), photo.size
    except OSError as error:
        raise PhotoRejected("the photo cannot be decoded", expected="a whole photo") from error


def _unit(colour: Any) -> np.ndarray:
    centred = np.asarray(colour, dtype=np.float32) - 100.0
    return centred / np.linalg.norm(centred)


def _nearest_colours(vector: np.ndarray) -> list[tuple[str, float]]:
    scores = {name: float(vector @ _unit(colour)) for name, colour in COLOURS.items()}
    return sorted(scores.items(), key=lambda each: -each[1])
