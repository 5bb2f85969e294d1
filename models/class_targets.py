"""What a class is taken to mean among the words: its first name, all its names, or its names and hypernyms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.tag_vectors import general_tags, mean_tag_vectors
from models.tags import ClassTags
from models.words import Vocabulary
from stream_app.errors import TrainingRejected

TARGETS = ("one_tag", "many_tags", "hypernyms")


def class_targets(classes: Sequence[ClassTags], vocabulary: Vocabulary, kind: str = "hypernyms") -> np.ndarray:
    """One unit vector per class, float32 [classes, w].

    `one_tag` is the label of DeViSE (Frome et al. 2013), `many_tags` the mean of a class's names, `hypernyms` the mean
    of the names and of everything that it is a kind of, each step up weighing less. Raises TrainingRejected for
    another kind, and when no word of some class is in the vocabulary.
    """
    if kind not in TARGETS:
        raise TrainingRejected("No such targets", expected=", ".join(TARGETS), received=kind)
    meant = [_trimmed(each, kind) for each in classes]
    vectors = mean_tag_vectors(meant, vocabulary, general_tags(meant) if kind == "hypernyms" else set())
    nameless = [each.names[0].text for each, row in zip(classes, vectors, strict=True) if not row.any()]
    if nameless:
        raise TrainingRejected(
            f"{len(nameless)} of {len(classes)} classes have no word in the vocabulary",
            received=", ".join(nameless[:10]),
            remedy="Name them by words that the vocabulary has, or leave them out.",
        )
    return vectors


def _trimmed(each: ClassTags, kind: str) -> ClassTags:
    match kind:
        case "one_tag":
            return replace(each, names=each.names[:1], hypernyms=())
        case "many_tags":
            return replace(each, hypernyms=())
        case _:
            return each
