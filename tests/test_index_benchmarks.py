"""What the benchmarks of the index rest on: curves, recall, and a script that is fair."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

from index_data import Mixture, nearest
from index_runbook import Runbook, follow, write_runbook
from recall_curves import Point, Question, best_points, qps_at, recall_of

K = 10


@pytest.fixture(scope="module")
def runbook() -> Runbook:
    """Twelve steps: deletions at random and of one neighbourhood are among them."""
    return write_runbook("mixture-200", 3_000, 12, K)


def test_a_speed_between_two_points_lies_on_the_line_of_their_logarithms():
    """Half-way in recall is the geometric mean in speed."""
    points = [Point(1, 0.90, 4_000), Point(2, 1.00, 1_000)]

    assert qps_at(points, 0.95) == pytest.approx(2_000)


def test_a_recall_beyond_the_curve_has_no_speed():
    """Nothing is extrapolated upward."""
    assert qps_at([Point(1, 0.90, 4_000)], 0.95) is None


def test_a_recall_below_the_curve_has_the_speed_of_its_first_point():
    """A way that cannot be asked for less finds that much at that speed."""
    assert qps_at([Point(1, 0.97, 4_000), Point(2, 0.99, 1_000)], 0.90) == 4_000


def test_a_point_that_another_beats_in_both_is_no_part_of_the_curve():
    """More budget may cost time and find nothing."""
    good, beaten, better = Point(1, 0.90, 4_000), Point(2, 0.89, 3_000), Point(3, 0.95, 2_000)

    assert best_points([good, beaten, better]) == [good, better]


def test_recall_counts_ties_and_no_row_twice():
    """Row 2 is as near as row 1, the last true neighbour; -1 stands for nothing found."""
    vectors = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8], [0, 1]], np.float32)
    query = np.array([[1, 0]], np.float32)
    question = Question(query, vectors, nearest(query, vectors, 2)[1], 2)

    assert recall_of([[0, 2]], question) == 1.0
    assert recall_of([[0, 0]], question) == 0.5
    assert recall_of([[-1, 3]], question) == 0.0


def test_a_slice_of_the_mixture_is_always_the_same_and_no_two_are_alike():
    """Queries are a slice of their own."""
    one, other = Mixture(10), Mixture(10)

    assert np.array_equal(one.slice(3, 50), other.slice(3, 50))
    assert (one.slice(-1, 50) @ one.slice(0, 50).T).max() < 0.99


def test_the_script_is_the_same_every_time(runbook):
    """All peers, today and tomorrow, follow one script."""
    again = write_runbook("mixture-200", 3_000, 12, K)

    for step, same in zip(runbook.steps, again.steps, strict=True):
        assert all(np.array_equal(mine, its) for mine, its in zip(step, same, strict=True))


def test_no_query_of_the_script_is_ever_indexed(runbook):
    """Rows of the pool have one role each."""
    indexed = np.concatenate([np.concatenate([each.inserted_rows, each.replaced_rows]) for each in runbook.steps])
    asked = np.concatenate([each.query_rows for each in runbook.steps])

    assert not np.isin(asked, indexed).any()
    assert len(np.unique(indexed)) == len(indexed)


def test_what_the_script_removes_or_replaces_is_there(runbook):
    """No peer is asked for the impossible."""
    row_of: dict[int, int] = {}
    removed = 0
    for step in runbook.steps:
        assert set(step.removed.tolist()) <= row_of.keys() | set(step.inserted.tolist())
        follow(row_of, step)
        assert set(step.replaced.tolist()) <= row_of.keys()
        assert not set(step.removed.tolist()) & row_of.keys()
        removed += len(step.removed)

    assert removed > 0
    assert len(row_of) == sum(len(each.inserted) for each in runbook.steps) - removed


def test_the_right_answers_are_those_among_what_is_there(runbook):
    """The last true neighbour's score, step by step, against a scan of the living photos."""
    pool, row_of = runbook.pool.astype(np.float32), {}
    for step in runbook.steps:
        follow(row_of, step)
        _, worst = nearest(pool[step.query_rows], pool[sorted(row_of.values())], K)
        assert np.allclose(step.worst, worst, atol=1e-5)
