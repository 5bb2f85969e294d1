"""Fits hyperplanes to the vectors that there are: turned into their principal directions, moved to their medians.

Random planes cut where few vectors lie, and their bits repeat each other. Here the planes of a table are a random
rotation of the leading principal directions, so that tables differ and every bit carries about as much (in the manner
of ITQ, Gong and Lazebnik 2011), and each plane is moved until half of the sample lies on either side. How many
directions are turned together, and how far their spread is evened out before, is chosen on queries held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from stream_app.errors import LayoutRejected
from stream_app.index.forest_judge import Forest, candidates_for, nearest
from stream_app.index.lsh import TABLE_COUNT, FittedPlanes, bits_for

SAMPLE_MIN = 1_000
DEPTH = 20
#: Photos in a bucket, on average, that a layout is begun with: Redis keeps a set of so many at little more than its
#: members, and a search reads few that are not near.
BUCKET_PHOTOS = 16
QUERIES_MAX, NEIGHBOURS, TRIAL_VECTORS_MAX, TRIAL_RECALLS = 500, 10, 20_000, (0.8, 0.9, 0.95)
WIDTHS, EVENINGS = (8, 12, 16, 20, 24), (0.25, 0.5)


class Recipe(NamedTuple):
    """Principal directions that are turned together, and the power to which their spread is evened out (0 to 1)."""

    width: int
    evening: float


class Trial(NamedTuple):
    """What a recipe costs: candidates that a search of the sample reads, the mean over several recalls."""

    recipe: Recipe
    candidates: int


def fit_planes(
    sample: np.ndarray,
    *,
    photo_count: int,
    table_count: int = TABLE_COUNT,
    seed: int = 1,
    say: Callable[[Trial], None] = lambda trial: None,
) -> FittedPlanes:
    """Planes for a partition of `photo_count` photos, after a sample of unit vectors float32 [n, dimensions].

    The same sample gives the same planes. Raises LayoutRejected for too few vectors.
    """
    if len(sample) < SAMPLE_MIN:
        raise LayoutRejected(
            "There are too few vectors to fit planes to",
            expected=f"at least {SAMPLE_MIN:,} photos",
            received=f"{len(sample):,}",
            remedy="Random planes serve a small album well; come back when it has grown.",
        )
    trials = []
    bits = bits_for(photo_count, bucket_photos=BUCKET_PHOTOS)
    for trial in _trials(sample, bits, table_count, seed):
        say(trial)
        trials.append(trial)
    best = min(trials, key=lambda each: each.candidates).recipe
    return planes_after(sample, best, bits_per_key=bits, table_count=table_count, seed=seed)


def planes_after(
    sample: np.ndarray, recipe: Recipe, *, bits_per_key: int, table_count: int = TABLE_COUNT, seed: int = 1
) -> FittedPlanes:
    """The planes of one recipe."""
    random = np.random.default_rng(seed)
    spread, directions = _principal(sample)
    normals = np.concatenate([_table(spread, directions, recipe, random) for _ in range(table_count)])
    normals = normals.astype(np.float32)
    thresholds = np.median(sample @ normals.T, axis=0)
    return FittedPlanes(normals, thresholds, bits_per_key=bits_per_key, table_count=table_count)


def _trials(sample: np.ndarray, bits: int, table_count: int, seed: int) -> Iterator[Trial]:
    """Each recipe on a part of the sample, in buckets as deep as the whole will have: the best follows the depth."""
    order = np.random.default_rng(seed).permutation(len(sample))
    queries, vectors = np.split(sample[order[: QUERIES_MAX + TRIAL_VECTORS_MAX]], [min(QUERIES_MAX, len(sample) // 4)])
    wanted = nearest(queries, vectors, NEIGHBOURS)
    most = max(2, 4 * len(vectors) >> bits)  # as Redis cuts them
    for recipe in (Recipe(width, evening) for width in WIDTHS for evening in EVENINGS):
        planes = planes_after(vectors, recipe, bits_per_key=bits, table_count=table_count, seed=seed)
        until = Forest(planes, vectors, bucket_photos_max=most).candidates_until(queries, wanted)
        needed = [candidates_for(until, recall) for recall in TRIAL_RECALLS]
        yield Trial(recipe, round(float(np.exp(np.mean(np.log(needed))))))


def _principal(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances, largest first, and their directions as rows; a direction without any counts as the least with some."""
    centred = sample.astype(np.float64) - sample.mean(axis=0, dtype=np.float64)
    variances, columns = np.linalg.eigh(centred.T @ centred / len(centred))
    spread = np.maximum(variances[::-1], 1e-9 * max(variances[-1], 1e-30))
    return spread, columns[:, ::-1].T


def _table(spread: np.ndarray, directions: np.ndarray, recipe: Recipe, random: np.random.Generator) -> np.ndarray:
    """Unit normals float64 [DEPTH, dimensions]: one block of directions after another, the leading ones first."""
    rows: list[np.ndarray] = []
    start = 0
    while len(rows) < DEPTH:
        block = slice(start, start + recipe.width)
        count = len(spread[block])
        turn = np.linalg.qr(random.standard_normal((count, count)))[0]
        turned = (turn * spread[block] ** (-recipe.evening / 2)) @ directions[block]
        rows.extend(turned / np.linalg.norm(turned, axis=1, keepdims=True))
        start = start + count if start + count < len(spread) else 0
    return np.stack(rows[:DEPTH])
