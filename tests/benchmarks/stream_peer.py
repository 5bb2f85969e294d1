"""What every way to keep an index up to date can do; photos have ids of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from index_peers import HNSW_BUDGETS


class StreamPeer:
    """What all can do; a replacement is a removal and an insertion unless the library knows better."""

    budgets: Sequence = HNSW_BUDGETS

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions

    def insert(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Photos that are not there."""
        raise NotImplementedError

    def remove(self, photo_ids: np.ndarray) -> None:
        """Photos that are there."""
        raise NotImplementedError

    def replace(self, photo_ids: np.ndarray, vectors: np.ndarray) -> None:
        """Other vectors for photos that are there."""
        self.remove(photo_ids)
        self.insert(photo_ids, vectors)

    def set_budget(self, budget: int) -> None:
        """How hard the next searches try."""
        self._budget = budget

    def search(self, query: np.ndarray, k: int) -> Sequence[int] | np.ndarray:
        """Photo ids."""
        raise NotImplementedError

    def close(self) -> None:
        """Finish what is under way."""


class Labels:
    """Which number in an index stands for which photo: numbers are never used twice, photos come again."""

    def __init__(self) -> None:
        self._photo_of: list[int] = []
        self.label_of: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._photo_of)

    def add(self, photo_ids: np.ndarray) -> np.ndarray:
        """The next numbers, for these photos."""
        labels = np.arange(len(self), len(self) + len(photo_ids))
        self._photo_of += photo_ids.tolist()
        self.label_of.update(zip(photo_ids.tolist(), labels.tolist(), strict=True))
        return labels

    def drop(self, photo_ids: np.ndarray) -> np.ndarray:
        """The numbers that these photos had."""
        return np.array([self.label_of.pop(each) for each in photo_ids.tolist()], np.int64)

    def photos(self, labels: np.ndarray) -> list[int]:
        """Whose numbers these are; -1 is nobody's."""
        return [self._photo_of[label] if label >= 0 else -1 for label in labels.tolist()]
