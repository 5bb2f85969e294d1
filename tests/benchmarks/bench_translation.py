"""How often the right translation of an ambiguous word is chosen by the tags beside it.

    python tests/benchmarks/bench_translation.py [NAME_OF_WORDS ...]

The cases, in ambiguous_words.tsv beside this file, were written by hand from what dictionaries know: a word of another
language, its English translations, and three tags of a photo that shows one of them. They were written before the
first result was seen. Prints a table in Markdown for each of the named words (models/word_sources.py), or for all.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
CASES = Path(__file__).with_name("ambiguous_words.tsv")

from models.translation import SURE_MARGIN, Candidate, disambiguate  # noqa: E402  (the root must be on the path first)
from models.word_sources import WORD_SOURCES, word_source  # noqa: E402
from models.words import Vocabulary  # noqa: E402
from stream_app.errors import BundleError  # noqa: E402


class Case(NamedTuple):
    """An ambiguous word, and which of its translations the context speaks for."""

    language: str
    word: str
    candidates: tuple[str, ...]
    right: str
    context: tuple[str, ...]


class Outcome(NamedTuple):
    """A case and what was chosen."""

    case: Case
    chosen: str
    margin: float

    @property
    def right(self) -> bool:
        """Whether the choice is the right one."""
        return self.chosen == self.case.right


def read_cases(path: Path = CASES) -> list[Case]:
    """Every case of the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        Case(
            row["language"],
            row["word"],
            tuple(row["candidates"].split(", ")),
            row["right"],
            tuple(row["context"].split(", ")),
        )
        for row in rows
    ]


def outcomes(cases: Sequence[Case], vocabulary: Vocabulary) -> list[Outcome]:
    """What `disambiguate` chooses in each case."""
    found = []
    for case in cases:
        choice = disambiguate([Candidate(each) for each in case.candidates], case.context, vocabulary)
        found.append(Outcome(case, choice.ranked[0].candidate.text, choice.margin or 0.0))
    return found


def most_frequent_right(cases: Sequence[Case], vocabulary: Vocabulary) -> int:
    """In how many cases the commonest translation, whatever the context, is the right one."""

    def rank(word: str) -> int:
        return vocabulary.rank_of.get(vocabulary.fold(word) or "", len(vocabulary.words))

    return sum(min(case.candidates, key=rank) == case.right for case in cases)


def print_table(name: str, cases: Sequence[Case], vocabulary: Vocabulary) -> None:
    """One table: all cases, those that it is sure of, and the guess that knows no context."""
    found = outcomes(cases, vocabulary)
    sure = [each for each in found if each.margin >= SURE_MARGIN]
    unsure = [each for each in found if each.margin < SURE_MARGIN]
    print(f"\n| {name} | cases | right | share |\n|---|---:|---:|---:|")
    for row, some in (("by context", found), (f"sure, by {SURE_MARGIN} or more", sure), ("not sure", unsure)):
        _print_row(row, sum(each.right for each in some), len(some))
    _print_row("the commonest, whatever the context", most_frequent_right(cases, vocabulary), len(cases))
    wrong = [f"{each.case.word}: {each.chosen} for {each.case.right}" for each in found if not each.right]
    print(f"\nwrong: {'; '.join(wrong) or 'none'}")


def _print_row(name: str, right: int, count: int) -> None:
    print(f"| {name} | {count} | {right} | {right / max(count, 1):.3f} |")


def main() -> None:
    """Print a table for each set of words."""
    cases = read_cases()
    print(f"{len(cases)} cases of {len({(each.language, each.word) for each in cases})} words")
    for name in sys.argv[1:] or WORD_SOURCES:
        try:
            vocabulary = word_source(name)().vocabulary
        except BundleError as error:
            print(f"\n{name} was not measured: {error}")
        else:
            print_table(name, cases, vocabulary)


if __name__ == "__main__":
    main()
