"""The store of uploaded photos: a folder that every worker reaches, read like any other published root."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from stream_app.errors import ServiceUnavailable
from stream_app.folders import event_time_ms, folder_photo_id
from stream_app.index import files

#: What file systems allow, in bytes of UTF-8.
NAME_BYTES_MAX = 255


@dataclass(frozen=True)
class Upload:
    """An upload and its place in the store, whether it lies there already or not."""

    photo_id: int
    path: Path
    sha256: str

    @property
    def url(self) -> str:
        """Where the embed agent reads it."""
        return self.path.as_uri()


class UploadStore:
    """Keeps each upload below a folder named by its content, so that the same bytes are the same photo."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, image: bytes, file_name: str) -> Upload:
        """Where an upload belongs; of a name that is too long the end of the stem is left out."""
        digest = hashlib.sha256(image).hexdigest()
        relative = Path(digest[:16]) / _fitting(file_name)
        return Upload(folder_photo_id(relative.as_posix()), self.root / relative, digest)

    def put(self, upload: Upload, image: bytes) -> int:
        """Store the bytes durably, or leave nothing behind; raises ServiceUnavailable when the disk refuses.

        Returns the time, in milliseconds, that publishing the store gives the upload: so it is no news then.
        """
        unfinished = upload.path.with_name(f".{uuid.uuid4().hex}")
        try:
            upload.path.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(unfinished, image)
            files.publish(unfinished, upload.path)
            return event_time_ms(upload.path.stat(), time.time_ns() // 1_000_000)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise ServiceUnavailable(
                "The upload cannot be stored", received=error.strerror, remedy="Look at the disk of the worker."
            ) from error

    def forget(self, photo_id: int, url: str) -> None:
        """Erase the upload at `url`; a file that lies anywhere else, or is another photo's, is not ours to erase."""
        path = unquote(urlsplit(url).path)
        try:
            relative = Path(os.path.realpath(path)).relative_to(os.path.realpath(self.root))
        except ValueError:
            return
        if url.startswith("file:") and folder_photo_id(relative.as_posix()) == photo_id:
            Path(path).unlink(missing_ok=True)


def _fitting(file_name: str) -> str:
    """The name as it can be stored: visible, so that the store can be published, and short enough."""
    name = PurePath(file_name.lstrip("."))
    stem = name.stem.encode()[: NAME_BYTES_MAX - len(name.suffix.encode())]
    return stem.decode(errors="ignore") + name.suffix
