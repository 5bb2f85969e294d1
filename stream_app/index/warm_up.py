"""Compile what searches need, once, so that nobody's first search waits for it:

python -m stream_app.index.warm_up

What was compiled is kept beside the package, or where that cannot be written, in the user's cache. Installing calls it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from stream_app.index.shard import Shard, ShardSettings
from stream_app.versions import Version

ROWS, DIMENSIONS = 300, 8


def main() -> None:
    """Write a forest and a segment without one, and search in both."""
    vectors = np.random.default_rng(0).standard_normal((2 * ROWS, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = ShardSettings(exact_vectors_max=ROWS // 2, forest_vectors_min=ROWS, n_trees=2)
    with TemporaryDirectory() as folder:
        shard = Shard(Path(folder), dimensions=DIMENSIONS, space_id="warm-up", settings=settings)
        for rows in (range(ROWS), range(ROWS, 2 * ROWS - 1)):
            shard.add_many(rows, [Version(1, 0, 0, row) for row in rows], vectors[rows.start : rows.stop])
            shard.seal()
        shard.search(vectors[-1], 10)
        shard.close()


if __name__ == "__main__":
    main()
