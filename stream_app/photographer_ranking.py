"""Photographers for an assignment: whose portfolio holds what the brief asks for, and the photos that show it.

numpy only: a brief's vector and portfolios in, a ranking with its evidence out. Three models of a portfolio:
"mean", its mean likeness to the brief; "best", that of its best few photos, which was measured to be the best judge;
"share", how much of it is what is asked.

The brief is asked of the album first, and the contrast of the nearest photos (`assignment_vector`) is what portfolios
are compared with: words alone do not tell a breed of dogs from the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream_app.album_sample import AlbumSample

MEAN, BEST, SHARE = "mean", "best", "share"
MODELS = (MEAN, BEST, SHARE)

NEAREST_PHOTOS = 10  # of the album, for `assignment_vector`
BEST_PHOTOS = 5
EVIDENCE_PHOTOS = 3
#: So many photos that are as the album is are thought beside each portfolio: one lucky photo is no photographer.
SHRINKAGE_PHOTOS = 3
#: A photo is what is asked for when it scores this many deviations above the album's median; half of it at the border.
BORDER, SOFTNESS = 2.5, 0.7
SAMPLE_MIN = 2


class Portfolio(NamedTuple):
    """A photographer's photos."""

    photo_ids: Sequence[int]
    vectors: np.ndarray  # float32 [n, d], search vectors


class Evidence(NamedTuple):
    """A photo that speaks for a photographer, and its cosine with the brief."""

    photo_id: int
    score: float


@dataclass(frozen=True)
class RankedPhotographer:
    """A photographer with what the portfolio is worth for the brief, and why."""

    user_id: str
    score: float  # higher is better; a share from 0 to 1 for "share", deviations of the album's scores for the others
    photo_count: int
    evidence: list[Evidence]


def assignment_vector(nearest: np.ndarray, sample: AlbumSample) -> np.ndarray:
    """What portfolios are asked for, float32 [d], unit length.

    `nearest` are the NEAREST_PHOTOS of the album nearest to the brief, float32 [n, d].
    """
    return sample.contrast(nearest)


def rank_photographers(
    brief: np.ndarray,
    portfolios: Mapping[str, Portfolio],
    sample: AlbumSample,
    *,
    model: str = BEST,
    evidence_photos: int = EVIDENCE_PHOTOS,
) -> list[RankedPhotographer]:
    """Every photographer with a photo, best first; equal ones by name. `brief` is an `assignment_vector`.

    `sample` is of the album: what it scores is what no photographer gets credit for.
    """
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {model}")
    centre, spread = _common_score(sample.scores(brief))
    ranked = []
    for user_id, portfolio in portfolios.items():
        if len(portfolio.vectors):
            scores = np.asarray(portfolio.vectors, np.float32) @ brief
            worth = portfolio_worth((scores - centre) / spread, model)
            ranked.append(
                RankedPhotographer(user_id, worth, len(scores), _evidence(portfolio, scores, evidence_photos))
            )
    return sorted(ranked, key=lambda each: (-each.score, each.user_id))


def portfolio_worth(heights: np.ndarray, model: str) -> float:
    """What a portfolio is worth whose photos stand at `heights` [n], deviations above what is common in the album."""
    if model == MEAN:
        return float(heights.sum() / (len(heights) + SHRINKAGE_PHOTOS))
    if model == BEST:
        # What a small portfolio lacks counts as common.
        return float(np.maximum(np.sort(heights)[-BEST_PHOTOS:], 0).sum() / BEST_PHOTOS)
    asked_for = 1 / (1 + np.exp(-(heights - BORDER) / SOFTNESS))
    common = 1 / (1 + np.exp(BORDER / SOFTNESS))
    return float((asked_for.sum() + SHRINKAGE_PHOTOS * common) / (len(heights) + SHRINKAGE_PHOTOS))


def _common_score(scores: np.ndarray) -> tuple[float, float]:
    """The middle and the deviation of what the album scores; 0 and 1 where next to nothing is known of it."""
    if len(scores) < SAMPLE_MIN:
        return 0.0, 1.0
    centre = float(np.median(scores))
    spread = 1.4826 * float(np.median(np.abs(scores - centre)))
    return centre, spread or 1.0


def _evidence(portfolio: Portfolio, scores: np.ndarray, count: int) -> list[Evidence]:
    best = np.argsort(-scores, kind="stable")[:count]
    return [Evidence(int(portfolio.photo_ids[row]), float(scores[row])) for row in best]
