"""Hyperplanes, probes and signatures."""

import itertools

import numpy as np
import pytest

from stream_app.index.lsh import (
    Hyperplanes,
    Probe,
    Signatures,
    bits_for,
    cosine_error,
    cosine_estimate,
    hamming,
    keys_of,
)


def unit(count: int, dimensions: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_same_seed_cuts_the_same_buckets():
    """Two workers that never met agree about every key, and on the layout's name."""
    vectors = unit(100, 32)
    one, other = Hyperplanes(32, seed=7), Hyperplanes(32, seed=7)

    assert one.layout_id == other.layout_id
    assert (one.bucket_keys(vectors) == other.bucket_keys(vectors)).all()


@pytest.mark.parametrize("changed", [{"seed": 2}, {"bits_per_key": 13}, {"table_count": 9}, {"depth": 20}])
def test_another_layout_has_another_name(changed):
    """Keys of different layouts mean different things, and must never be mixed."""
    assert Hyperplanes(32, **changed).layout_id != Hyperplanes(32).layout_id


def test_bucket_keys_have_their_bits_and_no_more():
    """A key of 24 bits fits into the three bytes that are kept of it."""
    keys = Hyperplanes(16, bits_per_key=24).bucket_keys(unit(500, 16))

    assert keys.shape == (500, 8) and keys.dtype == np.uint64
    assert keys.max() < 2**24 and keys.max() >= 2**23


def test_a_key_tells_the_side_of_every_plane():
    """Bit number b is set where margin b is positive."""
    planes, vectors = Hyperplanes(16, bits_per_key=5), unit(20, 16)
    margins = planes.margins(vectors)
    expected = [[sum(1 << b for b in range(5) if row[b] > 0) for row in table] for table in margins]

    assert planes.bucket_keys(vectors).tolist() == expected


@pytest.mark.parametrize(("photo_count", "bits"), [(0, 4), (100, 5), (16_384, 12), (10**8, 24), (10**12, 24)])
def test_bits_follow_the_number_of_photos(photo_count, bits):
    """About four photos a bucket, between 4 and 24 bits."""
    assert bits_for(photo_count) == bits


def test_bits_follow_the_members_that_a_bucket_should_have():
    """Sixteen times as many are four bits less."""
    assert bits_for(10**6, bucket_photos=64) == bits_for(10**6) - 4


def test_a_bucket_key_is_the_beginning_of_the_whole_key():
    """The planes beyond `bits_per_key` cut what the first ones leave together."""
    planes, vectors = Hyperplanes(16, bits_per_key=6, depth=20), unit(100, 16)

    whole = keys_of(planes.all_margins(vectors))

    assert whole.max() >= 2**19
    assert (whole % np.uint64(64) == planes.bucket_keys(vectors)).all()


def test_bits_out_of_range_are_refused():
    """Twenty-five bits would not fit into a stored key."""
    with pytest.raises(ValueError, match="4 to 24"):
        Hyperplanes(16, bits_per_key=25)


def test_the_first_probes_are_the_own_buckets():
    """They cost nothing."""
    planes, vector = Hyperplanes(16), unit(1, 16)[0]
    first = list(itertools.islice(planes.probes(vector), planes.table_count))

    keys = planes.bucket_keys(vector[None, :])[0]
    assert first == [Probe(0.0, table, int(key)) for table, key in enumerate(keys)]


def test_probes_come_in_order_of_margin_and_reach_every_bucket_once():
    """Every bucket of every table, none twice, and never a dearer one before a cheaper one."""
    planes = Hyperplanes(16, bits_per_key=6, table_count=3)
    probes = list(planes.probes(unit(1, 16)[0]))

    costs = [probe.cost for probe in probes]
    assert costs == pytest.approx(sorted(costs))
    assert {(probe.table, probe.bucket_key) for probe in probes} == set(itertools.product(range(3), range(64)))
    assert len(probes) == 3 * 64


def test_the_cost_of_a_probe_is_the_squared_margin_of_its_flipped_bits():
    """Checked against the margins themselves."""
    planes, vector = Hyperplanes(16, bits_per_key=6, table_count=1), unit(1, 16)[0]
    squares = planes.margins(vector[None, :])[0, 0].astype(float) ** 2
    own = int(planes.bucket_keys(vector[None, :])[0, 0])

    for probe in planes.probes(vector):
        flipped = [bit for bit in range(6) if (probe.bucket_key ^ own) >> bit & 1]
        assert probe.cost == pytest.approx(squares[flipped].sum(), abs=1e-6)


def test_probing_finds_near_photos_in_few_buckets():
    """Looking into 64 of 32,768 buckets finds most near copies: they are the likeliest ones."""
    planes, vectors = Hyperplanes(64), unit(2_000, 64)
    near = vectors[:50] + 0.05 * unit(50, 64, seed=1) * 8
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    keys = planes.bucket_keys(vectors)

    found = 0
    for photo, query in enumerate(near):
        probed = {(probe.table, probe.bucket_key) for probe in itertools.islice(planes.probes(query), 64)}
        found += any((table, int(key)) in probed for table, key in enumerate(keys[photo]))
    assert found >= 48


@pytest.mark.parametrize(("bits", "error_max"), [(32, 0.27), (64, 0.18), (96, 0.15), (128, 0.12), (256, 0.085)])
def test_signatures_estimate_the_cosine(bits, error_max):
    """Root mean square error on random pairs in 200 dimensions; random planes have .095 at 256 bits."""
    one, other = unit(4_000, 200, seed=2), unit(4_000, 200, seed=3)

    assert 0.5 * error_max < cosine_error(one, other, bits) < error_max


@pytest.mark.parametrize("bits", [0, 16, 48, 100])
def test_signatures_have_a_multiple_of_32_bits(bits):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="multiple of 32"):
        Signatures(32, bits=bits)


def test_orthogonal_planes_estimate_better_than_random_ones():
    """By a tenth at least, on the same pairs."""
    one, other = unit(4_000, 200, seed=2), unit(4_000, 200, seed=3)
    truth = np.einsum("ij,ij->i", one, other)
    normals = unit(256, 200, seed=4)
    differing = ((one @ normals.T > 0) != (other @ normals.T > 0)).sum(axis=1)
    signatures = Signatures(200)
    orthogonal = signatures.cosines(signatures.of(one), signatures.of(other))

    def error(estimates: np.ndarray) -> float:
        return float(np.sqrt(np.mean((estimates - truth) ** 2)))

    assert error(orthogonal) < 0.9 * error(cosine_estimate(differing, 256))


def test_a_vector_is_like_itself_and_unlike_its_opposite():
    """The ends of the scale are exact."""
    vectors = unit(10, 64)
    signatures = Signatures(64)
    own, opposite = signatures.of(vectors), signatures.of(-vectors)

    assert signatures.cosines(own, own).tolist() == [1.0] * 10
    assert hamming(own, opposite).tolist() == [256] * 10
    assert signatures.cosines(own, opposite) == pytest.approx(-1.0)


def test_signatures_may_have_more_bits_than_dimensions():
    """Further rotations make up for the missing planes."""
    assert Signatures(10, bits=128).of(unit(3, 10)).shape == (3, 2)
