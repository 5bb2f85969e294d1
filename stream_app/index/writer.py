"""The writer of segments: from rows in memory, or from older segments, to one more segment on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stream_app.index import files
from stream_app.index.folder import ShardFolder
from stream_app.index.manifest import SegmentRecord
from stream_app.index.memtable import MemtableView
from stream_app.index.merging import Job, MergeProcesses
from stream_app.index.policy import ShardSettings
from stream_app.index.segment import Segment, open_segment, write_rows


class SegmentWriter:
    """Writes segments that no manifest names yet; what a crash leaves of them, the next opening sweeps."""

    def __init__(self, folder: ShardFolder, settings: ShardSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._processes = MergeProcesses()

    def seal(self, views: Sequence[MemtableView], sequence: int) -> SegmentRecord | None:
        """A segment of the rows that live at `sequence`; None when there are none."""
        living = [(view, np.flatnonzero(view.died > sequence)) for view in views]
        packed = [view.versions[row].pack() for view, rows in living for row in rows]
        if not packed:
            return None
        with self._folder.staging() as staging:
            write_rows(
                staging,
                np.concatenate([view.photo_ids[rows] for view, rows in living]),
                np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(len(packed), -1),
                np.concatenate([view.vectors[rows] for view, rows in living]).astype(np.float16),
            )
            if len(packed) >= self._settings.forest_vectors_min:
                self._processes.run(self._job(staging, []))
            return self._folder.finish(staging)

    def merge(self, sources: Sequence[Segment], kept: Sequence[np.ndarray]) -> SegmentRecord | None:
        """A segment of the `kept` rows of each source; None when there are none."""
        if not sum(map(len, kept)):
            return None
        with self._folder.staging() as staging:
            pairs = []
            for number, (source, rows) in enumerate(zip(sources, kept, strict=True)):
                chosen = staging / f"rows-{number}.npy"
                files.write_array(chosen, rows)
                pairs.append((str(self._folder.directory / source.name), str(chosen)))
            self._processes.run(self._job(staging, pairs))
            for _, chosen_path in pairs:
                files.remove(Path(chosen_path))
            return self._folder.finish(staging)

    def open(self, record: SegmentRecord | None) -> Segment | None:
        """The reader of a segment just written."""
        if record is None:
            return None
        path = self._folder.directory / record.name
        least = self._settings.forest_vectors_min
        return open_segment(path, record, self._folder.manifest.dimensions, forest_vectors_min=least)

    def stop(self) -> None:
        """End the processes that build forests."""
        self._processes.stop()

    def _job(self, target: Path, sources: list[tuple[str, str]]) -> Job:
        chosen = self._settings
        return Job(str(target), sources, chosen.forest_vectors_min, chosen.n_trees, chosen.build_threads, chosen.seed)
