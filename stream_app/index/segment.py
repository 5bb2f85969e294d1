"""A segment: vectors that settled, in files that never change, mapped into memory.

A folder with `photo_ids.npy` (int64 [rows], ascending: a row is a place in this order),
`versions.npy` (uint8 [rows, 21], packed), `vectors.npy` (float16 [rows, dimensions]) and, by its size,
`signatures.npy` (uint64 [rows, words]), its cells (`cells.npy`, int32 [rows]: the rows cell by cell, the order in which
signatures then lie; `cell_starts.npy`, int64 [cells + 1]; `centres.npy`, float16 [cells, dimensions]) and `forest.ann`,
Annoy's forest of the centres.

A search (`sweep`) takes the rows of the nearest cells, or all rows where there are none, sifts them by signature, and
looks at the vectors of the few that are left. A segment of few rows has vectors alone, and all of them are looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from stream_app.errors import SegmentCorrupt
from stream_app.index import files, sieve, signing
from stream_app.index.cells import Cells
from stream_app.index.closest import wide, wish_for
from stream_app.index.effort import CELLS, DEEDS, EXACT, FOREST, NO_EFFORT, Tuning
from stream_app.index.forest_reader import ForestReader
from stream_app.index.manifest import SegmentRecord
from stream_app.index.memtable import ALIVE
from stream_app.index.sweep import described, sweep
from stream_app.versions import Version

PHOTO_IDS, VERSIONS, VECTORS = "photo_ids.npy", "versions.npy", "vectors.npy"
SIGNATURES_FILE, FOREST_FILE = "signatures.npy", "forest.ann"
CELL_ROWS, CELL_STARTS, CENTRES = "cells.npy", "cell_starts.npy", "centres.npy"
ROW_FILES = (PHOTO_IDS, VERSIONS, VECTORS)
#: What makes a segment fast, and can be made anew from its rows.
SPEED_FILES = (SIGNATURES_FILE, CELL_ROWS, CELL_STARTS, CENTRES, FOREST_FILE)

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
        self.died = np.full(len(self.photo_ids), ALIVE, dtype=np.uint64)
        self._open_speed_files(directory, dimensions)
        self.effort = lru_cache(EFFORTS_KEPT)(tuning.effort)
        # Whoever opens a segment waits until everything is compiled and mapped, not whoever searches first.
        least = (tuning.effort(1, 0.0) or NO_EFFORT)[:DEEDS]
        sweep(self.described[None], np.array([[1, *least, *least]]), wish_for(np.zeros(dimensions, np.float32)), 1)

    def _open_speed_files(self, directory: Path, dimensions: int) -> None:
        kind, self._sieve, self._cells, self._forest = self.tuning.kind, None, None, None
        if kind != EXACT:
            self._sieve = sieve.Sieve.of(_mapped(directory / SIGNATURES_FILE))
        if kind in (CELLS, FOREST):
            self._cells = read_cells(directory)
        if kind == FOREST:
            self._forest = ForestReader(directory / FOREST_FILE, dimensions, self.tuning.metric)
        rows = self.photo_ids, self._vectors, self.died
        self.described = described(*rows, self._sieve, self._cells, self._forest, in_order=True)

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


class Source(NamedTuple):
    """The rows of a segment that are written again."""

    folder: Path
    rows: np.ndarray  # int64 [n]
    impaired: bool

    @classmethod
    def of(cls, folder: str, rows: str, impaired: bool) -> Source:
        """Of a segment's folder and a .npy file of the rows."""
        return cls(Path(folder), np.load(rows), impaired)

    def read(self, name: str) -> np.ndarray:
        """These rows of one of its files."""
        return np.asarray(np.load(self.folder / name, mmap_mode="r")[self.rows])

    def signatures(self) -> np.ndarray | None:
        """uint64 [n, words]; None where there are none to be relied on."""
        if self.impaired or not (self.folder / SIGNATURES_FILE).exists():
            return None
        known = np.load(self.folder / SIGNATURES_FILE, mmap_mode="r")
        if not (self.folder / CELL_ROWS).exists():
            return np.asarray(known[self.rows])
        position_of = np.empty(len(known), np.int64)
        position_of[np.load(self.folder / CELL_ROWS)] = np.arange(len(known))
        return np.asarray(known[position_of[self.rows]])


def write_rows(directory: Path, photo_ids: np.ndarray, versions: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Write rows, given in any order; `versions` are packed, uint8 [n, 21]. Says which of them comes where."""
    order = np.argsort(photo_ids)
    files.write_array(directory / PHOTO_IDS, photo_ids[order].astype(np.int64, copy=False))
    files.write_array(directory / VERSIONS, versions[order])
    files.write_array(directory / VECTORS, vectors[order].astype(np.float16, copy=False))
    return order


def gather_rows(target: Path, sources: Sequence[Source]) -> np.ndarray:
    """Write chosen rows of other segments; answers their signatures, uint64 [n, words]."""
    photo_ids, versions, vectors = (np.concatenate([each.read(name) for each in sources]) for name in ROW_FILES)
    order = write_rows(target, photo_ids, versions, vectors)
    signatures = []
    for each in sources:
        known = each.signatures()
        signatures.append(signing.signatures(wide(each.read(VECTORS))) if known is None else known)
    return np.asarray(np.concatenate(signatures)[order])


def write_cells(directory: Path, centres: np.ndarray, cell_of: np.ndarray) -> Cells:
    """Write the cells whose centres are float32 [cells, dimensions], and of which `cell_of` (int64 [rows]) has one."""
    order = np.argsort(cell_of, kind="stable")
    starts = np.searchsorted(cell_of[order], np.arange(len(centres) + 1))
    files.write_array(directory / CELL_ROWS, order.astype(np.int32))
    files.write_array(directory / CELL_STARTS, starts.astype(np.int64))
    files.write_array(directory / CENTRES, centres.astype(np.float16))
    return read_cells(directory)


def read_cells(directory: Path) -> Cells:
    """The cells of a segment."""
    centres = _mapped(directory / CENTRES)
    signatures = signing.signatures(wide(centres))
    rows, starts = _mapped(directory / CELL_ROWS), _mapped(directory / CELL_STARTS)
    return Cells(rows, starts, centres.view(np.uint16), sieve.Sieve.of(signatures))


def record_of(directory: Path, name: str, tuning: Tuning) -> SegmentRecord:
    """The manifest's record of the segment whose files lie in `directory`."""
    rows = len(np.load(directory / PHOTO_IDS, mmap_mode="r"))
    written = [each for each in (*ROW_FILES, *SPEED_FILES) if (directory / each).exists()]
    return SegmentRecord(name, rows, {each: files.fingerprint(directory / each) for each in written}, tuning)


def _mapped(path: Path) -> np.ndarray:
    # A plain array over the mapping: numpy's own memmap class makes every small operation slower.
    return np.asarray(np.load(path, mmap_mode="r"))
