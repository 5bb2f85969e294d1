"""The commands that ask a running worker: `search`, `related`, `classify`, `suggest`, `rank` and `photographers`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console

from stream_app import answer_tables
from stream_app.errors import SettingsError
from stream_app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_app.client import Client
    from stream_app.contract.values import Answer

Command = TypeVar("Command", bound=Callable[..., Any])

_connection = (
    click.option("--url", help="The worker's address; default: the host and port of the settings, on this machine."),
    click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
)
_filters = (
    click.option(
        "--tag", multiple=True, help="Only photos that their owner gave this tag; of several any one will do."
    ),
    click.option("--label", multiple=True, help="Only photos with this label."),
    click.option("--user", "user_id", multiple=True, metavar="ID", help="Only photos of this photographer."),
    click.option("--exclude-user", multiple=True, metavar="ID", help="No photos of this photographer."),
    click.option(
        "--after", default="", metavar="TIME", help="Uploaded then or later: 2026-11-23 or 2026-11-23T22:16:00Z, UTC."
    ),
    click.option("--before", default="", metavar="TIME", help="Uploaded earlier."),
    click.option(
        "--orientation",
        type=click.Choice(["landscape", "portrait", "square"]),
        metavar="WHICH",
        help="Only landscape, portrait or square photos.",
    ),
    click.option("--min-width", type=click.IntRange(0, 1_000_000), default=0, metavar="PIXELS", help="None narrower."),
    click.option("--min-height", type=click.IntRange(0, 1_000_000), default=0, metavar="PIXELS", help="None lower."),
    click.option("--min-score", type=click.FloatRange(-2, 2), help="No hits below it."),
)
_pages = (
    click.option("--fold", is_flag=True, help="Show near-duplicates once, with their count."),
    click.option("--cursor", default="", help='"*" begins a walk over all hits; then next_cursor of the last answer.'),
)
_how_many = click.option("-k", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many.")
_explain = click.option("--explain", is_flag=True, help="Say why.")


def _asking(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """A command that asks a worker, with these options and those of every one."""

    def with_options(command: Command) -> Command:
        for option in reversed((*options, *_connection)):
            command = option(command)
        return command

    return with_options


@click.command(short_help="Find photos for words, or like a photo's file.")
@click.argument("words", nargs=-1)
@click.option(
    "--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Search by this photo, too."
)
@_asking(_how_many, *_filters, *_pages, _explain)
def search(words: tuple[str, ...], image: Path | None, url: str | None, as_json: bool, **options: Any) -> None:
    """Find photos for WORDS, as in: boat on a lake; king - man + woman; sunset^2 beach; photo:42 - dog."""
    _require(bool(words) or image is not None, "WORDS or --image")
    with _client(url) as client:
        asked = " ".join(words)
        answer = client.search_image(image, q=asked, **options) if image else client.search(asked, **options)
    _print(answer, as_json, answer_tables.hits)


@click.command()
@click.argument("photo_id")
@_asking(_how_many, *_filters, *_pages, _explain)
def related(photo_id: str, url: str | None, as_json: bool, **options: Any) -> None:
    """Find photos like the one with PHOTO_ID."""
    with _client(url) as client:
        answer = client.related(photo_id, **options)
    _print(answer, as_json, answer_tables.hits)


@click.command(short_help="Name what a photo shows.")
@click.argument("photo")
@_asking(_how_many)
def classify(photo: str, k: int, url: str | None, as_json: bool) -> None:
    """Name what PHOTO shows: a file, or the id of a photo of the album."""
    path = Path(photo)
    _require(path.is_file() or photo.isdecimal(), "a photo's file, or the id of one in the album", repr(photo))
    with _client(url) as client:
        answer = client.classify(path, k=k) if path.is_file() else client.classification(photo, k=k)
    _print(answer, as_json, answer_tables.classification)


@click.command()
@click.argument("gallery_id", required=False)
@click.option("--photo", "photo_ids", multiple=True, metavar="ID", help="Complete these instead; may be repeated.")
@click.option(
    "--method",
    type=click.Choice(["themes", "mean"]),
    default="themes",
    show_default=True,
    help="For each theme of the members in turn, or for the mean of them all.",
)
@click.option("--fold/--all", default=True, help="Leave near-duplicates out (the default), or not.")
@_asking(_how_many, *_filters, _explain)
def suggest(gallery_id: str | None, photo_ids: tuple[str, ...], url: str | None, as_json: bool, **options: Any) -> None:
    """Suggest photos that would complete the gallery GALLERY_ID."""
    _require((gallery_id is None) is bool(photo_ids), "either GALLERY_ID or --photo")
    with _client(url) as client:
        if gallery_id is not None:
            answer = client.gallery_suggestions(gallery_id, **options)
        else:
            answer = client.suggestions(photo_ids, **options)
    _print(answer, as_json, answer_tables.suggestions)


@click.command(short_help="Rank a quest's submissions, and flag what is off topic.")
@click.argument("quest_id")
@click.option("-k", type=click.IntRange(1, 1_000), default=100, show_default=True, help="How many.")
@_asking(_explain)
def rank(quest_id: str, k: int, explain: bool, url: str | None, as_json: bool) -> None:
    """Rank the submissions of the quest QUEST_ID, and flag what is off topic or a duplicate."""
    with _client(url) as client:
        answer = client.quest_ranking(quest_id, k=k, explain=explain)
    _print(answer, as_json, answer_tables.ranking)


@click.command(short_help="Find photographers for an assignment.")
@click.argument("words", nargs=-1)
@click.option("--photo", "photo_ids", multiple=True, metavar="ID", help="An example photo; may be repeated.")
@click.option(
    "--model",
    type=click.Choice(["best", "mean", "share"]),
    default="best",
    show_default=True,
    help="Score by the best five photos, by the mean of all, or by the share that suits.",
)
@click.option("--evidence", type=click.IntRange(0, 20), default=3, show_default=True, help="Photos with every name.")
@click.option("--exclude-user", multiple=True, metavar="ID", help="Not this photographer.")
@_asking(_how_many)
def photographers(words: tuple[str, ...], url: str | None, as_json: bool, **options: Any) -> None:
    """Find photographers for an assignment: WORDS, example photos, or both."""
    _require(bool(words or options["photo_ids"]), "WORDS or --photo")
    with _client(url) as client:
        answer = client.photographers(" ".join(words), **options)
    _print(answer, as_json, answer_tables.photographers)


COMMANDS = (search, related, classify, suggest, rank, photographers)


@contextmanager
def _client(url: str | None) -> Iterator[Client]:
    from stream_app.client import Client

    settings = Settings.from_environment()
    with Client(url or f"http://{_reached(settings.web_host)}:{settings.web_port}", retries=1) as client:
        yield client


def _reached(web_host: str) -> str:
    """A name under which a server that is bound to an address can be reached from here."""
    if web_host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{web_host}]" if ":" in web_host else web_host


def _require(is_there: bool, expected: str, received: str = "neither, or both") -> None:
    if not is_there:
        raise SettingsError("There is nothing to ask for", expected=expected, received=received)


def _print(answer: Answer, as_json: bool, table: Callable[[Any, Console], None]) -> None:
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=1))
    else:
        table(answer, answer_tables.console())
