"""What Redis keeps of a photo: its packed version, its keys in every table, and its vector as float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.index.lsh import Hyperplanes
from stream_app.index.ranking import Allow, Hit, bounded, rerank
from stream_app.index.vectors import unit_vectors
from stream_app.versions import Version

VERSION_BYTES = 21
ID_DIGITS = 19
ID_POWERS = 10 ** np.arange(ID_DIGITS - 1, -1, -1, dtype=np.int64)


class Entry(NamedTuple):
    """One photo to put: its vector has `dimensions` numbers and unit length."""

    photo_id: int
    version: Version
    vector: np.ndarray


def values_of(planes: Hyperplanes, entries: Sequence[Entry]) -> list[tuple[int, bytes]]:
    """Photo ids and values of entries; raises VectorRejected when one vector is bad."""
    vectors = unit_vectors([each.vector for each in entries], planes.dimensions)
    packed, narrow = packed_keys(planes.all_margins(vectors)), vectors.astype("<f2")
    return [
        (each.photo_id, each.version.pack() + packed[at].tobytes() + narrow[at].tobytes())
        for at, each in enumerate(entries)
    ]


def packed_keys(margins: np.ndarray) -> np.ndarray:
    """The keys that follow from margins [n, tables, depth], one behind the other: uint8 [n, key_bytes].

    A key's last bit comes first, so that its bits read as a number. Three bytes for each key would be simpler, and
    would lift the value of a 200-D vector into the next size that Redis' allocator knows, 64 bytes up.
    """
    count, tables, depth = margins.shape
    return np.packbits((margins > 0)[:, :, ::-1].reshape(count, tables * depth), axis=1)


def key_bytes(planes: Hyperplanes) -> int:
    """The length of the keys in a value."""
    return -(-planes.table_count * planes.depth // 8)


def query_value(margins: np.ndarray) -> bytes:
    """What the script reads a query's keys from: a value without a vector."""
    return bytes(VERSION_BYTES) + packed_keys(margins).tobytes()


def is_removed(value: bytes) -> bool:
    """Whether a value is the mark that a removed photo leaves."""
    return len(value) == VERSION_BYTES


def version_in(value: bytes) -> Version:
    """The version in a value, of a living photo or a removed one."""
    return Version.unpack(value[:VERSION_BYTES])


class Rows:
    """Rows as the scripts answer them: photo_id (19 digits) and value, one after another without gaps."""

    def __init__(self, planes: Hyperplanes, answer: bytes) -> None:
        self._vectors_at = ID_DIGITS + VERSION_BYTES + key_bytes(planes)
        length = self._vectors_at + 2 * planes.dimensions
        self._rows = np.frombuffer(answer, dtype=np.uint8).reshape(-1, length)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def photo_ids(self) -> np.ndarray:
        """int64 [n]."""
        return (self._rows[:, :ID_DIGITS].astype(np.int64) - ord("0")) @ ID_POWERS

    @property
    def vectors(self) -> np.ndarray:
        """float32 [n, dimensions]."""
        return np.ascontiguousarray(self._rows[:, self._vectors_at :]).view("<f2").astype(np.float32)

    def hits(self, query: np.ndarray, k: int, allow: Allow | None) -> list[Hit]:
        """The `k` best of them, best first."""
        photo_ids = self.photo_ids
        best, scores = rerank(self.vectors, photo_ids, query, k, allow)
        return [
            Hit(int(photo_ids[row]), bounded(score), self._version(int(row)), "buckets")
            for row, score in zip(best, scores, strict=True)
        ]

    def _version(self, row: int) -> Version:
        return Version.unpack(self._rows[row, ID_DIGITS : ID_DIGITS + VERSION_BYTES].tobytes())


def vector_in(planes: Hyperplanes, value: bytes) -> np.ndarray:
    """The vector in a living photo's value: float32 [dimensions]."""
    return np.frombuffer(value, "<f2", offset=VERSION_BYTES + key_bytes(planes)).astype(np.float32)
