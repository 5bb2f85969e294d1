"""Merging all segments of a shard into one, while no worker owns its folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path

from stream_app.index.inspection import PartitionFolder, Say, required_manifest
from stream_app.index.manifest import Manifest
from stream_app.index.shard import Shard, ShardSettings

#: All segments are of one tier, any two of it are merged, and no dead row is kept: what is left is one segment.
ALL_AS_ONE = ShardSettings(fan_out=2, tier_vectors=2**62, dead_share_max=0.0)
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Compacted:
    """What a compaction made of a partition."""

    space_id: str
    partition: int
    segments_before: int
    segments_after: int
    rows_before: int
    rows_after: int


def compact(folder: PartitionFolder, say: Say) -> Compacted:
    """Leave one segment without a dead row; raises ServiceUnavailable when a worker owns the folder.

    A compaction that is cut short leaves what was there.
    """
    known = required_manifest(folder.path)
    shard = Shard(
        folder.path,
        dimensions=known.dimensions,
        space_id=known.space_id,
        log_id=known.log_id,
        settings=ALL_AS_ONE,
    )
    try:
        before = shard.manifest
        while _merged(shard, folder, say):
            pass
        after = shard.manifest
    finally:
        shard.close()
    return Compacted(
        known.space_id,
        folder.number,
        *(len(each.segments) for each in (before, after)),
        *(sum(segment.rows for segment in each.segments) for each in (before, after)),
    )


def _merged(shard: Shard, folder: PartitionFolder, say: Say) -> bool:
    """Whether there was something to merge; meanwhile the bytes that are written tell how far it is."""
    known = shard.manifest
    rows = sum(each.rows for each in known.segments)
    doing = f"{folder.space_id}/{folder.number}: merging {rows:,} rows of {len(known.segments)} segments"
    with ThreadPoolExecutor(1) as pool:
        merging = pool.submit(shard.merge_once)
        while True:
            try:
                return merging.result(POLL_SECONDS)
            except NotYet:
                say(doing, min(0.99, _staged_bytes(folder.path) / _size_bytes(known)))


def _size_bytes(known: Manifest) -> int:
    return max(1, sum(seal.size_bytes for segment in known.segments for seal in segment.files.values()))


def _staged_bytes(directory: Path) -> int:
    total = 0
    for path in directory.glob("segment-*.tmp/*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # it was published in this very moment
            continue
    return total
