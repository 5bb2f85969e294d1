"""Small WebP copies of photos: made once off the event loop, kept on disk by photo, version and side."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from PIL import Image

from models.decoding import decode_image
from stream_app.metrics import THUMBNAILS
from stream_app.web.thumbnail_folder import ThumbnailFolder

QUALITY_PERCENT = 80
THREADS = 2

Made = TypeVar("Made")
Given = TypeVarTuple("Given")
Source = Callable[[], Awaitable[bytes]]
Known = Callable[[Set[int]], Awaitable[Set[int]]]


class Thumbnails:
    """The thumbnails below one folder; many requests for the same one make it once."""

    def __init__(self, directory: Path, *, pixels_max: int, bytes_max: int) -> None:
        self._folder = ThumbnailFolder(directory, bytes_max)
        self._pixels_max = pixels_max
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="thumbnail")
        self._under_way: dict[Path, asyncio.Task[bytes]] = {}

    async def get(self, photo_id: int, time_ms: int, side_px: int, original: Source) -> bytes:
        """WebP bytes, longer side at most `side_px`; raises PhotoRejected and what `original` raises."""
        path = self._folder.path(photo_id, time_ms, side_px)
        stored = await self._in_thread(self._folder.read, path)
        if stored is not None:
            THUMBNAILS.labels("kept").inc()
            return stored
        task = self._under_way.get(path)
        if task is None:
            task = asyncio.create_task(self._make(path, side_px, original))
            self._under_way[path] = task
            task.add_done_callback(lambda done: self._finished(path, done))
        # Shielded: the one who asked first may hang up while others wait for the same thumbnail.
        return await asyncio.shield(task)

    async def forget(self, photo_id: int) -> None:
        """Removes what is kept of a deleted photo."""
        await self._in_thread(self._folder.forget, photo_id)

    async def forget_unknown(self, known: Known) -> None:
        """Removes what is kept of photos that the album does not have; raises what `known` raises.

        A photo that was deleted by an event is missed by nobody else, nor is one that was deleted while its
        thumbnail was being made.
        """
        kept = await self._in_thread(self._folder.photo_ids)
        for photo_id in kept - await known(kept):
            await self.forget(photo_id)

    def close(self) -> None:
        """Ends the threads; a thumbnail under way is finished and dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _make(self, path: Path, side_px: int, original: Source) -> bytes:
        data = await original()
        small = await self._in_thread(make_thumbnail, data, side_px, self._pixels_max)
        await self._in_thread(self._folder.write, path, small)
        return small

    def _finished(self, path: Path, task: asyncio.Task[bytes]) -> None:
        self._under_way.pop(path, None)
        # Looked at, so that asyncio does not report an error that nobody waited for any more.
        if not task.cancelled():
            THUMBNAILS.labels("failed" if task.exception() else "made").inc()

    async def _in_thread(self, deed: Callable[[*Given], Made], *given: *Given) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._threads, deed, *given)


def make_thumbnail(data: bytes, side_px: int, pixels_max: int) -> bytes:
    """A WebP copy whose longer side is at most `side_px`, upright; raises PhotoRejected."""
    small = Image.fromarray(decode_image(data, side_px=side_px, pixels_max=pixels_max))
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=QUALITY_PERCENT)
    return out.getvalue()
