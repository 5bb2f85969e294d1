"""What follows from measured efforts for a wish."""

import json

import pytest

from stream_app.index.effort import EXACT, FOREST, Effort, Tuning, share_of

FEW = (Effort(10, 100, 2, 16, 0.82), Effort(20, 400, 4, 32, 0.96))
MANY = (Effort(20, 900, 9, 128, 0.9), Effort(20, 3_000, 16, 512, 0.97))
OUTSIDE = (Effort(20, 5_000, 40, 900, 0.95),)
TUNED = Tuning(FOREST, "euclidean", 20, {10: FEW, 100: MANY}, {10: OUTSIDE})


@pytest.mark.parametrize(("k", "recall", "expected"), [(10, 0.8, FEW[0]), (3, 0.95, FEW[1]), (11, 0.9, MANY[0])])
def test_the_least_effort_that_is_enough_is_taken(k, recall, expected):
    """Measured for as many neighbours or for more."""
    assert TUNED.effort(k, recall) == expected


def test_what_nothing_reached_takes_the_greatest():
    assert TUNED.effort(10, 0.999) == FEW[1]


def test_more_neighbours_than_were_measured_take_more_in_proportion():
    effort = TUNED.effort(250, 0.9)

    assert effort is not None and (effort.search_k, effort.probes, effort.kept) == (2_250, 23, 320)


def test_queries_from_outside_have_their_own():
    """Where none were tried, they take a multiple of what the others do."""
    assert TUNED.effort(10, 0.9, outside=True) == OUTSIDE[0]
    assert Tuning(FOREST, "euclidean", 20, {10: FEW}).effort(10, 0.9, outside=True) == FEW[1].times(4)


def test_an_exact_segment_knows_no_effort():
    assert Tuning(EXACT).effort(10, 0.95) is None
    assert TUNED.exact().effort(10, 0.95) is None


def test_a_tuning_comes_back_as_the_manifest_keeps_it():
    assert Tuning.from_json(json.loads(json.dumps(TUNED.to_json()))) == TUNED
    assert Tuning.from_json(json.loads(json.dumps(Tuning(EXACT).to_json()))) == Tuning(EXACT)


@pytest.mark.parametrize(("rows", "share"), [(100, 10), (50, 10), (10, 4), (1, 2)])
def test_a_share_leaves_room_for_chance(rows, share):
    """More than two standard deviations above what an even spread would bring."""
    assert share_of(10, rows, 100) == share
