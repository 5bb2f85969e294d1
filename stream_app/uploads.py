"""The store of uploaded photos: a folder that every worker reaches, read like any other published root."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stream_app.folders import folder_photo_id
from stream_app.index import files


@dataclass(frozen=True)
class StoredUpload:
    """An upload as it lies in the store."""

    photo_id: int
    url: str
    sha256: str


class UploadStore:
    """Keeps each upload below a folder named by its content, so that the same bytes are the same photo."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, image: bytes, file_name: str) -> StoredUpload:
        """Store the bytes durably; `file_name` must be a bare name. Raises OSError when the disk refuses."""
        digest = hashlib.sha256(image).hexdigest()
        relative = Path(digest[:16]) / file_name
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{uuid.uuid4().hex}")
        files.write_bytes(unfinished, image)
        files.publish(unfinished, path)
        return StoredUpload(folder_photo_id(relative.as_posix()), path.as_uri(), digest)

    def forget(self, url: str) -> None:
        """Erase the upload at `url`; a photo that lies anywhere else is not ours to erase."""
        path = Path(unquote(urlsplit(url).path))
        if url.startswith("file:") and path.is_relative_to(self.root):
            path.unlink(missing_ok=True)
