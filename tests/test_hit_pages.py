"""Pages of hits: a walk shows each photo once, whatever is added, removed, sealed and merged meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stream_app.candidates import CandidateSource
from stream_app.catalogue import PhotoRow
from stream_app.contract.searching import SearchRequest
from stream_app.cursors import Cursor, cursor_of
from stream_app.errors import QueryRejected
from stream_app.hit_pages import Candidate, Page, in_order, page_of
from stream_app.index.ranking import Hit
from stream_app.index.shard import Shard, ShardSettings
from stream_app.query_vectors import QueryVector
from stream_app.tag_index import TagIndex
from stream_app.versions import Version

DIMENSIONS = 16
BITS_MAX = 10


class ShardIndex:
    """What searches ask of the index, from one shard."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard

    async def search(
        self, vector: np.ndarray, k: int, allow: Callable[[int], bool], *, is_word: bool = False, is_exact: bool = False
    ) -> tuple[list[Hit], dict[int, str]]:
        return self.shard.search(vector, k, allow=allow, recall=1.0 if is_exact else None), {0: "shard"}

    async def vector(self, photo_id: int) -> np.ndarray | None:
        return self.shard.vector(photo_id)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    """Six hundred photos in clusters, some of them exactly alike; half of them sealed."""
    shard = Shard(tmp_path, dimensions=DIMENSIONS, space_id="s", settings=ShardSettings(memtable_vectors_max=50))
    vectors = some_vectors(600)
    vectors[100:140] = vectors[0]
    for photo_id, vector in enumerate(vectors):
        shard.add(photo_id, Version(1, 0, 0, photo_id), vector)
        if photo_id == 300:
            shard.seal(1)
    return shard


