"""A folder of photos: which files count, the id and event time of each, and word of every change."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import stat
import time
import unicodedata
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import Change, awatch

from stream_app.errors import SettingsError

log = logging.getLogger(__name__)

PHOTO_SUFFIXES = frozenset([".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif"])
#: Network folders send no word of changes: they are looked through this often anyway.
LOOK_AGAIN_SECONDS = 30.0
#: After a trouble of the watcher, so that a file which is opened all the time is not looked for all the time.
WATCH_AGAIN_SECONDS = 1.0
_EXPECTED = f"a folder with photos ({' '.join(sorted(PHOTO_SUFFIXES))})"


@dataclass(frozen=True)
class PhotoFile:
    """A photo below a folder. `time_ms` is when its bytes, or its name, last changed: the time of its event."""

    photo_id: int
    path: Path
    time_ms: int
    size_bytes: int

    def sha256(self) -> str:
        """The digest of the file's bytes in hex; raises OSError."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class FolderScan:
    """What a folder holds: its photos, a word for each file left out, and whether all of it could be seen."""

    photos: list[PhotoFile] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    left_out_ids: set[int] = field(default_factory=set)
    complete: bool = True

    @property
    def present_ids(self) -> set[int]:
        """The ids of all files that are there, readable or not: none of them has vanished."""
        return {each.photo_id for each in self.photos} | self.left_out_ids


def folder_photo_id(relative_path: str) -> int:
    """63 bits of a hash of the POSIX path below the published folder, so that a folder may be moved as a whole."""
    # macOS writes some file names decomposed; the same photo keeps its id on every system.
    name = unicodedata.normalize("NFC", relative_path).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") >> 1


def require_photos(folder: Path) -> Path:
    """The resolved folder; raises SettingsError unless it is one and holds at least one photo."""
    folder = folder.expanduser()
    if not folder.exists():
        raise SettingsError(
            "There is no such folder",
            expected=_EXPECTED,
            received=str(folder),
            remedy="Correct its path; `sightline up --starter` shows some photos without one.",
        )
    if not folder.is_dir():
        raise SettingsError(
            "That is no folder",
            expected=_EXPECTED,
            received=str(folder),
            remedy="Name the folder that it lies in.",
        )
    try:
        empty = not any(folder.iterdir())
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be read",
            expected=_EXPECTED,
            received=error.strerror,
            remedy="Correct its permissions.",
        ) from error
    root = folder.resolve()
    if empty or not holds_photos(root):
        raise SettingsError(
            f"{folder} holds no photos",
            expected=_EXPECTED,
            received="an empty folder" if empty else "other files only",
            remedy="Put photos into it, or name another one.",
        )
    return root


def holds_photos(root: Path) -> bool:
    """Whether at least one file below a resolved folder counts as a photo; a folder that is not there holds none."""
    return next(_photo_paths(root, FolderScan()), None) is not None


def scan_folder(root: Path) -> FolderScan:
    """Look through a resolved folder, in order of the names; hidden files and folders are passed over silently."""
    scan = FolderScan()
    now_ms = time.time_ns() // 1_000_000
    for path in _photo_paths(root, scan):
        photo_id = folder_photo_id(path.relative_to(root).as_posix())
        try:
            scan.photos.append(_photo_file(root, path, photo_id, now_ms))
        except (OSError, _LeftOut) as reason:
            said = reason.strerror if isinstance(reason, OSError) else reason
            scan.left_out.append(f"{path}: {said}")
            scan.left_out_ids.add(photo_id)
    return scan


async def watch_folder(root: Path) -> AsyncGenerator[None, None]:
    """Yields as soon as it watches, then after each burst of changes below `root`, and now and then without one.

    No change after the first yield is missed. Where the system cannot watch, it yields every LOOK_AGAIN_SECONDS.
    """
    said = False
    while True:
        try:
            async with aclosing(_changes(root)) as changes:
                async for _ in changes:
                    yield
        except ExceptionGroup as error:
            # One file whose name is no UTF-8 blinds it for all others; what it missed is found by looking again.
            log.debug("%s is watched anew: %s", root, error.exceptions)
            await asyncio.sleep(WATCH_AGAIN_SECONDS)
        except OSError as error:
            if not said:
                log.warning("%s cannot be watched (%s): looked through every %.0f s", root, error, LOOK_AGAIN_SECONDS)
            said = True
            yield
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _changes(root: Path) -> AsyncGenerator[None, None]:
    """The words of one watcher; raises OSError when it cannot begin, and ExceptionGroup when it cannot go on."""

    def concerns_us(_: Change, path: str) -> bool:
        return not any(part.startswith(".") for part in Path(path).relative_to(root).parts)

    changes = awatch(
        root,
        watch_filter=concerns_us,
        rust_timeout=int(LOOK_AGAIN_SECONDS * 1000),
        yield_on_timeout=True,
        # A folder that is not ours to read, such as lost+found, is left out when the folder is looked through.
        ignore_permission_denied=True,
    )
    first = asyncio.ensure_future(anext(changes, None))
    try:
        await asyncio.sleep(0)  # the first step of the task, in which the system begins to watch
        if not first.done():
            yield
        await first
        yield
        async for _ in changes:
            yield
    finally:
        first.cancel()


class _LeftOut(Exception):
    """Why a file is not sent."""


def _photo_paths(root: Path, scan: FolderScan) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        scan.complete = False
        scan.left_out.append(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for each in folders:
            if os.path.islink(os.path.join(folder, each)):
                scan.left_out.append(f"{os.path.join(folder, each)}: a link to a folder is not followed")
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES:
                yield Path(folder, name)


def _photo_file(root: Path, path: Path, photo_id: int, now_ms: int) -> PhotoFile:
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
        raise _LeftOut("a link that leaves the folder")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _LeftOut("no regular file")
    if not os.access(path, os.R_OK):
        raise _LeftOut("it may not be read")
    return PhotoFile(photo_id, path, event_time_ms(status, now_ms), status.st_size)


def event_time_ms(status: os.stat_result, now_ms: int) -> int:
    """The later of change and rename, so that sending an unchanged file again is old news, also of a deleted one."""
    changed_ms, renamed_ms = status.st_mtime_ns // 1_000_000, status.st_ctime_ns // 1_000_000
    # A camera's clock that runs ahead would make each new sending newer than the one before.
    return max(0, renamed_ms if changed_ms > now_ms else max(changed_ms, renamed_ms))
