"""Recall against an exact search, on real shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stream_app.index.measured_recall import nearest_scores, recall_at_k, stored_vector
from stream_app.index.shard import Shard, ShardSettings
from stream_app.index.sizes import SegmentSize, size_of
from stream_app.index.snapshot import Search
from stream_app.recall_probe import PAUSE_SECONDS_MIN, RecallProbe
from stream_app.versions import Version

DIMENSIONS = 16
WISHED = Search(None, 0.95, False)


def unit(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fill(shard: Shard, count: int, seed: int, time_ms: int = 1) -> np.ndarray:
    vectors = unit(count, seed)
    photo_ids = range(seed * 100_000, seed * 100_000 + count)
    shard.add_many(photo_ids, [Version(time_ms, 0, 0, 0)] * count, vectors)
    return vectors


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Shard]:
    """3,000 rows in a segment that is searched by signatures, 300 in an exact one, 30 in memory."""
    settings = ShardSettings(memtable_vectors_max=100)
    opened = Shard(tmp_path / "shard", dimensions=DIMENSIONS, space_id="s", settings=settings)
    for count, seed in ((3_000, 1), (300, 2)):
        fill(opened, count, seed)
        opened.seal()
    fill(opened, 30, 3)
    yield opened
    opened.close()


def test_the_exact_search_compares_every_row(shard: Shard) -> None:
    """In memory and in segments of each kind, without those that are deleted."""
    rows = np.concatenate([unit(3_000, 1), unit(300, 2), unit(30, 3)])
    query = unit(1, 9)[0]
    best = np.sort(rows @ query)[::-1]

    assert nearest_scores([shard.snapshot()], query, 10) == pytest.approx(best[:10], abs=1e-3)

    nearest = shard.search(query, 1)[0].photo_id
    shard.remove(nearest, Version(2, 1, 0, 0))
    assert nearest_scores([shard.snapshot()], query, 10) == pytest.approx(best[1:11], abs=1e-3)


def test_a_search_that_finds_all_has_a_recall_of_one(shard: Shard) -> None:
    """Whatever it is asked for; photos of the same score are as good as each other."""
    double = unit(1, 3)[0]
    shard.add(7, Version(1, 0, 0, 0), double)

    assert recall_at_k([shard.snapshot()], double, 10, Search(None, 1.0, False)) == 1.0


def test_a_search_that_misses_most_has_a_low_recall(shard: Shard) -> None:
    """A probe that could not fail would say nothing."""
    none_but_one = Search(lambda photo_id: photo_id == 300_000, 0.95, False)

    assert recall_at_k([shard.snapshot()], unit(1, 9)[0], 10, none_but_one) <= 0.1


def test_nothing_has_no_recall(tmp_path: Path) -> None:
    """Neither one nor zero."""
    empty = Shard(tmp_path / "empty", dimensions=DIMENSIONS, space_id="s")

    assert recall_at_k([empty.snapshot()], unit(1, 9)[0], 10, WISHED) is None
    assert stored_vector(empty.snapshot(), np.random.default_rng(1)) is None
    assert RecallProbe(0.95).means() == {"photo": (None, 0), "words": (None, 0)}
    empty.close()


def test_a_size_names_each_segment_with_its_kind_its_tier_and_its_dead(shard: Shard) -> None:
    """Largest first, and what is not sealed apart."""
    shard.remove(200_000, Version(2, 1, 0, 0))

    size = size_of(shard)

    assert (size.photos, size.memtable_rows, size.merging) == (3_329, 30, False)
    assert size.segments == (SegmentSize("signatures", 0, 3_000, 0), SegmentSize("exact", 0, 300, 1))


async def test_a_probe_asks_what_people_asked_and_photos_by_chance(shard: Shard) -> None:
    """A kind that nobody asked is not measured, but photos always are."""
    probe = RecallProbe(0.95, seed=1)
    rest_seconds = await probe.probe([shard], [])
    assert rest_seconds >= PAUSE_SECONDS_MIN
    assert probe.means()["words"] == (None, 0) and probe.means()["photo"][1] == 1

    await probe.probe([shard], [(unit(1, 9)[0], True)])

    means = probe.means()
    assert means["words"][1] == 1 and means["photo"][1] == 2
    assert all(mean is not None and 0.5 < mean <= 1.0 for mean, _ in means.values())
