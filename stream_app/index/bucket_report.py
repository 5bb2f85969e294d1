"""Random and fitted planes on the same vectors: how full their buckets are, and what a search reads for its recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream_app.errors import LayoutRejected
from stream_app.index.fitting import SAMPLE_MIN, fit_planes
from stream_app.index.forest_judge import Forest, candidates_for, nearest, recall_against_candidates
from stream_app.index.lsh import Hyperplanes, cosine_error

QUERIES, NEIGHBOURS = 200, 10
BUDGETS = (500, 1_000, 2_000, 4_000, 8_000)
RECALLS = (0.8, 0.9, 0.95)
SIGNATURE_BITS = (32, 64, 96, 128, 192, 256)
PAIRS = 4_000


@dataclass(frozen=True)
class PlanesReport:
    """How one layout does; sizes are of all tables' buckets together."""

    name: str
    tables: int
    bits: int
    mean: float
    p99: int
    largest: int
    empty_share: float
    recall: dict[int, float]
    candidates: dict[float, int]


def report_planes(name: str, planes: Hyperplanes, split: Split, bucket_photos_max: int | None) -> PlanesReport:
    """Judge planes on vectors and held-out queries; buckets above the limit are cut, with None there are no cuts."""
    forest = Forest(planes, split.vectors, bucket_photos_max=bucket_photos_max)
    sizes = np.concatenate(forest.sizes())
    until = forest.candidates_until(split.queries, split.wanted)
    return PlanesReport(
        name=name,
        tables=planes.table_count,
        bits=planes.bits_per_key,
        mean=float(sizes.mean()),
        p99=int(np.percentile(sizes, 99)),
        largest=int(sizes.max()),
        empty_share=forest.empty_share(),
        recall=dict(zip(BUDGETS, recall_against_candidates(until, list(BUDGETS)), strict=True)),
        candidates={recall: candidates_for(until, recall) for recall in RECALLS},
    )


@dataclass(frozen=True)
class Split:
    """Vectors, queries that are none of them, and the rows of each query's nearest neighbours."""

    vectors: np.ndarray
    queries: np.ndarray
    wanted: np.ndarray


def split_vectors(vectors: np.ndarray, *, queries: int = QUERIES, seed: int = 1) -> Split:
    """Hold out some of unit vectors float32 [n, dimensions] as queries; raises LayoutRejected for too few."""
    if len(vectors) < SAMPLE_MIN + queries:
        raise LayoutRejected(
            "There are too few vectors to judge planes on",
            expected=f"at least {SAMPLE_MIN + queries:,}",
            received=f"{len(vectors):,}",
        )
    order = np.random.default_rng(seed).permutation(len(vectors))
    asked, kept = vectors[order[:queries]], vectors[order[queries:]]
    return Split(kept, asked, nearest(asked, kept, NEIGHBOURS))


def fit_to(split: Split, *, table_count: int, sample_count: int = 20_000) -> Hyperplanes:
    """Planes fitted to some of the vectors, none of the queries."""
    return fit_planes(split.vectors[:sample_count], photo_count=len(split.vectors), table_count=table_count)


def cosine_errors(vectors: np.ndarray, *, seed: int = 1) -> dict[int, float]:
    """Root mean square error of the Hamming estimate of the cosine, by bits, on random pairs of the vectors."""
    rows = np.random.default_rng(seed).integers(0, len(vectors), (2, PAIRS))
    return {bits: cosine_error(vectors[rows[0]], vectors[rows[1]], bits) for bits in SIGNATURE_BITS}
