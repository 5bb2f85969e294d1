"""Files that survive a crash whole, or not at all; and damage that is noticed before it is believed."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream_app.errors import SegmentCorrupt


class Fingerprint(NamedTuple):
    """What a file was when it was written."""

    size_bytes: int
    sha256: str


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file and wait until the disk has it."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(source: Path, target: Path) -> None:
    """Give a finished file or folder its final name, in one step that a crash cannot halve."""
    os.replace(source, target)
    sync(target.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder that nobody needs; one that is gone already, or will not go, is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        # What is done by now is done: a commit must not seem to have failed because its leavings stay.
        with suppress(OSError):
            path.unlink()


def fingerprint(path: Path) -> Fingerprint:
    """The size and checksum of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Fingerprint(path.stat().st_size, digest)


def check(path: Path, expected: Fingerprint) -> None:
    """Raise SegmentCorrupt, naming the file, unless it is what it was when it was written."""
    try:
        size_bytes = path.stat().st_size
        intact = size_bytes == expected.size_bytes and fingerprint(path) == expected
    except OSError as error:
        raise SegmentCorrupt(f"{path} cannot be read", received=error.strerror, remedy=REMEDY) from None
    if not intact:
        raise SegmentCorrupt(
            f"{path} is damaged",
            expected=f"{expected.size_bytes} bytes with checksum {expected.sha256[:12]}",
            received=f"{size_bytes} bytes" if size_bytes != expected.size_bytes else "another checksum",
            remedy=REMEDY,
        )


REMEDY = "Remove the shard's folder: it is rebuilt from the embeddings topic."
