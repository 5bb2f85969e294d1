"""From candidates to a page of hits: in order, near-duplicates folded, from where the page before ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream_app.contract.searching import Options
from stream_app.cursors import Cursor
from stream_app.photo_signatures import originals


class Candidate(NamedTuple):
    """A photo that was found: its score, of which `bonus` is for tags, the cosine, and who found it."""

    photo_id: int
    score: float
    cosine: float
    bonus: float
    source: str


class PageHit(NamedTuple):
    """A hit of a page, and the near-duplicates of it that are not shown."""

    candidate: Candidate
    duplicates: int


@dataclass(frozen=True)
class Page:
    """A page of hits, whether it has as many as were asked for, and whether `min_score` ended it.

    `cursor` is where the next page begins; None at the end.
    """

    hits: list[PageHit]
    is_full: bool
    is_last: bool
    cursor: Cursor | None


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best first; equal scores by photo_id, so that answers repeat."""
    return sorted(candidates, key=lambda each: (-each.score, each.photo_id))


def page_of(
    candidates: Sequence[Candidate],
    options: Options,
    cursor: Cursor | None,
    signatures: Callable[[Sequence[int]], np.ndarray],
    near_bits: int,
) -> Page:
    """The page behind `cursor` of candidates in order.

    `signatures` gives uint8 [n, 32] of photos; two of which at most `near_bits` differ are near-duplicates. A
    photo is folded into the best hit that it is a near-duplicate of, wherever that stood.
    """
    before = len(candidates)
    if options.min_score is not None:
        candidates = [each for each in candidates if each.score >= options.min_score]
    is_last = len(candidates) < before
    first = originals(signatures([each.photo_id for each in candidates]), near_bits) if options.fold else None
    copies = Counter(first.tolist()) if first is not None else Counter(range(len(candidates)))
    hits: list[PageHit] = []
    for row, each in enumerate(candidates):
        if copies[row] and (cursor is None or cursor.is_before(each.score, each.photo_id)):
            hits.append(PageHit(each, copies[row] - 1))
        if len(hits) == options.k:
            following = cursor and cursor._replace(shown=row + 1, score=each.score, photo_id=each.photo_id)
            return Page(hits, True, is_last, following)
    return Page(hits, False, is_last, None)
