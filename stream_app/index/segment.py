"""A segment: vectors that settled, in files that never change, mapped into memory.

A folder with `photo_ids.npy` (int64 [rows], ascending: the row is the ordinal that Annoy knows),
`versions.npy` (uint8 [rows, 21], packed), `vectors.npy` (float16 [rows, dimensions]) and, by its size,
`signatures.npy` (uint64 [rows, words]) and `forest.ann`.

A search (`sweep`) walks the forest for candidates, or takes all rows where there is none, sifts them by signature, and
looks at the vectors of the few that are left. A segment of few rows has vectors alone, and all of them are looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from stream_app.errors import SegmentCorrupt
from stream_app.index import files, sieve
from stream_app.index.closest import wish_for
from stream_app.index.effort import EXACT, FOREST, NO_EFFORT, Tuning
from stream_app.index.forest_reader import ForestReader
from stream_app.index.manifest import SegmentRecord
from stream_app.index.memtable import ALIVE
from stream_app.index.sweep import described, sweep
from stream_app.versions import Version

PHOTO_IDS, VERSIONS, VECTORS = "photo_ids.npy", "versions.npy", "vectors.npy"
SIGNATURES_FILE, FOREST_FILE = "signatures.npy", "forest.ann"
ROW_FILES = (PHOTO_IDS, VERSIONS, VECTORS)
#: What makes a segment fast, and can be made anew from its rows.
SPEED_FILES = (SIGNATURES_FILE, FOREST_FILE)

#: Answers of `Tuning.effort` that are remembered: the same few are asked for again and again.
EFFORTS_KEPT: Final = 256

logger = logging.getLogger(__name__)


class Segment:
    """Reads one segment. Its rows never change; only the time when each of them died does."""

    def __init__(self, directory: Path, dimensions: int, tuning: Tuning, *, impaired: bool = False) -> None:
        self.name = directory.name
        self.source = f"segment:{directory.name}"  # what a hit says of where it was found
        self.tuning = tuning
        self.impaired = impaired  # it lacks what makes it fast
        self.photo_ids = _mapped(directory / PHOTO_IDS)
        self._versions = _mapped(directory / VERSIONS)
        self._packed = self._versions.reshape(-1).data
        self._vectors = _mapped(directory / VECTORS)
        self._sieve = None if tuning.kind == EXACT else sieve.Sieve.of(_mapped(directory / SIGNATURES_FILE))
        self._forest = (
            ForestReader(directory / FOREST_FILE, dimensions, tuning.metric) if tuning.kind == FOREST else None
        )
        self.died = np.full(len(self.photo_ids), ALIVE, dtype=np.uint64)
        self.described = described(self.photo_ids, self._vectors, self.died, self._sieve, self._forest, in_order=True)
        self.effort = lru_cache(EFFORTS_KEPT)(tuning.effort)
        # Whoever opens a segment waits until everything is compiled and mapped, not whoever searches first.
        least = (tuning.effort(1, 0.0) or NO_EFFORT)[:3]
        sweep(self.described[None], np.array([[1, *least, *least]]), wish_for(np.zeros(dimensions, np.float32)), 1)

    def __len__(self) -> int:
        return len(self.photo_ids)

    def version(self, row: int) -> Version:
        """The version of the photo in `row`."""
        return Version.unpack_from(self._packed, row)

    def packed_versions(self, rows: np.ndarray) -> np.ndarray:
        """Versions as bytes that compare as they do: uint8 [n, 21]."""
        return np.asarray(self._versions[rows])

    def vector(self, row: int) -> np.ndarray:
        """The vector in `row`, float32 [dimensions]."""
        return np.asarray(self._vectors[row], dtype=np.float32)

    def locate(self, photo_ids: np.ndarray) -> np.ndarray:
        """For each photo the row where it lives, or -1: int64 [n]."""
        rows = np.searchsorted(self.photo_ids, photo_ids)
        rows[rows == len(self)] = 0
        lives = (self.photo_ids[rows] == photo_ids) & (self.died[rows] == ALIVE)
        return np.where(lives, rows, -1)

    def kill(self, row: int, sequence: int) -> None:
        """Let `row` be seen by no search that begins at `sequence` or later."""
        self.died[row] = sequence

    def inherit(self, photo_ids: np.ndarray, died: np.ndarray, since: int) -> None:
        """Take over deaths after `since` of rows that were copied here; newer rows of a photo stay alive."""
        late = np.flatnonzero((died > since) & (died != ALIVE))
        rows = self.locate(photo_ids[late])
        self.died[rows[rows >= 0]] = died[late][rows >= 0]


def open_segment(directory: Path, record: SegmentRecord, dimensions: int) -> Segment:
    """The segment of a manifest's record; raises SegmentCorrupt, naming the file, when one is damaged.

    What only makes a segment fast is spared that: without it every row is compared, until it is made anew.
    """
    impaired = False
    for name, expected in record.files.items():
        try:
            files.check(directory / name, expected)
        except SegmentCorrupt as damage:
            if name not in SPEED_FILES:
                raise
            logger.warning("%s The segment is scanned until it is written anew.", damage)
            impaired = True
    return Segment(directory, dimensions, record.tuning.exact() if impaired else record.tuning, impaired=impaired)


def write_rows(directory: Path, photo_ids: np.ndarray, versions: np.ndarray, vectors: np.ndarray) -> None:
    """Write rows, given in any order; `versions` are packed, uint8 [n, 21]."""
    order = np.argsort(photo_ids)
    files.write_array(directory / PHOTO_IDS, photo_ids[order].astype(np.int64, copy=False))
    files.write_array(directory / VERSIONS, versions[order])
    files.write_array(directory / VECTORS, vectors[order].astype(np.float16, copy=False))


def gather_rows(target: Path, sources: Sequence[tuple[Path, np.ndarray]]) -> None:
    """Write chosen rows of other segments: of each its folder, and the rows to keep (int64 [n])."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ROW_FILES}
    for folder, rows in sources:
        for name in ROW_FILES:
            parts[name].append(np.load(folder / name, mmap_mode="r")[rows])
    photo_ids, versions, vectors = (np.concatenate(parts[name]) for name in ROW_FILES)
    write_rows(target, photo_ids, versions, vectors)


def record_of(directory: Path, name: str, tuning: Tuning) -> SegmentRecord:
    """The manifest's record of the segment whose files lie in `directory`."""
    rows = len(np.load(directory / PHOTO_IDS, mmap_mode="r"))
    written = [each for each in (*ROW_FILES, *SPEED_FILES) if (directory / each).exists()]
    return SegmentRecord(name, rows, {each: files.fingerprint(directory / each) for each in written}, tuning)


def _mapped(path: Path) -> np.ndarray:
    # A plain array over the mapping: numpy's own memmap class makes every small operation slower.
    return np.asarray(np.load(path, mmap_mode="r"))
