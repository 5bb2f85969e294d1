"""Photographers for a brief, from their portfolios."""

from __future__ import annotations

import numpy as np
import pytest

from stream_app.album_sample import AlbumSample
from stream_app.photographer_ranking import BEST, EVIDENCE_PHOTOS, MEAN, MODELS, SHARE, Portfolio, rank_photographers

DIMENSIONS = 64
RANDOM = np.random.default_rng(0)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


BRIEF = unit(RANDOM.normal(size=DIMENSIONS))
ALBUM = AlbumSample(unit(RANDOM.normal(size=(500, DIMENSIONS))))


def portfolio(right: int, others: int, seed: int = 1) -> Portfolio:
    """So many photos of what is asked, and so many of anything."""
    random = np.random.default_rng(seed)
    asked = unit(BRIEF + 0.15 * random.normal(size=(right, DIMENSIONS)))
    rest = unit(random.normal(size=(others, DIMENSIONS)))
    return Portfolio(range(1000 * seed, 1000 * seed + right + others), np.concatenate([asked, rest]))


def order(portfolios: dict[str, Portfolio], model: str) -> list[str]:
    return [each.user_id for each in rank_photographers(BRIEF, portfolios, ALBUM, model=model)]


@pytest.mark.parametrize("model", MODELS)
def test_more_of_what_is_asked_ranks_higher(model: str):
    portfolios = {"few": portfolio(4, 36, 1), "most": portfolio(30, 10, 2), "none": portfolio(0, 40, 3)}

    assert order(portfolios, model) == ["most", "few", "none"]


@pytest.mark.parametrize("model", MODELS)
def test_one_lucky_photo_is_no_photographer(model: str):
    assert order({"lucky": portfolio(1, 0, 1), "steady": portfolio(30, 5, 2)}, model) == ["steady", "lucky"]


def test_the_share_counts_and_not_the_size_of_a_portfolio():
    portfolios = {"large": portfolio(100, 900, 1), "small": portfolio(20, 20, 2)}

    assert order(portfolios, SHARE) == ["small", "large"]


def test_the_best_few_count_however_much_else_there_is():
    assert order({"large": portfolio(40, 2_000, 1), "small": portfolio(5, 0, 2)}, BEST) == ["large", "small"]
    assert order({"large": portfolio(40, 2_000, 1), "small": portfolio(5, 0, 2)}, MEAN) == ["small", "large"]


def test_every_name_has_its_best_photos_beside_it():
    portfolios = {"a": portfolio(2, 30, 1), "b": portfolio(10, 10, 2)}
    found = {each.user_id: each for each in rank_photographers(BRIEF, portfolios, ALBUM)}

    assert [each.photo_id for each in found["a"].evidence[:2]] in ([1000, 1001], [1001, 1000])
    for each in found.values():
        scores = [photo.score for photo in each.evidence]
        assert len(scores) == EVIDENCE_PHOTOS and scores == sorted(scores, reverse=True)
    assert found["a"].photo_count == 32


def test_a_share_is_between_none_and_all():
    for each in rank_photographers(BRIEF, {"a": portfolio(50, 0, 1), "b": portfolio(0, 50, 2)}, ALBUM, model=SHARE):
        assert 0 <= each.score <= 1


def test_who_has_no_photo_is_not_named():
    assert rank_photographers(BRIEF, {"empty": portfolio(0, 0)}, ALBUM) == []


def test_equal_photographers_are_ordered_by_name():
    assert order({"b": portfolio(5, 5), "a": portfolio(5, 5)}, SHARE) == ["a", "b"]


def test_without_a_sample_of_the_album_the_order_is_that_of_the_scores():
    portfolios = {"few": portfolio(4, 36, 1), "most": portfolio(30, 10, 2)}

    assert [each.user_id for each in rank_photographers(BRIEF, portfolios, AlbumSample(ALBUM.vectors[:0]))] == [
        "most",
        "few",
    ]


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="magic"):
        rank_photographers(BRIEF, {}, ALBUM, model="magic")
