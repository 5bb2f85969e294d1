"""The last step of writing a segment: what makes it fast, and the choice of how it is searched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from stream_app.index import files, sieve, tuning
from stream_app.index.effort import EXACT, FOREST, SIGNATURES, Tuning
from stream_app.index.forest_reader import ForestReader
from stream_app.index.segment import FOREST_FILE, SIGNATURES_FILE, VECTORS, gather_rows

#: Beside the segment's files, until the manifest has it.
TUNING: Final = "tuning.json"
SIGN_ROWS: Final = 8_192


@dataclass(frozen=True)
class Job:
    """One segment to finish in `target`: its rows come from `sources`; without any they lie there already.

    Each source is a segment's folder and a .npy file of the rows (int64) to keep. `metric` is Annoy's, or empty where
    it is still to be chosen; `outside_queries` is a .npy file (float32 [n, dimensions]), or empty.
    """

    target: str
    sources: list[tuple[str, str]]
    exact_vectors_max: int
    forest_vectors_min: int
    n_trees: int
    threads: int
    seed: int
    metric: str
    outside_queries: str


def run(job: Job) -> None:
    """Do the job here and now."""
    target = Path(job.target)
    if job.sources:
        gather_rows(target, [(Path(folder), np.load(rows)) for folder, rows in job.sources])
    chosen = _finished(target, job)
    files.write_bytes(target / TUNING, json.dumps(chosen.to_json()).encode())


def take_tuning(target: Path) -> Tuning:
    """What was chosen in `run`; its file is removed."""
    chosen = Tuning.from_json(json.loads((target / TUNING).read_bytes()))
    files.remove(target / TUNING)
    return chosen


def _finished(target: Path, job: Job) -> Tuning:
    vectors = np.asarray(np.load(target / VECTORS, mmap_mode="r"))
    wants_forest = len(vectors) >= job.forest_vectors_min
    if len(vectors) <= job.exact_vectors_max and not wants_forest:
        return Tuning(EXACT)
    signatures = np.concatenate(
        [sieve.signatures(vectors[at : at + SIGN_ROWS].astype(np.float32)) for at in range(0, len(vectors), SIGN_ROWS)]
    )
    files.write_array(target / SIGNATURES_FILE, signatures)
    kind, metric, forest = SIGNATURES, "", None
    if wants_forest:
        kind, metric = FOREST, job.metric or tuning.better_metric(vectors, job.seed)
        path = target / FOREST_FILE
        tuning.grow(vectors, path, metric, n_trees=job.n_trees, threads=job.threads, seed=job.seed)
        files.sync(path)
        forest = ForestReader(path, vectors.shape[1], metric)
    inside = tuning.efforts(vectors, signatures, forest)
    outside = None
    if job.outside_queries:
        outside = tuning.efforts(vectors, signatures, forest, np.load(job.outside_queries))
    return Tuning(kind, metric, forest.tree_count if forest else 0, inside, outside)
