"""A zip archive that is sent while it is made: neither the memory nor the disk ever holds all of it."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from pathlib import PurePath
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

#: What is compressed already, or as good as random, is not worth another try.
STORED_SUFFIXES = frozenset({".png", ".bytes"})


class _Outbox(io.RawIOBase):
    """A file that is only ever appended to, and emptied by whoever sends its content."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


async def zipped(files: AsyncGenerator[tuple[str, bytes]], folder: str) -> AsyncGenerator[bytes]:
    """The pieces of a zip archive with these files below `folder`, whose own pieces come one after the other.

    To close it early is to close `files`, too.
    """
    outbox = _Outbox()
    name, entry = "", None
    # Left in the reverse order: an archive cannot be closed before what is open in it.
    async with aclosing(files):
        with ZipFile(outbox, "w") as archive, ExitStack() as opened:
            async for next_name, piece in files:
                if entry is None or next_name != name:
                    opened.close()
                    name, entry = next_name, opened.enter_context(_open(archive, f"{folder}/{next_name}"))
                entry.write(piece)
                if sent := outbox.take():
                    yield sent
    yield outbox.take()


def _open(archive: ZipFile, path: str) -> IO[bytes]:
    info = ZipInfo(path, time.localtime()[:6])
    info.compress_type = ZIP_STORED if PurePath(path).suffix in STORED_SUFFIXES else ZIP_DEFLATED
    return archive.open(info, "w")
