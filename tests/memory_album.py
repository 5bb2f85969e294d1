"""An album in memory for the tests of the web: real photos, real decoding, exact search over colours."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence, Set
from typing import Any

import numpy as np
from PIL import Image

from models.words import Vocabulary
from stream_app.album import Photo, PhotoPoint
from stream_app.contract.photos import ClassificationAnswer, Classified, ClassifyRequest
from stream_app.contract.searching import ImageSearchRequest, PhotoHit, RelatedRequest, SearchAnswer, SearchRequest
from stream_app.contract.values import id_of
from stream_app.errors import PhotoNotFound, PhotoRejected, UnknownWords
from stream_app.photo_answers import photo_hit

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

    async def photo(self, photo_id: int, words_shown: int = 10) -> Photo:
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

    def nearest(self, vector: np.ndarray, k: int, but: Sequence[int] = ()) -> list[PhotoHit]:
        """The photos whose colour is nearest to a vector, best first."""
        unit = vector / np.linalg.norm(vector)
        scores = {each: float(self._vectors[each] @ unit) for each in self._vectors if each not in but}
        best = sorted(scores, key=lambda each: -scores[each])[:k]
        return [photo_hit(self._photos[each], scores[each]) for each in best]

    def vector(self, photo_id: int) -> np.ndarray:
        """The colour of a photo."""
        return self._vectors[photo_id]


class MemorySearch:
    """The operations that find or name photos, by colour."""

    def __init__(self, album: MemoryAlbum) -> None:
        self._album = album

    async def search(self, request: SearchRequest) -> SearchAnswer:
        words = request.q.lower().split()
        known, unknown = [each for each in words if each in COLOURS], [each for each in words if each not in COLOURS]
        if not known:
            raise UnknownWords(
                "no word of the query is known",
                expected="words such as " + ", ".join(COLOURS),
                received=request.q,
                remedy="Try another word.",
            )
        vector = np.sum([_unit(COLOURS[word]) for word in known], axis=0)
        return _answer(self._album.nearest(vector, request.k), unknown)

    async def related(self, request: RelatedRequest) -> SearchAnswer:
        photo_id = id_of(request.photo_id)
        await self._album.photo(photo_id)
        return _answer(self._album.nearest(self._album.vector(photo_id), request.k, but=[photo_id]))

    async def search_image(self, request: ImageSearchRequest) -> SearchAnswer:
        return _answer(self._album.nearest(_seen(request.image)[0], request.k))

    async def classify(self, request: ClassifyRequest) -> ClassificationAnswer:
        best = [Classified(*each) for each in _nearest_colours(_seen(request.image)[0])[: request.k]]
        return ClassificationAnswer(labels=best, words=best)


def _answer(hits: list[PhotoHit], unknown: Sequence[str] = ()) -> SearchAnswer:
    return SearchAnswer(hits=hits, complete=True, shards={"0": "shard"}, took_ms=0.1, unknown_words=list(unknown))


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
