"""Planes fitted to vectors, their file, and the judge of how they cut."""

import numpy as np
import pytest

from stream_app.errors import LayoutRejected
from stream_app.index.fitting import SAMPLE_MIN, fit_planes
from stream_app.index.forest_judge import Forest, candidates_for, nearest, recall_against_candidates
from stream_app.index.layout import layout_from_bytes, layout_to_bytes, load_layout, save_layout
from stream_app.index.lsh import FittedPlanes, Hyperplanes, keys_of

DIMENSIONS = 48


def photos(count: int, seed: int = 0) -> np.ndarray:
    """Clusters whose directions count less and less, off to one side, as those of real photos."""
    random = np.random.default_rng(seed)
    weights = np.arange(1, DIMENSIONS + 1) ** -0.7
    centres = np.random.default_rng(7).standard_normal((60, DIMENSIONS)) * weights
    vectors = centres[random.integers(0, 60, count)] + 0.5 * random.standard_normal((count, DIMENSIONS)) * weights
    vectors[:, 0] += 1.0
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return photos(4_000)


@pytest.fixture(scope="module")
def fitted(sample: np.ndarray) -> FittedPlanes:
    return fit_planes(sample, photo_count=4_000)


def test_each_bit_halves_the_sample(sample, fitted):
    """Half of the photos lie on either side of every plane, of the deep ones, too."""
    shares = (fitted.all_margins(sample) > 0).mean(axis=0)

    assert np.abs(shares - 0.5).max() <= 0.001


def test_bits_tell_different_things(sample, fitted):
    """Within the first bits of a table no two agree much more often than by chance."""
    bits = fitted.margins(sample) > 0
    for table in range(fitted.table_count):
        assert np.abs(np.corrcoef(bits[:, table].T) - np.eye(fitted.bits_per_key)).max() < 0.6


def test_the_same_sample_gives_the_same_layout(sample, fitted):
    """Number by number, and by name."""
    again = fit_planes(sample, photo_count=4_000)

    assert again.layout_id == fitted.layout_id
    assert (again.normals == fitted.normals).all() and (again.thresholds == fitted.thresholds).all()


def test_another_sample_gives_another_name(fitted):
    """The name follows from what is in the layout."""
    assert fit_planes(photos(4_000, seed=1), photo_count=4_000).layout_id != fitted.layout_id


def test_fitted_planes_need_fewer_candidates_than_random_ones(fitted):
    """At the same recall, on photos and queries that they were not fitted to."""
    vectors, queries = photos(6_000, seed=2), photos(100, seed=3)
    wanted = nearest(queries, vectors, 10)
    random = Hyperplanes(DIMENSIONS, bits_per_key=fitted.bits_per_key, depth=fitted.depth)

    needed = [candidates_for(Forest(each, vectors).candidates_until(queries, wanted), 0.9) for each in (fitted, random)]

    assert needed[0] < 0.5 * needed[1]


def test_fitted_planes_fill_their_buckets_more_evenly(sample, fitted):
    """The largest bucket holds less than half as many."""
    random = Hyperplanes(DIMENSIONS, bits_per_key=fitted.bits_per_key, depth=fitted.depth)

    largest = [max(sizes.max() for sizes in Forest(each, sample).sizes()) for each in (fitted, random)]

    assert largest[0] < 0.5 * largest[1]


@pytest.mark.parametrize("count", [0, 1, SAMPLE_MIN - 1])
def test_too_few_vectors_are_refused(sample, count):
    """With how many it takes."""
    with pytest.raises(LayoutRejected, match=rf"at least 1,000 photos; received {count}\."):
        fit_planes(sample[:count], photo_count=count)


def test_vectors_that_are_all_alike_are_no_trouble():
    """Nothing can be told apart, but the planes are finite."""
    planes = fit_planes(np.repeat(photos(1), SAMPLE_MIN, axis=0), photo_count=SAMPLE_MIN)

    assert np.isfinite(planes.normals).all() and np.isfinite(planes.thresholds).all()


def test_fewer_dimensions_than_planes_are_no_trouble():
    """The leading directions are turned once more."""
    vectors = photos(1_500)[:, :10]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    planes = fit_planes(vectors, photo_count=1_500)

    assert planes.normals.shape == (8 * 20, 10)
    assert np.abs((planes.all_margins(vectors) > 0).mean(axis=0) - 0.5).max() <= 0.001


