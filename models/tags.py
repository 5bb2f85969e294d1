"""The tags of the 1,000 ImageNet classes: each class's own names, and the names of everything it is a kind of.

The table `models/data/imagenet_tags.tsv` is made by rule from WordNet 3.0, and made again by

    python -m models.tags --wordnet /usr/share/wordnet/data.noun > models/data/imagenet_tags.tsv

(Debian's `wordnet-base` has the file). Which 1,000 synsets, and in which order, is read from `--classes`: any text
that begins its lines with the synset's id, or the table itself; ImageNet numbers its classes in the order of ids.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_app.errors import BundleError

TAGS_PATH = Path(__file__).parent / "data" / "imagenet_tags.tsv"
COLUMNS = ("index", "wordnet_id", "names", "hypernyms")

# The classes that a synset stands above are counted by the table itself; a hypernym is (steps up, its names).
Hypernym = tuple[int, tuple[str, ...]]


@dataclass(frozen=True)
class ClassTags:
    """One class of a vision model, in words."""

    wordnet_id: str
    names: tuple[str, ...]
    hypernyms: tuple[Hypernym, ...]


@dataclass(frozen=True)
class Synset:
    """A noun meaning in WordNet: its words, and the synsets it is a kind (or an instance) of."""

    names: tuple[str, ...]
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
    return ClassTags(
        row[1], tuple(row[2].split(", ")), tuple((int(steps), tuple(names.split(", "))) for steps, names in hypernyms)
    )


def format_tags(classes: list[ClassTags]) -> Iterator[str]:
    """The lines of the table."""
    yield "# Made by `python -m models.tags` from WordNet 3.0; see NOTICE beside this file."
    yield "\t".join(COLUMNS)
    for ordinal, each in enumerate(classes):
        hypernyms = "; ".join(f"{steps}:{', '.join(names)}" for steps, names in each.hypernyms)
        yield "\t".join((str(ordinal), each.wordnet_id, ", ".join(each.names), hypernyms))


def read_synsets(data_noun: Path) -> dict[str, Synset]:
    """WordNet's `data.noun` as synset id ("n02084071") to synset."""
    synsets = {}
    with data_noun.open(encoding="latin-1") as lines:
        for line in lines:
            if not line.startswith("  "):  # the licence at the head is indented
                fields = line.split(" | ")[0].split()
                synsets["n" + fields[0]] = _parse_synset(fields)
    return synsets


def _parse_synset(fields: list[str]) -> Synset:
    word_count = int(fields[3], 16)
    names = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(word_count))
    pointers = fields[4 + 2 * word_count :]
    triples = zip(pointers[1::4], pointers[2::4], pointers[3::4], strict=False)
    return Synset(names, tuple("n" + offset for symbol, offset, part in triples if symbol[0] == "@" and part == "n"))


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
    parser.add_argument("--wordnet", type=Path, required=True, help="WordNet 3.0's data.noun")
    parser.add_argument("--classes", type=Path, default=TAGS_PATH, help="a text that names the 1,000 synset ids")
    arguments = parser.parse_args()
    wordnet_ids = sorted(set(re.findall(r"\bn\d{8}\b", arguments.classes.read_text(encoding="utf-8"))))
    synsets = read_synsets(arguments.wordnet)
    print("\n".join(format_tags([tags_of(each, synsets) for each in wordnet_ids])))


if __name__ == "__main__":
    main()
