"""The merge policy and the sharing of the search budget: pure functions, so no file is touched here."""

from stream_app.index.policy import SegmentSummary, ShardSettings, plan_merge, tier

SETTINGS = ShardSettings(fan_out=4, tier_vectors=1_000)


def segments(*sizes: int) -> list[SegmentSummary]:
    return [SegmentSummary(f"segment-{at}", rows=size, dead=0) for at, size in enumerate(sizes)]


def test_an_empty_shard_asks_for_no_merge():
    """Nothing can be merged where there is nothing."""
    assert plan_merge([], SETTINGS) is None


def test_fewer_segments_than_the_fan_out_are_left_alone():
    """Three slices of one size wait for the fourth."""
    assert plan_merge(segments(10_000, 10_000, 10_000), SETTINGS) is None


def test_a_full_tier_is_merged():
    """Four slices of one size become one; the large segment beside them is not touched."""
    plan = plan_merge(segments(300_000, 10_000, 9_000, 10_000, 8_000), SETTINGS)

    assert plan is not None
    assert plan.names == ("segment-1", "segment-2", "segment-3", "segment-4")


def test_the_lowest_full_tier_is_merged_first():
    """The small merge is quick, and its result may join the next tier."""
    plan = plan_merge(segments(*[20_000] * 4, *[50] * 4), SETTINGS)

    assert plan is not None
    assert plan.names == tuple(f"segment-{at}" for at in range(4, 8))


def test_a_segment_with_many_dead_is_written_anew():
    """A quarter is borne; more is not."""
    borne = SegmentSummary("borne", rows=100, dead=25)
    burdened = SegmentSummary("burdened", rows=100, dead=26)

    plan = plan_merge([borne, burdened], SETTINGS)

    assert plan is not None and plan.names == ("burdened",)
    assert plan_merge([borne], SETTINGS) is None


def test_an_impaired_segment_comes_first():
    """A damaged forest makes searches slow, so it is grown anew before anything else."""
    damaged = SegmentSummary("damaged", rows=9_000, dead=0, impaired=True)

    plan = plan_merge([*segments(10, 10, 10, 10), damaged], SETTINGS)

    assert plan is not None and plan.names == ("damaged",)


def test_a_merged_tier_belongs_to_the_next():
    """Otherwise the same rows would be merged again and again."""
    assert tier(4 * 10_000, SETTINGS) == tier(10_000, SETTINGS) + 1


def test_a_stream_is_rewritten_few_times():
    """300,000 rows in slices of 10,000: each row is written about log4(30) times after its seal."""
    living: list[SegmentSummary] = []
    written = 0
    for slice_number in range(30):
        living.append(SegmentSummary(f"slice-{slice_number}", rows=10_000, dead=0))
        while plan := plan_merge(living, SETTINGS):
            rows = sum(each.rows for each in living if each.name in plan.names)
            living = [each for each in living if each.name not in plan.names]
            living.append(SegmentSummary(f"merged-{written}", rows=rows, dead=0))
            written += rows

    assert written / 300_000 <= 2
    assert len(living) <= 7
