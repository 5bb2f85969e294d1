"""The command `sightline train joint`."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream_app.errors import SettingsError
from stream_app.running import with_running_services
from stream_app.settings import Settings

if TYPE_CHECKING:
    from models.joint_training import JointTraining, TaggedPhotos


@click.command("joint", short_help="Train the projection from photos into the word space.")
@click.argument("source", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--topic", is_flag=True, help="Learn from the album's own photos and tags, as Kafka holds them.")
@click.option("--photos-max", default=100_000, show_default=True, help="With --topic: the last so many photos.")
@click.option("--bundle", type=click.Path(path_type=Path), help="The bundle to begin from (default: the worker's).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the new bundle.")
@click.option("--loss", default="bilinear", show_default=True, help="bilinear, ridge, cosine, hinge or prototypes.")
@click.option("--targets", default="hypernyms", show_default=True, help="one_tag, many_tags or hypernyms.")
@click.option("--seed", default=0, show_default=True, help="Draws the tags that are held out.")
@click.option("--log-dir", type=click.Path(path_type=Path), help="Write losses for TensorBoard here.")
def joint(
    source: Path | None,
    topic: bool,
    photos_max: int,
    bundle: Path | None,
    out: Path,
    loss: str,
    targets: str,
    seed: int,
    log_dir: Path | None,
) -> None:
    """Train the linear projection from image embeddings into the word space, on photos and their tags.

    SOURCE is a folder with a folder per class, a tar file of one, or a JSONL file of photo.uploaded events. A fifth of
    the tags is held out: they choose the settings, and how much the projection says beside what the bundle knows. The
    new bundle in --out is served with SIGHTLINE_BUNDLE.
    """
    from models.bundle import project_bundle, read_manifest
    from models.joint_training import train_joint
    from models.linear_projection import TrainedProjection
    from models.space import Space
    from stream_app.worker import bundle_dir

    if (source is None) is not topic:
        raise SettingsError("Nothing to train on", expected="either SOURCE or --topic", received="both or neither")
    settings = Settings.from_environment()
    base = bundle or bundle_dir(settings)
    manifest = read_manifest(base)
    photos = _photos(settings, source, base, manifest.vision_id, photos_max)
    training = train_joint(
        photos, Space.load(base), loss=loss, targets=targets, seed=seed, log_dir=log_dir, say=click.echo
    )
    projection = TrainedProjection(training.projection, training.weight)
    project_bundle(base, out, projection)
    report = _report(training)
    (out.parent / f"{out.name}.training.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    click.echo(_said(training))
    click.echo(f"The bundle is in {out}: SIGHTLINE_BUNDLE={out} serves it.")


def _photos(settings: Settings, source: Path | None, base: Path, vision_id: str, photos_max: int) -> TaggedPhotos:
    from stream_app.tagged_sources import tagged_of_events, tagged_of_folder, tagged_of_topic

    if source is None:
        return asyncio.run(tagged_of_topic(with_running_services(settings), vision_id, photos_max))
    from models.encoder import LocalEncoder
    from stream_app.encoders import exact_device_of

    encoder = LocalEncoder(base, device=exact_device_of(settings))
    try:
        with click.progressbar(length=0, label="Encoding photos", show_pos=True) as bar:
            if source.suffix in (".jsonl", ".ndjson"):
                return tagged_of_events(source, encoder, say=bar.update)
            return tagged_of_folder(source, encoder, settings.data_dir / "encoded", say=bar.update)
    finally:
        encoder.close()


def _said(training: JointTraining) -> str:
    before, after = training.validation[0.0], training.validation[training.weight]
    lines = [
        f"{training.examples:,} examples of {training.tags:,} tags on {training.photos:,} photos.",
        f"Held-out tags, mean of hit@1 and hit@5: {100 * before:.1f} as it was, {100 * after:.1f} with weight "
        f"{training.weight:g} for the projection.",
    ]
    if training.weight == 0:
        lines.append("The projection adds nothing here: the new bundle answers as the old one does.")
    return "\n".join(lines + _left_out(training.unknown_tags))


def _left_out(unknown: Counter[str]) -> list[str]:
    if not unknown:
        return []
    shown = ", ".join(f"{tag} ({count})" for tag, count in unknown.most_common(10))
    return [f"Left out, since the vocabulary has no word of theirs: {len(unknown):,} tags, {shown}"]


def _report(training: JointTraining) -> dict[str, object]:
    return {
        "loss": training.loss,
        "settings": training.settings,
        "targets": training.targets,
        "seed": training.seed,
        "photos": training.photos,
        "examples": training.examples,
        "tags": training.tags,
        "weight": training.weight,
        "validation_by_weight": {str(weight): score for weight, score in training.validation.items()},
        "unknown_tags": dict(training.unknown_tags.most_common()),
    }
