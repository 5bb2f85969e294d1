"""What was sent of each published folder: so that vanished files are noticed and unchanged ones not read again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from stream_app.errors import ServiceUnavailable
from stream_app.folders import PhotoFile
from stream_app.index import files
from stream_app.settings import Settings

#: A file that changed so shortly before it was read may have changed again without its time showing it.
_UNSURE_MS = 2_000


class SentPhoto(NamedTuple):
    """A file as it was when it was read; `read_ms` is when."""

    time_ms: int
    size_bytes: int
    sha256: str
    read_ms: int

    def is_still(self, file: PhotoFile) -> bool:
        """Whether the file surely has the same bytes as then."""
        unchanged = (self.time_ms, self.size_bytes) == (file.time_ms, file.size_bytes)
        return unchanged and self.time_ms + _UNSURE_MS < self.read_ms


def read_photo(file: PhotoFile) -> SentPhoto:
    """The file as it is now; raises OSError."""
    read_ms = time.time_ns() // 1_000_000
    return SentPhoto(file.time_ms, file.size_bytes, file.sha256(), read_ms)


@dataclass(frozen=True)
class SentPhotos:
    """The memory of one folder, a file below the data folder."""

    path: Path

    @classmethod
    def of(cls, settings: Settings, root: Path) -> SentPhotos:
        """The memory of the resolved folder `root`."""
        name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        return cls(settings.data_dir / "published" / f"{name}.json")

    def load(self) -> dict[int, SentPhoto]:
        """By photo_id; empty when nothing is remembered, or nothing that can be read."""
        return _load(self.path)

    def save(self, photos: Mapping[int, SentPhoto]) -> None:
        """Replace the memory as a whole; raises ServiceUnavailable when the disk refuses, and keeps the one before."""
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        kept = {str(photo_id): list(photo) for photo_id, photo in photos.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(unfinished, orjson.dumps(kept))
            files.publish(unfinished, self.path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise ServiceUnavailable(
                "What was sent cannot be remembered",
                expected=f"a disk that takes {self.path}",
                received=(error.strerror or str(error)).lower(),
                remedy="Make room on it.",
            ) from error

    def ids_elsewhere(self) -> set[int]:
        """The ids in the memories of all other folders: equal paths below two folders are one photo."""
        others = [each for each in self.path.parent.glob("[!.]*.json") if each != self.path]
        return {photo_id for each in others for photo_id in _load(each)}


def _load(path: Path) -> dict[int, SentPhoto]:
    try:
        return {int(photo_id): SentPhoto(*photo) for photo_id, photo in orjson.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
