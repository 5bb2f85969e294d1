"""Our reader of Annoy's files against Annoy itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from annoy import AnnoyIndex
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.errors import SegmentCorrupt
from stream_app.index.forest_reader import LAYOUTS, ForestReader


def grown(path: Path, vectors: np.ndarray, metric: str, trees: int) -> AnnoyIndex:
    forest = AnnoyIndex(vectors.shape[1], metric)  # type: ignore[arg-type]
    forest.set_seed(3)
    for row, vector in enumerate(vectors):
        forest.add_item(row, vector.tolist())
    forest.build(trees)
    forest.save(str(path))
    return forest


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    metric=st.sampled_from(sorted(LAYOUTS)),
    count=st.integers(1, 400),
    dimensions=st.integers(2, 40),
    trees=st.integers(1, 8),
    search_k=st.integers(1, 2_000),
    seed=st.integers(0, 1_000),
)
def test_it_meets_the_items_that_annoy_meets(metric, count, dimensions, trees, search_k, seed):
    """On any forest, with any budget."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, dimensions)).astype(np.float32)
    query = random.standard_normal(dimensions).astype(np.float32)
    with TemporaryDirectory() as folder:
        forest = grown(Path(folder) / "forest.ann", vectors, metric, trees)
        reader = ForestReader(Path(folder) / "forest.ann", dimensions, metric)
        met = reader.walk(query, search_k).candidates.tolist()

        assert reader.item_count == count
        assert len(met) == len(set(met))
        assert set(met) == set(forest.get_nns_by_vector(query.tolist(), count, search_k))


def test_items_that_are_all_alike_are_met(tmp_path: Path):
    """No plane parts them, so Annoy deals them out at random."""
    grown(tmp_path / "forest.ann", np.ones((500, 8), np.float32), "euclidean", 2)
    reader = ForestReader(tmp_path / "forest.ann", 8, "euclidean")

    assert sorted(reader.walk(np.ones(8, np.float32), 10_000).candidates) == list(range(500))


def test_threads_do_not_disturb_one_another(tmp_path: Path):
    vectors = np.random.default_rng(1).standard_normal((3_000, 16)).astype(np.float32)
    grown(tmp_path / "forest.ann", vectors, "euclidean", 5)
    reader = ForestReader(tmp_path / "forest.ann", 16, "euclidean")
    alone = [sorted(reader.walk(vector, 200 + row).candidates) for row, vector in enumerate(vectors[:500])]

    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda row: sorted(reader.walk(vectors[row], 200 + row).candidates), range(500))

    assert list(together) == alone


def test_the_first_trees_are_met_as_if_there_were_no_more(tmp_path: Path):
    """An easy question need not ask all trees; whoever asks for more than there are asks all."""
    vectors = np.random.default_rng(1).standard_normal((3_000, 16)).astype(np.float32)
    grown(tmp_path / "forest.ann", vectors, "euclidean", 6)
    reader = ForestReader(tmp_path / "forest.ann", 16, "euclidean")

    few, all_trees, more = (reader.walk(vectors[0], 600, count) for count in (2, 6, 60))

    assert reader.tree_count == 6
    assert few.visits < all_trees.visits
    assert 0 in few.candidates
    assert sorted(more.candidates) == sorted(all_trees.candidates)


def test_a_queue_that_outgrows_its_room_is_given_more(tmp_path: Path):
    """A deep forest of two dimensions, and a walk to its end, meet few items for each node that waits."""
    vectors = np.random.default_rng(2).standard_normal((20_000, 2)).astype(np.float32)
    forest = grown(tmp_path / "forest.ann", vectors, "euclidean", 12)
    reader = ForestReader(tmp_path / "forest.ann", 2, "euclidean")

    met = reader.walk(vectors[5], 5_000).candidates

    assert set(met.tolist()) == set(forest.get_nns_by_vector(vectors[5].tolist(), 20_000, 5_000))


@pytest.mark.parametrize("content", [b"", b"no forest at all"])
def test_a_file_of_another_shape_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "forest.ann").write_bytes(content)

    with pytest.raises(SegmentCorrupt, match="no forest of 200 dimensions"):
        ForestReader(tmp_path / "forest.ann", 200, "euclidean")
