"""The tags of the 1,000 ImageNet classes: each class's own names, and the names of everything it is a kind of.

The table `models/data/imagenet_tags.tsv` is made by rule from WordNet 3.0, and made again by

    python -m models.tags --wordnet /usr/share/wordnet > tags.tsv

(Debian's `wordnet-base` has the folder). Which 1,000 synsets is read from `--classes`: any text with their ids, or
the table itself; ImageNet numbers its classes in the order of ids. As in WordNet, `hound#2` is the second meaning of
"hound": the less a word means the class at once, the less it says about it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stream_app.errors import BundleError

TAGS_PATH = Path(__file__).parent / "data" / "imagenet_tags.tsv"
COLUMNS = ("index", "wordnet_id", "names", "hypernyms")


class Word(NamedTuple):
    """A word or phrase, and which of its meanings is meant: 1 is the commonest."""

    text: str
    sense: int = 1


@dataclass(frozen=True)
class ClassTags:
    """One class of a vision model, in words: its own names, and (steps up, names) of each thing it is a kind of."""

    wordnet_id: str
    names: tuple[Word, ...]
    hypernyms: tuple[tuple[int, tuple[Word, ...]], ...]

    @property
    def tags(self) -> tuple[tuple[int, tuple[Word, ...]], ...]:
        """Names and hypernyms together; the class itself is no step up."""
        return (0, self.names), *self.hypernyms


@dataclass(frozen=True)
class Synset:
    """A noun meaning in WordNet: its words, and the synsets it is a kind (or an instance) of."""

    names: tuple[Word, ...]
    parents: tuple[str, ...]


def read_tags(path: Path = TAGS_PATH) -> list[ClassTags]:
    """The classes in the order of the network's outputs; BundleError naming the first line that is wrong."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    if not rows or tuple(rows[0]) != COLUMNS:
        raise BundleError(f"The tags {path.name} have no heading", expected=" ".join(COLUMNS))
    return [_parse_row(row, ordinal) for ordinal, row in enumerate(rows[1:])]


def _parse_row(row: list[str], ordinal: int) -> ClassTags:
    if len(row) != len(COLUMNS) or row[0] != str(ordinal):
        raise BundleError("The tags are out of order", expected=f"class {ordinal}", received=" ".join(row)[:60])
    hypernyms = [part.split(":", 1) for part in row[3].split("; ") if part]
    return ClassTags(row[1], parse_words(row[2]), tuple((int(steps), parse_words(names)) for steps, names in hypernyms))


def parse_words(text: str) -> tuple[Word, ...]:
    """The words of "dog, hound#2"."""
    parts = [part.partition("#") for part in text.split(", ")]
    return tuple(Word(name, int(sense or 1)) for name, _, sense in parts)


def _format_words(words: tuple[Word, ...]) -> str:
    return ", ".join(word.text if word.sense == 1 else f"{word.text}#{word.sense}" for word in words)


def format_tags(classes: list[ClassTags]) -> Iterator[str]:
    """The lines of the table."""
    yield "# Made by `python -m models.tags` from WordNet 3.0; see NOTICE beside this file."
    yield "\t".join(COLUMNS)
    for ordinal, each in enumerate(classes):
        hypernyms = "; ".join(f"{steps}:{_format_words(names)}" for steps, names in each.hypernyms)
        yield "\t".join((str(ordinal), each.wordnet_id, _format_words(each.names), hypernyms))


def read_synsets(wordnet: Path) -> dict[str, Synset]:
    """WordNet's nouns, from its folder, as synset id ("n02084071") to synset."""
    senses = {(fields[0], offset): rank for fields in _lines(wordnet / "index.noun") for rank, offset in _ranks(fields)}
    return {"n" + fields[0]: _parse_synset(fields, senses) for fields in _lines(wordnet / "data.noun")}


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="latin-1") as lines:
        for line in lines:
            if not line.startswith("  "):  # the licence at the head is indented
                yield line.split(" | ")[0].split()


def _ranks(fields: list[str]) -> Iterator[tuple[int, str]]:
    """The meanings of a word in `index.noun`, the commonest first: its last fields, as many as its third says."""
    return enumerate(fields[-int(fields[2]) :], start=1)


def _parse_synset(fields: list[str], senses: dict[tuple[str, str], int]) -> Synset:
    word_count = int(fields[3], 16)
    lemmas = [fields[4 + 2 * i] for i in range(word_count)]
    pointers = fields[4 + 2 * word_count :]
    triples = zip(pointers[1::4], pointers[2::4], pointers[3::4], strict=False)
    return Synset(
        tuple(Word(lemma.replace("_", " "), senses.get((lemma.lower(), fields[0]), 1)) for lemma in lemmas),
        tuple("n" + offset for symbol, offset, part in triples if symbol[0] == "@" and part == "n"),
    )


def tags_of(wordnet_id: str, synsets: dict[str, Synset]) -> ClassTags:
    """A class and all it is a kind of, nearest first; a synset reached by two ways counts by the shorter."""
    steps_of = {wordnet_id: 0}
    frontier = [wordnet_id]
    while frontier:
        above = [parent for each in frontier for parent in synsets[each].parents if parent not in steps_of]
        frontier = list(dict.fromkeys(above))
        steps = max(steps_of.values()) + 1
        steps_of.update(dict.fromkeys(frontier, steps))
    hypernyms = tuple((steps, synsets[each].names) for each, steps in steps_of.items() if steps)
    return ClassTags(wordnet_id, synsets[wordnet_id].names, hypernyms)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Make the table of the classes' tags from WordNet.")
    parser.add_argument("--wordnet", type=Path, required=True, help="WordNet 3.0's folder")
    parser.add_argument("--classes", type=Path, default=TAGS_PATH, help="a text that names the 1,000 synset ids")
    arguments = parser.parse_args()
    wordnet_ids = sorted(set(re.findall(r"\bn\d{8}\b", arguments.classes.read_text(encoding="utf-8"))))
    synsets = read_synsets(arguments.wordnet)
    print("\n".join(format_tags([tags_of(each, synsets) for each in wordnet_ids])))


if __name__ == "__main__":
    main()
