"""The shard: what was added is found at once, once, and again after a crash at any moment."""

import contextlib
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream_app.errors import QueryRejected, SegmentCorrupt, ServiceUnavailable, VectorRejected
from stream_app.index import files
from stream_app.index.shard import Shard, ShardSettings
from stream_app.index.signing import signatures
from stream_app.index.snapshot import Search
from stream_app.versions import KIND_DELETED, Version

DIMENSIONS = 16
SMALL = ShardSettings(memtable_vectors_max=100, forest_vectors_min=100_000, tier_vectors=1_000)


def unit(count: int, seed: int = 0, dimensions: int = DIMENSIONS) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def at(time_ms: int, kind: int = 0) -> Version:
    return Version(time_ms, kind, 0, time_ms)


def opened(directory: Path, **options) -> Shard:
    options = {"space_id": "space", "log_id": "log", "settings": SMALL} | options
    return Shard(directory, dimensions=DIMENSIONS, **options)


def after_crash(shard: Shard, directory: Path, to: Path) -> Shard:
    """The folder as a killed process leaves it, opened by another."""
    shutil.copytree(directory, to)
    return opened(to)


def fill(shard: Shard, vectors: np.ndarray, first: int = 0) -> None:
    photo_ids = range(first, first + len(vectors))
    assert all(shard.add_many(photo_ids, [at(1)] * len(vectors), vectors))


def found(shard: Shard, vector: np.ndarray, k: int = 10) -> list[int]:
    return [hit.photo_id for hit in shard.search(vector, k)]


@pytest.fixture
def shard(tmp_path):
    opened_shard = opened(tmp_path / "shard")
    yield opened_shard
    opened_shard.close()


def test_an_empty_shard_finds_nothing(shard):
    """And says so without complaint."""
    assert shard.search(unit(1)[0], 10) == []
    assert len(shard) == 0 and list(shard.photo_ids()) == []
    assert shard.vector(1) is None and shard.version(1) is None


def test_a_photo_is_found_by_the_very_next_search(shard):
    """With score, version and source."""
    vector = unit(1)[0]
    assert shard.add(7, at(1), vector)

    (hit,) = shard.search(vector, 10)

    assert (hit.photo_id, hit.version, hit.source) == (7, at(1), "memtable")
    assert hit.score == pytest.approx(1.0, abs=1e-3) and hit.score <= 1.0


def test_a_sealed_photo_is_found_once(shard):
    """With the same score as before."""
    vector, query = unit(2)
    shard.add(7, at(1), vector)
    (before,) = shard.search(query, 10)
    shard.seal(1)

    (after,) = shard.search(query, 10)

    assert after.photo_id == 7 and after.source.startswith("segment:")
    assert after.score == pytest.approx(before.score, abs=1e-6)


def test_an_update_hides_the_sealed_version(shard):
    """The photo is found once, where it is now."""
    old, new = unit(2)
    shard.add(1, at(1), old)
    shard.seal()
    shard.add(1, at(2), new)

    (hit,) = shard.search(new, 10)

    assert (hit.version, hit.source) == (at(2), "memtable")
    assert np.allclose(shard.vector(1), new, atol=1e-3)
    assert len(shard) == 1


@pytest.mark.parametrize("sealed", [False, True])
def test_an_older_or_equal_version_changes_nothing(shard, sealed):
    """Repeating is harmless, and a late arrival too."""
    old, new = unit(2)
    shard.add(1, at(2), new)
    if sealed:
        shard.seal()

    assert not shard.add(1, at(2), old)
    assert not shard.add(1, at(1), old)
    assert not shard.remove(1, at(1, KIND_DELETED))
    assert np.allclose(shard.vector(1), new, atol=1e-3)


def test_of_a_photo_twice_in_one_batch_the_newest_version_wins(shard):
    """In either order; what came too late is answered False."""
    old, new = unit(2)
    versions = [at(1), at(2), at(2), at(1)]

    assert shard.add_many([1, 1, 2, 2], versions, [old, new, new, old]) == [True, True, True, False]
    assert [shard.version(1), shard.version(2)] == [at(2), at(2)]
    assert sorted(found(shard, new)) == [1, 2]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_removed_photo_is_not_found(shard, sealed):
    """Neither by search nor by id; its version stays known."""
    vector = unit(1)[0]
    shard.add(1, at(1), vector)
    if sealed:
        shard.seal()

    assert shard.remove(1, at(2, KIND_DELETED))
    assert not shard.remove(1, at(2, KIND_DELETED))
    assert found(shard, vector) == [] and shard.vector(1) is None and len(shard) == 0
    assert shard.version(1) == at(2, KIND_DELETED)


