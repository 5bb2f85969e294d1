"""What a worker says about itself, and the album as a download."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from stream_app.contract.values import Answer, Request

PHOTOS_MAX = WORDS_MAX = 10_000


class BareRequest(Request, frozen=True, kw_only=True):
    """A request without parameters."""


class SchemaRequest(Request, frozen=True, kw_only=True):
    """The JSON Schema of a topic's events."""

    name: Annotated[str, Meta(description="the topic's name", examples=["photo-activity"])]


class ProjectorRequest(Request, frozen=True, kw_only=True):
    """The newest photos and the most frequent words as a folder of TensorBoard's projector."""

    count: Annotated[int, Meta(ge=1, le=PHOTOS_MAX, title=f"a whole number from 1 to {PHOTOS_MAX}")] = 2_000
    words: Annotated[int, Meta(ge=0, le=WORDS_MAX, title=f"a whole number from 0 to {WORDS_MAX}")] = 500


class StatsAnswer(Answer, frozen=True, kw_only=True):
    """Numbers of a worker; there may be more of them than are named here."""

    photos: Annotated[int, Meta(description="how many can be found")]
    upload_bytes_max: Annotated[int, Meta(description="the largest body of an upload")]
    ready: bool = False
    space_id: str = ""
    vision_id: str = ""
    partitions: Annotated[Any, Meta(description="each partition's shard")] = None


class AliveAnswer(Answer, frozen=True, kw_only=True):
    """The event loop turns."""

    alive: bool


class ReadyAnswer(Answer, frozen=True, kw_only=True):
    """Whether partitions are assigned and recovered, and if not, what is missing."""

    ready: bool
    reason: str
