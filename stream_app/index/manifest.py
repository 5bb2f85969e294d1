"""The manifest: the one small file that says which segments live, and how much of the log they hold."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import orjson

from stream_app.errors import SegmentCorrupt
from stream_app.index import files
from stream_app.index.effort import Tuning
from stream_app.index.files import Fingerprint

NAME = "manifest.json"
FORMAT = 3


@dataclass(frozen=True)
class SegmentRecord:
    """One living segment: the name of its folder, its rows, its files as they were written, and how it is searched."""

    name: str
    rows: int
    files: Mapping[str, Fingerprint]
    tuning: Tuning


@dataclass(frozen=True)
class TombstoneRecord:
    """The file of remembered deletions."""

    name: str
    count: int
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Manifest:
    """What a shard's folder holds; everything before `next_offset` of the log `log_id` is in it.

    `log_id` names the broker's cluster, topic and partition; `written_at_ms` is wall time; the folder's files
    are numbered, and `generation` is the highest number given so far.
    """

    space_id: str
    dimensions: int
    log_id: str = ""
    next_offset: int = 0
    written_at_ms: int = 0
    generation: int = 0
    segments: tuple[SegmentRecord, ...] = ()
    tombstones: TombstoneRecord | None = None

    def names(self) -> set[str]:
        """Names of every file and folder that must be kept."""
        kept = {segment.name for segment in self.segments}
        return kept | {self.tombstones.name} if self.tombstones else kept


def write(manifest: Manifest, directory: Path) -> Manifest:
    """Replace the folder's manifest in one step; returns it as written, with the time."""
    stamped = replace(manifest, written_at_ms=time.time_ns() // 1_000_000)
    body = {"format": FORMAT, **_to_json(stamped)}
    temporary = directory / f"{NAME}.tmp"
    files.write_bytes(temporary, orjson.dumps({**body, "checksum": _checksum(body)}, option=orjson.OPT_INDENT_2))
    files.publish(temporary, directory / NAME)
    return stamped


def read(directory: Path) -> Manifest | None:
    """The folder's manifest, or None where there is none yet; raises SegmentCorrupt when it is damaged."""
    path = directory / NAME
    try:
        body = orjson.loads(path.read_bytes())
        checksum = body.pop("checksum")
        if body["format"] != FORMAT:
            raise ValueError(f"format {body['format']}, of another version; this one writes {FORMAT}")
        if checksum != _checksum(body):
            raise ValueError("another checksum")
        del body["format"]
        return _from_json(body)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SegmentCorrupt(f"{path} is damaged", received=str(error), remedy=files.REMEDY) from None


def _to_json(manifest: Manifest) -> dict[str, Any]:
    body = {each.name: getattr(manifest, each.name) for each in fields(manifest)}
    body["segments"] = [_record_to_json(each) for each in manifest.segments]
    if known := manifest.tombstones:
        body["tombstones"] = {"name": known.name, "count": known.count, "fingerprint": list(known.fingerprint)}
    return body


def _from_json(body: dict[str, Any]) -> Manifest:
    segments = tuple(_record_from_json(each) for each in body.pop("segments"))
    tombstones = body.pop("tombstones")
    if tombstones is not None:
        seal = Fingerprint(*tombstones["fingerprint"])
        tombstones = TombstoneRecord(tombstones["name"], tombstones["count"], seal)
    return Manifest(**body, segments=segments, tombstones=tombstones)


def _record_to_json(record: SegmentRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "rows": record.rows,
        "files": {name: list(seal) for name, seal in record.files.items()},
        "tuning": record.tuning.to_json(),
    }


def _record_from_json(body: dict[str, Any]) -> SegmentRecord:
    seals = {name: Fingerprint(*seal) for name, seal in body["files"].items()}
    return SegmentRecord(body["name"], body["rows"], seals, Tuning.from_json(body["tuning"]))


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