def test_a_deletion_that_comes_before_its_upload_wins(shard):
    """Also after a seal."""
    shard.remove(1, at(9, KIND_DELETED))
    shard.seal()

    assert not shard.add(1, at(8), unit(1)[0])
    assert shard.add(1, at(10), unit(1)[0])
    assert len(shard) == 1


def test_a_batch_with_a_bad_vector_adds_nothing(shard):
    """The caller may mend it and repeat."""
    vectors = unit(3)
    vectors[1] = 0

    with pytest.raises(VectorRejected, match=r"vector 2 of 3.*only zeros"):
        shard.add_many([1, 2, 3], [at(1)] * 3, vectors)

    assert len(shard) == 0


def test_an_uneven_batch_is_refused(shard):
    """Each photo needs its version and its vector."""
    with pytest.raises(VectorRejected, match="2 versions and 3 vectors"):
        shard.add_many([1, 2, 3], [at(1)] * 2, unit(3))


@pytest.mark.parametrize("bad", [np.zeros(DIMENSIONS), np.ones(DIMENSIONS), np.ones(3), np.full(DIMENSIONS, np.nan)])
def test_a_bad_query_is_refused(shard, bad):
    """A query is held to the same rule as a photo."""
    with pytest.raises(VectorRejected):
        shard.search(bad, 1)


def test_k_below_one_is_refused(shard):
    """With what was expected."""
    with pytest.raises(QueryRejected, match="at least 1"):
        shard.search(unit(1)[0], 0)


@pytest.mark.parametrize("k", [1, 25, 60, 10_000_000])
def test_k_may_be_larger_than_a_segment_and_than_all(shard, k):
    """The best k over all sources, best first, as a full sort gives."""
    vectors, query = unit(60), unit(1, seed=1)[0]
    for first in (0, 20, 40):
        fill(shard, vectors[first : first + 20], first)
        if first < 40:
            shard.seal()

    assert found(shard, query, k) == np.argsort(-(vectors @ query))[:k].tolist()


def test_only_allowed_photos_are_found(shard):
    """As many as are wished, over memtable and segments."""
    vectors = unit(60)
    fill(shard, vectors[:40])
    shard.seal()
    fill(shard, vectors[40:], 40)

    hits = shard.search(vectors[0], 6, allow=lambda photo_id: photo_id % 10 == 0)

    assert {hit.photo_id for hit in hits} == {0, 10, 20, 30, 40, 50}


def test_clustered_vectors_are_found_with_recall_95(tmp_path):
    """Three forests and a memtable, defaults: .95 of the true ten nearest, with removals in between."""
    rng = np.random.default_rng(3)
    centres = unit(60, seed=4, dimensions=64)

    def mixture(count: int) -> np.ndarray:
        spread = centres[rng.integers(0, 60, count)] + 0.12 * rng.standard_normal((count, 64))
        return (spread / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float32)

    vectors, queries = mixture(20_000), mixture(50)
    shard = Shard(tmp_path, dimensions=64, space_id="space")
    for first in range(0, 20_000, 6_000):
        fill(shard, vectors[first : first + 6_000], first)
        if first < 18_000:
            shard.seal()
    for photo_id in range(0, 20_000, 10):
        shard.remove(photo_id, at(2, KIND_DELETED))

    scores = queries @ vectors.T
    scores[:, ::10] = -1
    truths = [set(np.argsort(-row)[:10].tolist()) for row in scores]
    hits = [len(truth & set(found(shard, query))) for query, truth in zip(queries, truths, strict=True)]
    shard.close()
    assert sum(hits) / 500 >= 0.95


def test_a_reopened_shard_is_as_it_was_sealed(tmp_path):
    """Photos, versions, removals and the place in the log."""
    vectors = unit(30)
    shard = opened(tmp_path)
    fill(shard, vectors)
    shard.seal(30)
    shard.remove(3, at(2, KIND_DELETED))
    shard.remove(99, at(2, KIND_DELETED))
    shard.add(4, at(2), vectors[0])
    shard.seal(33)
    shard.close()

    again = opened(tmp_path)

    assert again.manifest.next_offset == 33
    assert sorted(again.photo_ids()) == [photo_id for photo_id in range(30) if photo_id != 3]
    assert len(again) == 29 and found(again, vectors[3], 1) != [3]
    assert not again.add(99, at(1), vectors[0]) and not again.add(3, at(1), vectors[0])
    assert again.version(4) == at(2) and np.allclose(again.vector(4), vectors[0], atol=1e-3)
    again.close()


