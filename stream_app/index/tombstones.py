"""Tombstones: the versions of deletions, so that an older fact that arrives late changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stream_app.index import files
from stream_app.index.manifest import TombstoneRecord
from stream_app.versions import Version

#: 21 bytes is a packed version.
_ROW = np.dtype([("photo_id", "<i8"), ("version", "u1", (21,))])


def write(directory: Path, name: str, tombstones: Mapping[int, Version]) -> TombstoneRecord | None:
    """Write the tombstones as one file; without any there is no file, and no record."""
    if not tombstones:
        return None
    rows = np.zeros(len(tombstones), dtype=_ROW)
    rows["photo_id"] = list(tombstones)
    rows["version"] = np.frombuffer(Version.pack_many(tombstones.values()), np.uint8).reshape(-1, 21)
    files.write_array(directory / name, rows)
    files.sync(directory)
    return TombstoneRecord(name, len(rows), files.fingerprint(directory / name))


def read(directory: Path, record: TombstoneRecord | None) -> dict[int, Version]:
    """The tombstones that the manifest names; raises SegmentCorrupt naming the file."""
    if record is None:
        return {}
    files.check(directory / record.name, record.fingerprint)
    rows = np.load(directory / record.name)
    return {
        int(photo_id): Version.unpack(version.tobytes())
        for photo_id, version in zip(rows["photo_id"], rows["version"], strict=True)
    }
