"""Segments, the manifest and the checksums, on real files."""

import json
from pathlib import Path

import numpy as np
import pytest

from stream_app.errors import SegmentCorrupt, VectorRejected
from stream_app.index import files, manifest
from stream_app.index.effort import CELLS, EXACT, FOREST, SIGNATURES, Effort, Tuning
from stream_app.index.finishing import Job, run, take_tuning
from stream_app.index.manifest import Manifest
from stream_app.index.memtable import ALIVE
from stream_app.index.ranking import Hit
from stream_app.index.segment import Segment, open_segment, record_of, write_rows
from stream_app.index.snapshot import Lineup, Search, Snapshot
from stream_app.index.vectors import rounded, unit_vectors
from stream_app.versions import Version

DIMENSIONS = 16
TUNED = Tuning(FOREST, "euclidean", 10, {10: (Effort(10, 500, 8, 64, 0.96),)})


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return rounded(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def job(target: Path, sources: list[tuple[str, str, bool]] | None = None, **changes) -> Job:
    sizes = {"exact_vectors_max": 50, "cells_vectors_min": 1_500, "vectors_per_cell": 16, "forest_vectors_min": 2_000}
    usual = {"n_trees": 10, "threads": 1, "seed": 1, "metric": "", "outside_queries": ""}
    return Job(str(target), sources or [], **(sizes | usual | changes))


def write(directory: Path, photo_ids: np.ndarray, vectors: np.ndarray, **changes) -> Segment:
    directory.mkdir()
    packed = b"".join(Version(int(photo_id), 0, 0, 0).pack() for photo_id in photo_ids)
    write_rows(directory, photo_ids, np.frombuffer(packed, np.uint8).reshape(-1, 21), vectors)
    run(job(directory, **changes))
    return Segment(directory, DIMENSIONS, take_tuning(directory))


def hits(segment: Segment, query: np.ndarray, k: int, *, sequence: int = 0, allow=None, recall=0.95) -> list[Hit]:
    return Snapshot([], Lineup([segment]), sequence).search(query, k, Search(allow, recall, outside=False))


def nearest(segment: Segment, query: np.ndarray, k: int, **how) -> list[int]:
    return [hit.photo_id for hit in hits(segment, query, k, **how)]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_rows_come_back_with_their_version_and_vector(tmp_path):
    """Whatever the order they were written in."""
    vectors = unit(3)
    segment = write(tmp_path / "s", np.array([30, 10, 20]), vectors)

    rows = segment.locate(np.array([10, 20, 30]))

    assert rows.tolist() == [0, 1, 2]
    assert [segment.version(row).time_ms for row in rows] == [10, 20, 30]
    assert np.array_equal(segment.vector(rows[2]), vectors[0])


def test_an_unknown_photo_is_nowhere(tmp_path):
    """Below, between and above the ids that are here."""
    segment = write(tmp_path / "s", np.array([10, 20]), unit(2))

    assert segment.locate(np.array([1, 15, 2**62])).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(("count", "kind"), [(50, EXACT), (1_499, SIGNATURES), (1_999, CELLS), (3_000, FOREST)])
def test_a_segment_finds_what_was_wished(tmp_path, count, kind):
    """By whatever it is searched, and with exact scores."""
    vectors, queries = unit(count), unit(100, seed=1)
    segment = write(tmp_path / "s", np.arange(count), vectors)

    found = 0
    for query in queries:
        best = hits(segment, query, 10)
        rows = [hit.photo_id for hit in best]
        assert np.allclose([hit.score for hit in best], vectors[rows] @ query, atol=1e-5)
        found += len(set(rows) & set(np.argsort(-(vectors @ query))[:10].tolist()))
    assert segment.tuning.kind == kind
    assert found >= 920


@pytest.mark.parametrize("count", [50, 1_499, 1_999, 3_000])
@pytest.mark.parametrize("k", [1, 40, 1_000, 10_000_000])
def test_any_k_is_answered(tmp_path, count, k):
    """With k photos, or with all of them, best first."""
    segment = write(tmp_path / "s", np.arange(count), unit(count))

    found = hits(segment, unit(1, seed=1)[0], k, recall=0.8)

    assert len({hit.photo_id for hit in found}) == min(k, count)
    assert (np.diff([hit.score for hit in found]) <= 0).all()


@pytest.mark.parametrize("count", [1_499, 1_999, 3_000])
def test_an_effort_widens_until_enough_are_allowed(tmp_path, count):
    """A photo in a hundred is allowed; still there are ten hits."""
    segment = write(tmp_path / "s", np.arange(count), unit(count))

    found = nearest(segment, unit(1, seed=1)[0], 10, allow=lambda photo_id: photo_id % 100 == 0)

    assert len(found) == 10
    assert all(photo_id % 100 == 0 for photo_id in found)


def test_a_higher_recall_is_a_greater_effort(tmp_path):
    """What was measured is kept with the segment, and a wish takes the least that is enough."""
    segment = write(tmp_path / "s", np.arange(3_000), unit(3_000))

    modest, thorough = segment.effort(10, 0.8), segment.effort(10, 0.99)

    assert modest is not None and thorough is not None
    assert 0.8 <= modest.recall < thorough.recall
    assert (modest.search_k, modest.kept) < (thorough.search_k, thorough.kept)


def test_queries_from_outside_have_an_effort_of_their_own(tmp_path):
    """Here they lie where no vectors do: in the half of the dimensions that is empty for these."""
    vectors, queries = unit(3_000), unit(60, seed=2)
    vectors[:, : DIMENSIONS // 2] *= 0.05
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries[:, DIMENSIONS // 2 :] *= 0.05
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    np.save(tmp_path / "outside.npy", queries)
    segment = write(tmp_path / "s", np.arange(3_000), rounded(vectors), outside_queries=str(tmp_path / "outside.npy"))

    effort, usual = segment.effort(10, 0.95, outside=True), segment.effort(10, 0.95)

    assert effort is not None and usual is not None
    assert (effort.search_k, effort.kept) > (usual.search_k, usual.kept)
    assert effort.recall >= 0.95


def test_dead_rows_are_found_only_by_searches_that_began_before(tmp_path):
    """A row that died at 5 is seen by a search from 4, not by one from 5."""
    vectors = unit(10)
    segment = write(tmp_path / "s", np.arange(10), vectors)
    segment.kill(3, sequence=5)

    assert 3 in nearest(segment, vectors[3], 10, sequence=4)
    assert 3 not in nearest(segment, vectors[3], 10, sequence=5)
    assert segment.locate(np.array([3])).tolist() == [-1]


def test_a_merged_segment_inherits_the_deaths_of_the_meantime(tmp_path):
    """Only those later than the merge began: earlier ones were left out of it."""
    sources = write(tmp_path / "s", np.arange(4), unit(4))
    merged = write(tmp_path / "m", np.arange(4), unit(4))
    sources.kill(1, sequence=3)
    sources.kill(2, sequence=9)

    merged.inherit(sources.photo_ids, sources.died, since=3)

    assert merged.died.tolist() == [ALIVE, ALIVE, 9, ALIVE]


def test_a_job_gathers_the_chosen_rows(tmp_path):
    """In order of photo id, with a forest where there are enough of them."""
    one, other, target = tmp_path / "one", tmp_path / "other", tmp_path / "target"
    write(one, np.arange(0, 100, 2), unit(50, seed=1))
    write(other, np.arange(1, 100, 2), unit(50, seed=2))
    target.mkdir()
    np.save(tmp_path / "rows", np.arange(10, 40))

    sources = [(str(folder), str(tmp_path / "rows.npy"), False) for folder in (one, other)]
    run(job(target, sources, vectors_per_cell=1, forest_vectors_min=60, n_trees=2))
    merged = Segment(target, DIMENSIONS, take_tuning(target))

    assert (merged.tuning.kind, merged.tuning.n_trees) == (FOREST, 2)
    assert merged.photo_ids.tolist() == list(range(20, 80))
    assert np.array_equal(merged.vector(1), unit(50, seed=2)[10])
    assert merged.version(1).time_ms == 21


@pytest.mark.parametrize("name", ["photo_ids.npy", "versions.npy", "vectors.npy"])
def test_a_flipped_bit_is_noticed_and_the_file_is_named(tmp_path, name):
    """Before a byte of it is believed."""
    write(tmp_path / "s", np.arange(100), unit(100))
    record = record_of(tmp_path / "s", "s", TUNED)
    damage(tmp_path / "s" / name)

    with pytest.raises(SegmentCorrupt, match=name):
        open_segment(tmp_path / "s", record, DIMENSIONS)


def test_a_missing_file_is_named(tmp_path):
    """A half-copied folder is no segment."""
    write(tmp_path / "s", np.arange(10), unit(10))
    record = record_of(tmp_path / "s", "s", TUNED)
    (tmp_path / "s" / "vectors.npy").unlink()

    with pytest.raises(SegmentCorrupt, match=r"vectors.npy cannot be read"):
        open_segment(tmp_path / "s", record, DIMENSIONS)


@pytest.mark.parametrize("name", ["forest.ann", "signatures.npy", "cells.npy", "cell_starts.npy", "centres.npy"])
def test_damage_to_what_makes_it_fast_costs_nothing_else(tmp_path, name):
    """Annoy would crash on such a forest, so it is left out, and the rows are scanned."""
    vectors = unit(500)
    tuning = write(tmp_path / "s", np.arange(500), vectors, forest_vectors_min=400).tuning
    record = record_of(tmp_path / "s", "s", tuning)
    damage(tmp_path / "s" / name)

    segment = open_segment(tmp_path / "s", record, DIMENSIONS)

    assert segment.impaired
    assert nearest(segment, vectors[7], 1) == [7]


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    """With its segments and their fingerprints."""
    write(tmp_path / "s", np.arange(10), unit(10))
    wished = Manifest("space", DIMENSIONS, "log", 42, segments=(record_of(tmp_path / "s", "s", TUNED),))

    written = manifest.write(wished, tmp_path)

    assert manifest.read(tmp_path) == written
    assert written.written_at_ms > 0
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_a_changed_number_in_the_manifest_is_noticed(tmp_path):
    """A wrong offset would lose photos silently."""
    manifest.write(Manifest("space", DIMENSIONS, "log", 42), tmp_path)
    body = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**body, "next_offset": 43}))

    with pytest.raises(SegmentCorrupt, match=r"manifest.json is damaged"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"checksum": 1}'])
