"""Single photos: what is known of them and what they show."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from stream_app.contract.values import Answer, AnyId, Count, Id, Request, Scored

PhotoState = Literal["queued", "findable", "hidden", "failed"]
#: Of a photo that a collection names: one that was deleted is gone, one that nobody has heard of is unknown.
MissingState = Literal["queued", "hidden", "failed", "gone", "unknown"]


class PhotoRequest(Request, frozen=True, kw_only=True):
    """One photo of the album."""

    photo_id: AnyId


class PhotosRequest(Request, frozen=True, kw_only=True):
    """The album, newest first."""

    offset: Annotated[int, Meta(ge=0, le=100_000_000, title="a whole number from 0 to 100000000")] = 0
    k: Count = 20


class PhotoAnswer(Answer, frozen=True, kw_only=True):
    """Everything about one photo."""

    photo_id: Id
    url: str
    image_url: str
    title: str | None
    tags: list[str]
    user_id: Id | None
    width: int
    height: int
    labels: list[Scored]
    words: list[Scored]
    state: Annotated[
        PhotoState,
        Meta(
            description="that of its newest upload; one that is hidden is in no search, list, suggestion or ranking, "
            "and still answers to whoever knows its photo_id"
        ),
    ]
    reason: Annotated[str | None, Meta(description="why it could not be embedded")]
    time_ms: Annotated[int, Meta(description="UTC, milliseconds since 1970; changes with the photo's content")]


class PhotosAnswer(Answer, frozen=True, kw_only=True):
    """A page of the album."""

    photos: list[PhotoAnswer]
    offset: int


class ClassifyRequest(Request, frozen=True, kw_only=True):
    """What a photo shows that is sent along or fetched from `url`."""

    k: Count = 20
    image: Annotated[bytes, Meta(description="the photo's file")] = b""
    url: Annotated[str, Meta(max_length=8192, title="an address of at most 8192 characters")] = ""


class ClassificationRequest(Request, frozen=True, kw_only=True):
    """What a photo of the album shows."""

    photo_id: AnyId
    k: Count = 20


class Classified(Struct, frozen=True):
    """A label with its softmax probability, or a word with its cosine, and how likely it is right."""

    name: str
    score: float
    probability: (
        Annotated[
            float, Meta(ge=0, le=1, description="that it is right, as measured; null: this model bundle never was")
        ]
        | None
    ) = None


class ClassificationAnswer(Answer, frozen=True, kw_only=True):
    """Labels of the fixed vocabulary and words of the open one, best first."""

    labels: list[Classified]
    words: list[Classified]
