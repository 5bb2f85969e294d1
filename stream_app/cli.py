"""The command `sightline`: one door to everything, thin around the rooms behind it."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import click

from stream_app import __version__
from stream_app.cli_applications import evaluate
from stream_app.cli_ask import COMMANDS
from stream_app.cli_bundles import bundles, export
from stream_app.cli_index import index
from stream_app.cli_lsh import lsh
from stream_app.cli_projector import projector
from stream_app.cli_redis import redis_commands
from stream_app.cli_train import train
from stream_app.cli_words import words
from stream_app.errors import SightlineError
from stream_app.running import with_running_services
from stream_app.settings import Settings

#: Troubles of a disk or a folder, of which a traceback says nothing more.
_OF_THE_DISK = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ENOTDIR,
    errno.EEXIST,
)
INDENT = " " * 4
#: What says where a library writes, where it would, and our folder for it.
_WRITERS = (("KERAS_HOME", "~/.keras", "keras"), ("MPLCONFIGDIR", "~/.config/matplotlib", "matplotlib"))


class _Commands(click.Group):
    """Shows an expected problem as one line, and only an unexpected one as a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SightlineError as problem:
            click.echo(f"sightline: {problem}", err=True)
            raise SystemExit(2) from None
        except OSError as problem:
            if problem.errno not in _OF_THE_DISK and "free space" not in str(problem):  # the latter in numpy's words
                raise
            said = f"{problem.filename or 'A file'} cannot be used; {problem.strerror}" if problem.errno else problem
            click.echo(f"sightline: {said}.", err=True)
            raise SystemExit(2) from None


def _keep_out_of_home(data_dir: Path) -> None:
    """Let libraries that write into the home folder write below ours, unless they have a place already."""
    for variable, place, ours in _WRITERS:
        if not os.path.exists(os.path.expanduser(place)):
            os.environ.setdefault(variable, str(data_dir / ours))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sightline")
def main() -> None:
    """A live, visual-semantic search engine for photographs.

    Every setting is an environment variable; `sightline settings` lists them all.
    """
    _keep_out_of_home(Settings.from_environment().data_dir)


@main.command()
@click.option("--photos", type=click.Path(path_type=Path), help="Publish this folder, and follow its changes.")
@click.option("--starter", is_flag=True, help="Publish the photographs that installed packages carry.")
@click.option("--port", type=int, help="Port of the page and the API (default 6066).")
def up(photos: Path | None, starter: bool, port: int | None) -> None:
    """Start everything on this machine and keep it running.

    Kafka and Redis are taken from SIGHTLINE_BROKER_URL and SIGHTLINE_REDIS_URL; where one is not set, a private
    one is started and stopped with this command.
    """
    from stream_app.folders import require_photos
    from stream_app.local_services import made
    from stream_app.starter import starter_album
    from stream_app.supervisor import run_up

    settings = Settings.from_environment(None, **({"web_port": port} if port is not None else {}))
    folders = [require_photos(photos)] if photos else []
    made(settings.data_dir)
    if starter and not photos:
        folders = [starter_album(settings, say=click.echo)]
    run_up(settings, folders)


@main.command()
def worker() -> None:
    """Run one worker against the Kafka and Redis of the settings."""
    from stream_app.worker import run_worker

    run_worker(Settings.from_environment())


@main.command(short_help="Send a folder of photos, or a file of events.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Stay and follow the folder: new, changed and vanished files.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def publish(source: Path, watch: bool, quiet: bool) -> None:
    """Send SOURCE, a folder of photos or a JSONL file of events, to Kafka; repeating it does no harm.

    A line of the file is one event of a photo, a user, a gallery or a quest, as `photo-activity` and
    `collection-activity` take them; /api/topics of a worker shows their schemas.
    """
    from stream_app.publishing import publish as publish_source

    settings = with_running_services(Settings.from_environment())
    report = asyncio.run(publish_source(settings, source, watch=watch, progress=not quiet))
    click.echo(f"{report}")


@main.group("dead-letters")
def dead_letters() -> None:
    """What could not be worked on, and why."""


@dead_letters.command("list")
def list_dead_letters() -> None:
    """Print every dead letter with its reason."""
    from stream_app.dead_letters import list_dead_letters as read

    settings = with_running_services(Settings.from_environment())
    letters = asyncio.run(read(settings))
    for letter in letters:
        click.echo(letter)
    click.echo(_counted(len(letters), "dead letter"), err=True)


@dead_letters.command("replay", short_help="Send every dead letter to where it came from.")
def replay_dead_letters() -> None:
    """Send every dead letter to its source topic once more, in the order in which they came."""
    from stream_app.dead_letters import replay_dead_letters as replay

    settings = with_running_services(Settings.from_environment())
    click.echo(f"{_counted(asyncio.run(replay(settings)), 'dead letter')} replayed")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@main.command("settings")
def show_settings() -> None:
    """List every setting, its value now, and what it is for."""
    from dataclasses import fields

    settings = Settings.from_environment()
    for each in fields(settings):
        click.echo(f"SIGHTLINE_{each.name.upper()}={getattr(settings, each.name)}")
        click.echo(click.wrap_text(each.metadata["help"], 80, INDENT, INDENT))


main.add_command(bundles)
main.add_command(click.Group("bundle", commands={"build": bundles.commands["build"]}, hidden=True))  # its former name
main.add_command(evaluate)
main.add_command(export)
main.add_command(index)
main.add_command(lsh)
main.add_command(projector)
main.add_command(redis_commands)
main.add_command(train)
main.add_command(words)
for each in COMMANDS:
    main.add_command(each)

if __name__ == "__main__":
    main()
