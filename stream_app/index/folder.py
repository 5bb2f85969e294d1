"""A shard's folder: one owner, one manifest, and nothing in it that the manifest does not name."""

from __future__ import annotations

import fcntl
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from stream_app.errors import SegmentCorrupt, ServiceUnavailable
from stream_app.index import files, manifest
from stream_app.index import tombstones as tombstone_files
from stream_app.index.effort import Tuning
from stream_app.index.manifest import Manifest, SegmentRecord, TombstoneRecord
from stream_app.index.segment import Segment, open_segment, record_of
from stream_app.versions import Version

LOCK = "lock"
OURS = ("segment-*", "tombstones-*", "*.tmp")


class ShardFolder:
    """Opens or creates the folder, sweeps what an unfinished seal or merge left, and commits what is new.

    A folder of another space or another log is emptied: its vectors mean something else.
    """

    def __init__(self, directory: Path, *, space_id: str, dimensions: int, log_id: str | None) -> None:
        self.directory = directory
        with _said_in_one_line(directory):
            _make(directory)
            self._lock = locked(directory / LOCK)
            try:
                self.manifest = self._settled_manifest(space_id, dimensions, log_id)
                self._sweep()
            except BaseException:
                self._lock.close()
                raise
        self._number = itertools.count(self.manifest.generation + 1)
        self._deed = threading.local()  # a seal and a merge may write at once, each in its thread
        self._doubtful: set[str] = set()
        self._closed = False

    def segments(self) -> tuple[Segment, ...]:
        """The living segments, every file checked; raises SegmentCorrupt."""
        dimensions = self.manifest.dimensions
        return tuple(open_segment(self.directory / each.name, each, dimensions) for each in self.manifest.segments)

    def tombstones(self) -> dict[int, Version]:
        """The deletions remembered at the last seal; raises SegmentCorrupt."""
        return tombstone_files.read(self.directory, self.manifest.tombstones)

    def write_tombstones(self, known: Mapping[int, Version]) -> TombstoneRecord | None:
        """Write all tombstones anew, for the next commit to name."""
        return tombstone_files.write(self.directory, self._written(self._name("tombstones") + ".npy"), known)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to write a new segment in; what `finish` has not published is removed afterwards."""
        path = self.directory / f"{self._name('segment')}.tmp"
        path.mkdir()
        try:
            yield path
        finally:
            files.remove(path)

    def finish(self, staging: Path, tuning: Tuning) -> SegmentRecord:
        """Publish a staged segment under its final name; it lives once a manifest names it."""
        record = record_of(staging, staging.stem, tuning)
        files.sync(staging)
        files.publish(staging, self.directory / self._written(record.name))
        return record

    def commit(
        self,
        added: SegmentRecord | None,
        removed: Iterable[str],
        tombstones: TombstoneRecord | None,
        next_offset: int,
    ) -> None:
        """Replace the manifest in one step, then remove the files that it no longer names."""
        known, gone = self.manifest, set(removed)
        kept = [each for each in known.segments if each.name not in gone]
        segments = tuple([*kept, added] if added else kept)
        wished = replace(known, segments=segments, tombstones=tombstones, next_offset=next_offset)
        self.manifest = manifest.write(replace(wished, generation=_newest(wished)), self.directory)
        doubtful, self._doubtful = self._doubtful, set()
        for name in (known.names() | doubtful) - wished.names():
            # Searches that still read these files hold them mapped: removing the name does not hurt them.
            files.remove(self.directory / name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Say as ServiceUnavailable, in one line, why nothing can be written, and remove what was written in vain."""
        if self._closed:
            raise ServiceUnavailable(f"the shard in {self.directory} is closed", remedy="Open it again.")
        self._deed.written = set()
        with _said_in_one_line(self.directory):
            try:
                yield
            except Exception:
                self._withdraw(self._deed.written)
                raise

    def close(self) -> None:
        """Let another process own the folder."""
        self._closed = True
        self._lock.close()

    def _name(self, kind: str) -> str:
        # One counter for all threads: `next` is atomic, and names that a crash left behind were swept.
        return f"{kind}-{next(self._number):08d}"

    def _written(self, name: str) -> str:
        self._deed.written.add(name)
        return name

    def _withdraw(self, names: set[str]) -> None:
        """Remove what no commit has named: tried again and again on a full disk, it would fill what room there is."""
        names = names - self.manifest.names()
        try:
            known = manifest.read(self.directory)
        except SegmentCorrupt:
            return
        # A manifest that was replaced, but not synced, may be the one that a crash leaves.
        self._doubtful |= names & (known.names() if known else set())
        for name in names - self._doubtful:
            files.remove(self.directory / name)

    def _settled_manifest(self, space_id: str, dimensions: int, log_id: str | None) -> Manifest:
        known = manifest.read(self.directory)
        if known is not None:
            same_space = (known.space_id, known.dimensions) == (space_id, dimensions)
            if same_space and log_id in (None, known.log_id):
                return known
            files.remove(self.directory / manifest.NAME)
        return manifest.write(Manifest(space_id, dimensions, log_id or ""), self.directory)

    def _sweep(self) -> None:
        kept = self.manifest.names()
        for pattern in OURS:
            for path in self.directory.glob(pattern):
                if path.name not in kept:
                    files.remove(path)


