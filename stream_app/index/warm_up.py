"""Compile what searches need, once, so that nobody's first search waits for it:

python -m stream_app.index.warm_up

What was compiled is kept beside the package, or where that cannot be written, in the user's cache. Installing calls it,
and a worker that finds other sources than were installed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stream_app.index.clusters import clustered
from stream_app.index.compiled import kept_folder
from stream_app.index.shard import Shard, ShardSettings
from stream_app.versions import Version

ROWS, DIMENSIONS = 300, 8
DONE = "warm"


def main() -> None:
    """Find cells, write a forest and a segment without one, and search in both."""
    vectors = np.random.default_rng(0).standard_normal((2 * ROWS, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = ShardSettings(exact_vectors_max=ROWS // 2, cells_vectors_min=ROWS, forest_vectors_min=ROWS, n_trees=2)
    clustered(vectors.astype(np.float16), 1, seed=1)
    with TemporaryDirectory() as folder:
        shard = Shard(Path(folder), dimensions=DIMENSIONS, space_id="warm-up", settings=settings)
        for rows in (range(ROWS), range(ROWS, 2 * ROWS - 1)):
            shard.add_many(rows, [Version(1, 0, 0, row) for row in rows], vectors[rows.start : rows.stop])
            shard.seal()
        shard.search(vectors[-1], 10)
        shard.close()
    with suppress(OSError):
        (kept_folder() / DONE).touch()


def is_done() -> bool:
    """Whether it was called for these very sources, and what it compiled could be kept."""
    return (kept_folder() / DONE).exists()


if __name__ == "__main__":
    main()
