"""The commands `sightline export` and `sightline bundles`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from stream_app.errors import SettingsError
from stream_app.settings import Settings

if TYPE_CHECKING:
    from models.bundle_comparison import BundleComparison
    from models.shelf import ShelvedBundle

LEFT_OUT_SHOWN = 5
_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


@click.command(short_help="Write a model bundle to a folder.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--vision", help="The network, by name, or as package.module:factory. Default: that of the default bundle."
)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), help="A file with the network's weights.")
@click.option("--words", help="The words, by name, or a file of them. Default: those of the default bundle.")
@click.option("--serving-name", default="sightline", show_default=True, help="The model's name at TF Serving.")
@click.option("--evaluation", type=click.Path(path_type=Path), help="A report.json, for the model card.")
def export(
    folder: Path,
    vision: str | None,
    weights: Path | None,
    words: str | None,
    serving_name: str,
    evaluation: Path | None,
) -> None:
    """Write a model bundle to FOLDER: SavedModel, words, projection, model card.

    FOLDER/saved_model is a model's folder as TF Serving wants it; SIGHTLINE_BUNDLE=FOLDER serves it here.
    """
    from models.bundle import build_bundle
    from models.model_card import read_evaluation
    from models.vision import DEFAULT_VISION
    from models.word_sources import DEFAULT_WORDS

    build_bundle(
        folder,
        vision=vision or DEFAULT_VISION,
        weights=weights,
        words=words or DEFAULT_WORDS,
        serving_name=serving_name,
        evaluation=read_evaluation(evaluation) if evaluation else None,
        progress=click.echo,
    )
    click.echo(f"The bundle is in {folder}; {folder / 'MODEL_CARD.md'} says what it is and how to use it.")


@click.group(short_help="Model bundles: list, verify, compare, build.")
def bundles() -> None:
    """Model bundles: what lies on this machine, whether it is whole, and how two of them differ."""


@bundles.command("build", short_help="Build the default bundle.")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
def build(folder: Path | None) -> None:
    """Build the default bundle in FOLDER, or where the worker looks for it."""
    from models.bundle import build_bundle
    from models.shelf import ensure_bundle

    built = build_bundle(folder, progress=click.echo) if folder else ensure_bundle(_shelf(Settings.from_environment()))
    click.echo(f"The bundle is in {built}")


@bundles.command("list")
@_json
def list_bundles(as_json: bool) -> None:
    """What lies below the data folder, and which one is used (*)."""
    from models.shelf import ShelvedBundle, find_bundle, shelved_bundles

    settings = Settings.from_environment()
    used = find_bundle(settings.bundle, _shelf(settings))
    found = shelved_bundles(_shelf(settings))
    if used is not None and used.is_dir() and used.resolve() not in {each.path.resolve() for each in found}:
        found.append(ShelvedBundle.look_at(used))
    rows = [_described(each, used) for each in found]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    _print_list(rows)
    if used is None:
        click.echo(f"SIGHTLINE_BUNDLE={settings.bundle} names none of them.", err=True)
    if not rows:
        click.echo(f"Nothing lies in {_shelf(settings)}: the default bundle is built when it is first used.", err=True)


def _described(bundle: ShelvedBundle, used: Path | None) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "path": str(bundle.path),
        "used": used is not None and bundle.path.resolve() == used.resolve(),
        "problem": bundle.problem,
        "vision": manifest.vision if manifest else None,
        "words": manifest.words if manifest else None,
        "vision_id": manifest.vision_id if manifest else None,
        "space_id": manifest.space_id if manifest else None,
        "image_dimensions": manifest.image_dimensions if manifest else None,
        "joint_dimensions": manifest.joint_dimensions if manifest else None,
        "search_dimensions": manifest.search_dimensions if manifest else None,
        "size_bytes": bundle.size_bytes,
        "age_seconds": round(time.time() - bundle.made_at) if bundle.made_at else None,
    }


def _print_list(rows: list[dict[str, Any]]) -> None:
    table = _table("", "bundle", "vision_id", "space_id", "dimensions", "size", "age")
    for row in rows:
        sizes = [row["image_dimensions"], row["joint_dimensions"], row["search_dimensions"]]
        table.add_row(
            "*" if row["used"] else "",
            Path(row["path"]).name,
            row["vision_id"] or "-",
            row["space_id"] or "-",
            " / ".join(str(each) for each in sizes) if row["vision_id"] else "-",
            f"{row['size_bytes'] / 1e6:.1f} MB",
            _age(row["age_seconds"]),
        )
    if rows:
        _print(table)
    for row in rows:
        if row["problem"]:
            click.echo(f"{Path(row['path']).name}: {row['problem']}")


@bundles.command("verify")
@click.argument("name", required=False)
@_json
def verify(name: str | None, as_json: bool) -> None:
    """How every file of a bundle is: ok, changed, missing, or unknown. Exit status 1 when one is damaged.

    NAME is a folder or the name of a bundle below the data folder; without it, the one that is used.
    """
    from models.shelf import bundle_states, is_sound

    folder = _folder(Settings.from_environment(), name)
    states, problem = bundle_states(folder)
    if as_json:
        click.echo(json.dumps({"path": str(folder), "files": states, "problem": problem}, indent=1))
    else:
        for file, state in states.items():
            click.echo(f"{state:8}{file}")
        click.echo(problem or ("whole" if is_sound(states) else "damaged: `sightline export` makes another"))
    if problem or not is_sound(states):
        raise SystemExit(1)


@bundles.command("compare", short_help="What two bundles see and find, and how quick they are.")
@click.argument("first")
@click.argument("second")
@click.option("--photos", type=click.Path(path_type=Path), help="A folder of photos. Default: the starter album.")
@click.option("--count", type=click.IntRange(1, 20_000), default=1_000, show_default=True, help="Most photos.")
@click.option("--word", "words", multiple=True, help="Ask this (may be repeated). Default: everyday words.")
@_json
def compare(first: str, second: str, photos: Path | None, count: int, words: tuple[str, ...], as_json: bool) -> None:
    """Run two bundles over the same photos: what they see, what they find, how quick they are.

    FIRST and SECOND are folders or names of bundles below the data folder.
    """
    from models.bundle_comparison import compare_bundles
    from stream_app.folders import require_photos, scan_folder
    from stream_app.starter import starter_album

    settings = Settings.from_environment()
    first_dir, second_dir = _folder(settings, first), _folder(settings, second)
    root = require_photos(photos or starter_album(settings, say=lambda line: click.echo(line, err=True)))
    scan = scan_folder(root)
    paths = [each.path for each in scan.photos[:count]]
    with click.progressbar(length=len(paths), label="Encoding photos", file=click.get_text_stream("stderr")) as bar:
        found = compare_bundles(first_dir, second_dir, _files(paths), words=words, progress=bar.update)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    _print_comparison(found)


def _files(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        try:
            yield path.name, path.read_bytes()
        except OSError as error:
            click.echo(f"left out: {path}: {error.strerror}", err=True)


def _print_comparison(found: BundleComparison) -> None:
    sides = _table("", "first", "second")
    for name in ("vision", "words", "vision_id", "space_id"):
        sides.add_row(name, str(getattr(found.first, name)), str(getattr(found.second, name)))
    sides.add_row("photos a second", *(f"{each.photos_per_second:.1f}" for each in (found.first, found.second)))
    _print(sides)
    both = _table(f"on {found.photos:,} photos", "both")
    rows = {
        "cosine of image embeddings, mean": found.image_cosine_mean,
        "cosine of image embeddings, least": found.image_cosine_min,
        "cosine of joint embeddings, mean": found.joint_cosine_mean,
        "photos with the same best label": found.same_best_label,
        "related photos in common, of 10": found.related_overlap,
        f"found photos in common, of 5, {len(found.words_asked)} words": found.search_overlap,
    }
    for name, value in rows.items():
        both.add_row(name, "cannot be compared" if value is None else f"{value:.4f}")
    _print(both)
    if found.words_unknown:
        click.echo(f"Not known to both: {', '.join(found.words_unknown)}")
    for line in islice(found.left_out, LEFT_OUT_SHOWN):
        click.echo(f"left out: {line}", err=True)
    if len(found.left_out) > LEFT_OUT_SHOWN:
        click.echo(f"left out: {len(found.left_out) - LEFT_OUT_SHOWN} more", err=True)


def _folder(settings: Settings, name: str | None) -> Path:
    """The folder that somebody means; it need not be a whole bundle."""
    from models.shelf import find_bundle

    found = find_bundle(name or settings.bundle, _shelf(settings))
    if found is not None and found.is_dir():
        return found
    folders = [Path(name or settings.bundle).expanduser(), _shelf(settings) / (name or settings.bundle)]
    if there := [each for each in folders if each.is_dir()]:
        return there[0]
    raise SettingsError(
        "There is no such bundle",
        expected=f"a folder, or the name of a bundle in {_shelf(settings)}",
        received=repr(name or settings.bundle),
        remedy="`sightline bundles list` shows those that there are.",
    )


def _shelf(settings: Settings) -> Path:
    return settings.data_dir / "bundles"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds // size} {unit}{'' if seconds // size == 1 else 's'}"
    return "now"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _print(table: Table) -> None:
    console = Console()
    # In a pipe a table is as wide as it is, so that no id is cut off.
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
