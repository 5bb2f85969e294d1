"""The last step of writing a segment: what makes it fast, and the choice of how it is searched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from stream_app.index import files, signing, tuning
from stream_app.index.closest import wide
from stream_app.index.clusters import clustered
from stream_app.index.effort import CELLS, EXACT, FOREST, SIGNATURES, Tuning
from stream_app.index.forest_reader import ForestReader
from stream_app.index.segment import FOREST_FILE, SIGNATURES_FILE, VECTORS, Source, gather_rows, write_cells
from stream_app.index.tuning import Searched

#: Beside the segment's files, until the manifest has it.
TUNING: Final = "tuning.json"
SIGN_ROWS: Final = 8_192


@dataclass(frozen=True)
class Job:
    """One segment to finish in `target`: its rows come from `sources`; without any they lie there already, and their
    signatures may.

    Each source is what a `Source` is made of. `metric` is Annoy's, or empty where it is still to be chosen;
    `outside_queries` is a .npy file (float32 [n, dimensions]), or empty.
    """

    target: str
    sources: list[tuple[str, str, bool]]
    exact_vectors_max: int
    cells_vectors_min: int
    vectors_per_cell: int
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
        signatures: np.ndarray | None = gather_rows(target, [Source.of(*each) for each in job.sources])
    else:
        signatures = np.load(target / SIGNATURES_FILE) if (target / SIGNATURES_FILE).exists() else None
    chosen = _finished(target, job, signatures)
    files.write_bytes(target / TUNING, json.dumps(chosen.to_json()).encode())


def take_tuning(target: Path) -> Tuning:
    """What was chosen in `run`; its file is removed."""
    chosen = Tuning.from_json(json.loads((target / TUNING).read_bytes()))
    files.remove(target / TUNING)
    return chosen


def _finished(target: Path, job: Job, signatures: np.ndarray | None) -> Tuning:
    """`signatures`: uint64 [rows, words], where they are known."""
    vectors = np.asarray(np.load(target / VECTORS, mmap_mode="r"))
    wants_forest = len(vectors) >= job.forest_vectors_min
    wants_cells = wants_forest or len(vectors) >= job.cells_vectors_min
    if len(vectors) <= job.exact_vectors_max and not wants_cells:
        return Tuning(EXACT)
    if signatures is None:
        signatures = _signed(vectors)
    searched, metric = Searched(vectors, signatures), ""
    if wants_cells:
        searched = _celled(target, searched, job)
    files.write_array(target / SIGNATURES_FILE, searched.signatures)
    if wants_forest and searched.cells is not None:
        centres = searched.cells.centres.view(np.float16)
        metric = job.metric or tuning.better_metric(centres, job.seed)
        path = target / FOREST_FILE
        tuning.grow(centres, path, metric, n_trees=job.n_trees, threads=job.threads, seed=job.seed)
        files.sync(path)
        searched = searched._replace(forest=ForestReader(path, vectors.shape[1], metric))
    kind = FOREST if wants_forest else CELLS if wants_cells else SIGNATURES
    outside = tuning.efforts(searched, np.load(job.outside_queries)) if job.outside_queries else None
    trees = searched.forest.tree_count if searched.forest else 0
    return Tuning(kind, metric, trees, tuning.efforts(searched), outside)


def _signed(vectors: np.ndarray) -> np.ndarray:
    parts = (vectors[start : start + SIGN_ROWS] for start in range(0, len(vectors), SIGN_ROWS))
    return np.concatenate([signing.signatures(wide(each)) for each in parts])


def _celled(target: Path, rows: Searched, job: Job) -> Searched:
    """Cells are made and written; signatures come to lie as they do."""
    found = clustered(rows.vectors, job.vectors_per_cell, job.seed)
    cells = write_cells(target, found.centres, found.cell_of)
    return rows._replace(signatures=rows.signatures[cells.rows], cells=cells)
