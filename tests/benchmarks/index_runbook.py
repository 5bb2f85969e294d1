"""A script of insertions, deletions, replacements and searches that is the same for everybody, and what is right.

In the manner of the streaming track of the NeurIPS'23 big-ann benchmark. Vectors arrive cluster after cluster, so that
what is there and what is asked drift; every few steps a twentieth of what is there is deleted, by turns at random and
all of one neighbourhood, and in every step some photos get another vector.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from index_data import Mixture, load

SEED = 1
QUERIES_PER_STEP = 200
REPLACED_SHARE = 1 / 15  # of the insertions
DELETED_SHARE, DELETE_EVERY = 0.05, 5
PIVOTS, PIVOT_NOISE = 64, 0.1  # clusters arrive one after the other, and overlap


class Step(NamedTuple):
    """What happens, in this order; rows are those of the pool."""

    inserted: np.ndarray  # int64 [n]: photo ids
    inserted_rows: np.ndarray  # int64 [n]
    removed: np.ndarray  # int64 [m]: photo ids
    replaced: np.ndarray  # int64 [r]: photo ids
    replaced_rows: np.ndarray  # int64 [r]
    query_rows: np.ndarray  # int64 [q]: never indexed
    worst: np.ndarray  # float32 [q]: the score of the last true neighbour after all that


class Runbook(NamedTuple):
    """The script and its vectors."""

    pool: np.ndarray  # float16 [rows, d]
    steps: list[Step]


def write_runbook(data: str, count: int, step_count: int, k: int) -> Runbook:
    """A script with `count` insertions from that data set (fewer where it has no more)."""
    pool = _arrivals(_pool(data, count, step_count))
    random = np.random.default_rng(SEED)
    queries, replacements = QUERIES_PER_STEP * step_count, int(count * REPLACED_SHARE)
    # Every stretch of the arrivals has its part of queries, replacements and insertions.
    role = random.permutation(len(pool))
    asks, replaces = role < queries, (role >= queries) & (role < queries + replacements)
    row_of: dict[int, int] = {}
    steps: list[Step] = []
    for number, part in enumerate(np.array_split(np.arange(len(pool)), step_count)):
        inserted_rows, replaced_rows = part[~asks[part] & ~replaces[part]], part[replaces[part]]
        inserted = inserted_rows.copy()  # a photo is named after its first vector
        row_of.update(zip(inserted.tolist(), inserted_rows.tolist(), strict=True))
        removed = _removed(number, row_of, pool, random)
        for photo_id in removed.tolist():
            del row_of[photo_id]
        replaced = random.choice(np.fromiter(row_of, np.int64), len(replaced_rows), replace=False)
        row_of.update(zip(replaced.tolist(), replaced_rows.tolist(), strict=True))
        query_rows = _query_rows(np.flatnonzero(asks[: part[-1] + 1]), part[asks[part]], random)
        worst = _worst(pool[query_rows], pool[np.fromiter(row_of.values(), np.int64)], k)
        steps.append(Step(inserted, inserted_rows, removed, replaced, replaced_rows, query_rows, worst))
    return Runbook(pool.astype(np.float16), steps)


def follow(row_of: dict[int, int], step: Step) -> None:
    """Bring the photos' rows up to where a step leaves them."""
    row_of.update(zip(step.inserted.tolist(), step.inserted_rows.tolist(), strict=True))
    for photo_id in step.removed.tolist():
        del row_of[photo_id]
    row_of.update(zip(step.replaced.tolist(), step.replaced_rows.tolist(), strict=True))


def _pool(data: str, count: int, step_count: int) -> np.ndarray:
    rows = int(count * (1 + REPLACED_SHARE)) + QUERIES_PER_STEP * step_count
    if data == "mixture-200":
        return np.concatenate(list(Mixture(max(1, count // 100)).slices(rows)))
    return load(data, rows).vectors


def _arrivals(vectors: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(SEED)
    pivots = vectors[random.choice(len(vectors), PIVOTS, replace=False)]
    nearest = np.concatenate([np.argmax(part @ pivots.T, 1) for part in np.array_split(vectors, 32)])
    return vectors[np.argsort(nearest / PIVOTS + PIVOT_NOISE * random.standard_normal(len(vectors)))]


def _removed(number: int, row_of: dict[int, int], pool: np.ndarray, random: np.random.Generator) -> np.ndarray:
    photo_ids = np.fromiter(row_of, np.int64)
    if (number + 1) % DELETE_EVERY:
        return photo_ids[:0]
    count = int(DELETED_SHARE * len(photo_ids))
    if (number + 1) % (2 * DELETE_EVERY):
        return random.choice(photo_ids, count, replace=False)
    vectors = pool[np.fromiter(row_of.values(), np.int64)]
    return photo_ids[np.argsort(-(vectors @ vectors[random.integers(len(vectors))]))[:count]]


def _query_rows(known: np.ndarray, new: np.ndarray, random: np.random.Generator) -> np.ndarray:
    # Half ask for what has just come, half for anything that ever came.
    fresh = random.choice(new, min(len(new), QUERIES_PER_STEP // 2), replace=False)
    return np.concatenate([fresh, random.choice(known, QUERIES_PER_STEP - len(fresh))])


def _worst(queries: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    worst = [np.partition(part @ vectors.T, -k, axis=1)[:, -k] for part in np.array_split(queries, 4)]
    return np.concatenate(worst)
