"""The command `sightline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream_app.errors import SettingsError
from stream_app.settings import Settings

if TYPE_CHECKING:
    from models.devices import Device
    from models.labelled_photos import LabelledPhotos
    from models.space import Space

#: Related photos and words are judged on so many photos of each class, the first ones; a table of all pairs must fit.
VECTORS_PER_CLASS_MAX = 15


@click.command(short_help="Judge every way from a photo to the words.")
@click.argument("photos", type=click.Path(path_type=Path))
@click.option("--bundle", type=click.Path(path_type=Path), help="The bundle to judge (default: the worker's).")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("evaluation"),
    show_default=True,
    help="Folder of the report.",
)
@click.option("--splits", type=click.IntRange(0, 1000), default=20, show_default=True, help="Splits of the classes.")
@click.option("--first-seed", type=int, default=0, show_default=True, help="The splits' seeds count from here.")
@click.option("--targets", default="hypernyms", show_default=True, help="one_tag, many_tags or hypernyms.")
@click.option("--contender", "only", multiple=True, help="Judge these alone (may be repeated; default: all).")
@click.option("--photos-per-class", default=40, show_default=True, help="Photos of a class that train.")
def evaluate(
    photos: Path,
    bundle: Path | None,
    out: Path,
    splits: int,
    first_seed: int,
    targets: str,
    only: tuple[str, ...],
    photos_per_class: int,
) -> None:
    """Judge every way from a photo to the words on PHOTOS, whose classes are known.

    PHOTOS is a folder with a folder per class, a folder with labels.csv, or a tar file. Writes report.md, report.json
    and plots to --out; photos are encoded once and kept there for the next time.
    """
    from models.space import Space
    from models.zero_shot import Judge
    from stream_app.encoders import exact_device_of
    from stream_app.worker import bundle_dir

    settings = Settings.from_environment()
    folder = bundle or bundle_dir(settings)
    space = Space.load(folder)
    labelled = _encoded(photos, folder, out, exact_device_of(settings))
    contenders = _contenders(only)
    outcomes: list[Any] = []
    if splits:
        judge = Judge.of(
            labelled, _head(space), space.vocabulary, target_kind=targets, train_per_class_max=photos_per_class
        )
        seeds = range(first_seed, first_seed + splits)
        with click.progressbar(
            judge.judge(contenders, seeds), length=splits * (len(contenders) + 1), label="Judging"
        ) as judged:
            outcomes = list(judged)
    report = _report(labelled, space, outcomes, out, photos=photos, splits=splits, targets=targets, seed=first_seed)
    click.echo(report.read_text(encoding="utf-8"))
    click.echo(f"Written to {report}")


def _encoded(photos: Path, bundle: Path, out: Path, device: Device) -> LabelledPhotos:
    from models.encoder import LocalEncoder
    from models.labelled_photos import encode_once

    encoder = LocalEncoder(bundle, device=device)
    try:
        with click.progressbar(length=0, label="Encoding photos", show_pos=True) as bar:
            labelled = encode_once(photos, encoder, out / "encoded", say=bar.update)
    finally:
        encoder.close()
    for line in labelled.left_out[:10]:
        click.echo(f"left out: {line}", err=True)
    if len(labelled.left_out) > 10:
        click.echo(f"left out: {len(labelled.left_out) - 10} more", err=True)
    return labelled


def _contenders(only: tuple[str, ...]) -> list[Any]:
    from models.contenders import CONTENDERS

    names = [each.name for each in CONTENDERS]
    unknown = [each for each in only if each not in names]
    if unknown:
        raise SettingsError("No such contender", expected="; ".join(names), received="; ".join(unknown))
    return [each for each in CONTENDERS if not only or each.name in only]


def _head(space: Space) -> Any:
    from models.tags import read_tags
    from models.zero_shot import NetworkHead

    classes = read_tags()
    if len(classes) != space.classifier.shape[1]:
        raise SettingsError(
            "The bundle's network does not know the classes of ImageNet",
            expected=f"a bundle of a network with {len(classes)} classes",
            received=f"one with {space.classifier.shape[1]}",
            remedy="With --splits 0 its vectors are judged alone.",
        )
    return NetworkHead(space.classifier, space.classifier_bias, space.mean_embedding, classes)


def _report(
    labelled: LabelledPhotos, space: Space, outcomes: list[Any], out: Path, *, photos: Path, **run: Any
) -> Path:
    import numpy as np

    from models.calibration import score_bins
    from models.contenders import DEFAULT
    from models.evaluation_report import Evaluation, write_report
    from models.labelled_photos import subset
    from models.related_judgement import (
        KIND_CLASSES_MAX,
        has_companions,
        joint_embeddings,
        judge_vectors,
        word_probes,
    )

    class_count = len(labelled.classes)
    some = subset(labelled, labelled.of(np.arange(class_count), VECTORS_PER_CLASS_MAX))
    facts = {
        "photos": f"{len(labelled.class_of):,} of {class_count} classes, {photos.name}",
        "left_out": f"{len(labelled.left_out)} that could not be read",
        "bundle": f"space {space.space_id}, vision {space.vision_id}",
        "splits": f"{run['splits']}, seeds from {run['seed']}",
        "targets": run["targets"],
        "vectors_judged_on": f"{len(some.class_of):,} photos, at most {VECTORS_PER_CLASS_MAX} of each class",
        "related_photos": "those of the same class"
        if has_companions(some)
        else f"those of the same kind: the widest hypernym that at most {KIND_CLASSES_MAX} of the classes share",
    }
    evaluation = Evaluation(
        facts=facts,
        outcomes=outcomes,
        default=DEFAULT.name,
        candidates={"held out": class_count - class_count * 4 // 5, "all": class_count},
        vectors=judge_vectors(some, space),
        bins=score_bins(joint_embeddings(some, space), word_probes(some, space)),
    )
    return write_report(evaluation, out)
