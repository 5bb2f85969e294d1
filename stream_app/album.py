"""What the web server asks of the album of all photos; what can be searched for is in `stream_app.contract`."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from models.words import Vocabulary

PhotoState = Literal["queued", "findable", "hidden", "failed"]
Scored = tuple[str, float]


@dataclass(frozen=True)
class Photo:
    """One photo as the album knows it; `time_ms` is its version's event time, so it changes with its content.

    `state` is that of its newest upload, `reason` says why that failed.
    """

    photo_id: int
    url: str
    title: str | None = None
    tags: tuple[str, ...] = ()
    user_id: str | None = None
    width_px: int = 0
    height_px: int = 0
    labels: list[Scored] = field(default_factory=list)
    words: list[Scored] = field(default_factory=list)
    state: PhotoState = "findable"
    reason: str | None = None
    time_ms: int = 0


@dataclass(frozen=True)
class PhotoPoint:
    """A photo as a point of the space: among the words, and among the photos that look alike."""

    photo: Photo
    joint_embedding: np.ndarray  # float32 [joint_dimensions]
    search_vector: np.ndarray  # float32 [search_dimensions]


class Album(Protocol):
    """All photos of a worker; every method may raise ServiceUnavailable."""

    async def photo(self, photo_id: int, words_shown: int = ...) -> Photo:
        """The photo, in whatever state, from the moment its upload is accepted; raises PhotoNotFound."""
        ...

    async def known(self, photo_ids: Set[int]) -> set[int]:
        """Those of the photos that the album has, in whatever state."""
        ...

    async def photos(self, offset: int, k: int) -> list[Photo]:
        """`k` photos from `offset` on, newest first."""
        ...

    async def points(self, offset: int, k: int) -> list[PhotoPoint]:
        """`k` photos from `offset` on, newest first, with their vectors; those without any are left out."""
        ...

    async def vocabulary(self) -> Vocabulary:
        """The words of the space."""
        ...

    async def upload(self, image: bytes, file_name: str, metadata: dict[str, Any]) -> int:
        """Stores the bytes and sends the event; returns the photo_id when both are durable."""
        ...

    async def delete(self, photo_id: int) -> None:
        """Returns when the photo can no longer be found; raises PhotoNotFound."""
        ...

    async def image(self, photo_id: int) -> tuple[bytes, str]:
        """The original bytes and their content type; raises PhotoNotFound, PhotoRejected, PhotoUnreachable."""
        ...

    async def stats(self) -> dict[str, Any]:
        """Numbers of this worker; `photos` is how many can be found."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether partitions are assigned and recovered, and if not, why."""
        ...
