"""The folder in which thumbnails are kept: by photo, version and side, never larger than it may be."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from stream_app.metrics import THUMBNAIL_BYTES

#: A folder that is full is emptied to this share, so that it need not be looked through at every thumbnail.
KEPT_SHARE = 0.9


class ThumbnailFolder:
    """Keeps what was used last. It may be used from several threads; a disk that refuses costs speed only."""

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self._directory = directory
        self._bytes_max = bytes_max
        self._bytes: int | None = None  # never less than there is; None until it was looked at
        self._counting = threading.Lock()

    def path(self, photo_id: int, time_ms: int, side_px: int) -> Path:
        """Where that thumbnail is kept."""
        return self._of(photo_id) / f"{photo_id}-{time_ms}-{side_px}.webp"

    def read(self, path: Path) -> bytes | None:
        """A thumbnail, which counts as used now; None when it is not kept."""
        try:
            os.utime(path)
            return path.read_bytes()
        except OSError:
            return None

    def write(self, path: Path, data: bytes) -> None:
        """Keep a thumbnail; those that were not used for longest make place for it."""
        # Atomic, so that a reader never meets half a file.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(name, path)
            except OSError:
                os.unlink(name)
        self._make_place(len(data))

    def forget(self, photo_id: int) -> None:
        """Remove every thumbnail of a photo."""
        for path in self._of(photo_id).glob(f"{photo_id}-*.webp"):
            path.unlink(missing_ok=True)

    def photo_ids(self) -> set[int]:
        """The photos of which something is kept."""
        stems = (Path(each.name).stem.split("-")[0] for each in self._files() if each.name.endswith(".webp"))
        return {int(stem) for stem in stems if stem.isdecimal()}

    def _make_place(self, added_bytes: int) -> None:
        with self._counting, suppress(OSError):
            if self._bytes is not None:
                self._bytes += added_bytes
            if self._bytes is None or self._bytes > self._bytes_max:
                self._bytes = self._remove_oldest()
            THUMBNAIL_BYTES.set(self._bytes)

    def _remove_oldest(self) -> int:
        """Bring the folder below its limit; returns how many bytes are left in it."""
        kept = [(status.st_mtime_ns, status.st_size, each.path) for each in self._files() if (status := _status(each))]
        total = sum(size for _, size, _ in kept)
        if total > self._bytes_max:
            for _, size, path in sorted(kept):
                if total <= self._bytes_max * KEPT_SHARE:
                    break
                Path(path).unlink(missing_ok=True)
                total -= size
        return total

    def _files(self) -> Iterator[os.DirEntry[str]]:
        with suppress(OSError):
            for folder in [each for each in os.scandir(self._directory) if each.is_dir(follow_symlinks=False)]:
                with suppress(OSError), os.scandir(folder) as entries:
                    yield from entries

    def _of(self, photo_id: int) -> Path:
        return self._directory / f"{photo_id % 256:02x}"


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:  # another thread was quicker
        return None
