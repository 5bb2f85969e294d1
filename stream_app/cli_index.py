"""The commands `sightline index`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from stream_app.cli_progress import progress_bar
from stream_app.running import with_running_services
from stream_app.settings import Settings

if TYPE_CHECKING:
    from stream_app.index.effort import Tuning
    from stream_app.index.inspection import PartitionFolder, PartitionState, SegmentState
    from stream_app.index.verification import Verdict

Say = Callable[[str, float], None]

#: Of each segment: how it is searched for ten neighbours, and what that found when it was written.
SEARCHED = ("searched by", "trees, search_k", "cells", "kept", "recall@10")

_partitions = click.option("--partition", "numbers", type=click.IntRange(0), multiple=True, help="Only this one.")
_space = click.option("--space", help="Only the partitions of this space.")
_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
_quiet = click.option("--quiet", is_flag=True, help="No progress bar.")


@click.group("index", short_help="The index on disk: inspect, verify, compact, rebuild.")
def index() -> None:
    """The index on this machine's disk: what is there, whether it is sound, and making it anew."""


@index.command("inspect")
@_partitions
@_space
@_json
def inspect_index(numbers: tuple[int, ...], space: str | None, as_json: bool) -> None:
    """What lies on disk, by partition and segment. A worker may be running; what it has not sealed is not seen."""
    from stream_app.index.inspection import inspect

    states = [inspect(each) for each in _found(numbers, space)]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in states], indent=1))
        return
    for state in states:
        _print_state(state)


@index.command("verify", short_help="Look at every file and row, and measure the recall.")
@_partitions
@_space
@click.option("--sample", type=click.IntRange(0), default=100, show_default=True, help="Queries for each partition.")
@click.option("--recall-min", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="Less is a fault.")
@_json
@_quiet
def verify_index(
    numbers: tuple[int, ...], space: str | None, sample: int, recall_min: float, as_json: bool, quiet: bool
) -> None:
    """Look at every file and every row, and compare searches with an exact scan. Exit status 1 when one is wrong.

    The queries are living vectors of the index, each moved by a quarter of its length in a random direction. A worker
    may be running.
    """
    from stream_app.index.verification import verify

    folders = _found(numbers, space)
    with progress_bar(quiet) as say:
        verdicts = [verify(each, sample=sample, recall_min=recall_min, say=part) for each, part in _parts(folders, say)]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in verdicts], indent=1))
    else:
        for verdict in verdicts:
            _print_verdict(verdict)
    if any(each.faults for each in verdicts):
        raise SystemExit(1)


@index.command("compact")
@_partitions
@_space
@_quiet
def compact_index(numbers: tuple[int, ...], space: str | None, quiet: bool) -> None:
    """Merge the segments of each partition into one, without the dead. No worker may be running."""
    from stream_app.index.compaction import compact

    folders = _found(numbers, space)
    with progress_bar(quiet) as say:
        done = [compact(each, part) for each, part in _parts(folders, say)]
    for each in done:
        click.echo(
            f"{each.space_id}/{each.partition}: {each.segments_before} segments with {each.rows_before:,} rows"
            f" -> {each.segments_after} with {each.rows_after:,}"
        )


@index.command("rebuild", short_help="Build the index anew from the embeddings topic.")
@_partitions
@_quiet
def rebuild_index(numbers: tuple[int, ...], quiet: bool) -> None:
    """Build the partitions of SIGHTLINE_BUNDLE's space anew from the embeddings topic. No worker may be running.

    It is done beside the old folders, which stay until all is written. The private broker of `sightline up` runs no
    longer than that does: remove the folder of the partition instead, and it is built anew at the next start.
    """
    settings = with_running_services(Settings.from_environment())
    with progress_bar(quiet) as say:
        lines = asyncio.run(_rebuild(settings, numbers, say))
    for line in lines:
        click.echo(line)


async def _rebuild(settings: Settings, numbers: Sequence[int], say: Say) -> list[str]:
    from models.space import Space
    from stream_app.rebuilding import check, rebuild
    from stream_app.worker import bundle_dir

    partitions = numbers or range(settings.partition_count)
    check(settings, partitions)
    space = Space.load(await asyncio.to_thread(bundle_dir, settings))
    built = await rebuild(settings, space, partitions, say)
    return [
        f"{space.space_id}/{each.partition}: {each.photos:,} photos, from the log up to offset {each.next_offset:,}"
        for each in built
    ]


def _found(numbers: Sequence[int], space: str | None) -> list[PartitionFolder]:
    from stream_app.index.inspection import find_partitions

    return find_partitions(Settings.from_environment().data_dir, space, numbers)


def _parts(folders: Sequence[PartitionFolder], say: Say) -> Iterator[tuple[PartitionFolder, Say]]:
    """Each folder with its own part of the whole progress."""
    for number, folder in enumerate(folders):

        def say_part(doing: str, share: float, number: int = number) -> None:
            say(doing, (number + share) / len(folders))

        yield folder, say_part


def _print_state(state: PartitionState) -> None:
    minutes = max(0.0, time.time() - state.written_at_ms / 1000) / 60
    click.echo(f"{state.space_id}/{state.partition}  {state.path}")
    click.echo(
        f"  {state.photos:,} photos in {state.dimensions} dimensions, {state.tombstones:,} tombstones,"
        f" {_megabytes(state.size_bytes)}; written {minutes:,.0f} minutes ago"
    )
    click.echo(f"  everything before offset {state.next_offset:,} of {state.log_id or 'no log'}")
    if state.segments:
        _print_segments(state.segments)
    click.echo()


def _print_segments(segments: Sequence[SegmentState]) -> None:
    files = list(dict.fromkeys(name for each in segments for name in each.files_bytes))
    rows = [
        [
            *(each.name, f"{each.rows:,}", f"{each.dead_rows:,}", str(each.tier)),
            *_searched(each.tuning),
            *(_megabytes(each.files_bytes[name]) if name in each.files_bytes else "-" for name in files),
        ]
        for each in segments
    ]
    _print_table(("segment", "rows", "dead", "tier", *SEARCHED, *files), rows)


def _searched(tuning: Tuning) -> tuple[str, ...]:
    """What was chosen when the segment was written, and the recall that it had then."""
    if (effort := tuning.effort(10, Settings.from_environment().search_recall)) is None:
        return tuning.kind, "-", "-", "-", "1.000"
    walked = f"{effort.n_trees} of {tuning.n_trees}, {effort.search_k:,}" if effort.n_trees else "-"
    probed = f"{effort.probes:,}" if effort.probes else "-"
    return f"{tuning.kind} {tuning.metric}".strip(), walked, probed, f"{effort.kept:,}", f"{effort.recall:.3f}"


def _print_verdict(verdict: Verdict) -> None:
    looked = f"{verdict.files} files, {_megabytes(verdict.size_bytes)}, {verdict.photos:,} photos"
    click.echo(f"{verdict.space_id}/{verdict.partition}: {'damaged' if verdict.faults else 'sound'}; {looked}")
    if recall := verdict.recall:
        click.echo(
            f"  recall@10 {recall.mean:.3f}, the worst query {recall.worst:.2f},"
            f" of {recall.query_count} queries: {recall.queries}"
        )
    for fault in verdict.faults:
        click.echo(f"  {fault.path}: {fault.problem}. {fault.remedy}")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def _print_table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    # In a pipe a table is as wide as it is, so that no name is cut off.
    (console if console.is_terminal else Console(width=250)).print(table)
