"""Whether a shard's folder is what its manifest says, and whether its searches find what an exact scan finds.

Nothing is written to the folder, and a worker may own it meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stream_app.errors import SegmentCorrupt
from stream_app.index import files, manifest
from stream_app.index.inspection import PartitionFolder, Rows, Say, read_array, read_rows, settled
from stream_app.index.manifest import Manifest, SegmentRecord
from stream_app.index.memtable import ALIVE
from stream_app.index.segment import CELL_ROWS, CELL_STARTS, CENTRES, SIGNATURES_FILE, VECTORS
from stream_app.index.shard import Hit, Shard
from stream_app.index.vectors import UNIT_TOLERANCE

K = 10
#: A query is an indexed vector moved by so much of its length: about as near as two photos of one thing.
JITTER = 0.25
QUERIES = f"living vectors of the index, each moved by {JITTER} of its length in a random direction"
SLICE_ROWS = 8_192
#: Two ways of summing float32 products differ by less.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Fault:
    """Something that is wrong: the file or folder, what it is, and what mends it."""

    path: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Recall:
    """Of the true ten nearest, the share that searches found."""

    mean: float
    worst: float
    query_count: int
    queries: str = QUERIES


@dataclass
class Verdict:
    """What was looked at in one partition, and what is wrong with it."""

    path: str
    space_id: str
    partition: int
    photos: int = 0
    files: int = 0
    size_bytes: int = 0
    recall: Recall | None = None
    faults: list[Fault] = field(default_factory=list)


def verify(folder: PartitionFolder, *, sample: int, recall_min: float, say: Say) -> Verdict:
    """Look at every file and row, and ask `sample` queries; what is wrong is in the verdict's faults."""
    remedy = f"`sightline index rebuild --partition {folder.number}` makes it anew from the embeddings topic."
    blank = Verdict(str(folder.path), folder.space_id, folder.number)
    try:
        return settled(
            folder.path,
            lambda known: _Verifier(folder, known, remedy, say).verdict(sample, recall_min),
            again=lambda verdict: bool(verdict.faults),
        )
    except SegmentCorrupt as damage:
        path = folder.path / manifest.NAME
        blank.faults.append(Fault(str(path), _told(damage, path), remedy))
        return blank


class _Verifier:
    """One look at one partition, as one manifest describes it."""

    def __init__(self, folder: PartitionFolder, known: Manifest, remedy: str, say: Say) -> None:
        self._known, self._remedy, self._say = known, remedy, say
        self._directory = folder.path
        self._name = f"{folder.space_id}/{folder.number}"
        self._verdict = Verdict(str(folder.path), folder.space_id, folder.number)

    def verdict(self, sample: int, recall_min: float) -> Verdict:
        """The steps in their order: what rests on a damaged file is left out."""
        self._check_files()
        if self._verdict.faults:
            return self._verdict
        rows = read_rows(self._directory, self._known)
        for record, each in zip(self._known.segments, rows, strict=True):
            self._check_rows(record, each)
        self._check_doubles(rows)
        self._verdict.photos = sum(int(np.count_nonzero(each.died == ALIVE)) for each in rows)
        if not self._verdict.faults and sample and self._verdict.photos:
            self._check_recall(rows, sample, recall_min)
        return self._verdict

    def _check_files(self) -> None:
        known, verdict = self._known, self._verdict
        wanted = {
            self._directory / segment.name / name: seal
            for segment in known.segments
            for name, seal in segment.files.items()
        }
        if known.tombstones:
            wanted[self._directory / known.tombstones.name] = known.tombstones.fingerprint
        total = sum(each.size_bytes for each in wanted.values())
        for path, seal in wanted.items():
            self._tell("checksums", verdict.size_bytes / max(1, total) / 3)
            try:
                files.check(path, seal)
            except SegmentCorrupt as damage:
                self._fault(path, _told(damage, path))
            verdict.files += 1
            verdict.size_bytes += seal.size_bytes

    def _check_rows(self, record: SegmentRecord, rows: Rows) -> None:
        folder = self._directory / record.name
        vectors = read_array(folder / VECTORS)
        counts = {"photo ids": len(rows.photo_ids), "versions": len(rows.versions), "vectors": len(vectors)}
        if set(counts.values()) != {record.rows}:
            said = ", ".join(f"{count} {name}" for name, count in counts.items())
            self._fault(folder, f"it has other rows than the manifest says; expected {record.rows}; received {said}")
        if vectors.ndim != 2 or vectors.shape[1] != self._known.dimensions:
            self._fault(folder / VECTORS, f"expected {self._known.dimensions} dimensions; received {vectors.shape}")
        if (np.diff(rows.photo_ids) <= 0).any():
            self._fault(folder, "its photo ids are not ascending, each once")
        if (first := self._first_bad_vector(vectors)) is not None:
            self._fault(folder / VECTORS, f"row {first} is not a finite vector of length 1")
        if SIGNATURES_FILE in record.files and len(read_array(folder / SIGNATURES_FILE)) != record.rows:
            self._fault(folder / SIGNATURES_FILE, f"it has not {record.rows} rows")
        if CELL_ROWS in record.files and not self._cells_hold_all(folder, record.rows):
            self._fault(folder / CELL_ROWS, "its cells do not hold every row once", "`sightline index compact`")

    def _cells_hold_all(self, folder: Path, rows: int) -> bool:
        """Compiled code believes what these files say."""
        held, starts, centres = (read_array(folder / name) for name in (CELL_ROWS, CELL_STARTS, CENTRES))
        bounds = np.diff(starts, prepend=0, append=rows)
        return bool(
            np.array_equal(np.sort(held), np.arange(rows)) and (bounds >= 0).all() and bounds[[0, -1]].sum() == 0
        ) and centres.shape == (len(starts) - 1, self._known.dimensions)

    def _first_bad_vector(self, vectors: np.ndarray) -> int | None:
        for start in range(0, len(vectors), SLICE_ROWS):
            self._tell("vectors", 1 / 3 + start / len(vectors) / 3)
            wide = vectors[start : start + SLICE_ROWS].astype(np.float32)
            # A NaN is not near to one either.
            bad = ~(np.abs(np.linalg.norm(wide, axis=1) - 1) <= UNIT_TOLERANCE)
            if bad.any():
                return start + int(np.argmax(bad))
        return None

    def _check_doubles(self, rows: Sequence[Rows]) -> None:
        """A photo may have an older row somewhere; two that live, or two of one version, were never written so."""
        if not rows:
            return
        photo_ids = np.concatenate([each.photo_ids for each in rows])
        lives = np.concatenate([each.died == ALIVE for each in rows])
        living, counts = np.unique(photo_ids[lives], return_counts=True)
        if (counts > 1).any():
            self._fault(self._directory, f"photo {living[counts > 1][0]} lives twice")
        everything, counts = np.unique(photo_ids, return_counts=True)
        twice = np.isin(photo_ids, everything[counts > 1])
        versions = np.concatenate([each.versions for each in rows])[twice]
        seen: set[tuple[int, bytes]] = set()
        for photo_id, version in zip(photo_ids[twice].tolist(), versions, strict=True):
            if (photo_id, version.tobytes()) in seen:
                self._fault(self._directory, f"photo {photo_id} was written twice in the same version")
                return
            seen.add((photo_id, version.tobytes()))

    def _check_recall(self, rows: Sequence[Rows], sample: int, recall_min: float) -> None:
        sources = [
            (read_array(self._directory / record.name / VECTORS), np.flatnonzero(each.died == ALIVE))
            for record, each in zip(self._known.segments, rows, strict=True)
        ]
        queries = _queries(sources, sample)
        with _opened_beside(self._directory, self._known) as shard:
            found = []
            for number, query in enumerate(queries):
                self._tell("recall", 2 / 3 + number / len(queries) / 3)
                found.append(shard.search(query, K))
        living = set(np.concatenate([each.photo_ids[each.died == ALIVE] for each in rows]).tolist())
        shares = _shares(found, _least_scores(sources, queries), min(K, len(living)))
        if any(len(ids := [hit.photo_id for hit in hits]) != len(living.intersection(ids)) for hits in found):
            self._fault(self._directory, "a search found a photo twice, or one that does not live")
        self._verdict.recall = Recall(float(shares.mean()), float(shares.min()), len(shares))
        if shares.mean() < recall_min:
            said = f"recall@{K} is {shares.mean():.3f}; expected at least {recall_min}"
            self._fault(self._directory, said, "`sightline index compact` writes its forests anew.")

    def _fault(self, path: Path, problem: str, remedy: str | None = None) -> None:
        self._verdict.faults.append(Fault(str(path), problem, remedy or self._remedy))

    def _tell(self, doing: str, share: float) -> None:
        self._say(f"{self._name}: {doing}", share)


