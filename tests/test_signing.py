"""Signatures: bits that tell how far two vectors lie apart."""

import numpy as np
import pytest

from stream_app.index import signing
from stream_app.index.lsh import hamming


@pytest.mark.parametrize("dimensions", [1, 2, 7, 40, 64, 100, 200, 700])
def test_a_bit_is_the_side_of_a_plane(dimensions):
    """Of a vector and its opposite all bits differ but those of sums of zero, of one and its double none do."""
    vectors = np.random.default_rng(1).standard_normal((2_000, dimensions)).astype(np.float32)
    made = signing.signatures(vectors)

    assert made.shape == (2_000, signing.WORDS) and made.dtype == np.uint64
    assert np.array_equal(made, signing.signatures(2 * vectors))
    assert np.bitwise_count(made ^ signing.signatures(-vectors)).sum(axis=1).mean() > 0.99 * signing.BITS


def test_each_bit_is_set_about_as_often_as_not():
    made = signing.signatures(np.random.default_rng(1).standard_normal((2_000, 40)).astype(np.float32))

    shares = np.unpackbits(made.view(np.uint8), axis=1).mean(axis=0)
    assert (abs(shares - 0.5) < 0.06).all()


@pytest.mark.parametrize("dimensions", [2, 40, 64, 200, 700])
def test_differing_bits_tell_the_angle(dimensions):
    """Each bit differs with a chance of angle / pi, as of random planes."""
    random = np.random.default_rng(7)
    one, other = random.standard_normal((2, 3_000, dimensions)).astype(np.float32)
    nearer = one + 0.5 * other

    differing = hamming(signing.signatures(one), signing.signatures(nearer)) / signing.BITS
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(nearer, axis=1)
    angles = np.arccos(np.clip(np.einsum("ij,ij->i", one, nearer) / lengths, -1, 1)) / np.pi

    assert abs(float(np.mean(differing - angles))) < 0.01
