"""Searches of a shard that lies in segments of every kind: filters, and what it means to wish for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.index.closest import scores_of
from stream_app.index.effort import CELLS, EXACT, FOREST, SIGNATURES
from stream_app.index.shard import IdFilter, Shard, ShardSettings
from stream_app.versions import KIND_DELETED, Version

DIMENSIONS, COUNT = 16, 3_200
SETTINGS = ShardSettings(
    exact_vectors_max=100, cells_vectors_min=900, vectors_per_cell=20, forest_vectors_min=1_500, n_trees=8, fan_out=100
)
#: The last stay in the memtable.
SEALED = (0, 1_700, 2_700, 2_900, 2_980, 3_050)


def unit(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS = unit(COUNT // 4, 0)[np.random.default_rng(1).integers(0, COUNT // 4, COUNT)]  # each about four times
PHOTO_IDS = np.random.default_rng(2).permutation(COUNT) * 3
DELETED = set(PHOTO_IDS[::9].tolist())


@pytest.fixture(scope="module")
def shard(tmp_path_factory) -> Iterator[Shard]:
    """Photos with many ties, a ninth of them deleted."""
    shard = Shard(tmp_path_factory.mktemp("shard"), dimensions=DIMENSIONS, space_id="s", settings=SETTINGS)
    fill(shard)
    assert {each.tuning.kind for each in shard.manifest.segments} == {EXACT, SIGNATURES, CELLS, FOREST}
    yield shard
    shard.close()


def fill(shard: Shard) -> None:
    for start, stop in zip(SEALED, (*SEALED[1:], COUNT), strict=True):
        shard.add_many(PHOTO_IDS[start:stop].tolist(), [Version(1, 0, 0, 0)] * (stop - start), VECTORS[start:stop])
        if stop < COUNT:
            shard.seal()
    for photo_id in sorted(DELETED):
        shard.remove(photo_id, Version(2, KIND_DELETED, 0, 0))


def expected(query: np.ndarray, k: int, allow) -> list[int]:
    """By brute force: the highest scores first, equal ones by photo id."""
    scores = np.minimum(scores_of(VECTORS.astype(np.float16), np.arange(COUNT, dtype=np.int32), query), 1)
    living = [at for at, photo_id in enumerate(PHOTO_IDS.tolist()) if photo_id not in DELETED and allow(photo_id)]
    return [int(PHOTO_IDS[at]) for at in sorted(living, key=lambda at: (-scores[at], PHOTO_IDS[at]))][:k]


def everything(photo_id: int) -> bool:
    return True


FILTERS = st.one_of(
    st.just(everything),
    st.integers(1, 3 * COUNT).map(lambda step: IdFilter(range(0, 3 * COUNT, step))),
    st.integers(1, 3 * COUNT).map(lambda step: IdFilter(range(0, 3 * COUNT, step), without=True)),
    st.integers(2, 2_000).map(lambda step: lambda photo_id: photo_id % step == 0),
)


@settings(deadline=None)
@given(seed=st.integers(3, 10_000), k=st.sampled_from([1, 2, 10, 50, 700, COUNT]), allow=FILTERS)
def test_a_wish_for_all_is_what_brute_force_finds(shard, seed, k, allow):
    """Ties included, whatever the filter, though they lie in segments of every kind and in the memtable."""
    query = unit(1, seed)[0]

    hits = shard.search(query, k, allow=None if allow is everything else allow, recall=1.0)

    assert [hit.photo_id for hit in hits] == expected(query, k, allow)
    assert [(-hit.score, hit.photo_id) for hit in hits] == sorted((-hit.score, hit.photo_id) for hit in hits)


@settings(deadline=None)
@given(seed=st.integers(3, 10_000))
def test_a_vector_that_is_there_often_scores_one_number(shard, seed):
    """At most one, and the same from every source, so that ids alone decide."""
    query = VECTORS[seed % len(VECTORS)]
    same = [PHOTO_IDS[at] for at in np.flatnonzero((query == VECTORS).all(1)) if PHOTO_IDS[at] not in DELETED]

    hits = shard.search(query, max(1, len(same)), recall=1.0)

    assert not same or [hit.photo_id for hit in hits] == sorted(same)
    assert not same or len({hit.score for hit in hits}) == 1
    assert max(hit.score for hit in hits) <= 1


@pytest.mark.parametrize("step", [2, 30, 3_000])
@pytest.mark.parametrize("without", [False, True])
def test_a_filter_by_ids_finds_what_was_wished(shard, step, without):
    """Also where it lets few of many through, and lets nothing else through."""
    allow, found, wanted = IdFilter(range(0, 3 * COUNT, step), without=without), 0, 0
    for query in unit(50, 3):
        right = expected(query, 10, allow)
        hits = shard.search(query, 10, allow=allow)
        assert all(allow(hit.photo_id) and hit.photo_id not in DELETED for hit in hits)
        assert len(hits) == len(right)
        found, wanted = found + len({hit.photo_id for hit in hits} & set(right)), wanted + len(right)

    assert found >= 0.9 * wanted


def test_nobody_is_found_among_nobody(shard):
    assert shard.search(unit(1, 3)[0], 10, allow=IdFilter([])) == []
    assert len(shard.search(unit(1, 3)[0], 10, allow=IdFilter([], without=True))) == 10


def test_photos_that_are_nowhere_are_not_found(shard):
    """Those that were deleted, and ids that never were."""
    absent = [min(DELETED), 1, 2**62, -(2**62)]

    assert shard.search(unit(1, 3)[0], 10, allow=IdFilter(absent)) == []


def test_the_same_photos_give_the_same_hits_however_they_lie(shard, tmp_path: Path):
    """In one segment after a merge, or in many: pages of a list may be asked for one by one."""
    other = Shard(tmp_path, dimensions=DIMENSIONS, space_id="s", settings=ShardSettings(exact_vectors_max=10))
    order = np.random.default_rng(5).permutation(COUNT)
    other.add_many(PHOTO_IDS[order].tolist(), [Version(1, 0, 0, 0)] * COUNT, VECTORS[order])
    for photo_id in DELETED:
        other.remove(photo_id, Version(2, KIND_DELETED, 0, 0))
    other.seal()

    for query in unit(20, 4):
        ours, theirs = (each.search(query, 500, recall=1.0) for each in (shard, other))
        assert [each[:3] for each in ours] == [each[:3] for each in theirs]
    other.close()


def test_a_filter_by_ids_is_a_predicate_too():
    """For those that ask about one photo at a time."""
    assert [each for each in range(5) if IdFilter([3, 1, 1])(each)] == [1, 3]
    assert [each for each in range(5) if IdFilter([3, 1], without=True)(each)] == [0, 2, 4]
