"""Two bundles on the same photos: the same one agrees with itself, another one only as far as it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from colours import colour_photo

from models import tiny
from models.bundle import BundleParts, project_bundle, write_bundle
from models.bundle_comparison import compare_bundles, nearest_photos
from models.linear_projection import LinearProjection, TrainedProjection
from models.tiny import COLOURS, SIDE_PX
from models.vision import VisionModel
from stream_app.errors import BundleError

PHOTOS = [
    (f"{name} {shade}.png", colour_photo(tuple(value * shade // 100 for value in colour)))
    for name, colour in COLOURS.items()
    for shade in (100, 90, 80)
]


@pytest.fixture(scope="module")
def darker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with another preprocessing: it sees every photo darker than it is, so another vision_id."""
    model = VisionModel("darker", SIDE_PX, SIDE_PX, 0.0, 400.0, Path, lambda _: tiny._build_network())
    parts = BundleParts(model, tiny._build_network(), "tiny_words", tiny._words(), tiny._classes())
    return write_bundle(tmp_path_factory.mktemp("darker") / "darker", parts)


def test_a_bundle_agrees_with_itself(tiny_bundle: Path) -> None:
    """In everything that is compared."""
    found = compare_bundles(tiny_bundle, tiny_bundle, PHOTOS, words=["red", "blue"])

    assert found.photos == len(PHOTOS) and found.left_out == []
    assert found.image_cosine_mean == pytest.approx(1.0) and found.image_cosine_min == pytest.approx(1.0)
    assert found.joint_cosine_mean == pytest.approx(1.0)
    assert (found.same_best_label, found.related_overlap, found.search_overlap) == (1.0, 1.0, 1.0)
    assert found.first.space_id == found.second.space_id and found.first.photos_per_second > 0


def test_another_network_is_compared_by_what_it_finds(tiny_bundle: Path, darker: Path) -> None:
    """Its image embeddings mean something else, its joint embeddings are made of the same words."""
    found = compare_bundles(tiny_bundle, darker, PHOTOS, words=["red", "blue"])

    assert found.image_cosine_mean is None and found.image_cosine_min is None
    assert found.joint_cosine_mean is not None and found.joint_cosine_mean < 0.99
    assert found.same_best_label is not None and found.same_best_label < 1.0
    assert found.related_overlap is not None and 0.0 < found.related_overlap < 1.0


def test_another_projection_changes_what_is_found_and_not_what_is_seen(tiny_bundle: Path, tmp_path: Path) -> None:
    """The encodings are the same to the last bit."""
    layer = np.random.default_rng(1).normal(size=(12, 16)).astype(np.float32)
    projection = TrainedProjection(LinearProjection(layer, np.zeros(16, np.float32)), 0.9)
    projected = project_bundle(tiny_bundle, tmp_path / "projected", projection)

    found = compare_bundles(tiny_bundle, projected, PHOTOS, words=["red", "blue"])

    assert found.image_cosine_min == pytest.approx(1.0) and found.same_best_label == 1.0
    assert found.joint_cosine_mean is not None and found.joint_cosine_mean < 0.9
    assert found.search_overlap is not None and found.search_overlap < 1.0


def test_words_that_one_does_not_know_are_told(tiny_bundle: Path) -> None:
    """And asked of neither."""
    found = compare_bundles(tiny_bundle, tiny_bundle, PHOTOS[:6], words=["red", "xyzzy", "+"])

    assert found.words_asked == ["red"] and found.words_unknown == ["xyzzy", "+"]


def test_photos_that_cannot_be_read_are_told_and_left_out(tiny_bundle: Path) -> None:
    """The others keep their places."""
    photos = [("bad.jpg", b"no photo"), *PHOTOS[:4], ("cut.png", PHOTOS[0][1][:50])]

    found = compare_bundles(tiny_bundle, tiny_bundle, photos)

    assert found.photos == 4 and found.image_cosine_min == pytest.approx(1.0)
    assert [line.split(":")[0] for line in found.left_out] == ["bad.jpg", "cut.png"]


@pytest.mark.parametrize("photos", [[], [("bad.jpg", b"no photo")]])
def test_nothing_to_compare_on_is_an_error(photos: list[tuple[str, bytes]], tiny_bundle: Path) -> None:
    """It says what was wrong with the first."""
    with pytest.raises(BundleError, match=r"bad\.jpg|none"):
        compare_bundles(tiny_bundle, tiny_bundle, photos)


def test_a_single_photo_has_no_related_ones(tiny_bundle: Path) -> None:
    """Which is no overlap of zero."""
    found = compare_bundles(tiny_bundle, tiny_bundle, PHOTOS[:1], words=["red"])

    assert found.related_overlap is None and found.search_overlap == 1.0


def test_the_nearest_photos_are_those_of_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken in parts, and without the photo itself."""
    monkeypatch.setattr("models.bundle_comparison.ROWS_AT_ONCE", 7)
    vectors = np.random.default_rng(2).normal(size=(30, 8)).astype(np.float32)

    nearest = nearest_photos(vectors, 5)

    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    np.testing.assert_array_equal(nearest, np.argsort(-scores, axis=1)[:, :5])
