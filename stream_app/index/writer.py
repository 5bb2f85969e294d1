"""The writer of segments: from rows in memory, or from older segments, to one more segment on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stream_app.index import files, finishing
from stream_app.index.finishing import Job
from stream_app.index.folder import ShardFolder
from stream_app.index.manifest import SegmentRecord
from stream_app.index.memtable import MemtableView
from stream_app.index.merging import MergeProcesses
from stream_app.index.policy import ShardSettings, vectors_per_cell
from stream_app.index.segment import SIGNATURES_FILE, Segment, open_segment, write_rows
from stream_app.versions import Version

#: In a staging folder: queries that lie outside of the vectors.
QUERIES = "queries.npy"


class SegmentWriter:
    """Writes segments that no manifest names yet; what a crash leaves of them, the next opening sweeps."""

    def __init__(self, folder: ShardFolder, settings: ShardSettings, outside_queries: np.ndarray | None) -> None:
        self._folder = folder
        self._settings = settings
        self._outside_queries = outside_queries
        self._processes = MergeProcesses()

    def seal(self, views: Sequence[MemtableView], sequence: int) -> SegmentRecord | None:
        """A segment of the rows that live at `sequence`; None when there are none."""
        living = [(view, np.flatnonzero(view.died > sequence)) for view in views]
        versions = [view.versions[row] for view, rows in living for row in rows.tolist()]
        if not versions:
            return None
        with self._folder.staging() as staging:
            order = write_rows(
                staging,
                np.concatenate([view.photo_ids[rows] for view, rows in living]),
                np.frombuffer(Version.pack_many(versions), dtype=np.uint8).reshape(len(versions), -1),
                np.concatenate([view.vectors[rows] for view, rows in living]).astype(np.float16),
            )
            if len(versions) > self._settings.exact_vectors_max:
                signatures = np.concatenate([view.sieve.fine[rows] for view, rows in living])
                files.write_array(staging / SIGNATURES_FILE, signatures[order])
            return self._finished(staging, [], len(versions), metric="")

    def merge(self, sources: Sequence[Segment], kept: Sequence[np.ndarray], metric: str) -> SegmentRecord | None:
        """A segment of the `kept` rows of each source; None when there are none.

        `metric` is what the shard's forests have been found to be best with, or empty.
        """
        rows_kept = sum(map(len, kept))
        if not rows_kept:
            return None
        with self._folder.staging() as staging:
            triples = []
            for number, (source, rows) in enumerate(zip(sources, kept, strict=True)):
                chosen = staging / f"rows-{number}.npy"
                files.write_array(chosen, rows)
                triples.append((str(self._folder.directory / source.name), str(chosen), source.impaired))
            return self._finished(staging, triples, rows_kept, metric=metric)

    def open(self, record: SegmentRecord | None) -> Segment | None:
        """The reader of a segment just written."""
        if record is None:
            return None
        return open_segment(self._folder.directory / record.name, record, self._folder.manifest.dimensions)

    def stop(self) -> None:
        """End the processes that build forests."""
        self._processes.stop()

    def _finished(
        self, staging: Path, sources: list[tuple[str, str, bool]], rows: int, *, metric: str
    ) -> SegmentRecord:
        chosen, queries = self._settings, ""
        if self._outside_queries is not None and len(self._outside_queries):
            queries = str(staging / QUERIES)
            files.write_array(Path(queries), self._outside_queries)
        job = Job(
            target=str(staging),
            sources=sources,
            exact_vectors_max=chosen.exact_vectors_max,
            cells_vectors_min=chosen.cells_vectors_min,
            vectors_per_cell=vectors_per_cell(rows, chosen),
            forest_vectors_min=chosen.forest_vectors_min,
            n_trees=chosen.n_trees,
            threads=chosen.build_threads,
            seed=chosen.seed,
            metric=metric,
            outside_queries=queries,
        )
        work = finishing.run if rows < chosen.apart_vectors_min else self._processes.run
        work(job)
        for given in (*(rows_file for _, rows_file, _ in sources), queries):
            if given:
                files.remove(Path(given))
        return self._folder.finish(staging, finishing.take_tuning(staging))
