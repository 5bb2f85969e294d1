"""The encoder, with a count of the photos that wait for it."""

from __future__ import annotations

from collections.abc import Sequence

from models.encoder import AsyncEncoder, Encoding
from stream_app.errors import PhotoRejected
from stream_app.metrics import ENCODER_PHOTOS


class CountedEncoder:
    """Another encoder, asked through this one; `waiting` photos were handed over and are not answered yet."""

    def __init__(self, encoder: AsyncEncoder) -> None:
        self._encoder = encoder
        self.vision_id = encoder.vision_id
        self.waiting = 0

    async def start(self) -> None:
        """As the other's."""
        await self._encoder.start()

    async def encode_images(self, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
        """As the other's."""
        self._count(len(images))
        try:
            return await self._encoder.encode_images(images)
        finally:
            self._count(-len(images))

    async def close(self) -> None:
        """As the other's."""
        await self._encoder.close()

    def _count(self, more: int) -> None:
        self.waiting += more
        ENCODER_PHOTOS.set(self.waiting)
