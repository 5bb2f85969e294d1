"""A shard: the vectors of one partition, found at once, kept in immutable segments, never rebuilt whole."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stream_app.errors import QueryRejected, VectorRejected
from stream_app.index import signing
from stream_app.index.closest import wide
from stream_app.index.folder import ShardFolder, bury_outdated
from stream_app.index.manifest import Manifest
from stream_app.index.memtable import Memtable
from stream_app.index.policy import MergePlan, SegmentSummary, ShardSettings, plan_merge
from stream_app.index.ranking import Allow, Hit, IdFilter
from stream_app.index.segment import Segment
from stream_app.index.snapshot import Lineup, Search, Snapshot
from stream_app.index.vectors import unit_vector, unit_vectors
from stream_app.index.writer import SegmentWriter
from stream_app.versions import Version

__all__ = ["Hit", "IdFilter", "Shard", "ShardSettings"]


class Place(NamedTuple):
    """Where a photo lives."""

    holder: Memtable | Segment
    row: int


class Frozen(NamedTuple):
    """What one seal makes durable: the state at `sequence`."""

    memtables: tuple[Memtable, ...]
    sequence: int
    tombstones: dict[int, Version]
    tombstone_changes: int


class Shard:
    """Adds and removals come from one thread; searches, `seal` and `merge_once` from any, at any time.

    What was added is found by the very next search. It is durable after the next `seal`: after a crash the
    shard is as it was at its last seal, and the caller replays its log from `manifest.next_offset`. Opening
    raises SegmentCorrupt, naming the file, when the folder is damaged, and ServiceUnavailable when another
    process has it. A folder filled in another space, or from another log than `log_id`, is emptied first.

    `outside_queries` (float32 [n, dimensions]) are examples of queries that lie where no vectors do, as words do
    among photos: searches that say so are given the effort that these need.
    """

    def __init__(
        self,
        directory: Path,
        *,
        dimensions: int,
        space_id: str,
        log_id: str | None = None,
        settings: ShardSettings | None = None,
        outside_queries: np.ndarray | None = None,
    ) -> None:
        self.dimensions = dimensions
        self.settings = settings or ShardSettings()
        self._folder = ShardFolder(Path(directory), space_id=space_id, dimensions=dimensions, log_id=log_id)
        self._writer = SegmentWriter(self._folder, self.settings, outside_queries)
        self._lock = threading.Lock()  # of everything in memory; held for microseconds, or for one batch
        self._publish_lock = threading.Lock()  # of the manifest
        self._seal_lock = threading.Lock()
        self._merge_lock = threading.Lock()
        self._load()

    def _load(self) -> None:
        try:
            self._segments: tuple[Segment, ...] = tuple(self._folder.segments())
            self._tombstones = self._folder.tombstones()
        except BaseException:
            self._folder.close()
            raise
        bury_outdated(self._segments, self._tombstones)
        self._memtables: tuple[Memtable, ...] = (Memtable(self.dimensions),)
        self._lineup = Lineup(self._segments)
        self._current: Snapshot | None = None  # until something changes
        self._sequence = self._durable_sequence = 0
        self._tombstone_changes = self._durable_tombstone_changes = 0
        self._count = sum(1 for _ in self.photo_ids())

    @property
    def manifest(self) -> Manifest:
        """What the folder holds; everything before its `next_offset` is durable."""
        return self._folder.manifest

    def __len__(self) -> int:
        return self._count

    def add(self, photo_id: int, version: Version, vector: ArrayLike) -> bool:
        """Add or replace one photo; False, and no change, when `version` is not newer than what is known."""
        return self.add_many([photo_id], [version], unit_vector(vector, self.dimensions)[None, :])[0]

    def add_many(self, photo_ids: Sequence[int], versions: Sequence[Version], vectors: ArrayLike) -> list[bool]:
        """Like `add` for each photo in turn; raises VectorRejected, and adds none, when one vector is bad."""
        fit = unit_vectors(vectors, self.dimensions).astype(np.float16)
        if not len(photo_ids) == len(versions) == len(fit):
            raise VectorRejected(
                "a batch is uneven",
                expected=f"{len(photo_ids)} versions and vectors, as many as photo ids",
                received=f"{len(versions)} versions and {len(fit)} vectors",
            )
        signatures = signing.signatures(wide(fit))
        with self._lock:
            self._change()
            settled = self._settled_places(photo_ids)
            added = [self._add(*each, settled) for each in zip(photo_ids, versions, strict=True)]
            self._memtables[-1].fill(fit[added], signatures[added])
            return added

    def remove(self, photo_id: int, version: Version) -> bool:
        """Remove a photo and remember when; False when `version` is not newer than what is known of it."""
        return self.remove_many([photo_id], [version])[0]

    def remove_many(self, photo_ids: Sequence[int], versions: Sequence[Version]) -> list[bool]:
        """Like `remove` for each photo in turn."""
        with self._lock:
            self._change()
            settled = self._settled_places(photo_ids)
            return [self._remove(*each, settled) for each in zip(photo_ids, versions, strict=True)]

    def search(
        self,
        vector: ArrayLike,
        k: int,
        *,
        allow: Allow | None = None,
        recall: float | None = None,
        outside: bool = False,
    ) -> list[Hit]:
        """The `k` photos nearest to `vector`, best first, of equal scores the lower id first.

        They are fewer only when `allow` lets no more through, a predicate or an IdFilter, which costs less. `recall`
        is the share of the nearest that should be found (default: the setting's); 1.0 compares every row, and the
        same photos give the same hits, however they lie in segments. `outside` says that the query is of the kind of
        `outside_queries`. Raises VectorRejected, and QueryRejected for a `k` below 1.
        """
        if k < 1:
            raise QueryRejected("k is out of range", expected="at least 1", received=str(k))
        wished = self.settings.recall if recall is None else recall
        return self.snapshot().search(unit_vector(vector, self.dimensions), k, Search(allow, wished, outside))

    def vector(self, photo_id: int) -> np.ndarray | None:
        """The photo's vector, float32 [dimensions], or None when it is not here."""
        with self._lock:
            place = self._place(photo_id)
            return place.holder.vector(place.row) if place else None

    def version(self, photo_id: int) -> Version | None:
        """The newest version known of a photo, also of a removed one; None when nothing is known."""
        with self._lock:
            place = self._place(photo_id)
            return place.holder.version(place.row) if place else self._tombstones.get(photo_id)

    def photo_ids(self) -> Iterator[int]:
        """Every photo that can be found, each once, in no order."""
        return self.snapshot().photo_ids()

    def needs_seal(self) -> bool:
        """Whether the memtable has grown beyond what a scan should cost."""
        return sum(map(len, self._memtables)) >= self.settings.memtable_vectors_max

    def seal(self, next_offset: int | None = None) -> None:
        """Make everything known so far durable; after a restart the log is read from `next_offset`.

        Raises ServiceUnavailable when it cannot be written; nothing is lost, and the next seal tries again.
        """
        with self._seal_lock, self._folder.writing():
            frozen = self._freeze()
            unchanged = next_offset in (None, self.manifest.next_offset)
            if unchanged and not frozen.memtables and frozen.tombstone_changes == self._durable_tombstone_changes:
                return
            self._seal(frozen, self.manifest.next_offset if next_offset is None else next_offset)

    def merge_once(self) -> bool:
        """Do one merge if the policy asks for one; False when there is none, or another thread is at it."""
        if not self._merge_lock.acquire(blocking=False):
            return False
        try:
            plan = plan_merge(self._summaries(), self.settings)
            if plan is None:
                return False
            with self._folder.writing():
                self._merge(plan)
            return True
        finally:
            self._merge_lock.release()

    @property
    def merging(self) -> bool:
        """Whether segments are being merged now."""
        return self._merge_lock.locked()

    def close(self) -> None:
        """End a running merge and let go of the folder; what was not sealed is read again from the log."""
        self._writer.stop()
        with self._merge_lock, self._seal_lock:
            self._current = None
            self._folder.close()

    # What follows up to `snapshot` is called with the lock held.

    def _change(self) -> None:
        self._sequence += 1
        self._current = None

    def _add(self, photo_id: int, version: Version, settled: dict[int, Place]) -> bool:
        place = self._unsettled_place(photo_id) or settled.get(photo_id)
        if not self._is_newer(photo_id, version, place):
            return False
        if place:
            place.holder.kill(place.row, self._sequence)
        else:
            self._count += 1
            self._tombstone_changes += self._tombstones.pop(photo_id, None) is not None
        self._memtables[-1].append(photo_id, version)
        return True

    def _remove(self, photo_id: int, version: Version, settled: dict[int, Place]) -> bool:
        place = self._unsettled_place(photo_id) or settled.get(photo_id)
        if not self._is_newer(photo_id, version, place):
            return False
        if place:
            place.holder.kill(place.row, self._sequence)
            settled.pop(photo_id, None)
            self._count -= 1
        self._tombstones[photo_id] = version
        self._tombstone_changes += 1
        return True

    def _is_newer(self, photo_id: int, version: Version, place: Place | None) -> bool:
        known = place.holder.version(place.row) if place else self._tombstones.get(photo_id)
        return known is None or version > known

    def _place(self, photo_id: int) -> Place | None:
        return self._unsettled_place(photo_id) or self._settled_places([photo_id]).get(photo_id)

    def _unsettled_place(self, photo_id: int) -> Place | None:
        for memtable in reversed(self._memtables):
            row = memtable.row_of(photo_id)
            if row is not None:
                return Place(memtable, row)
        return None

    def _settled_places(self, photo_ids: Sequence[int]) -> dict[int, Place]:
        wanted = np.array(photo_ids, dtype=np.int64)
        places = {}
        for segment in self._segments:
            rows = segment.locate(wanted)
            for at in np.flatnonzero(rows >= 0):
                places[int(wanted[at])] = Place(segment, int(rows[at]))
        return places

    def snapshot(self) -> Snapshot:
        """What can be found now, as one search sees it."""
        with self._lock:
            if self._current is None:
                views = [memtable.view() for memtable in self._memtables if len(memtable)]
                self._current = Snapshot(views, self._lineup, self._sequence)
            return self._current

    def _freeze(self) -> Frozen:
        with self._lock:
            memtables = tuple(memtable for memtable in self._memtables if len(memtable))
            self._memtables = (*memtables, Memtable(self.dimensions))
            return Frozen(memtables, self._sequence, dict(self._tombstones), self._tombstone_changes)

    def _seal(self, frozen: Frozen, next_offset: int) -> None:
        views = [memtable.view() for memtable in frozen.memtables]
        record = self._writer.seal(views, frozen.sequence)
        tombstones = self.manifest.tombstones
        if frozen.tombstone_changes != self._durable_tombstone_changes:
            tombstones = self._folder.write_tombstones(frozen.tombstones)
        segment = self._writer.open(record)
        with self._publish_lock:
            self._folder.commit(record, (), tombstones, next_offset)
            with self._lock:
                self._replace((), segment, [(view.photo_ids, view.died) for view in views], frozen.sequence)
                self._memtables = tuple(each for each in self._memtables if each not in frozen.memtables)
                self._durable_sequence = frozen.sequence
                self._durable_tombstone_changes = frozen.tombstone_changes

    def _summaries(self) -> list[SegmentSummary]:
        with self._lock:
            durable = self._durable_sequence
            return [
                SegmentSummary(
                    each.name,
                    rows=len(each),
                    dead=int(np.count_nonzero(each.died <= durable)),
                    impaired=each.impaired,
                )
                for each in self._segments
            ]

    def _merge(self, plan: MergePlan) -> None:
        with self._lock:
            # Rows whose death is not durable yet are carried on: a crash now must bring them back.
            since = self._durable_sequence
            sources = [each for each in self._segments if each.name in plan.names]
            kept = [np.flatnonzero(each.died > since) for each in sources]
            metric = max(self._segments, key=len).tuning.metric
        record = self._writer.merge(sources, kept, metric)
        segment = self._writer.open(record)
        with self._publish_lock:
            now = self.manifest
            self._folder.commit(record, plan.names, now.tombstones, now.next_offset)
            with self._lock:
                self._replace(plan.names, segment, [(each.photo_ids, each.died) for each in sources], since)

    def _replace(
        self,
        removed: Iterable[str],
        added: Segment | None,
        deaths: list[tuple[np.ndarray, np.ndarray]],
        since: int,
    ) -> None:
        gone = set(removed)
        kept = [each for each in self._segments if each.name not in gone]
        if added:
            for photo_ids, died in deaths:
                added.inherit(photo_ids, died, since)
        self._segments = tuple([*kept, added] if added else kept)
        self._lineup, self._current = Lineup(self._segments), None
