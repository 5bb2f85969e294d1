"""Looking at the folders of shards from outside: nothing is written, and a worker may own them meanwhile.

What a worker has not sealed yet lies in its memory and on the log, and is not seen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import numpy as np

from stream_app.errors import SegmentCorrupt, SettingsError
from stream_app.index import manifest
from stream_app.index import tombstones as tombstone_files
from stream_app.index.effort import Tuning
from stream_app.index.folder import bury_outdated
from stream_app.index.manifest import Manifest, SegmentRecord
from stream_app.index.memtable import ALIVE
from stream_app.index.policy import ShardSettings, tier
from stream_app.index.segment import PHOTO_IDS, VERSIONS, Segment

#: A worker that merges replaces the manifest and removes files; so often what is missing is looked for anew.
TRIES = 5

#: Says what is being done, and which share of all is done.
Say = Callable[[str, float], None]
Found = TypeVar("Found")


class PartitionFolder(NamedTuple):
    """The folder of one partition's shard."""

    space_id: str
    number: int
    path: Path


@dataclass(frozen=True)
class SegmentState:
    """A segment on disk; `tuning` is how it is searched, with the recall that was seen when it was written."""

    name: str
    rows: int
    dead_rows: int
    tier: int
    files_bytes: dict[str, int]
    tuning: Tuning


@dataclass(frozen=True)
class PartitionState:
    """A partition's shard as its manifest describes it."""

    path: str
    space_id: str
    partition: int
    dimensions: int
    log_id: str
    next_offset: int
    written_at_ms: int
    photos: int
    tombstones: int
    size_bytes: int
    segments: tuple[SegmentState, ...]


class Rows:
    """Which photos a segment on disk holds, in which versions."""

    def __init__(self, folder: Path) -> None:
        """Raises SegmentCorrupt, naming the file, when they cannot be read."""
        self.photo_ids = read_array(folder / PHOTO_IDS)
        self.versions = read_array(folder / VERSIONS)
        self.died = np.full(len(self.photo_ids), ALIVE, dtype=np.uint64)

    def packed_versions(self, rows: np.ndarray) -> np.ndarray:
        """The packed versions of `rows`, uint8 [n, 21]."""
        return np.asarray(self.versions[rows])


def find_partitions(data_dir: Path, space: str | None = None, numbers: Sequence[int] = ()) -> list[PartitionFolder]:
    """The partitions below a data folder, those that are asked for; raises SettingsError for one that is not there."""
    index_dir = data_dir / "index"
    there = [
        PartitionFolder(path.parent.name, int(path.name), path)
        for path in index_dir.glob("*/*")
        if path.name.isdecimal() and path.is_dir()
    ]
    if not there:
        raise SettingsError(
            "There is no index",
            expected="the data folder of a worker that ran before",
            received=f"{index_dir} without a partition" if index_dir.is_dir() else f"no {index_dir}",
            remedy="Set SIGHTLINE_DATA_DIR to the worker's.",
        )
    chosen = sorted(each for each in there if space in (None, each.space_id))
    missing = set(numbers) - {each.number for each in chosen}
    if missing or not chosen:
        raise SettingsError(
            "There is no such partition",
            expected=f"one of {', '.join(f'{each.space_id}/{each.number}' for each in sorted(there))}",
            received=", ".join(f"{space or '*'}/{each}" for each in sorted(missing)) or f"space {space}",
        )
    return [each for each in chosen if not numbers or each.number in numbers]


def inspect(folder: PartitionFolder) -> PartitionState:
    """What lies in a partition's folder; raises SegmentCorrupt when that cannot be read."""
    return settled(folder.path, lambda known: _state(folder, known))


def settled(directory: Path, look: Callable[[Manifest], Found], again: Callable[[Found], bool] | None = None) -> Found:
    """What `look` sees; it looks again where it failed, or `again` says so, because a merge removed files meanwhile."""
    for last in (each == TRIES - 1 for each in range(TRIES)):
        known = required_manifest(directory)
        try:
            found = look(known)
            if last or again is None or not again(found) or required_manifest(directory) == known:
                return found
        except (SegmentCorrupt, FileNotFoundError):
            if last or required_manifest(directory) == known:
                raise
    raise AssertionError("the last try returns or raises")


def required_manifest(directory: Path) -> Manifest:
    """The manifest of a shard's folder; raises SegmentCorrupt when it is damaged or missing."""
    if (known := manifest.read(directory)) is None:
        raise SegmentCorrupt(f"{directory / manifest.NAME} is missing", remedy="A worker that starts makes it anew.")
    return known


def read_rows(directory: Path, known: Manifest) -> list[Rows]:
    """The rows of every segment, the dead among them marked; raises SegmentCorrupt."""
    rows = [Rows(directory / each.name) for each in known.segments]
    # It asks of a segment what `Rows` has, and no vectors.
    bury_outdated(cast(list[Segment], rows), tombstone_files.read(directory, known.tombstones))
    return rows


def read_array(path: Path) -> np.ndarray:
    """A mapped .npy file; raises SegmentCorrupt naming it."""
    try:
        return np.asarray(np.load(path, mmap_mode="r"))
    except (OSError, ValueError, EOFError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SegmentCorrupt(f"{path} cannot be read", received=said, remedy="See `sightline index verify`.") from None


def _state(folder: PartitionFolder, known: Manifest) -> PartitionState:
    segments = [
        _segment_state(record, rows) for record, rows in zip(known.segments, read_rows(folder.path, known), strict=True)
    ]
    tombstones = known.tombstones
    return PartitionState(
        path=str(folder.path),
        space_id=known.space_id,
        partition=folder.number,
        dimensions=known.dimensions,
        log_id=known.log_id,
        next_offset=known.next_offset,
        written_at_ms=known.written_at_ms,
        photos=sum(each.rows - each.dead_rows for each in segments),
        tombstones=tombstones.count if tombstones else 0,
        size_bytes=sum(sum(each.files_bytes.values()) for each in segments)
        + (tombstones.fingerprint.size_bytes if tombstones else 0),
        segments=tuple(segments),
    )


def _segment_state(record: SegmentRecord, rows: Rows) -> SegmentState:
    dead = int(np.count_nonzero(rows.died != ALIVE))
    return SegmentState(
        name=record.name,
        rows=record.rows,
        dead_rows=dead,
        tier=tier(record.rows - dead, ShardSettings()),
        files_bytes={name: each.size_bytes for name, each in record.files.items()},
        tuning=record.tuning,
    )
