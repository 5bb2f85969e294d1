"""The commands below `sightline evaluate`; without the name of one it judges a space."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream_app.cli_joint import evaluate as evaluate_space
from stream_app.settings import Settings

if TYPE_CHECKING:
    from models.space import Space
    from stream_app.labelled_album import LabelledAlbum

SPACE = "space"
LEFT_OUT_SHOWN = 10


class _SpaceByDefault(click.Group):
    """`evaluate PHOTOS` is `evaluate space PHOTOS`, as it was before there was anything else to judge."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *self.get_help_option_names(context)}:
            args = [SPACE, *args]
        return super().parse_args(context, args)


@click.group(cls=_SpaceByDefault)
def evaluate() -> None:
    """Judge a bundle on photos whose labels are known.

    `sightline evaluate PHOTOS` is short for `sightline evaluate space PHOTOS`; a folder that is called as a command is
    goes by ./NAME.
    """


evaluate.add_command(evaluate_space, SPACE)


@evaluate.command("applications", short_help="Judge galleries, quests and photographers.")
@click.argument("collections", type=click.Path(path_type=Path))
@click.argument("photos", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--bundle", type=click.Path(path_type=Path), help="The bundle to judge (default: the worker's).")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="Folder of the report.",
)
@click.option("--cache", type=click.Path(path_type=Path), help="Where encoded photos are kept (default: below --out).")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the sample of the album.")
def applications(
    collections: Path, photos: tuple[Path, ...], bundle: Path | None, out: Path, cache: Path | None, seed: int
) -> None:
    """Judge galleries, quests and photographers on COLLECTIONS made of PHOTOS, whose labels are known.

    PHOTOS are folders with a folder per label or a labels.csv, or tar files of the former. Writes report.md and
    report.json to --out; photos are encoded once and kept for the next time.
    """
    from models.space import Space
    from stream_app.worker import bundle_dir

    settings = Settings.from_environment()
    folder = bundle or bundle_dir(settings)
    with tempfile.TemporaryDirectory() as shard_dir:
        space = Space.load(folder)
        album = _album(photos, space, folder, cache or out / "encoded", Path(shard_dir), settings)
        try:
            report = _judged(album, collections, photos, out, seed)
        finally:
            album.shard.close()
    click.echo(report.read_text(encoding="utf-8"))
    click.echo(f"Written to {report}")


def _album(
    photos: tuple[Path, ...], space: Space, bundle: Path, cache: Path, shard_dir: Path, settings: Settings
) -> LabelledAlbum:
    from models.encoder import LocalEncoder
    from stream_app.encoders import exact_device_of
    from stream_app.labelled_album import labelled_album

    encoder = LocalEncoder(bundle, device=exact_device_of(settings))
    try:
        with click.progressbar(length=0, label="Encoding photos", show_pos=True) as bar:
            album = labelled_album(photos, space, encoder, cache_dir=cache, shard_dir=shard_dir, say=bar.update)
    finally:
        encoder.close()
    for line in album.left_out[:LEFT_OUT_SHOWN]:
        click.echo(f"left out: {line}", err=True)
    if len(album.left_out) > LEFT_OUT_SHOWN:
        click.echo(f"left out: {len(album.left_out) - LEFT_OUT_SHOWN} more", err=True)
    return album


def _judged(album: LabelledAlbum, collections: Path, photos: tuple[Path, ...], out: Path, seed: int) -> Path:
    from stream_app.application_judgement import Judge
    from stream_app.application_report import Judgement, write_report
    from stream_app.made_collections import read_collections

    made = read_collections(collections, album.files)
    judge = Judge(album, made, seed=seed)
    count = len(made.galleries) + len(made.quests) + len(made.assignments)
    with click.progressbar(length=count, label="Judging") as bar:
        galleries, quests = judge.galleries(bar.update), judge.quests(bar.update)
        photographers = judge.photographers(bar.update)
    facts: dict[str, Any] = {
        "photos": f"{len(album):,} of {album.label_count} labels, {', '.join(each.name for each in photos)}",
        "left out": f"{len(album.left_out)} that could not be read",
        "bundle": f"space {album.space.space_id}, vision {album.space.vision_id}",
        "collections": f"{collections.name}: {len(made.galleries)} galleries, {len(made.quests)} quests, "
        f"{len(made.portfolios)} portfolios, {len(made.assignments)} assignments",
        "seed": str(seed),
    }
    return write_report(Judgement(facts, galleries, quests, photographers), out)
