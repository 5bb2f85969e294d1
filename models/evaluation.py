"""Measures of a space, as functions of vectors and names: how well words and photos find what they should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROWS_AT_ONCE = 1_000  # keeps the table of scores small


class WordHits(NamedTuple):
    """How a word fared: the photos of it in the album, and those among the first k."""

    word: str
    present: int
    found: int
    score: float  # found, over the most that could be found


def precision_at_k(vectors: np.ndarray, classes: Sequence[str], k: int) -> float:
    """The share of each photo's k nearest (itself left out; vectors [n, d] of unit length) that are of its class."""
    names = np.asarray(classes)
    k = min(k, len(vectors) - 1)
    if k < 1:
        return 0.0
    right = 0
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        scores = vectors[start : start + ROWS_AT_ONCE] @ vectors.T
        rows = np.arange(len(scores))
        scores[rows, start + rows] = -np.inf
        nearest = np.argpartition(-scores, k, axis=1)[:, :k]
        right += int((names[nearest] == names[start + rows][:, None]).sum())
    return right / (len(vectors) * k)


def word_hits(word: str, scores: np.ndarray, is_right: np.ndarray, k: int = 5) -> WordHits | None:
    """How many of a word's photos (bool [n]) are among the k best scores [n]; None when the album has none of them."""
    present = int(is_right.sum())
    if present == 0:
        return None
    best = np.argsort(-scores, kind="stable")[:k]
    found = int(is_right[best].sum())
    return WordHits(word, present, found, found / min(k, present))


def mean_score(hits: Sequence[WordHits]) -> float:
    """The mean over words."""
    return float(np.mean([each.score for each in hits])) if hits else 0.0


def read_children(parent_child: Path) -> dict[str, set[str]]:
    """A hierarchy from lines `parent child`."""
    children: dict[str, set[str]] = {}
    for line in parent_child.read_text(encoding="utf-8").splitlines():
        parent, child = line.split()
        children.setdefault(parent, set()).add(child)
    return children


def descendants(synset: str, children: Mapping[str, AbstractSet[str]]) -> set[str]:
    """A synset and everything that is a kind of it."""
    found, open_ends = {synset}, [synset]
    while open_ends:
        new = children.get(open_ends.pop(), set()) - found
        found |= new
        open_ends.extend(new)
    return found