def test_a_manifest_that_is_none_is_said_to_be_damaged(tmp_path, content):
    """Whatever the bytes."""
    (tmp_path / "manifest.json").write_bytes(content)

    with pytest.raises(SegmentCorrupt, match=r"manifest.json is damaged"):
        manifest.read(tmp_path)


def test_a_file_that_was_published_is_whole(tmp_path):
    """Under its final name, and no other."""
    files.write_bytes(tmp_path / "new.tmp", b"whole")
    files.publish(tmp_path / "new.tmp", tmp_path / "new")

    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("vector", "received"),
    [
        ([0.0] * 16, "only zeros"),
        ([np.nan] + [0.25] * 15, "NaN"),
        ([np.inf] + [0.25] * 15, "an infinite number"),
        ([1.0] * 16, "length 4"),
        ([1e38] * 16, "length"),
        ([0.25] * 15, r"\(1, 15\)"),
    ],
)
def test_a_bad_vector_is_refused_with_what_is_wrong(vector, received):
    """Expected and received, in one line."""
    with pytest.raises(VectorRejected, match=received):
        unit_vectors([vector], DIMENSIONS)


def test_rounding_is_mended():
    """A vector nearly of unit length becomes one."""
    (vector,) = unit_vectors([[0.25005] * 16], DIMENSIONS)

    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)
