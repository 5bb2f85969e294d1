"""The photos that answers are made of: their rows, vectors and signatures, by photo_id."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from stream_app.album import Photo
from stream_app.catalogue import PhotoRow
from stream_app.changes import AlbumChanges
from stream_app.contract.photos import MissingState
from stream_app.errors import PhotoNotFound
from stream_app.live_album import LiveAlbum
from stream_app.live_index import LiveIndex
from stream_app.photo_signatures import SIGNATURE_BYTES
from stream_app.query_vectors import Example


@dataclass(frozen=True)
class FindablePhotos:
    """Looks into the table and the index together: what one of them lacks is not findable."""

    album: LiveAlbum
    index: LiveIndex
    changes: AlbumChanges

    def row(self, photo_id: int) -> PhotoRow | None:
        """The row of a photo that may be shown, or None."""
        return self.changes.row(photo_id)

    def shown(self, photo_id: int) -> Photo | None:
        """The photo as answers show it, or None."""
        return self.album.shown(photo_id)

    async def vectors(self, photo_ids: Iterable[int]) -> dict[int, np.ndarray]:
        """Search vectors, float32 [search_dimensions], of those that are findable, in the order of `photo_ids`."""
        found = {}
        for photo_id in photo_ids:
            if self.row(photo_id) is not None and (vector := await self.index.vector(photo_id)) is not None:
                found[photo_id] = vector
        return found

    def states(self, photo_ids: Iterable[int], here: Container[int]) -> dict[str, MissingState]:
        """What is the matter with those of the photos that are not `here`, which says what is findable."""
        return {str(each): self.album.missing_state(each) for each in photo_ids if each not in here}

    async def example(self, photo_id: int, weight: float = 1.0) -> Example:
        """A photo as a part of a question; raises PhotoNotFound for one that is unknown or not embedded yet."""
        self.changes.known_row(photo_id)
        vector = await self.index.vector(photo_id)
        if vector is None:
            photo = self.shown(photo_id)
            raise PhotoNotFound(
                f"Photo {photo_id} is not embedded",
                received=(photo and photo.reason) or "a photo that is still queued",
                remedy="Ask again in a moment, or look at the dead letters.",
            )
        return Example(f"photo:{photo_id}", vector, weight, photo_id)

    def signatures(self, photo_ids: Sequence[int]) -> np.ndarray:
        """uint8 [n, 32] of photos; one that has none yet is like no other."""
        rows = (self.row(each) for each in photo_ids)
        data = [
            bytes.fromhex(row.signature) if row and row.signature else _unlike_any(each)
            for each, row in zip(photo_ids, rows, strict=True)
        ]
        return np.frombuffer(b"".join(data), np.uint8).reshape(-1, SIGNATURE_BYTES)


def _unlike_any(photo_id: int) -> bytes:
    return hashlib.blake2b(b"%d" % photo_id, digest_size=SIGNATURE_BYTES).digest()
