"""What a worker says about itself, and the album as a download."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

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
    ready: bool | UnsetType = UNSET
    space_id: str | UnsetType = UNSET
    vision_id: str | UnsetType = UNSET
    partitions: Annotated[dict[str, Any], Meta(description="each partition's shard")] | UnsetType = UNSET


class AliveAnswer(Answer, frozen=True, kw_only=True):
    """The event loop turns."""

    alive: bool


class ReadyAnswer(Answer, frozen=True, kw_only=True):
    """Whether partitions are assigned and recovered, and if not, what is missing."""

    ready: bool
    reason: str


class ReplayRequest(Request, frozen=True, kw_only=True):
    """A dead letter by its place in the topic."""

    place: Annotated[str, Meta(description="partition and offset", examples=["0-7"])]


class DeadLetter(Answer, frozen=True, kw_only=True):
    """A message that could not be worked on; key and value as text, shortened."""

    place: str
    reason: str
    stage: str
    topic: str
    partition: int
    offset: int
    time_ms: int
    key: str
    value: str
    value_bytes: int
    replayable: bool


class DeadLettersAnswer(Answer, frozen=True, kw_only=True):
    """The newest dead letters, newest first, and how many there are."""

    dead_letters: list[DeadLetter]
    count: int


class ReplayAnswer(Answer, frozen=True, kw_only=True):
    """The dead letter that was sent again."""

    replayed: DeadLetter


class Observation(Answer, frozen=True, kw_only=True):
    """The worker's numbers and states at one moment."""

    sequence: int
    time_ms: int
    numbers: dict[str, Any]
    state: dict[str, Any]


class OpsAnswer(Answer, frozen=True, kw_only=True):
    """The worker, and what it saw of itself last; null before it has looked."""

    worker: dict[str, Any]
    observation: Observation | None
