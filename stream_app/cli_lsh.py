"""The commands `sightline lsh`: fit hyperplanes to the photos, and report how buckets are filled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from stream_app.cli_progress import progress_bar
from stream_app.errors import SettingsError
from stream_app.running import with_running_services
from stream_app.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from stream_app.index.bucket_report import PlanesReport


@click.group()
def lsh() -> None:
    """The hyperplanes of the LSH buckets."""


@lsh.command(short_help="Fit planes to the photos, fill their buckets, and switch.")
@click.option(
    "--sample", type=click.IntRange(1_000, 200_000), default=20_000, show_default=True, help="Photos to fit planes to."
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def fit(sample: int, quiet: bool) -> None:
    """Fit planes to the photos of the album, fill their buckets in Redis beside the old ones, and switch.

    Everything is read from Kafka. Workers may run: from the moment of the switch, partition by partition, their next
    search uses the new buckets. Redis needs memory for both until then; the old buckets are removed at the end.
    """
    from models.space import Space
    from stream_app.refitting import refit
    from stream_app.worker import bundle_dir

    settings = with_running_services(Settings.from_environment())
    space = Space.load(bundle_dir(settings))
    with progress_bar(quiet) as say:
        done = asyncio.run(refit(settings, space, sample_count=sample, say=say))
    for trial in done.trials:
        width, evening = trial.recipe
        click.echo(f"width {width:2}, evening {evening:.2f}: {trial.candidates:,} candidates to be read")
    click.echo(
        f"Layout {done.layout_id} serves {done.photos:,} photos, {done.bits_per_key} bits a key, fitted to "
        f"{done.sampled:,}; {done.keys_expired:,} keys of former layouts removed"
    )


@lsh.command(short_help="How full buckets are, and recall against candidates.")
@click.argument("vectors", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--tables", type=click.IntRange(1, 64), default=8, show_default=True, help="Tables of buckets.")
@click.option("--count", type=click.IntRange(1), default=100_000, show_default=True, help="Most vectors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(vectors: Path | None, tables: int, count: int, as_json: bool) -> None:
    """How full the buckets of random and of fitted planes are, and their recall@10 against candidates.

    On VECTORS, a .npy file of float numbers, a row a vector; without it on the shards in the data folder.
    """
    from stream_app.index import bucket_report
    from stream_app.index.buckets import BUCKET_PHOTOS_MAX, cold_planes

    matrix = _read_vectors(vectors, count) if vectors else _shard_vectors(Settings.from_environment(), count)
    split = bucket_report.split_vectors(matrix)
    cold = cold_planes(matrix.shape[1], table_count=tables)
    fitted = bucket_report.fit_to(split, table_count=tables)
    reports = [
        bucket_report.report_planes(name, planes, split, BUCKET_PHOTOS_MAX)
        for name, planes in (("random", cold), ("fitted", fitted))
    ]
    errors = bucket_report.cosine_errors(matrix)
    if as_json:
        told = {"vectors": len(split.vectors), "dimensions": matrix.shape[1]}
        click.echo(json.dumps(told | {"planes": [asdict(each) for each in reports], "cosine_rmse": errors}, indent=1))
        return
    console = Console(highlight=False)
    for table in _tables(reports, errors, f"{len(split.vectors):,} vectors, {matrix.shape[1]} dimensions"):
        console.print(table)


def _tables(reports: list[PlanesReport], errors: dict[int, float], title: str) -> Iterator[Table]:
    buckets = Table("planes", "tables", "bits", "photos a bucket", "p99", "largest", "empty", title=title)
    recall = Table("planes", *(f"recall@10 of {budget:,}" for budget in reports[0].recall), title="Candidates read")
    needed = Table("planes", *(f"for recall {each:g}" for each in reports[0].candidates), title="Candidates needed")
    for each in reports:
        sizes = f"{each.mean:.1f}", f"{each.p99:,}", f"{each.largest:,}", f"{each.empty_share:.1%}"
        buckets.add_row(each.name, str(each.tables), str(each.bits), *sizes)
        recall.add_row(each.name, *(f"{share:.3f}" for share in each.recall.values()))
        needed.add_row(each.name, *(f"{candidates:,}" for candidates in each.candidates.values()))
    cosine = Table(*(f"{bits} bits" for bits in errors), title="Error (RMSE) of the cosine estimated from signatures")
    cosine.add_row(*(f"{error:.3f}" for error in errors.values()))
    yield from (buckets, recall, needed, cosine)


def _read_vectors(path: Path, count: int) -> np.ndarray:
    import numpy as np

    try:
        matrix = np.load(path, allow_pickle=False)[:count].astype(np.float32)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    except (OSError, EOFError, ValueError, TypeError, IndexError) as error:
        raise SettingsError(f"{path} cannot be read", expected="a .npy file of vectors", received=str(error)) from None
    if matrix.ndim != 2 or not np.isfinite(lengths).all() or not lengths.all():
        received = f"a shape of {matrix.shape}" if matrix.ndim != 2 else "zeros, or numbers that are not finite"
        raise SettingsError(f"{path} cannot be used", expected="rows of finite numbers", received=received)
    return np.asarray(matrix / lengths, np.float32)


def _shard_vectors(settings: Settings, count: int) -> np.ndarray:
    import numpy as np

    from stream_app.worker import bundle_dir

    from models.manifest import read_manifest  # isort: skip

    space_id = read_manifest(bundle_dir(settings)).space_id
    folder = settings.data_dir / "index" / space_id
    paths = [each for each in sorted(folder.glob("*/segment-*/vectors.npy")) if each.parent.suffix != ".tmp"]
    parts = [np.load(each, mmap_mode="r") for each in paths]
    if not parts:
        raise SettingsError(
            "There are no vectors to report on",
            expected=f"shards in {folder}, or a .npy file",
            remedy="Run a worker on this data folder first; what it has not sealed yet does not count.",
        )
    step = max(1, -(-sum(map(len, parts)) // count))
    matrix = np.concatenate([part[::step] for part in parts]).astype(np.float32)
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), np.float32)