def test_what_was_not_sealed_is_not_there_after_a_crash(shard, tmp_path):
    """The caller replays its log from the manifest's offset: that is where the shard stands."""
    vectors = unit(20)
    fill(shard, vectors[:10])
    shard.seal(10)
    fill(shard, vectors[10:], 10)
    shard.remove(1, at(2, KIND_DELETED))

    again = after_crash(shard, tmp_path / "shard", tmp_path / "copy")

    assert sorted(again.photo_ids()) == list(range(10))
    assert again.manifest.next_offset == 10


def test_a_merge_leaves_one_segment_and_the_same_photos(shard):
    """Four slices become one, and the dead are left behind."""
    vectors = unit(40)
    for first in range(0, 40, 10):
        fill(shard, vectors[first : first + 10], first)
        shard.seal()
    shard.remove(5, at(2, KIND_DELETED))
    shard.add(6, at(2), vectors[0])
    shard.seal()

    assert shard.merge_once()
    assert [each.rows for each in shard.manifest.segments] == [39]
    assert sorted(shard.photo_ids()) == [photo_id for photo_id in range(40) if photo_id != 5]
    assert not shard.merge_once()


def test_many_are_removed_as_if_one_by_one(shard):
    """Sealed ones, unsealed ones, one that nobody knew, one that is newer than its removal, and one named twice."""
    fill(shard, unit(4))
    shard.seal()
    fill(shard, unit(3, seed=1), 10)
    shard.add(11, at(9), unit(1, seed=2)[0])

    removed = shard.remove_many([1, 10, 99, 11, 2, 2], [at(5), at(5), at(5), at(5), at(6), at(5)])

    assert removed == [True, True, True, False, True, False]
    assert sorted(shard.photo_ids()) == [0, 3, 11, 12] and len(shard) == 4
    assert (shard.version(2), shard.version(99), shard.version(11)) == (at(6), at(5), at(9))


def test_one_photo_twice_in_a_batch_is_there_once(shard):
    """The newer of them, whichever comes first."""
    old, new = unit(2)

    assert shard.add_many([1, 1, 2, 2], [at(1), at(2), at(2), at(1)], [old, new, new, old]) == [True, True, True, False]
    assert len(shard) == 2 and found(shard, new) == [1, 2]
    assert np.allclose(shard.vector(1), new, atol=1e-3) and np.allclose(shard.vector(2), new, atol=1e-3)


@pytest.mark.parametrize("sealed", [0, 1_000])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_of_many_unsealed_photos_the_nearest_are_found(tmp_path, sealed, k):
    """Signatures tell which of their vectors are worth a look, whether something was found before or not."""
    shard, vectors = opened(tmp_path), unit(3_000 + sealed)
    fill(shard, vectors[:sealed])
    shard.seal()
    fill(shard, vectors[sealed:], sealed)
    right = missing = 0
    for query in unit(30, seed=3):
        hits = shard.search(query, k)
        nearest = np.argsort(-(vectors @ query))[:k]
        unsealed = set(nearest[nearest >= sealed].tolist())
        right, missing = right + len(unsealed), missing + len(unsealed - {hit.photo_id for hit in hits})
        assert len(hits) == k

    assert missing <= 0.01 * right
    shard.close()


def test_a_merge_carries_signatures_on(tmp_path):
    """They are those of the vectors, row by row, whatever kind of segment they came from."""
    settings = replace(SMALL, exact_vectors_max=150, cells_vectors_min=300, vectors_per_cell=10, fan_out=3)
    shard, vectors = opened(tmp_path, settings=settings), unit(1_100)
    for start, stop in ((0, 100), (100, 300), (300, 1_100)):
        fill(shard, vectors[start:stop], start)
        shard.seal()
    assert shard.merge_once()

    (folder,) = tmp_path.glob("segment-*")
    rows, known = np.load(folder / "cells.npy"), np.load(folder / "signatures.npy")
    assert np.array_equal(known, signatures(np.load(folder / "vectors.npy")[rows].astype(np.float32)))
    shard.close()