def _newest(wished: Manifest) -> int:
    return max([wished.generation, *(int(Path(name).stem.rsplit("-", 1)[1]) for name in wished.names())])


def bury_outdated(segments: Sequence[Segment], known: Mapping[int, Version]) -> None:
    """Mark dead, as if it had always been, each row that a newer row or tombstone outdates."""
    if not segments:
        return
    photo_ids, versions, origins, rows = _entries(segments, known)
    # Three big-endian words, uint64 [n, 3], are ordered as the packed versions are.
    words = np.pad(versions, ((0, 0), (0, 3))).view(">u8").astype(np.uint64)
    order = np.lexsort((origins, words[:, 2], words[:, 1], words[:, 0], photo_ids))
    outdated = order[:-1][photo_ids[order[1:]] == photo_ids[order[:-1]]]
    for origin, segment in enumerate(segments):
        segment.died[rows[outdated[origins[outdated] == origin]]] = 0


def _entries(
    segments: Sequence[Segment], known: Mapping[int, Version]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    # Only photos that occur more than once are looked at: sorting a million versions takes seconds.
    buried = np.fromiter(known, dtype=np.int64, count=len(known))
    everything, counts = np.unique(np.concatenate([buried, *(each.photo_ids for each in segments)]), return_counts=True)
    repeated = everything[counts > 1]
    found = [np.flatnonzero(np.isin(each.photo_ids, repeated)) for each in segments]
    packed = np.frombuffer(Version.pack_many(known.values()), np.uint8).reshape(-1, 21)
    photo_ids = [each.photo_ids[rows] for each, rows in zip(segments, found, strict=True)]
    versions = [each.packed_versions(rows) for each, rows in zip(segments, found, strict=True)]
    origins = np.repeat(np.arange(len(segments) + 1), [*map(len, found), len(buried)])
    return (
        np.concatenate([*photo_ids, buried]),
        np.concatenate([*versions, packed]),
        origins,  # of a tombstone: one past the last segment, so that it wins a tie
        np.concatenate([*found, np.zeros(len(buried), dtype=np.int64)]),
    )


@contextmanager
def _said_in_one_line(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ServiceUnavailable(
            f"{directory} cannot be written",
            received=error.strerror or str(error),
            remedy="Nothing is lost while the worker runs; free some space, it is tried again.",
        ) from error


def _make(directory: Path) -> None:
    """Make the folder, and wait until the disk has its name: what is sealed in it is lost with it otherwise."""
    new = [each for each in directory.parents if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for each in (directory, *new):
        files.sync(each.parent)


def locked(path: Path):  # type: ignore[no-untyped-def]  # the open file is the lock
    """Own the folder that `path` lies in until the returned file is closed; raises ServiceUnavailable."""
    file = path.open("a")
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
    file.close()
    raise ServiceUnavailable(
        f"{path.parent} is in use by another process",
        expected="one worker for each data folder",
        remedy="Stop the other worker, or set another SIGHTLINE_DATA_DIR.",
    )