class TestTheFile:
    @pytest.mark.parametrize("kind", ["fitted", "random"])
    def test_it_gives_back_the_same_planes(self, tmp_path, sample, fitted, kind):
        """Same name, same keys, same bytes when written again."""
        planes = fitted if kind == "fitted" else Hyperplanes(DIMENSIONS, bits_per_key=6, depth=20)
        save_layout(planes, tmp_path / "space" / "layout.lsh")
        read = load_layout(tmp_path / "space" / "layout.lsh", dimensions=DIMENSIONS)

        assert read is not None and (read.kind, read.layout_id) == (planes.kind, planes.layout_id)
        assert (keys_of(read.all_margins(sample)) == keys_of(planes.all_margins(sample))).all()
        assert layout_to_bytes(read) == layout_to_bytes(planes)

    def test_no_file_is_no_layout(self, tmp_path):
        """And no error."""
        assert load_layout(tmp_path / "layout.lsh", dimensions=DIMENSIONS) is None

    def test_every_damage_is_noticed_and_named(self, fitted):
        """A cut, a flipped bit anywhere, or something else altogether."""
        whole = layout_to_bytes(fitted)
        flipped = [bytearray(whole) for _ in range(3)]
        for data, at in zip(flipped, (12, 400, len(whole) - 1), strict=True):
            data[at] ^= 1
        for data in (b"", b"{}", whole[:100], whole[:-1], whole + b"x", b"PK\n" + whole, *map(bytes, flipped)):
            with pytest.raises(LayoutRejected, match=r"the-file is no layout of buckets.*sightline lsh fit"):
                layout_from_bytes(data, dimensions=DIMENSIONS, source="the-file")

    def test_a_layout_for_other_vectors_is_refused(self, tmp_path, fitted):
        """With both numbers of dimensions."""
        save_layout(fitted, tmp_path / "layout.lsh")
        with pytest.raises(LayoutRejected, match=r"layout.lsh is for other vectors; expected 200 .* received 48\."):
            load_layout(tmp_path / "layout.lsh", dimensions=200)

    def test_a_folder_in_its_place_is_named(self, tmp_path):
        """In one line."""
        (tmp_path / "layout.lsh").mkdir()
        with pytest.raises(LayoutRejected, match=r"layout\.lsh cannot be read"):
            load_layout(tmp_path / "layout.lsh", dimensions=DIMENSIONS)


class TestTheJudge:
    def test_every_photo_is_in_one_bucket_of_each_table(self, sample):
        """Cut or not."""
        planes = Hyperplanes(DIMENSIONS, bits_per_key=6, depth=20)
        for most in (None, 50):
            assert [sizes.sum() for sizes in Forest(planes, sample, bucket_photos_max=most).sizes()] == [4_000] * 8

    def test_cut_buckets_keep_to_their_limit(self, sample, fitted):
        """As long as there are planes left."""
        assert max(sizes.max() for sizes in Forest(fitted, sample, bucket_photos_max=50).sizes()) <= 50

    def test_candidates_are_counted_as_probing_meets_them(self):
        """Against a walk over the probes themselves, bucket by bucket."""
        vectors, queries = photos(500), photos(5, seed=1)
        planes = Hyperplanes(DIMENSIONS, bits_per_key=5, table_count=3)
        wanted, keys = nearest(queries, vectors, 4), planes.bucket_keys(vectors)
        until = Forest(planes, vectors).candidates_until(queries, wanted)

        for query, rows, counted in zip(queries, wanted, until, strict=True):
            costs = np.full(500, np.inf)
            for probe in planes.probes(query):
                here = keys[:, probe.table] == probe.bucket_key
                costs[here] = np.minimum(costs[here], probe.cost)
            assert counted.tolist() == [(costs <= costs[row] + 1e-6).sum() for row in rows]

    def test_a_photo_in_the_querys_own_bucket_is_met_with_it(self):
        """The query is the photo: all that is read first is its own buckets."""
        vectors = photos(500)
        planes = Hyperplanes(DIMENSIONS, bits_per_key=5, table_count=1)
        sizes = np.bincount(planes.bucket_keys(vectors)[:, 0].astype(int))
        until = Forest(planes, vectors).candidates_until(vectors[:20], np.arange(20)[:, None])

        assert until[:, 0].tolist() == sizes[planes.bucket_keys(vectors[:20])[:, 0].astype(int)].tolist()

    def test_recall_grows_with_candidates(self):
        """From none to all, and `candidates_for` is where it gets there."""
        until = np.array([[1, 5], [10, 100]])

        assert recall_against_candidates(until, [0, 5, 99, 100]) == [0.0, 0.5, 0.75, 1.0]
        assert (candidates_for(until, 0.5), candidates_for(until, 0.75), candidates_for(until, 1.0)) == (5, 10, 100)
