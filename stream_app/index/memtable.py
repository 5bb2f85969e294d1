"""The memtable: the newest vectors, in memory, found the moment they are added."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream_app.index.sieve import COARSE_WORDS, Sieve
from stream_app.index.signing import WORDS
from stream_app.index.sweep import described
from stream_app.versions import Version

#: The time of death of a row that lives. Times are a shard's own counter: a search that began at `sequence`
#: sees exactly the rows that die later than that.
ALIVE = np.iinfo(np.uint64).max


class MemtableView(NamedTuple):
    """The rows of a memtable at one moment; later rows and deaths do not show."""

    photo_ids: np.ndarray  # int64 [rows]
    vectors: np.ndarray  # float16 [rows, dimensions]
    sieve: Sieve
    died: np.ndarray  # uint64 [rows]
    versions: list[Version]

    @property
    def source(self) -> str:
        """What a hit says of where it was found."""
        return "memtable"

    def described(self) -> np.ndarray:
        """As a source of `sweep`."""
        return described(self.photo_ids, self.vectors, self.died, self.sieve)

    def version(self, row: int) -> Version:
        """The version of the photo in `row`."""
        return self.versions[row]

    def vector(self, row: int) -> np.ndarray:
        """The vector in `row`, float32 [dimensions]."""
        return self.vectors[row].astype(np.float32)


class Memtable:
    """Rows are only ever appended: a newer version of a photo is a new row, and the older one dies."""

    def __init__(self, dimensions: int, capacity: int = 1024) -> None:
        self._photo_ids = np.zeros(capacity, dtype=np.int64)
        self._vectors = np.zeros((capacity, dimensions), dtype=np.float16)
        self._fine = np.zeros((capacity, WORDS), dtype=np.uint64)
        self._coarse = np.zeros((COARSE_WORDS, capacity), dtype=np.uint64)
        self._died = np.full(capacity, ALIVE, dtype=np.uint64)
        self._versions: list[Version] = []
        self._row_of: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def append(self, photo_id: int, version: Version) -> None:
        """Add a row, for `fill` to complete; the photo's older row, if there is one here, must be killed first."""
        row = len(self._versions)
        if row == len(self._photo_ids):
            self._grow()
        self._photo_ids[row] = photo_id
        self._versions.append(version)
        self._row_of[photo_id] = row

    def fill(self, vectors: np.ndarray, signatures: np.ndarray) -> None:
        """Complete the last rows: their vectors, float16 [n, dimensions], and signatures, uint64 [n, WORDS]."""
        end = len(self._versions)
        last = slice(end - len(vectors), end)
        self._vectors[last] = vectors
        self._fine[last] = signatures
        self._coarse[:, last] = signatures[:, :COARSE_WORDS].T

    def row_of(self, photo_id: int) -> int | None:
        """The row where the photo lives, or None."""
        return self._row_of.get(photo_id)

    def kill(self, row: int, sequence: int) -> None:
        """Let the living `row` be seen by no search that begins at `sequence` or later."""
        self._died[row] = sequence
        del self._row_of[int(self._photo_ids[row])]

    def version(self, row: int) -> Version:
        """The version of the photo in `row`."""
        return self._versions[row]

    def vector(self, row: int) -> np.ndarray:
        """A copy of the vector in `row`, float32 [dimensions]."""
        return self._vectors[row].astype(np.float32)

    def view(self) -> MemtableView:
        """The rows there are now."""
        rows = len(self._versions)
        sieve = Sieve(self._fine[:rows], self._coarse)
        return MemtableView(self._photo_ids[:rows], self._vectors[:rows], sieve, self._died[:rows], self._versions)

    def _grow(self) -> None:
        # New arrays rather than resized ones: views that searches hold keep the old ones.
        room = len(self._photo_ids)
        self._photo_ids = np.concatenate([self._photo_ids, np.zeros(room, dtype=np.int64)])
        self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._fine = np.concatenate([self._fine, np.zeros_like(self._fine)])
        self._coarse = np.concatenate([self._coarse, np.zeros_like(self._coarse)], axis=1)
        self._died = np.concatenate([self._died, np.full(room, ALIVE, dtype=np.uint64)])
