"""A photo that is not in the album: sent along with a question or fetched from an address, and encoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

from models.encoder import AsyncEncoder, Encoding
from models.space import Space
from stream_app.errors import PhotoRejected, QueryRejected
from stream_app.photos import PhotoReader


@dataclass(frozen=True)
class SentImage:
    """What the encoder made of it."""

    sha256: str
    encoding: Encoding
    joint_embedding: np.ndarray  # float32 [w], unit length
    search_vector: np.ndarray  # float32 [search_dimensions], unit length


class ImageDesk:
    """Takes photos in for a question; nothing of them stays."""

    def __init__(self, space: Space, encoder: AsyncEncoder, reader: PhotoReader) -> None:
        self._space = space
        self._encoder = encoder
        self._reader = reader

    async def take(self, image: bytes, url: str) -> SentImage:
        """Encode the photo; raises QueryRejected, PhotoRejected, PhotoUnreachable."""
        data = image or await self._fetched(url)
        [encoding] = await self._encoder.encode_images([data])
        if isinstance(encoding, PhotoRejected):
            raise encoding
        joint = self._space.project(
            encoding.image_embedding[None], encoding.label_indices[None], encoding.label_scores[None]
        )
        [vector] = self._space.search_vectors(encoding.image_embedding[None], joint)
        return SentImage(hashlib.sha256(data).hexdigest(), encoding, joint[0], vector)

    async def _fetched(self, url: str) -> bytes:
        # A caller of the web must not read files of this machine: these are for those who publish.
        if urlsplit(url).scheme.lower() not in ("http", "https"):
            raise QueryRejected(
                "there is no photo to look at" if not url else "the url cannot be used",
                expected="a photo in the body, or ?url= with an http: or https: address",
                received=repr(url[:60]) if url else "neither",
            )
        return await self._reader.read(url)
