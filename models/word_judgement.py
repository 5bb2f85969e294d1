"""How good words are: likeness as people judge it, analogies, and what is nearest to frequent words.

The judgements come with gensim: WordSim-353 (Finkelstein et al. 2002: related), SimLex-999 (Hill et al. 2015: alike,
not merely related), and the analogies of Mikolov et al. 2013. What a vocabulary lacks is counted, never passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.words import Vocabulary

PAIR_FILES = {"WordSim-353": "wordsim353.tsv", "SimLex-999": "simlex999.txt"}
ANALOGY_FILE = "questions-words.txt"
ANALOGY_RANK_MAX = 100_000  # an answer is sought among so many frequent words
QUESTIONS_AT_ONCE = 500
NEAREST_WORDS, NEIGHBOURS = 20, 6
TELLING_WORD = re.compile(r"[^\W\d_]{3,}([-'_][^\W\d_]+)*")

Pair = tuple[str, str, float]


@dataclass(frozen=True)
class PairScore:
    """Spearman's correlation of cosines with people's judgements, over the pairs whose words are both known."""

    name: str
    spearman: float  # NaN where fewer than three pairs are known
    judged: int
    pairs: int
    unknown: dict[str, int]  # words, with the number of pairs that each spoils


@dataclass(frozen=True)
class AnalogyScore:
    """Questions such as "Athens is to Greece as Oslo is to ...": right ones, over those whose words are all known."""

    right: int
    covered: int
    questions: int

    @property
    def accuracy(self) -> float:
        """The share of the covered questions; NaN where there are none."""
        return self.right / self.covered if self.covered else float("nan")


@dataclass(frozen=True)
class WordReport:
    """All that is said of a vocabulary."""

    words: int
    dimensions: int
    pairs: list[PairScore]
    analogies: AnalogyScore
    nearest: dict[str, list[str]]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; what could not be judged is null."""
        report = asdict(self)
        for score, given in zip(self.pairs, report["pairs"], strict=True):
            given["spearman"] = None if np.isnan(score.spearman) else score.spearman
        report["analogies"]["accuracy"] = self.analogies.accuracy if self.analogies.covered else None
        return report


def judge_words(vocabulary: Vocabulary) -> WordReport:
    """The report on a vocabulary; seconds for one of 65,000 words."""
    unit = unit_rows(vocabulary)
    return WordReport(
        words=len(vocabulary.words),
        dimensions=vocabulary.dimensions,
        pairs=[judge_pairs(name, read_pairs(name), vocabulary, unit) for name in PAIR_FILES],
        analogies=judge_analogies(list(read_analogies()), vocabulary, unit),
        nearest=nearest_to_frequent(vocabulary, unit),
    )


def compare_pairs(one: Vocabulary, other: Vocabulary) -> list[tuple[PairScore, PairScore]]:
    """Two vocabularies on the same pairs: those whose words both know."""
    compared = []
    for name in PAIR_FILES:
        pairs = [each for each in read_pairs(name) if {*each[:2]} <= one.rank_of.keys() & other.rank_of.keys()]
        compared.append((judge_pairs(name, pairs, one), judge_pairs(name, pairs, other)))
    return compared


def unit_rows(vocabulary: Vocabulary) -> np.ndarray:
    """float32 [n, d], each of length 1."""
    vectors = np.asarray(vocabulary.vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def read_pairs(name: str) -> list[Pair]:
    """Pairs of words, in small letters, with the mean of people's judgements."""
    lines = _data(PAIR_FILES[name]).read_text(encoding="utf-8").splitlines()
    rows = [line.lower().split("\t") for line in lines if line and not line.startswith("#")]
    return [(one, other, float(judged)) for one, other, judged in rows]


def read_analogies() -> Iterator[tuple[str, str, str, str]]:
    """Questions of four words, in small letters; the last is the answer."""
    for line in _data(ANALOGY_FILE).read_text(encoding="utf-8").lower().splitlines():
        if not line.startswith(":"):
            first, second, third, answer = line.split()
            yield first, second, third, answer


def _data(name: str) -> Path:
    from gensim.test.utils import datapath

    return Path(datapath(name))


def judge_pairs(name: str, pairs: Sequence[Pair], vocabulary: Vocabulary, unit: np.ndarray | None = None) -> PairScore:
    """How the cosines of pairs follow people's judgements."""
    rank_of = vocabulary.rank_of
    unknown = Counter(word for pair in pairs for word in {*pair[:2]} if word not in rank_of)
    known = [pair for pair in pairs if pair[0] in rank_of and pair[1] in rank_of]
    unit = unit_rows(vocabulary) if unit is None else unit
    ones, others = unit[[rank_of[pair[0]] for pair in known]], unit[[rank_of[pair[1]] for pair in known]]
    correlation = spearman((ones * others).sum(axis=1), np.array([pair[2] for pair in known]))
    return PairScore(name, correlation, len(known), len(pairs), dict(unknown.most_common()))


def spearman(ones: np.ndarray, others: np.ndarray) -> float:
    """Spearman's rank correlation, ties by their mean rank; NaN where there is nothing to rank."""
    if len(ones) < 3 or np.ptp(ones) == 0 or np.ptp(others) == 0:
        return float("nan")
    return float(np.corrcoef(_mean_ranks(ones), _mean_ranks(others))[0, 1])


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def judge_analogies(
    questions: Sequence[tuple[str, str, str, str]], vocabulary: Vocabulary, unit: np.ndarray | None = None
) -> AnalogyScore:
    """Answer each question with the word nearest to second - first + third, which are themselves no answer."""
    rank_of, limit = vocabulary.rank_of, ANALOGY_RANK_MAX
    covered = [each for each in questions if all(rank_of.get(word, limit) < limit for word in each)]
    ranks = np.array([[rank_of[word] for word in each] for each in covered], dtype=np.intp).reshape(-1, 4)
    unit = (unit_rows(vocabulary) if unit is None else unit)[:limit]
    right = 0
    for start in range(0, len(ranks), QUESTIONS_AT_ONCE):
        block = ranks[start : start + QUESTIONS_AT_ONCE]
        scores = (unit[block[:, 1]] - unit[block[:, 0]] + unit[block[:, 2]]) @ unit.T
        np.put_along_axis(scores, block[:, :3], -np.inf, axis=1)
        right += int((scores.argmax(axis=1) == block[:, 3]).sum())
    return AnalogyScore(right, len(covered), len(questions))


def nearest_to_frequent(
    vocabulary: Vocabulary, unit: np.ndarray, small_words: Collection[str] | None = None
) -> dict[str, list[str]]:
    """The 20 most frequent words that say something, each with the words nearest to it."""
    from gensim.parsing.preprocessing import STOPWORDS

    passed_over = STOPWORDS if small_words is None else small_words
    telling = (word for word in vocabulary.words if word not in passed_over and TELLING_WORD.fullmatch(word))
    nearest = {}
    for word, _ in zip(telling, range(NEAREST_WORDS), strict=False):
        scores = unit @ unit[vocabulary.rank_of[word]]
        best = np.argsort(-scores, kind="stable")[: NEIGHBOURS + 1]
        nearest[word] = [vocabulary.words[row] for row in best if vocabulary.words[row] != word][:NEIGHBOURS]
    return nearest
