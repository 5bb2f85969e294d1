"""WordNet as a text to learn words from: a sentence for each meaning, of its words, what it is a kind of, its gloss.

    dog domestic_dog canis_familiaris canine canid domestic_animal domesticated_animal carnivore animal a member of ...

Words that stand near one another here mean something alike; in other texts they merely occur together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from models.word_tags import TagCounts, words_of

PARTS_OF_SPEECH = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
# Hypernym, the kind of an instance, what an adjective is similar to, what an adverb or adjective comes from.
KINDS = ("@", "@i", "&", "\\")
LEVELS = 2  # how far up: a dog is a canine, and that is a carnivore
PARENTS_MAX = 2
MARKER = re.compile(r"\((a|p|ip)\)$")  # where an adjective may stand


class _Meaning(NamedTuple):
    words: list[str]
    parents: list[str]
    gloss: str


def is_wordnet(folder: Path) -> bool:
    """Whether the folder holds WordNet's database."""
    return all((folder / f"data.{part}").is_file() for part in PARTS_OF_SPEECH)


@dataclass
class WordNetText:
    """A sentence for each of WordNet's 117,659 meanings; phrases are joined, as in new_york."""

    folder: Path
    counts: TagCounts = field(default_factory=TagCounts)

    def __iter__(self) -> Iterator[list[str]]:
        meanings = {key: meaning for part in PARTS_OF_SPEECH for key, meaning in _read(self.folder, part)}
        self.counts = TagCounts(sentences=len(meanings))
        for meaning in meanings.values():
            kinds: list[str] = []
            above = meaning.parents
            for _ in range(LEVELS):
                kinds += [word for key in above for word in meanings[key].words]
                above = [key for each in above for key in meanings[each].parents][:PARENTS_MAX]
            yield meaning.words + kinds + words_of(meaning.gloss)
            # Again for single words: one that is in no other meaning's sentence ("zoo") would be too rare to learn.
            singles = [word for word in meaning.words if "_" not in word]
            if singles and meaning.parents:
                yield singles + [word for key in meaning.parents for word in meanings[key].words]


def _read(folder: Path, part: str) -> Iterator[tuple[str, _Meaning]]:
    with (folder / f"data.{part}").open(encoding="latin-1") as lines:
        for line in lines:
            if not line.startswith("  "):  # the licence at the head is indented
                fields, _, gloss = line.partition(" | ")
                yield _parse(fields.split(), PARTS_OF_SPEECH[part], gloss)


def _parse(fields: Sequence[str], part: str, gloss: str) -> tuple[str, _Meaning]:
    word_count = int(fields[3], 16)
    words = [MARKER.sub("", fields[4 + 2 * i]).lower() for i in range(word_count)]
    pointers = fields[5 + 2 * word_count :][: 4 * int(fields[4 + 2 * word_count])]
    triples = zip(pointers[0::4], pointers[1::4], pointers[2::4], strict=True)
    parents = [kind + offset for symbol, offset, kind in triples if symbol in KINDS]
    return part + fields[0], _Meaning(words, parents[:PARENTS_MAX], gloss)
