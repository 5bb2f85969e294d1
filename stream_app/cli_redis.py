"""The commands `sightline redis`: what lies in Redis, whether it is right, and mending it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stream_app.cli_progress import progress_bar
from stream_app.running import with_running_services
from stream_app.settings import Settings

if TYPE_CHECKING:
    from models.space import Space
    from stream_app.bucket_repair import Findings
    from stream_app.index.buckets import RedisBuckets

IDS_SHOWN = 20
Answer = TypeVar("Answer")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_quiet = click.option("--quiet", is_flag=True, help="No progress bar.")


@click.group("redis")
def redis_commands() -> None:
    """The LSH buckets in Redis: memory, repair, expiry."""


@redis_commands.command()
@_as_json
def report(as_json: bool) -> None:
    """Memory of every space and layout: photos, buckets, bytes a photo. A sample of keys is measured."""
    from stream_app.bucket_upkeep import measure

    usages = _with_buckets(lambda settings, space, buckets: measure(buckets))
    if as_json:
        click.echo(json.dumps([asdict(each) | {"bytes_per_photo": each.bytes_per_photo} for each in usages], indent=1))
        return
    for each in usages:
        serving = ", serving" if each.serving else ""
        mean = each.members / max(1, each.buckets)
        click.echo(
            f"space {each.space_id}, layout {each.layout_id}{serving}: {each.photos:,} photos of "
            f"{each.bytes_per_photo:,.0f} bytes; values {_mega(each.value_bytes)}, "
            f"{each.buckets:,} buckets of {mean:,.1f} photos {_mega(each.bucket_bytes)}"
        )
    if not usages:
        click.echo("Redis holds no photos of ours.")


@redis_commands.command(short_help="What is missing, stale or left over in Redis.")
@_as_json
@_quiet
def verify(as_json: bool, quiet: bool) -> None:
    """Compare Redis with the embeddings topic: what is missing, stale or left over. Exit code 1 when something is."""
    _check(mend=False, as_json=as_json, quiet=quiet)


@redis_commands.command(short_help="Put right whatever differs from the embeddings topic.")
@_as_json
@_quiet
def rebuild(as_json: bool, quiet: bool) -> None:
    """Put right in Redis whatever differs from the embeddings topic, up to all of it; workers may go on meanwhile."""
    _check(mend=True, as_json=as_json, quiet=quiet)


@redis_commands.command(short_help="Remove layouts and spaces that nobody uses.")
@click.option(
    "--idle-hours",
    type=float,
    default=168.0,
    show_default=True,
    help="Remove spaces that no worker has written to for so long.",
)
def expire(idle_hours: float) -> None:
    """Remove layouts that are no longer in use, and spaces that nobody has used for a while.

    The space of the bundle in the settings stays in any case, and so does the layout that serves.
    """
    from stream_app.bucket_upkeep import expire as remove

    count = _with_buckets(lambda settings, space, buckets: remove(buckets, idle_hours=idle_hours))
    click.echo(f"{count:,} keys removed")


def _check(*, mend: bool, as_json: bool, quiet: bool) -> None:
    from stream_app.bucket_repair import check_buckets
    from stream_app.record_vectors import VectorLog

    with progress_bar(quiet or as_json) as say:

        async def check(settings: Settings, space: Space, buckets: RedisBuckets) -> Findings:
            log = VectorLog(settings, space)
            return await check_buckets(buckets, log, settings.partition_count, mend=mend, say=say)

        findings = _with_buckets(check)
    if as_json:
        click.echo(json.dumps(_as_plain(findings), indent=1))
    else:
        for line in _told(findings, mend):
            click.echo(line)
    if not (mend or findings.whole):
        raise SystemExit(1)


def _with_buckets(work: Callable[[Settings, Space, RedisBuckets], Awaitable[Answer]]) -> Answer:
    """What `work` answers, given the running Redis and the bundle of the settings."""
    from models.space import Space
    from stream_app.redis_client import open_buckets
    from stream_app.worker import bundle_dir

    settings = with_running_services(Settings.from_environment())

    async def run() -> Answer:
        space = Space.load(await asyncio.to_thread(bundle_dir, settings))
        async with open_buckets(settings, space) as buckets:
            return await work(settings, space, buckets)

    return asyncio.run(run())


def _told(findings: Findings, mended: bool) -> list[str]:
    kinds = {
        "missing": findings.missing,
        "stale": findings.stale,
        "left over, not on the topic": findings.left_over,
        "missing from a bucket": findings.astray,
    }
    lines = [f"{len(ids):,} photos {kind}{_ids(ids)}" for kind, ids in kinds.items() if ids]
    if findings.stray_members:
        lines.append(f"{findings.stray_members:,} members of buckets that they do not belong to")
    wrong = "all mended" if mended else "`sightline redis rebuild` mends it"
    lines.append(
        f"{findings.photos:,} photos, {findings.members:,} members in {findings.buckets:,} buckets, "
        f"the largest of {findings.largest_bucket:,}; {'all is as it should be' if findings.whole else wrong}"
    )
    return lines


def _ids(ids: set[int]) -> str:
    shown = ", ".join(str(each) for each in sorted(ids)[:IDS_SHOWN])
    return f": {shown}{', …' if len(ids) > IDS_SHOWN else ''}"


def _as_plain(findings: Findings) -> dict[str, Any]:
    plain = asdict(findings) | {"whole": findings.whole}
    return {name: sorted(map(str, value)) if isinstance(value, set) else value for name, value in plain.items()}


def _mega(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"