def test_a_removal_during_a_merge_is_not_lost(shard, monkeypatch):
    """Nor is an update: the merged segment takes over both."""
    vectors = unit(40)
    for first in range(0, 40, 10):
        fill(shard, vectors[first : first + 10], first)
        shard.seal()
    finish = shard._folder.finish

    def meanwhile(*staged):
        shard.remove(5, at(2, KIND_DELETED))
        shard.add(6, at(2), vectors[0])
        return finish(*staged)

    monkeypatch.setattr(shard._folder, "finish", meanwhile)
    assert shard.merge_once()

    assert len(shard) == 39 and 5 not in found(shard, vectors[5], 40)
    assert sorted(found(shard, vectors[0], 40)) == sorted(shard.photo_ids())
    assert shard.version(6) == at(2)


def test_a_merge_keeps_what_a_crash_must_bring_back(shard, tmp_path):
    """A removal that is not durable may not take the sealed photo from the disk."""
    vectors = unit(40)
    for first in range(0, 40, 10):
        fill(shard, vectors[first : first + 10], first)
        shard.seal()
    shard.remove(5, at(2, KIND_DELETED))
    shard.merge_once()

    again = after_crash(shard, tmp_path / "shard", tmp_path / "copy")

    assert len(shard) == 39 and found(shard, vectors[5], 1) != [5]
    assert len(again) == 40 and found(again, vectors[5], 1) == [5]


def test_a_segment_of_the_dead_alone_is_dropped(shard):
    """Without a merged segment in its place."""
    fill(shard, unit(10))
    shard.seal()
    for photo_id in range(10):
        shard.remove(photo_id, at(2, KIND_DELETED))
    shard.seal()

    assert shard.merge_once()
    assert shard.manifest.segments == ()
    assert list(shard._folder.directory.glob("segment-*")) == []


def test_a_search_keeps_the_snapshot_it_began_with(shard):
    """What is removed, added, sealed or merged meanwhile does not show in it."""
    vectors = unit(40)
    for first in range(0, 40, 10):
        fill(shard, vectors[first : first + 10], first)
        shard.seal()
    fill(shard, unit(5, seed=1), 40)
    snapshot = shard.snapshot()
    how = Search(allow=None, recall=0.95, outside=False)
    before = snapshot.search(vectors[3], 50, how)

    shard.remove(3, at(2, KIND_DELETED))
    shard.add(41, at(2), vectors[3])
    shard.seal()
    shard.merge_once()

    assert snapshot.search(vectors[3], 50, how) == before
    assert found(shard, vectors[3], 1) == [41]


