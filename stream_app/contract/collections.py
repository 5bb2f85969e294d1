"""Galleries, quests and assignments: what photos of a collection, or of a brief, lead to."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from stream_app.contract.photos import MissingState
from stream_app.contract.searching import HitOptions, Ids, PhotoHit
from stream_app.contract.values import Answer, AnyId, Cosine, Count, Id, Request, Text

SuggestionMethod = Literal["themes", "mean"]
PortfolioModel = Literal["best", "mean", "share"]
CollectionKind = Literal["gallery", "quest"]
States = Annotated[
    dict[Id, MissingState],
    Meta(
        description="of every photo named here that is not findable, why: queued, hidden by its owner, failed, gone, "
        "which is deleted, or unknown, which may still come; all others are findable"
    ),
]
SomeIds = Annotated[list[AnyId], Meta(min_length=1, max_length=1_000, title="1 to 1000 ids")]


class GalleryRequest(Request, frozen=True, kw_only=True):
    """A gallery."""

    gallery_id: AnyId


class GalleryPhotosRequest(Request, frozen=True, kw_only=True):
    """Photos that are added to a gallery, or taken out of it."""

    gallery_id: AnyId
    photo_ids: SomeIds


class GalleryAnswer(Answer, frozen=True, kw_only=True):
    """A gallery's members in the order in which they were added; one that is deleted from the album remains a member.

    Only those that are findable count: `states` says what is the matter with the others.
    """

    gallery_id: Id
    photo_ids: list[Id]
    waiting: Annotated[list[Id], Meta(description="members that are not findable, or not any more")]
    states: States = {}


class GallerySuggestionsRequest(HitOptions, frozen=True, kw_only=True):
    """Photos that would complete a gallery."""

    gallery_id: AnyId
    method: SuggestionMethod = "themes"
    fold: Annotated[bool, Meta(description="leave out near-duplicates of members and better suggestions")] = True


class SuggestionsRequest(HitOptions, frozen=True, kw_only=True):
    """Photos that would complete a list of photos that is saved nowhere."""

    photo_ids: SomeIds
    method: SuggestionMethod = "themes"
    fold: Annotated[bool, Meta(description="leave out near-duplicates of members and better suggestions")] = True


class Suggestion(PhotoHit, frozen=True, kw_only=True):
    """A photo that would fit, and the members that speak for it.

    Suggestions stand in the order of their themes' turns, so scores need not fall.
    """

    score: Annotated[float, Meta(description="the mean of the cosines with these members")]
    members: Annotated[list[Id], Meta(description="the members that it is nearest to, best first")] = []


class SuggestionsAnswer(Answer, frozen=True, kw_only=True):
    """Suggested photos, best first."""

    hits: list[Suggestion]
    members: Annotated[int, Meta(description="how many members the suggestions stand on")]
    themes: Annotated[int, Meta(description="how many themes were found among the members")]
    complete: bool
    took_ms: float


class QuestRequest(Request, frozen=True, kw_only=True):
    """A quest."""

    quest_id: AnyId


class QuestBriefRequest(Request, frozen=True, kw_only=True):
    """What a quest asks for: words, example photos, or both."""

    quest_id: AnyId
    q: Text = ""
    photo_ids: Annotated[list[AnyId], Meta(max_length=100, title="at most 100 ids")] = []


class QuestPhotosRequest(Request, frozen=True, kw_only=True):
    """Photos that are submitted to a quest, or withdrawn from it."""

    quest_id: AnyId
    photo_ids: SomeIds


class QuestAnswer(Answer, frozen=True, kw_only=True):
    """A quest's brief and its submissions, in the order in which they came; one that is deleted remains among them.

    Only those that are findable count: `states` says what is the matter with the others, and with examples.
    """

    quest_id: Id
    q: str
    photo_ids: Annotated[list[Id], Meta(description="example photos of the brief")]
    submissions: list[Id]
    states: States = {}


class QuestRankingRequest(Request, frozen=True, kw_only=True):
    """A quest's submissions, best first."""

    quest_id: AnyId
    k: Count = 100
    explain: bool = False


class SubmissionExplanation(Answer, frozen=True, kw_only=True):
    """Why a submission stands where it does."""

    on_topic: Annotated[float | None, Meta(description="the chance; null where too little of the album is known")]
    nearest_example: Annotated[Id | None, Meta(description="the example photo that it is most like")]
    nearest_example_cosine: Cosine | None
    shared_words: Annotated[list[str], Meta(description="words of the brief that the photo shows or is tagged with")]
    shared_labels: Annotated[list[str], Meta(description="labels that it has in common with the example photos")]


class Submission(Answer, frozen=True, kw_only=True):
    """A submission with what was noticed about it."""

    photo_id: Id
    score: Annotated[float, Meta(description="the cosine with the brief: 1 is the same, 0 is unrelated")]
    topic: Annotated[Literal["on", "off", "unsure"], Meta(description="whether it is what the brief asks for")]
    duplicate_of: Annotated[Id | None, Meta(description="an earlier submission that is the same, or nearly")]
    resubmitted: Annotated[int, Meta(description="how many times it was submitted again")]
    reason: Annotated[str, Meta(description="in a few words")]
    url: str
    image_url: str
    title: str | None
    user_id: Id | None
    width: int
    height: int
    explanation: SubmissionExplanation | UnsetType = UNSET


class QuestRankingAnswer(Answer, frozen=True, kw_only=True):
    """Submissions, best first; duplicates and those off topic stand after the others."""

    submissions: list[Submission]
    threshold: Annotated[float | None, Meta(description="scores below it are off topic; null: too few to tell")]
    waiting: Annotated[list[Id], Meta(description="submissions that are not findable, or not any more")]
    states: States = {}
    took_ms: float


class PhotographersRequest(Request, frozen=True, kw_only=True):
    """Photographers whose portfolios suit a brief of words, example photos, or both."""

    q: Text = ""
    photo_ids: Ids = []
    k: Count = 20
    model: PortfolioModel = "best"
    evidence: Annotated[int, Meta(ge=0, le=20, title="a whole number from 0 to 20")] = 3
    exclude_user: Ids = []


class Photographer(Answer, frozen=True, kw_only=True):
    """A photographer, with the photos that speak for them, each with its cosine with the brief."""

    user_id: Id
    score: Annotated[
        float,
        Meta(
            description="higher is better, and to be compared within one answer alone; no cosine. By the model best or "
            "mean: how far above the album's median its five best photos, or all of them, stand, in deviations of the "
            "album's scores; by the model share: how much of the portfolio suits, from 0 to 1"
        ),
    ]
    photos: Annotated[int, Meta(description="findable photos of the portfolio")]
    evidence: list[PhotoHit]


class PhotographersAnswer(Answer, frozen=True, kw_only=True):
    """Photographers, best first."""

    photographers: list[Photographer]
    unknown_words: list[str]
    took_ms: float
