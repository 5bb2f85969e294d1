"""What words are learnt from: the tags of photos or the sentences of a text, as lists of words, read again and again.

A *sentence* is a line of a text, or the tags of one photo. A tag of several words is one word, as in `new_york`.
"""

from __future__ import annotations

import gzip
import io
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import orjson

from stream_app.errors import WordsRejected

WORD = re.compile(r"[^\W_]+(?:[-'_][^\W_]+)*")
TAG_WORDS_MAX = 4  # more are a sentence, not a tag
EVENT_SUFFIXES = (".jsonl", ".ndjson")
TEXT_SUFFIXES = (".txt", ".text", ".tsv", ".csv", ".tags", ".md")
SNIFFED_BYTES = 4096


@dataclass
class TagCounts:
    """What a source held, and what of it was of no use."""

    sentences: int = 0
    wordless: int = 0  # lines and photos without a word
    unreadable: int = 0  # lines that are no JSON object with a list of tags
    undecodable: int = 0  # lines that are not all UTF-8; the rest of them is used

    def __str__(self) -> str:
        parts = [f"{self.sentences:,} sentences or photos"]
        notes = ("without a word", self.wordless), ("unreadable", self.unreadable), ("not in UTF-8", self.undecodable)
        return ", ".join(parts + [f"{count:,} {note}" for note, count in notes if count])


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters; hyphens and apostrophes stay within words."""
    return WORD.findall(unicodedata.normalize("NFC", text).lower().replace("’", "'"))


def tag_words(tag: str) -> list[str]:
    """A tag as one word, or as several where it is a sentence."""
    words = words_of(tag)
    return ["_".join(words)] if 1 <= len(words) <= TAG_WORDS_MAX else words


@dataclass
class PhotoTags:
    """The tags of photos by what was said of each last: a photo counts once, and one that was deleted not at all."""

    counts: TagCounts = field(default_factory=TagCounts)
    _by_photo: dict[Any, list[str]] = field(default_factory=dict)
    _tagged: int = 0

    def note(self, photo_id: Any, tags: Iterable[str] | None) -> None:
        """Remember the tags of a photo in the place of earlier ones; None leaves those as they were."""
        if tags is None:
            self._by_photo.setdefault(photo_id, [])
            return
        words = [word for tag in tags for word in tag_words(tag)]
        self._tagged += bool(words) - bool(self._by_photo.get(photo_id))
        self._by_photo[photo_id] = words

    def forget(self, photo_id: Any) -> None:
        """Take back all that was said of a photo."""
        self._tagged -= bool(self._by_photo.pop(photo_id, None))

    def __len__(self) -> int:
        """How many photos have tags."""
        return self._tagged

    def __iter__(self) -> Iterator[list[str]]:
        self.counts.sentences, self.counts.wordless = self._tagged, len(self._by_photo) - self._tagged
        return (words for words in self._by_photo.values() if words)


def read_photo_tags(path: Path) -> PhotoTags:
    """The tags in a JSONL file: events of photo-activity, or any objects with a list "tags"."""
    photos = PhotoTags()
    with _open(path) as lines:
        for number, line in enumerate(lines):
            if line.strip():
                _note(photos, line, number)
    return photos


def _note(photos: PhotoTags, line: str, number: int) -> None:
    try:
        event = orjson.loads(line)
        photo_id = event.get("photo_id", ("line", number))
        tags = event.get("tags")
    except (orjson.JSONDecodeError, AttributeError):
        photos.counts.unreadable += 1
        return
    if event.get("type") == "photo.deleted":
        photos.forget(_plain(photo_id))
    elif tags is None or (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        photos.note(_plain(photo_id), tags)
    else:
        photos.counts.unreadable += 1


def _plain(photo_id: Any) -> Any:
    """Ids come as numbers or as decimals in a string, and mean the same."""
    return photo_id if isinstance(photo_id, tuple) else str(photo_id)


@dataclass
class TextLines:
    """The lines of text files, each a sentence; with a separator, each the tags of a photo.

    With `paragraphs`, for texts whose lines are broken at the margin, the lines up to an empty one are a sentence.
    """

    paths: Sequence[Path]
    separator: str | None = None
    paragraphs: bool = False
    counts: TagCounts = field(default_factory=TagCounts)

    def __iter__(self) -> Iterator[list[str]]:
        self.counts = TagCounts()
        for path in self.paths:
            with _open(path) as lines:
                tabbed = ".tsv" in path.suffixes
                for line in _paragraphs(lines) if self.paragraphs and not tabbed else lines:
                    yield from self._sentence(line, tabbed)

    def _sentence(self, line: str, tabbed: bool) -> Iterator[list[str]]:
        self.counts.undecodable += "\N{REPLACEMENT CHARACTER}" in line
        text = line.rpartition("\t")[2] if tabbed else line  # what is before the text names it
        tags = text.split(self.separator) if self.separator else None
        words = words_of(text) if tags is None else [word for tag in tags for word in tag_words(tag)]
        self.counts.sentences += bool(words)
        self.counts.wordless += not words
        if words:
            yield words


class Sentences(Protocol):
    """Lists of words that can be read again and again, with counts of what was of no use after each time."""

    @property
    def counts(self) -> TagCounts:
        """What the last reading met."""
        ...

    def __iter__(self) -> Iterator[list[str]]: ...


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Lines that follow each other, as one; the end of a text is the end of a paragraph."""
    for is_empty, some in groupby(lines, key=lambda line: not line.strip()):
        if not is_empty:
            yield " ".join(some)


@dataclass
class Together:
    """Several sources as one."""

    sources: Sequence[Sentences]

    @property
    def counts(self) -> TagCounts:
        """The sums."""
        every = [each.counts for each in self.sources]
        return TagCounts(*(sum(getattr(one, name) for one in every) for name in TagCounts.__dataclass_fields__))

    def __iter__(self) -> Iterator[list[str]]:
        for source in self.sources:
            yield from source


def open_tags(source: Path, separator: str | None = None, *, paragraphs: bool = False) -> Together:
    """The sentences of a file or of all text files below a folder; WordsRejected when there is none."""
    paths = _text_files(source) if source.is_dir() else [source]
    events = [path for path in paths if _suffix(path) in EVENT_SUFFIXES]
    texts = [path for path in paths if path not in events]
    try:
        if not paths or any(_is_binary(path) for path in paths):
            raise WordsRejected(
                "There is no text to learn words from",
                expected="a file of text, or a folder with .txt, .tsv or .jsonl files (or .gz of them)",
                received=str(source),
            )
        return Together([TextLines(texts, separator, paragraphs), *map(read_photo_tags, events)])
    except (OSError, EOFError, zlib.error) as error:
        raise WordsRejected(f"{source} cannot be read", received=str(error)) from error


def _text_files(folder: Path) -> list[Path]:
    inside = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return [path for path in inside if _suffix(path) in (*TEXT_SUFFIXES, *EVENT_SUFFIXES)]


def _is_binary(path: Path) -> bool:
    with _open_bytes(path) as file:
        return b"\0" in file.read(SNIFFED_BYTES)


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in (".gz", ".dz") else path).suffix.lower()


def _open(path: Path) -> TextIO:
    return io.TextIOWrapper(_open_bytes(path), encoding="utf-8", errors="replace")


def _open_bytes(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]