def test_searches_go_on_while_photos_move(tmp_path):
    """Every search finds every photo exactly once while another thread updates, seals and merges them."""
    shard = opened(tmp_path)
    vectors = unit(20)
    fill(shard, vectors)
    faults: list[list[int]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            if sorted(ids := found(shard, vectors[0], 100)) != list(range(20)):
                faults.append(ids)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for time_ms in range(2, 10):
        shard.add_many(range(20), [at(time_ms)] * 20, vectors)
        shard.seal(time_ms)
        shard.merge_once()
    stop.set()
    for reader in readers:
        reader.join()
    shard.close()

    assert faults == []


class Crash(BaseException):
    """The power goes."""


@pytest.mark.parametrize("deed", ["seal", "merge"])
@pytest.mark.parametrize("step", range(30))
def test_a_crash_at_any_step_loses_and_doubles_nothing(tmp_path, monkeypatch, deed, step):
    """At every write, rename and removal: the folder opens, and holds the state before or after."""
    shard = opened(tmp_path / "shard")
    vectors = unit(40)
    for first in range(0, 40, 10):
        fill(shard, vectors[first : first + 10], first)
        shard.seal(first + 10)
    if deed == "seal":
        shard.add(3, at(2), vectors[0])
        shard.remove(5, at(2, KIND_DELETED))
    steps = iter(range(1_000))

    def crashing(work):
        def step_or_crash(*arguments):
            if next(steps) >= step:  # once the power is gone, nothing is tidied up either
                raise Crash
            return work(*arguments)

        return step_or_crash

    for name in ("write_bytes", "write_array", "publish", "remove", "sync", "fingerprint"):
        monkeypatch.setattr(files, name, crashing(getattr(files, name)))
    with contextlib.suppress(Crash):
        shard.seal(42) if deed == "seal" else shard.merge_once()
    monkeypatch.undo()

    again = after_crash(shard, tmp_path / "shard", tmp_path / "copy")

    sealed = again.manifest.next_offset == 42
    assert sorted(again.photo_ids()) == [each for each in range(40) if not (sealed and each == 5)]
    assert sorted(found(again, vectors[0], 100)) == sorted(again.photo_ids())
    assert again.version(3) == at(2 if sealed else 1)
    kept = {path.name for path in (tmp_path / "copy").iterdir()} - {"lock", "manifest.json"}
    assert kept == again.manifest.names()


def test_a_full_disk_loses_nothing(shard, monkeypatch):
    """The seal says so in one line; photos stay findable, and the next seal succeeds."""
    vectors = unit(10)
    fill(shard, vectors)

    def full(path, array):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_array", full)
        with pytest.raises(ServiceUnavailable, match="No space left on device"):
            shard.seal(10)
    fill(shard, unit(5, seed=1), 10)

    assert sorted(found(shard, vectors[0], 100)) == list(range(15))
    shard.seal(15)
    assert [each.rows for each in shard.manifest.segments] == [15]


def test_a_damaged_folder_is_refused_by_file_name(tmp_path):
    """Rather than answering wrongly; the folder is free for whoever mends it."""
    shard = opened(tmp_path)
    fill(shard, unit(10))
    shard.seal()
    shard.close()
    (path,) = tmp_path.glob("segment-*/vectors.npy")
    path.write_bytes(path.read_bytes()[:-5])

    for _ in range(2):
        with pytest.raises(SegmentCorrupt, match=r"vectors.npy is damaged"):
            opened(tmp_path)


def test_a_lost_forest_is_grown_anew_by_the_next_merge(tmp_path):
    """Meanwhile the segment answers without it."""
    settings = ShardSettings(exact_vectors_max=50, forest_vectors_min=100)
    shard = opened(tmp_path, settings=settings)
    vectors = unit(200)
    fill(shard, vectors)
    shard.seal()
    shard.close()
    (forest,) = tmp_path.glob("segment-*/forest.ann")
    forest.write_bytes(b"not a forest")

    again = opened(tmp_path, settings=settings)

    assert found(again, vectors[5], 1) == [5]
    assert again.merge_once() and not again.merge_once()
    assert len(list(tmp_path.glob("segment-*/forest.ann"))) == 1 and found(again, vectors[5], 1) == [5]
    again.close()


@pytest.mark.parametrize("other", [{"space_id": "another"}, {"log_id": "another"}])
def test_a_folder_of_another_space_or_log_is_emptied(tmp_path, other):
    """Its vectors mean something else, and its offset too."""
    shard = opened(tmp_path)
    fill(shard, unit(10))
    shard.remove(11, at(1))
    shard.seal(10)
    shard.close()

    again = opened(tmp_path, **other)

    assert len(again) == 0 and again.manifest.next_offset == 0
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "manifest.json"}
    again.close()


def test_a_folder_has_one_owner(tmp_path):
    """A second worker on the same folder is told so."""
    shard = opened(tmp_path)
    with pytest.raises(ServiceUnavailable, match="in use by another"):
        opened(tmp_path)
    shard.close()

    opened(tmp_path).close()


def test_a_closed_shard_writes_no_more(tmp_path):
    """Its folder may belong to another already."""
    shard = opened(tmp_path)
    shard.close()

    with pytest.raises(ServiceUnavailable, match="is closed"):
        shard.seal()


def test_a_seal_without_news_writes_nothing(shard):
    """An idle shard leaves its disk alone; a new offset alone is noted."""
    shard.seal(5)
    written = shard.manifest
    shard.seal(5)
    assert shard.manifest is written

    shard.seal(6)
    assert shard.manifest.next_offset == 6


def test_a_grown_memtable_asks_to_be_sealed(shard):
    """At the size that the settings name."""
    fill(shard, unit(99))
    assert not shard.needs_seal()

    fill(shard, unit(1, seed=1), 99)
    assert shard.needs_seal()
    shard.seal()
    assert not shard.needs_seal()


def test_a_failed_merge_process_is_said_in_one_line_and_loses_nothing(tmp_path, monkeypatch):
    """And its leavings are removed."""
    shard = opened(tmp_path, settings=replace(SMALL, forest_vectors_min=40, apart_vectors_min=40))
    for first in range(0, 40, 10):
        fill(shard, unit(10, seed=first), first)
        shard.seal()
    with monkeypatch.context() as patched:
        patched.setattr("sys.executable", "/bin/false")
        with pytest.raises(ServiceUnavailable, match="a segment could not be written"):
            shard.merge_once()

    assert len(shard) == 40 and list(shard._folder.directory.glob("*.tmp")) == []
    assert shard.merge_once()
