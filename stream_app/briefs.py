"""A brief, as quests and assignments have one: words, example photos, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.space import Space
from stream_app.errors import QueryRejected
from stream_app.findable_photos import FindablePhotos
from stream_app.query_vectors import QueryVector, query_vector, read_question
from stream_app.quest_ranking import NEAREST_PHOTOS, brief_vector


@dataclass(frozen=True)
class Brief:
    """What is asked for; `words` is None where there are none, `examples` are those that are findable."""

    vector: np.ndarray  # float32 [search_dimensions], unit length
    words: QueryVector | None
    examples: dict[int, np.ndarray]

    @property
    def is_word(self) -> bool:
        """Whether the album is asked as for words."""
        return self.words is not None and self.words.is_word and not self.examples


async def read_brief(space: Space, photos: FindablePhotos, text: str, example_ids: Sequence[int], *, of: str) -> Brief:
    """The brief; raises UnknownWords, PhotoNotFound, and QueryRejected where there is nothing to go by.

    `of` names whose brief it is.
    """
    words = None
    if text.strip():
        question = read_question(text)
        named = [await photos.example(photo_id, weight) for weight, photo_id in question.photos]
        words = await query_vector(space, question.phrases, named)
    examples = await photos.vectors(example_ids)
    if words is None and not examples:
        raise QueryRejected(
            f"{of} has nothing to go by",
            expected="words, example photos that are in the album, or both",
            received=f"{len(example_ids)} example photos that are not findable" if example_ids else "neither",
        )
    nearest = None
    if words is not None and not examples:
        hits, _ = await photos.index.search(
            words.vector, NEAREST_PHOTOS, lambda each: photos.row(each) is not None, is_word=words.is_word
        )
        nearest = np.array(list((await photos.vectors(hit.photo_id for hit in hits)).values()), np.float32)
    of_examples = np.array(list(examples.values()), np.float32) if examples else None
    return Brief(brief_vector(None if words is None else words.vector, of_examples, nearest), words, examples)
