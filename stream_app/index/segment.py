"""A segment: settled vectors on disk, never changed once written; rows only die, and in memory.

A folder with `photo_ids.npy` (int64 [rows], ascending: the row is the ordinal that Annoy knows),
`versions.npy` (uint8 [rows, 21], packed), `vectors.npy` (float16 [rows, dimensions]) and, unless it is
small, `forest.ann` with `signatures.npy` (uint64 [rows, words]).

A search walks the forest for candidates, sifts them by signature, and looks at the vectors of the few that are left.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np
from annoy import AnnoyIndex

from stream_app.errors import SegmentCorrupt
from stream_app.index import files
from stream_app.index.forest_reader import ForestReader
from stream_app.index.manifest import SegmentRecord
from stream_app.index.memtable import ALIVE
from stream_app.index.ranking import Allow, best_allowed_rows
from stream_app.index.sieve import Sieve, planes
from stream_app.versions import Version

PHOTO_IDS, VERSIONS, VECTORS = "photo_ids.npy", "versions.npy", "vectors.npy"
FOREST, SIGNATURES = "forest.ann", "signatures.npy"
ROW_FILES = (PHOTO_IDS, VERSIONS, VECTORS)
FOREST_FILES = (FOREST, SIGNATURES)

#: On unit vectors it orders as the cosine does, and its trees split clusters far better than `angular`.
METRIC: Final = "euclidean"

#: Candidates whose vectors are looked at, at least, and for each wished neighbour. Words lie outside of where photos
#: do, and their signatures tell photos apart less well: of their ten nearest, 256 of 24,000 hold .96, 64 hold .76.
KEPT_MIN, KEPT_PER_NEIGHBOUR = 256, 20

#: Rows that are widened to float32 at a time: the scratch memory of a scan.
SCAN_ROWS = 8_192

logger = logging.getLogger(__name__)


class Segment:
    """The reader of one segment; its large files are memory-mapped, so the memory is the system's."""

    def __init__(self, directory: Path, dimensions: int, *, has_forest: bool, scanned: bool = False) -> None:
        self.name = directory.name
        self.source = f"segment:{directory.name}"
        self.photo_ids: np.ndarray = np.load(directory / PHOTO_IDS)
        self._versions = _mapped(directory / VERSIONS)
        self._vectors = _mapped(directory / VECTORS)
        self.died = np.full(len(self.photo_ids), ALIVE, dtype=np.uint64)
        self._forest = ForestReader(directory / FOREST, dimensions, METRIC) if has_forest else None
        # A segment of a former version has a forest alone.
        is_signed = has_forest and (directory / SIGNATURES).exists()
        self._sieve = Sieve(_mapped(directory / SIGNATURES), dimensions) if is_signed else None
        if self._forest is not None:
            # Whoever opens a segment waits until everything is compiled and mapped, not whoever searches first.
            self._candidates(np.zeros(dimensions, np.float32), search_k=1, kept=0)
        # A small segment is scanned by every search: widening it once is worth its few megabytes.
        self._wide = self._vectors.astype(np.float32) if scanned else None

    def __len__(self) -> int:
        return len(self.photo_ids)

    @property
    def has_forest(self) -> bool:
        """Whether searches walk a forest; otherwise they scan every row."""
        return self._forest is not None

    def locate(self, photo_ids: np.ndarray) -> np.ndarray:
        """The rows where photos live, int64 [n]; -1 for each that is not here or is dead."""
        if not len(self.photo_ids):
            return np.full(len(photo_ids), -1, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.photo_ids, photo_ids), len(self.photo_ids) - 1)
        found = (self.photo_ids[rows] == photo_ids) & (self.died[rows] == ALIVE)
        return np.where(found, rows, -1)

    def kill(self, row: int, sequence: int) -> None:
        """Let `row` be seen by no search that begins at `sequence` or later."""
        self.died[row] = sequence

    def inherit(self, photo_ids: np.ndarray, died: np.ndarray, since: int) -> None:
        """Take over the deaths later than `since` of the rows this segment was made from."""
        late = (died > since) & (died != ALIVE)
        rows = self.locate(photo_ids[late])
        self.died[rows[rows >= 0]] = died[late][rows >= 0]

    def version(self, row: int) -> Version:
        """The version of the photo in `row`."""
        return Version.unpack(self._versions[row].tobytes())

    def packed_versions(self, rows: np.ndarray) -> np.ndarray:
        """The packed versions of `rows`, uint8 [n, 21]."""
        return np.asarray(self._versions[rows])

    def vector(self, row: int) -> np.ndarray:
        """A copy of the vector in `row`, float32 [dimensions]."""
        return self._vectors[row].astype(np.float32)

    def nearest(
        self, query: np.ndarray, k: int, sequence: int, allow: Allow | None, search_k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` best rows that live at `sequence`, and their exact scores.

        Widens the walk through the forest until there are `k`, and scans every row where that is cheaper.
        """
        kept = max(KEPT_MIN, KEPT_PER_NEIGHBOUR * k)
        while self._forest is not None and 4 * kept < len(self):
            candidates = self._candidates(query, search_k, kept)
            rows, scores = self._ranked(query, candidates, k, sequence, allow)
            if len(rows) >= k:
                return rows, scores
            kept, search_k = 4 * kept, 4 * search_k
        return self._ranked(query, None, k, sequence, allow)

    def _candidates(self, query: np.ndarray, search_k: int, kept: int) -> np.ndarray:
        assert self._forest is not None
        candidates = self._forest.candidates(query, search_k)
        return candidates if self._sieve is None else self._sieve.sift(query, candidates, kept)

    def _ranked(
        self, query: np.ndarray, candidates: np.ndarray | None, k: int, sequence: int, allow: Allow | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if candidates is None:
            scores, photo_ids, died = self._scan(query), self.photo_ids, self.died
        else:
            scores = self._vectors[candidates].astype(np.float32) @ query
            photo_ids, died = self.photo_ids[candidates], self.died[candidates]
        scores[died <= sequence] = -np.inf
        best = best_allowed_rows(scores, photo_ids, k, allow)
        return (best if candidates is None else candidates[best]), scores[best]

    def _scan(self, query: np.ndarray) -> np.ndarray:
        if self._wide is not None:
            return self._wide @ query
        scores = np.empty(len(self), dtype=np.float32)
        for start in range(0, len(self), SCAN_ROWS):
            scores[start : start + SCAN_ROWS] = self._vectors[start : start + SCAN_ROWS].astype(np.float32) @ query
        return scores


def open_segment(directory: Path, record: SegmentRecord, dimensions: int, *, forest_vectors_min: int) -> Segment:
    """Check every file of a segment and open it; raises SegmentCorrupt naming the file.

    A damaged forest alone loses nothing: the segment is scanned until a merge writes a new one.
    """
    has_forest = FOREST in record.files
    for name, expected in record.files.items():
        try:
            files.check(directory / name, expected)
        except SegmentCorrupt as damage:
            if name not in FOREST_FILES:
                raise
            logger.warning("%s The segment is scanned until its forest is grown anew.", damage)
            has_forest = False
    scanned = not has_forest and record.rows < forest_vectors_min
    return Segment(directory, dimensions, has_forest=has_forest, scanned=scanned)


def write_rows(directory: Path, photo_ids: np.ndarray, versions: np.ndarray, vectors: np.ndarray) -> None:
    """Write the rows of a new segment, ordered by photo_id; `versions` is uint8 [rows, 21]."""
    order = np.argsort(photo_ids, kind="stable")
    files.write_array(directory / PHOTO_IDS, photo_ids[order])
    files.write_array(directory / VERSIONS, versions[order])
    files.write_array(directory / VECTORS, vectors[order].astype(np.float16, copy=False))


def grow_forest(directory: Path, *, n_trees: int, threads: int, seed: int) -> None:
    """Build and write the forest and the signatures of a segment whose rows are written."""
    vectors = _mapped(directory / VECTORS)
    files.write_array(directory / SIGNATURES, _signatures(vectors))
    forest = AnnoyIndex(vectors.shape[1], METRIC)
    forest.set_seed(seed)
    for ordinal in range(len(vectors)):
        forest.add_item(ordinal, vectors[ordinal].astype(np.float32).tolist())
    forest.build(n_trees, n_jobs=threads)
    forest.save(str(directory / FOREST))
    files.sync(directory / FOREST)


def record_of(directory: Path, name: str) -> SegmentRecord:
    """The manifest's record of the segment whose files lie in `directory`."""
    rows = len(np.load(directory / PHOTO_IDS, mmap_mode="r"))
    written = [each for each in (*ROW_FILES, *FOREST_FILES) if (directory / each).exists()]
    return SegmentRecord(name, rows, {each: files.fingerprint(directory / each) for each in written})


def _mapped(path: Path) -> np.ndarray:
    # An ordinary array over the map: numpy's memmap subclass costs microseconds at every row that is read.
    return np.asarray(np.load(path, mmap_mode="r"))


def _signatures(vectors: np.ndarray) -> np.ndarray:
    slices = range(0, len(vectors), SCAN_ROWS)
    return np.concatenate(
        [planes(vectors.shape[1]).of(vectors[start : start + SCAN_ROWS].astype(np.float32)) for start in slices]
    )
