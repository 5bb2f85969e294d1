"""What to ask for a gallery, and one list of the answers."""

from __future__ import annotations

import numpy as np
import pytest

from stream_app.album_sample import AlbumSample
from stream_app.gallery_suggestions import (
    MEAN,
    MEMBERS_MAX,
    METHODS,
    THEMES,
    THEMES_MAX,
    GalleryQuery,
    gallery_queries,
    merge_suggestions,
)

KINDS, DIMENSIONS = 20, 32
CENTRES = np.random.default_rng(0).normal(size=(KINDS, DIMENSIONS))


def photos_of(kind: int, count: int, seed: int = 1) -> np.ndarray:
    """Photos of one kind, float32 [count, d]; all kinds have a common part, as real embeddings have."""
    noise = np.random.default_rng([seed, kind]).normal(size=(count, DIMENSIONS))
    vectors = 2.0 + CENTRES[kind] + 0.5 * noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


ALBUM = np.concatenate([photos_of(kind, 30, seed=2) for kind in range(KINDS)])
KIND_OF = np.repeat(np.arange(KINDS), 30)
SAMPLE = AlbumSample(ALBUM[::3])


def suggested(members: np.ndarray, k: int = 20, method: str = THEMES) -> list[int]:
    """The kinds of the first k suggestions."""
    queries = gallery_queries(members, SAMPLE, method=method)
    hits = [list(enumerate((ALBUM @ each.vector).tolist())) for each in queries]
    return [int(KIND_OF[each.photo_id]) for each in merge_suggestions(queries, hits, set())][:k]


def query(share: float, *, scale: float = 1.0) -> GalleryQuery:
    return GalleryQuery(np.ones(2, np.float32), (0,), share, scale, 0.0)


class TestQueries:
    @pytest.mark.parametrize("method", METHODS)
    def test_a_gallery_of_one_kind_is_continued_by_it(self, method: str):
        assert suggested(photos_of(3, 16), method=method) == [3] * 20

    def test_two_themes_are_found_and_both_are_continued(self):
        queries = gallery_queries(np.concatenate([photos_of(3, 12), photos_of(8, 6)]), SAMPLE)

        assert [sorted(each.members) for each in queries] == [list(range(12)), list(range(12, 18))]
        assert [each.share for each in queries] == pytest.approx([2 / 3, 1 / 3], abs=0.05)

    def test_themes_get_as_many_suggestions_as_they_have_members(self):
        kinds = suggested(np.concatenate([photos_of(3, 12), photos_of(8, 6)]), k=15)

        assert sorted(set(kinds)) == [3, 8]
        assert kinds.count(8) == pytest.approx(5, abs=1)

    def test_strangers_among_the_members_are_no_theme(self):
        strangers = [photos_of(kind, 1) for kind in (10, 11, 12, 13, 14)]
        [only] = gallery_queries(np.concatenate([photos_of(3, 16), *strangers]), SAMPLE)

        assert set(range(16)) <= set(only.members)
        assert suggested(np.concatenate([photos_of(3, 16), *strangers])) == [3] * 20

    @pytest.mark.parametrize("method", METHODS)
    def test_the_queries_are_of_unit_length(self, method: str):
        for each in gallery_queries(np.concatenate([photos_of(3, 4), photos_of(8, 4)]), SAMPLE, method=method):
            assert np.linalg.norm(each.vector) == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    def test_one_member_is_enough_and_none_asks_for_nothing(self, method: str):
        assert suggested(photos_of(3, 1), k=5, method=method) == [3] * 5
        assert gallery_queries(ALBUM[:0], SAMPLE, method=method) == []

    def test_a_gallery_of_thousands_costs_no_more_than_one_of_hundreds(self):
        members = np.concatenate([photos_of(kind, 400) for kind in range(10)])
        queries = gallery_queries(members, SAMPLE)

        assert 1 <= len(queries) <= THEMES_MAX
        assert sum(len(each.members) for each in queries) <= MEMBERS_MAX
        assert max(row for each in queries for row in each.members) >= MEMBERS_MAX

    def test_without_a_sample_of_the_album_it_asks_all_the_same(self):
        [only] = gallery_queries(photos_of(3, 16))

        assert np.linalg.norm(only.vector) == pytest.approx(1, abs=1e-5)

    def test_an_album_of_one_picture_is_no_trouble(self):
        same = np.tile(ALBUM[:1], (50, 1))
        [only] = gallery_queries(same[:5], AlbumSample(same))

        assert only.vector == pytest.approx(ALBUM[0], abs=1e-5)

    def test_the_same_gallery_gets_the_same_queries(self):
        first, again = (gallery_queries(photos_of(3, 1_000), SAMPLE) for _ in range(2))

        assert np.array_equal(first[0].vector, again[0].vector)

    def test_an_unknown_method_is_named(self):
        with pytest.raises(ValueError, match="magic"):
            gallery_queries(ALBUM[:3], SAMPLE, method="magic")

    def test_the_mean_asks_for_the_mean(self):
        [only] = gallery_queries(ALBUM[:3], SAMPLE, method=MEAN)
        mean = ALBUM[:3].mean(axis=0)

        assert only.vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
        assert only.strength(0.25) == 0.25


class TestMerging:
    def test_members_are_left_out_and_each_photo_comes_once(self):
        found = merge_suggestions([query(0.5), query(0.5)], [[(1, 0.9), (2, 0.8)], [(2, 0.7), (3, 0.6)]], {1})

        assert [(each.photo_id, each.theme) for each in found] == [(2, 0), (3, 1)]

    def test_a_photo_belongs_to_the_theme_that_it_fits_best(self):
        found = merge_suggestions([query(0.5), query(0.5, scale=2.0)], [[(1, 0.9)], [(1, 0.6)]], set())

        assert [(each.theme, each.strength) for each in found] == [(1, 1.2)]

    def test_a_theme_that_has_run_dry_leaves_its_turns_to_the_others(self):
        found = merge_suggestions([query(0.7), query(0.3)], [[(1, 0.9)], [(2, 0.5), (3, 0.4), (4, 0.3)]], set())

        assert [each.photo_id for each in found] == [1, 2, 3, 4]

    def test_the_order_of_hits_does_not_matter(self):
        hits = [(photo_id, 0.5) for photo_id in (5, 3, 4)]

        assert merge_suggestions([query(1.0)], [hits], set()) == merge_suggestions([query(1.0)], [hits[::-1]], set())

    def test_nothing_asked_is_nothing_suggested(self):
        assert merge_suggestions([], [], set()) == []


class TestSample:
    def test_the_album_varies_alike_in_every_direction_of_the_whitened_space(self):
        whitening = AlbumSample(np.tile(ALBUM, (10, 1))).whitening
        white = (ALBUM - whitening.centre) @ whitening.axes

        assert np.cov(white.T) == pytest.approx(np.eye(DIMENSIONS), abs=0.5)

    @pytest.mark.parametrize("count", [0, 1])
    def test_of_no_photos_the_space_stays_as_it_is(self, count: int):
        whitening = AlbumSample(ALBUM[:count]).whitening

        assert np.array_equal(whitening.axes, np.eye(DIMENSIONS)) and not whitening.centre.any()