def some_vectors(count: int, seed: int = 3) -> np.ndarray:
    """Unit vectors float32 [count, DIMENSIONS] round ten centres."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(10, DIMENSIONS))[rng.integers(10, size=count)] + rng.normal(size=(count, DIMENSIONS)) / 3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def query(words: list[str] | None = None) -> QueryVector:
    """A question in the midst of the photos."""
    return QueryVector(some_vectors(1, seed=9)[0], False, [], words=words or [])


def unlike(photo_ids: list[int]) -> np.ndarray:
    """Signatures of photos of which none is like another."""
    return np.random.default_rng(5).integers(0, 256, (max(photo_ids, default=0) + 1, 32), np.uint8)[photo_ids]


async def page_after(source: CandidateSource, cursor: Cursor, k: int, words: list[str] | None = None) -> Page:
    """The next page, as `PhotoSearch` makes it."""
    depth = k + cursor.shown + 8
    while True:
        found = await source.best(query(words), depth, lambda _: True, cursor)
        page = page_of(found.candidates, SearchRequest(q="x", k=k), cursor, unlike, BITS_MAX)
        if page.is_full or found.is_all:
            return page
        depth *= 4


class TestWalks:
    @pytest.mark.parametrize("k", [1, 7, 50, 1_000])
    async def test_a_walk_shows_every_photo_once_and_in_order(self, shard: Shard, k: int) -> None:
        """Also those that score exactly the same."""
        source, cursor, shown = CandidateSource(ShardIndex(shard), TagIndex()), Cursor(0, ""), []  # type: ignore[arg-type]
        while cursor and (k > 1 or len(shown) < 60):
            page = await page_after(source, cursor, k)
            shown += [hit.candidate for hit in page.hits]
            cursor = page.cursor

        assert shown == in_order(shown)
        assert len({each.photo_id for each in shown}) == len(shown)
        assert len(shown) == (60 if k == 1 else 600)

    @pytest.mark.parametrize("seed", range(6))
    async def test_none_is_lost_or_shown_twice_while_the_album_changes(self, shard: Shard, seed: int) -> None:
        """Photos come, go, and move from the memtable into segments between any two pages."""
        rng = random.Random(seed)
        source, cursor = CandidateSource(ShardIndex(shard), TagIndex()), Cursor(0, "")  # type: ignore[arg-type]
        shown: list[int] = []
        removed: set[int] = set()
        new = iter(range(10_000, 20_000))
        while cursor:
            page = await page_after(source, cursor, rng.choice([3, 20, 41]))
            shown += [hit.candidate.photo_id for hit in page.hits]
            cursor = page.cursor
            gone = rng.sample(range(600), 3)
            removed |= set(gone)
            for each in gone:
                shard.remove(each, Version(9, 1, 0, each))
            for vector in some_vectors(4, seed=rng.randrange(1_000)):
                photo_id = next(new)
                shard.add(photo_id, Version(2, 0, 0, photo_id), vector)
            if rng.random() < 0.3:
                await asyncio.to_thread(shard.seal, 1)
            if rng.random() < 0.3:
                await asyncio.to_thread(shard.merge_once)

        assert len(shown) == len(set(shown))
        assert set(range(600)) - removed <= set(shown)

    async def test_a_walk_knows_of_photos_that_are_found_by_their_tags(self, shard: Shard) -> None:
        """They stand where their score with the bonus puts them, and once."""
        tags = TagIndex()
        for photo_id in range(0, 600, 3):
            tags.note(tagged_row(photo_id, "rex"))
        source, cursor, shown = CandidateSource(ShardIndex(shard), tags), Cursor(0, ""), []  # type: ignore[arg-type]
        while cursor:
            page = await page_after(source, cursor, 23, ["rex"])
            shown += [hit.candidate for hit in page.hits]
            cursor = page.cursor

        assert shown == in_order(shown)
        assert sorted(each.photo_id for each in shown) == list(range(600))
        assert {each.photo_id for each in shown if each.bonus} == set(range(0, 600, 3))


class TestFolding:
    def test_near_duplicates_are_counted_at_the_best_of_them(self) -> None:
        """Three shots of one thing are one hit, wherever the others would have stood."""
        looks = {1: 0, 2: 255, 3: 0, 4: 15, 5: 255, 6: 0}

        page = page_of(
            [Candidate(each, 1 - each / 10, 0, 0, "") for each in looks],
            SearchRequest(q="x", k=3, fold=True),
            None,
            lambda ids: np.array([[looks[each]] * 32 for each in ids], np.uint8),
            BITS_MAX,
        )

        assert [(each.candidate.photo_id, each.duplicates) for each in page.hits] == [(1, 2), (2, 1), (4, 0)]

    def test_a_lowest_score_ends_the_hits(self) -> None:
        """What scores less is not shown, and nobody need look further."""
        found = [Candidate(each, 1 - each / 10, 0, 0, "") for each in range(10)]
        page = page_of(found, SearchRequest(q="x", k=9, min_score=0.75), None, unlike, BITS_MAX)

        assert ([each.candidate.photo_id for each in page.hits], page.is_last) == ([0, 1, 2], True)


class TestCursors:
    def test_a_cursor_comes_back_as_it_was(self) -> None:
        """To the last digit of its score."""
        begun = cursor_of(SearchRequest(q="x", cursor="*"), 1_234)
        assert begun
        moved = begun._replace(shown=20, score=0.1 + 0.2, photo_id=2**63 - 1)

        assert cursor_of(SearchRequest(q="x", cursor=moved.to_text()), 9_999) == moved

    @pytest.mark.parametrize("text", ["x", "AAAA", "*x", "W10", "bnVsbA", "é", "[1]"])
    def test_what_is_no_cursor_is_refused(self, text: str) -> None:
        """It says how to begin."""
        with pytest.raises(QueryRejected, match=r"cursor=\*"):
            cursor_of(SearchRequest(q="x", cursor=text), 0)

    def test_a_cursor_of_another_question_is_refused(self) -> None:
        """Its place means nothing there; how many hits a page has may change."""
        cursor = cursor_of(SearchRequest(q="x", cursor="*"), 0)
        assert cursor

        assert cursor_of(SearchRequest(q="x", k=7, explain=True, cursor=cursor.to_text()), 0) == cursor
        with pytest.raises(QueryRejected, match="another question"):
            cursor_of(SearchRequest(q="y", cursor=cursor.to_text()), 0)


def tagged_row(photo_id: int, *tags: str) -> PhotoRow:
    """A photo that its owner gave tags."""
    version = Version(1, 0, 0, photo_id)
    return PhotoRow(photo_id, upload_version=version, metadata={"tags": (list(tags), version)})
