"""Some photos of the album, taken at random: what is common in it, against which a score or a likeness means something.

numpy only. Two thousand photos are enough (with a thousand, suggestions are right a point in a hundred less often), and
the same sample serves every gallery, quest and assignment.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

SAMPLE_PHOTOS = 2_000
#: So many photos weigh as much as the assumption that an album varies alike in every direction.
SHRINKAGE_PHOTOS = 200
LENGTH_MIN = 1e-6


class Whitening(NamedTuple):
    """Coordinates in which the album varies alike in every direction: `(vectors - centre) @ axes`."""

    centre: np.ndarray  # float32 [d]
    axes: np.ndarray  # float32 [d, d]


class AlbumSample:
    """Search vectors of photos taken at random, float32 [m, d]; a few, or none, will do, and say less."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = np.asarray(vectors, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.vectors)

    def scores(self, query: np.ndarray) -> np.ndarray:
        """What photos that nobody chose score for a query, float32 [m]."""
        return np.asarray(self.vectors @ query)

    def contrast(self, photos: np.ndarray) -> np.ndarray:
        """What these photos, float32 [n, d], have and the album has not: a query, float32 [d], unit length.

        It is the direction of linear discriminant analysis: where all photos of the album are alike, a likeness of
        these says nothing. Photos that are as the album is have no contrast; their mean it is then.
        """
        photos = np.asarray(photos, dtype=np.float32)
        centre, axes = self.whitening
        found = axes @ ((photos.mean(axis=0) - centre) @ axes)
        length = float(np.linalg.norm(found))
        if length < LENGTH_MIN:
            found = photos.mean(axis=0)
            length = max(float(np.linalg.norm(found)), LENGTH_MIN)
        return np.asarray(found / length, dtype=np.float32)

    @cached_property
    def whitening(self) -> Whitening:
        """Of two photos or more; the plain space with fewer. The fewer, the closer to the plain space."""
        count, dimensions = self.vectors.shape
        if count < 2:
            return Whitening(np.zeros(dimensions, np.float32), np.eye(dimensions, dtype=np.float32))
        centre = self.vectors.mean(axis=0, dtype=np.float64)
        varied = self.vectors - centre
        covariance = varied.T @ varied / (count - 1)
        level = max(float(np.trace(covariance)) / dimensions, 1e-12)
        ridge = level * SHRINKAGE_PHOTOS / count
        variances, directions = np.linalg.eigh(covariance + ridge * np.eye(dimensions))
        axes = directions / np.sqrt(variances)
        return Whitening(centre.astype(np.float32), axes.astype(np.float32))
