"""Words with their vectors while they are read: row by row into a memory-mapped file, each word once."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stream_app.errors import WordsRejected

DIMENSIONS_MAX = 10_000  # more is a damaged header


@dataclass(frozen=True)
class WordVectors:
    """Words as a file has them, in its order, which is that of frequency; and how many it had more than once."""

    words: list[str]
    vectors: np.ndarray  # float32 [n, d], memory-mapped where they came from a text
    duplicates: int = 0


class Rows:
    """Takes rows one after another; the first of the rows that share a word is kept."""

    def __init__(self, name: str, promised: int, dimensions: int, scratch: Path) -> None:
        if not (promised >= 1 and 1 <= dimensions <= DIMENSIONS_MAX):
            raise WordsRejected(
                f"There are no words in {name}",
                expected=f"words, each with 1 to {DIMENSIONS_MAX} numbers",
                received=f"{promised} words with {dimensions}",
            )
        self._name, self._promised, self._taken = name, promised, 0
        self._rank_of: dict[str, int] = {}
        file = tempfile.NamedTemporaryFile(dir=scratch, suffix=".npy", delete=False)  # noqa: SIM115
        file.close()
        self._vectors = np.lib.format.open_memmap(file.name, mode="w+", dtype=np.float32, shape=(promised, dimensions))

    def add(self, word: str, numbers: np.ndarray) -> None:
        """Take a word and its numbers [d]; WordsRejected when there are more rows than were promised."""
        self._taken += 1
        if self._taken > self._promised:
            raise self._miscounted("more")
        rank = len(self._rank_of)
        if self._rank_of.setdefault(word, rank) == rank:
            self._vectors[rank] = numbers

    def finished(self, *, whole: bool) -> WordVectors:
        """What was taken; with `whole`, WordsRejected when it is less than was promised."""
        if whole and self._taken != self._promised:
            raise self._miscounted(f"{self._taken}")
        words = list(self._rank_of)
        return WordVectors(words, self._vectors[: len(words)], self._taken - len(words))

    def _miscounted(self, received: str) -> WordsRejected:
        return WordsRejected(
            f"{self._name} is cut off or damaged", expected=f"{self._promised} words", received=received
        )


def parse_numbers(fields: Sequence[bytes], place: str) -> np.ndarray:
    """float32 [d] from text; WordsRejected naming the place for what is no number, or not finite."""
    try:
        numbers = np.array(fields, dtype=np.float32)
    except ValueError as error:
        raise WordsRejected(f"Not a number in {place}", received=str(error)) from None
    if not np.isfinite(numbers).all():
        raise WordsRejected(f"A number is not finite in {place}", expected="finite numbers", received="NaN or infinity")
    return numbers
