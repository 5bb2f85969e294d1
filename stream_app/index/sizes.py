"""What a shard is made of at this moment: rows in memory, segments by kind and tier, the dead among them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream_app.index.policy import tier
from stream_app.index.shard import Shard


class SegmentSize(NamedTuple):
    """One segment: how it is searched (exact, signatures or forest), its tier, and its rows."""

    kind: str
    tier: int
    rows: int
    dead: int


class ShardSize(NamedTuple):
    """One shard, its segments largest first; `memtable_rows` are those that are not sealed yet."""

    photos: int
    memtable_rows: int
    segments: tuple[SegmentSize, ...]
    merging: bool


def size_of(shard: Shard) -> ShardSize:
    """The size of a shard as the next search would find it; counting the dead reads a number of each row."""
    now = shard.snapshot()
    segments = [
        SegmentSize(
            kind=each.tuning.kind,
            tier=tier(len(each), shard.settings),
            rows=len(each),
            dead=int(np.count_nonzero(each.died <= now.sequence)),
        )
        for each in now.segments
    ]
    return ShardSize(
        photos=len(shard),
        memtable_rows=sum(len(each.photo_ids) for each in now.memtables),
        segments=tuple(sorted(segments, key=lambda each: -each.rows)),
        merging=shard.merging,
    )
