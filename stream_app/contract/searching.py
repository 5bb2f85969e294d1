"""Searching: by words, by photos, by uploads, by any mixture of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from stream_app.contract.values import Answer, AnyId, Cosine, Count, Id, Request, Scored, Text

TIME_EXPECTED = (
    "RFC 3339 with an offset, as 2026-11-23T22:16:00Z, a date, as 2026-11-23, whose midnight in UTC is meant, "
    "or milliseconds since 1970"
)
Time = Annotated[str, Meta(max_length=40, title=TIME_EXPECTED)]
Side = Annotated[int, Meta(ge=0, le=1_000_000, title="pixels, a whole number from 0 to 1000000")]
Names = Annotated[list[Text], Meta(max_length=20, title="at most 20, of at most 200 characters each")]
Ids = Annotated[list[AnyId], Meta(max_length=1_000, title="at most 1000 ids")]
Orientation = Literal["landscape", "portrait", "square"]


class PhotoFilter(Request, frozen=True, kw_only=True):
    """Which photos may be among the hits: those that satisfy everything that is given; of a list any one will do."""

    tag: Names = []
    label: Names = []
    user_id: Ids = []
    exclude_user: Ids = []
    after: Annotated[Time, Meta(description="only photos that were uploaded at that time or later")] = ""
    before: Annotated[Time, Meta(description="only photos that were uploaded before that time")] = ""
    orientation: Orientation | None = None
    min_width: Side = 0
    min_height: Side = 0


class HitOptions(PhotoFilter, frozen=True, kw_only=True):
    """How many hits, and which."""

    k: Count = 20
    min_score: Annotated[float, Meta(ge=-2, le=2, title="a number from -2 to 2")] | None = None
    fold: Annotated[bool, Meta(description="near-duplicates of a better hit are counted there, and not shown")] = False
    explain: Annotated[bool, Meta(description="why each hit was found")] = False


class Options(HitOptions, frozen=True, kw_only=True):
    """The same, page by page."""

    cursor: Annotated[
        str,
        Meta(
            max_length=200,
            title='"*", or next_cursor of the answer before',
            description='"*" begins a walk over all photos, page by page, each exactly once',
        ),
    ] = ""


class SearchRequest(Options, frozen=True, kw_only=True):
    """Photos for words, phrases, arithmetic and weights, and photos of the album among them.

    `q` takes `sunset^2 beach`, `king - man + woman`, `"ice cream"`, and `photo:42^0.5`.
    """

    q: Annotated[
        str,
        Meta(pattern=r"\S", max_length=200, title="words, at most 200 characters", examples=["dog", "boat on a lake"]),
    ]


class RelatedRequest(Options, frozen=True, kw_only=True):
    """Photos like one of the album, itself left out."""

    photo_id: AnyId


class ImageSearchRequest(Options, frozen=True, kw_only=True):
    """Photos like one that is sent along or fetched from `url`; words in `q` may say what should be different."""

    image: Annotated[bytes, Meta(description="the photo's file")] = b""
    url: Annotated[str, Meta(max_length=8192, title="an address of at most 8192 characters")] = ""
    q: Text = ""


class HitExplanation(Answer, frozen=True, kw_only=True):
    """Why a photo is among the hits."""

    cosine: Cosine
    hamming_cosine: Annotated[float, Meta(description="the same cosine, estimated from 256-bit signatures")] | None
    tag_bonus: Annotated[float, Meta(description="what the score has for tags that a searched word matches exactly")]
    shared_words: list[str]
    shared_labels: list[str]
    source: Annotated[str, Meta(description="memtable, segment, buckets or tags: where it was found")]


class PhotoHit(Answer, frozen=True, kw_only=True):
    """One photo of an answer."""

    photo_id: Id
    score: Annotated[
        float,
        Meta(
            description="the cosine with what was asked: 1 is the same, 0 is unrelated; up to 0.25 more where searched "
            "words are tags of the photo"
        ),
    ]
    url: str
    image_url: str
    title: str | None
    tags: list[str]
    labels: list[str]
    user_id: Id | None
    width: int
    height: int
    duplicates: Annotated[int, Meta(description="near-duplicates that are folded into this hit")] = 0
    explanation: HitExplanation | UnsetType = UNSET


class KnownPhoto(Answer, frozen=True, kw_only=True):
    """A photo of the album that is the one searched by, or nearly."""

    photo_id: Id
    relation: Literal["same", "near_duplicate"]
    differing_bits: Annotated[int, Meta(ge=0, le=256, description="of the 256 bits of the two signatures")]


class SearchExplanation(Answer, frozen=True, kw_only=True):
    """How a search went."""

    terms: Annotated[list[Scored], Meta(description="what the query was read as, with weights")]
    filtered: Annotated[dict[str, int], Meta(description="photos that were met and may not be shown, by reason")]


class SearchAnswer(Answer, frozen=True, kw_only=True):
    """The hits, best first, and how they came about."""

    hits: list[PhotoHit]
    complete: Annotated[bool, Meta(description="whether every partition answered")]
    shards: Annotated[dict[str, str], Meta(description="which source answered for each partition")]
    took_ms: float
    unknown_words: list[str] = []
    suggestions: Annotated[dict[str, list[str]], Meta(description="near spellings of unknown words")] = {}
    known: Annotated[list[KnownPhoto], Meta(description="photos of the album that are the one sent, or nearly")] = []
    next_cursor: str | None = None
    explanation: SearchExplanation | UnsetType = UNSET
