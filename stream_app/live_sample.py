"""A sample of the album, kept fresh: what is common in it now."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from stream_app.album_sample import SAMPLE_PHOTOS, AlbumSample
from stream_app.live_index import LiveIndex

#: A sample serves for so long, unless the album has grown or shrunk by a tenth since.
SAMPLE_SECONDS = 300.0
GROWTH = 0.1


class LiveSample:
    """The photos whose ids' hashes are lowest: of an album that changes little, nearly the same ones each time."""

    def __init__(self, index: LiveIndex) -> None:
        self._index = index
        self._sample = AlbumSample(np.empty((0, 1), np.float32))
        self._count = 0
        self._taken_seconds = -SAMPLE_SECONDS
        self._taking = asyncio.Lock()

    async def now(self) -> AlbumSample:
        """The sample; taken anew where it is too old."""
        async with self._taking:
            count = self._index.photo_count()
            is_old = time.monotonic() - self._taken_seconds > SAMPLE_SECONDS
            if is_old or abs(count - self._count) > GROWTH * self._count:
                self._sample = await asyncio.to_thread(self._take)
                self._count, self._taken_seconds = count, time.monotonic()
        return self._sample

    def _take(self) -> AlbumSample:
        return AlbumSample(self._index.sampled_vectors(SAMPLE_PHOTOS))
