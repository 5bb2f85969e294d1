"""Signatures of image embeddings: the same picture is known again, and others are not."""

from __future__ import annotations

import numpy as np
import pytest

from stream_app.photo_signatures import (
    NEAR_DUPLICATE_BITS,
    differing_bits,
    estimated_cosine,
    originals,
    signatures,
)


def embeddings(count: int, dimensions: int = 640, seed: int = 0) -> np.ndarray:
    """What a network might say: never negative, a few channels loud."""
    return np.random.default_rng(seed).exponential(size=(count, dimensions)).astype(np.float32) ** 2


def changed(photos: np.ndarray, amount: float) -> np.ndarray:
    """The same photos a little louder, and with noise."""
    noise = np.random.default_rng(9).normal(size=photos.shape)
    return np.maximum(1.2 * photos * (1 + amount * noise), 0).astype(np.float32)


class TestSignatures:
    def test_they_have_256_bits_and_follow_from_the_model_alone(self):
        photos = embeddings(3)

        assert signatures(photos, "lite0").shape == (3, 32) and signatures(photos, "lite0").dtype == np.uint8
        assert np.array_equal(signatures(photos, "lite0"), signatures(photos.copy(), "lite0"))
        assert np.median(differing_bits(signatures(photos, "lite0"), signatures(photos, "other"))) > 90

    def test_a_photo_has_the_same_one_alone_and_among_others(self):
        photos = embeddings(50)

        assert np.array_equal(signatures(photos[7:8], "lite0"), signatures(photos, "lite0")[7:8])

    def test_half_precision_changes_next_to_nothing(self):
        photos = embeddings(50)
        halved = signatures(photos.astype(np.float16), "lite0")

        assert differing_bits(halved, signatures(photos, "lite0")).max() <= 3

    def test_louder_photos_have_the_same_one(self):
        photos = embeddings(20)

        assert differing_bits(signatures(4 * photos, "lite0"), signatures(photos, "lite0")).max() <= 1

    def test_none_of_none(self):
        assert signatures(np.empty((0, 640), np.float16), "lite0").shape == (0, 32)

    def test_a_black_photo_has_one_as_well(self):
        assert signatures(np.zeros((1, 640)), "lite0").shape == (1, 32)


class TestDistances:
    def test_changed_copies_are_near_and_other_photos_are_far(self):
        photos = embeddings(100)
        own, copies = signatures(photos, "lite0"), signatures(changed(photos, 0.2), "lite0")
        table = differing_bits(own[:, None], copies[None])

        assert np.diag(table).max() <= NEAR_DUPLICATE_BITS
        assert table[~np.eye(100, dtype=bool)].min() > NEAR_DUPLICATE_BITS

    def test_the_cosine_is_that_of_what_was_signed(self):
        rows = np.array([[0] * 32, [255] * 32, [0] * 16 + [255] * 16], np.uint8)

        assert estimated_cosine(differing_bits(rows, rows[0])) == pytest.approx([1, -1, 0], abs=1e-6)


class TestOriginals:
    def test_the_first_of_a_picture_is_its_original(self):
        photos = embeddings(3)
        copies = changed(photos[:2], 0.1)
        found = originals(signatures(np.concatenate([photos, copies, photos[2:]]), "lite0"))

        assert found.tolist() == [0, 1, 2, 0, 1, 2]

    def test_a_chain_of_small_changes_joins_nothing_that_looks_different(self):
        """Each is 40 bits from the one before, and the third is 80 from the first."""
        bits = np.zeros((3, 256), np.uint8)
        bits[1, :40] = bits[2, :80] = 1

        assert originals(np.packbits(bits, axis=1), 48).tolist() == [0, 0, 2]

    def test_the_limit_belongs_to_it(self):
        bits = np.zeros((2, 256), np.uint8)
        bits[1, :10] = 1

        assert originals(np.packbits(bits, axis=1), 10).tolist() == [0, 0]
        assert originals(np.packbits(bits, axis=1), 9).tolist() == [0, 1]

    def test_no_photos_have_no_originals(self):
        assert originals(np.empty((0, 32), np.uint8)).tolist() == []
