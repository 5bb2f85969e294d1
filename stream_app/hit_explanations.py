"""Why a photo is among the hits, in numbers and in names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

import numpy as np

from models.space import Space
from stream_app.album import Photo
from stream_app.contract.searching import HitExplanation
from stream_app.contract.values import rounded
from stream_app.hit_pages import Candidate
from stream_app.index.lsh import Signatures
from stream_app.query_vectors import QueryVector

#: How many of the nearest words of a photo count as what it shows.
WORDS_COMPARED = 10


class Explainer:
    """Explains hits after they were found; costs a look at the vocabulary for each, so only where it is asked for."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._signatures = Signatures(space.search_dimensions)

    async def explain(
        self,
        query: QueryVector,
        candidates: Sequence[Candidate],
        photos: Mapping[int, Photo],
        vectors: Mapping[int, np.ndarray],
        labels: frozenset[str] = frozenset(),
    ) -> dict[int, HitExplanation]:
        """By photo_id; `labels` are those of the photos that the query stands on."""
        return await asyncio.to_thread(self._explain, query, candidates, photos, vectors, labels)

    def _explain(
        self,
        query: QueryVector,
        candidates: Sequence[Candidate],
        photos: Mapping[int, Photo],
        vectors: Mapping[int, np.ndarray],
        labels: frozenset[str],
    ) -> dict[int, HitExplanation]:
        asked = set(query.words) or self._words(query.vector)
        mine = self._signatures.of(query.vector[None])
        explained = {}
        for each in candidates:
            photo, vector = photos.get(each.photo_id), vectors.get(each.photo_id)
            if photo is None:
                continue
            shown = {name for name, _ in photo.labels}
            estimate = None
            if vector is not None:
                [cosine] = self._signatures.cosines(mine, self._signatures.of(vector[None]))
                estimate = rounded(query.score(float(cosine)))
            words = self._words(vector) if vector is not None else set()
            explained[each.photo_id] = HitExplanation(
                cosine=rounded(each.cosine),
                hamming_cosine=estimate,
                tag_bonus=rounded(each.bonus),
                shared_words=sorted(asked & (words | _parts(photo.tags) | _parts(shown))),
                shared_labels=sorted(shown & labels),
                source=each.source,
            )
        return explained

    def _words(self, vector: np.ndarray) -> set[str]:
        nearest = self._space.nearest_words(self._space.joint_half(vector), WORDS_COMPARED)
        return {word for word, _ in nearest}


def _parts(names: Sequence[str] | set[str]) -> set[str]:
    """Names in small letters, as a whole and word by word: a golden retriever is a retriever as well."""
    small = [name.casefold() for name in names]
    return {*small, *(part for name in small for part in re.findall(r"\w+", name))}