@contextmanager
def _opened_beside(directory: Path, known: Manifest) -> Iterator[Shard]:
    """A shard on the same segments that owns only a folder of links to them."""
    with tempfile.TemporaryDirectory() as name:
        beside = Path(name)
        manifest.write(known, beside)
        for each in known.names():
            (beside / each).symlink_to(directory.absolute() / each)
        try:
            shard = Shard(beside, dimensions=known.dimensions, space_id=known.space_id)
        except OSError as error:  # a merge has removed a file since it was checked
            raise SegmentCorrupt(f"{directory} cannot be read", received=error.strerror) from None
        try:
            yield shard
        finally:
            shard.close()


def _queries(sources: Sequence[tuple[np.ndarray, np.ndarray]], sample: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    ends = np.cumsum([len(rows) for _, rows in sources])
    chosen = rng.choice(ends[-1], min(sample, int(ends[-1])), replace=False)
    origins = np.searchsorted(ends, chosen, side="right")
    starts = np.concatenate([[0], ends])
    vectors = np.stack(
        [sources[at][0][sources[at][1][place - starts[at]]] for at, place in zip(origins, chosen, strict=True)]
    ).astype(np.float32)
    noise = rng.standard_normal(vectors.shape).astype(np.float32)
    moved = vectors + JITTER * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True))


def _least_scores(sources: Sequence[tuple[np.ndarray, np.ndarray]], queries: np.ndarray) -> np.ndarray:
    """For each query the score of its tenth nearest living vector, by an exact scan."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    for vectors, rows in sources:
        for start in range(0, len(rows), SLICE_ROWS):
            scores = queries @ vectors[rows[start : start + SLICE_ROWS]].astype(np.float32).T
            best = np.sort(np.concatenate([best, scores], axis=1), axis=1)[:, -K:]
    best[~np.isfinite(best)] = np.inf  # fewer than ten photos: the least of those that there are
    return np.asarray(best.min(axis=1))


def _shares(found: Sequence[Sequence[Hit]], least: np.ndarray, wanted: int) -> np.ndarray:
    # By score rather than by id: of photos that are equally near any may be found.
    right = [sum(hit.score >= limit - ROUNDING for hit in hits) for hits, limit in zip(found, least, strict=True)]
    return np.minimum(1.0, np.array(right) / wanted)


def _told(damage: SegmentCorrupt, path: Path) -> str:
    parts = [f"it {damage.problem.removeprefix(f'{path} ')}" if str(path) in damage.problem else damage.problem]
    parts += [f"expected {damage.expected}"] if damage.expected else []
    parts += [f"received {damage.received}"] if damage.received else []
    return "; ".join(parts)
