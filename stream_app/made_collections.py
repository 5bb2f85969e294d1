"""Galleries, quests and portfolios whose right answers are known, as the maker of such files writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.labelled_photos import tags_by_label, tags_of_label
from stream_app.errors import TrainingRejected
from stream_app.labelled_album import FileNames, label_id


@dataclass(frozen=True)
class MadeGallery:
    """A gallery of which some members were left out, to be found again."""

    kind: str  # pure, mixed or noisy
    labels: list[str]
    members: np.ndarray  # int [n], rows of the album
    left_out: np.ndarray  # int [m]


@dataclass(frozen=True)
class MadeQuest:
    """A brief and what was handed in, in the order in which it came."""

    label: str
    examples: np.ndarray  # int [e]
    submissions: np.ndarray  # int [n]
    on_topic: np.ndarray  # bool [n]


@dataclass(frozen=True)
class Assignment:
    """A label, and what share of each photographer's portfolio shows it."""

    label: str
    relevance: dict[str, float]  # by user_id


@dataclass(frozen=True)
class MadeCollections:
    """Everything that is judged; labels are as `label_id` has them."""

    galleries: list[MadeGallery]
    quests: list[MadeQuest]
    portfolios: dict[str, np.ndarray]  # by user_id: int [n]
    assignments: list[Assignment]


def read_collections(path: Path, files: FileNames) -> MadeCollections:
    """The collections of a JSON file; TrainingRejected where it is no such file or a photo is missing."""
    try:
        made = json.loads(path.read_text(encoding="utf-8"))
        return _collections(made, files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise TrainingRejected(
            f"{path} holds no collections",
            expected="JSON with galleries, quests, portfolios and assignments",
            received=f"{type(problem).__name__}: {problem}"[:120],
        ) from problem


def _collections(made: dict[str, Any], files: FileNames) -> MadeCollections:
    known = tags_by_label()

    def label(name: str) -> str:
        return label_id(tags_of_label(name, known))

    return MadeCollections(
        galleries=[
            MadeGallery(
                each["kind"],
                [label(name) for name in each["labels"]],
                files.rows(each["members"]),
                files.rows(each["left_out"]),
            )
            for each in made["galleries"]
        ],
        quests=[
            MadeQuest(
                label(each["brief"]),
                files.rows(each["examples"]),
                files.rows([one["file"] for one in each["submissions"]]),
                np.array([one["on_topic"] for one in each["submissions"]], dtype=bool),
            )
            for each in made["quests"]
        ],
        portfolios={str(each["user_id"]): files.rows(each["files"]) for each in made["portfolios"]},
        assignments=[
            Assignment(label(each["brief"]), {str(user): float(share) for user, share in each["relevance"].items()})
            for each in made["assignments"]
        ],
    )
