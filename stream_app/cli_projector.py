"""The command `sightline projector`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from stream_app.running import with_running_services
from stream_app.settings import Settings

#: Photos and words together are no more than models.projector.POINTS_MAX.
COUNT_MAX = 50_000


@click.command(short_help="Write the album for TensorBoard's projector.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--count", type=click.IntRange(1, COUNT_MAX), default=10_000, show_default=True, help="Most photos.")
@click.option("--words", type=click.IntRange(0, COUNT_MAX), default=1_000, show_default=True, help="Most words.")
def projector(folder: Path, count: int, words: int) -> None:
    """Write the album to FOLDER as TensorBoard's projector shows it: vectors, words, thumbnails.

    It is read from Kafka, so no worker need be running. An album with more than --count photos gives a fair sample,
    the same each time. Then: tensorboard --logdir FOLDER
    """
    settings = with_running_services(Settings.from_environment())
    click.echo(asyncio.run(_export(settings, folder, count, words)))


async def _export(settings: Settings, folder: Path, count: int, word_count: int) -> str:
    from models.space import Space
    from stream_app.photo_points import read_points
    from stream_app.photos import PhotoReader
    from stream_app.projector import ProjectorExport, write_folder
    from stream_app.roots import PublishedRoots
    from stream_app.worker import bundle_dir

    space = Space.load(await asyncio.to_thread(bundle_dir, settings))
    points = await read_points(settings, space, count)
    words = await asyncio.to_thread(space.vocabulary.frequent_answers, word_count)
    reader = PhotoReader(
        roots=PublishedRoots(settings, always=[settings.data_dir / "uploads"]),
        bytes_max=settings.photo_bytes_max,
        private_addresses_allowed=settings.private_addresses_allowed,
        timeout_seconds=settings.fetch_timeout_seconds,
    )
    export = ProjectorExport(
        points, words, space.vocabulary, lambda photo: reader.read(photo.url), pixels_max=settings.photo_pixels_max
    )
    try:
        await write_folder(folder, export)
    finally:
        await reader.close()
    missing = f", {export.blank_count} of them without a picture" if export.blank_count else ""
    return f"{len(points):,} photos{missing} and {len(words):,} words. Now: tensorboard --logdir {folder}"
