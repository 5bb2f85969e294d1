"""The decisions of a shard, apart from its deeds: pure functions from numbers to plans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ShardSettings:
    """How a shard grows, merges and searches."""

    recall: float = 0.95  # of the nearest that a search should find; budgets follow from what was measured
    memtable_vectors_max: int = 2_500  # more are read again from the log after a crash; fewer make more to merge
    exact_vectors_max: int = 1_000  # segments up to this size are scanned without signatures
    cells_vectors_min: int = 30_000  # fewer are scanned soon enough by their signatures
    vectors_per_cell: int = 64  # of a large segment: fewer make cells that fit closer, and more centres to look at
    cell_vectors_min: int = 16  # of a smaller one, whose centres are few in any case
    cells_usual: int = 6_000  # in between
    forest_vectors_min: int = 3_000_000  # centres of fewer are looked at sooner than a forest of them is walked
    n_trees: int = 20  # of an Annoy forest; more find better and take more disk and time to build
    fan_out: int = 4  # segments of one tier that become one of the next
    tier_vectors: int = 1_000  # segments below fan_out times this size are the lowest tier
    dead_share_max: float = 0.25  # a segment with more dead rows is written anew
    apart_vectors_min: int = 50_000  # fewer are written sooner than a process for it would have started
    build_threads: int = 1  # of a forest; background work must leave the machine to the searches
    seed: int = 1  # of cells and forests, so that a rebuild is the same


@dataclass(frozen=True)
class SegmentSummary:
    """What the policy knows of one segment."""

    name: str
    rows: int
    dead: int  # rows whose death is durable: they need not be carried on
    impaired: bool = False  # what makes it fast was damaged and left out

    @property
    def live(self) -> int:
        """Rows that a merge would keep."""
        return self.rows - self.dead


@dataclass(frozen=True)
class MergePlan:
    """The segments to write as one, and why."""

    names: tuple[str, ...]
    reason: str


def plan_merge(segments: Sequence[SegmentSummary], settings: ShardSettings) -> MergePlan | None:
    """The next merge, or None: first a damaged segment, then a full tier (lowest first), then the dead."""
    for segment in segments:
        if segment.impaired:
            return MergePlan((segment.name,), "its forest or its signatures are damaged")
    full = _fullest_low_tier(segments, settings)
    if full:
        return MergePlan(tuple(each.name for each in full), f"{len(full)} segments of one size")
    for segment in segments:
        if segment.dead > settings.dead_share_max * segment.rows:
            return MergePlan((segment.name,), f"{segment.dead} of {segment.rows} rows are dead")
    return None


def tier(live: int, settings: ShardSettings) -> int:
    """0 for the smallest segments; each tier holds segments `fan_out` times larger than the one below."""
    return max(0, math.floor(math.log(max(1, live) / settings.tier_vectors, settings.fan_out)))


def vectors_per_cell(rows: int, settings: ShardSettings) -> int:
    """How many vectors are to lie round each centre of a segment."""
    most = settings.vectors_per_cell
    return min(most, max(settings.cell_vectors_min, rows // settings.cells_usual))


def _fullest_low_tier(segments: Sequence[SegmentSummary], settings: ShardSettings) -> list[SegmentSummary]:
    tiers: dict[int, list[SegmentSummary]] = {}
    for segment in segments:
        tiers.setdefault(tier(segment.live, settings), []).append(segment)
    for level in sorted(tiers):
        if len(tiers[level]) >= settings.fan_out:
            return tiers[level]
    return []
