"""Every operation, once: HTTP's routes, Kafka's requests, the OpenAPI document and the client are made from this."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stream_app.contract import collections, photos, searching, words
from stream_app.contract.values import Answer, Request

Handler = Callable[[Any], Awaitable[Any]]
#: What answers each operation, by its name.
Handlers = Mapping[str, Handler]


def path_names(path: str) -> list[str]:
    """The fields that stand in a path."""
    return re.findall(r"\{(\w+)\}", path)


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked; `name` is its name over Kafka, in the client and in the OpenAPI document.

    Over HTTP a request's fields stand in path and query, unless `body` says that they are JSON, or that the body
    is the photo and the others stand in the query. `answer` is None where nothing is answered but that it is done.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    request: type[Request]
    answer: type[Answer] | None
    summary: str
    body: Literal["none", "json", "photo"] = "none"

    @property
    def path_names(self) -> list[str]:
        """The fields that stand in the path."""
        return path_names(self.path)


OPERATIONS: tuple[Operation, ...] = (
    Operation("search", "GET", "/api/search", searching.SearchRequest, searching.SearchAnswer, "Photos for words"),
    Operation(
        "search_image",
        "POST",
        "/api/search/image",
        searching.ImageSearchRequest,
        searching.SearchAnswer,
        "Photos like the one that is sent, and whether it is known",
        body="photo",
    ),
    Operation(
        "related",
        "GET",
        "/api/photos/{photo_id}/related",
        searching.RelatedRequest,
        searching.SearchAnswer,
        "Photos like one of the album",
    ),
    Operation("photos", "GET", "/api/photos", photos.PhotosRequest, photos.PhotosAnswer, "The album, newest first"),
    Operation("photo", "GET", "/api/photos/{photo_id}", photos.PhotoRequest, photos.PhotoAnswer, "One photo"),
    Operation(
        "classification",
        "GET",
        "/api/photos/{photo_id}/classification",
        photos.ClassificationRequest,
        photos.ClassificationAnswer,
        "Words and labels for a photo of the album",
    ),
    Operation(
        "classify",
        "POST",
        "/api/classify",
        photos.ClassifyRequest,
        photos.ClassificationAnswer,
        "Words and labels for the photo that is sent",
        body="photo",
    ),
    Operation(
        "similar_words",
        "GET",
        "/api/words/{word}/similar",
        words.SimilarWordsRequest,
        words.WordsAnswer,
        "Words near a word",
    ),
    Operation(
        "analogy", "GET", "/api/words/analogy", words.AnalogyRequest, words.WordsAnswer, "Words near a sum of words"
    ),
    Operation(
        "disambiguate",
        "POST",
        "/api/words/disambiguate",
        words.DisambiguateRequest,
        words.DisambiguateAnswer,
        "Which translation of a tag is meant",
        body="json",
    ),
    Operation(
        "gallery",
        "GET",
        "/api/galleries/{gallery_id}",
        collections.GalleryRequest,
        collections.GalleryAnswer,
        "A gallery's members",
    ),
    Operation(
        "gallery_suggestions",
        "GET",
        "/api/galleries/{gallery_id}/suggestions",
        collections.GallerySuggestionsRequest,
        collections.SuggestionsAnswer,
        "Photos that would complete a gallery",
    ),
    Operation(
        "suggestions",
        "POST",
        "/api/suggestions",
        collections.SuggestionsRequest,
        collections.SuggestionsAnswer,
        "Photos that would complete a list of photos",
        body="json",
    ),
    Operation(
        "add_to_gallery",
        "POST",
        "/api/galleries/{gallery_id}/photos",
        collections.GalleryPhotosRequest,
        collections.GalleryAnswer,
        "Add photos to a gallery, which begins with its first",
        body="json",
    ),
    Operation(
        "remove_from_gallery",
        "POST",
        "/api/galleries/{gallery_id}/photos/remove",
        collections.GalleryPhotosRequest,
        collections.GalleryAnswer,
        "Take photos out of a gallery",
        body="json",
    ),
    Operation(
        "delete_gallery",
        "DELETE",
        "/api/galleries/{gallery_id}",
        collections.GalleryRequest,
        None,
        "Delete a gallery; its photos stay",
    ),
    Operation("quest", "GET", "/api/quests/{quest_id}", collections.QuestRequest, collections.QuestAnswer, "A quest"),
    Operation(
        "set_quest_brief",
        "PUT",
        "/api/quests/{quest_id}",
        collections.QuestBriefRequest,
        collections.QuestAnswer,
        "Begin a quest, or change what it asks for",
        body="json",
    ),
    Operation(
        "submit_to_quest",
        "POST",
        "/api/quests/{quest_id}/submissions",
        collections.QuestPhotosRequest,
        collections.QuestAnswer,
        "Submit photos to a quest",
        body="json",
    ),
    Operation(
        "withdraw_from_quest",
        "POST",
        "/api/quests/{quest_id}/submissions/withdraw",
        collections.QuestPhotosRequest,
        collections.QuestAnswer,
        "Withdraw submissions",
        body="json",
    ),
    Operation("delete_quest", "DELETE", "/api/quests/{quest_id}", collections.QuestRequest, None, "Delete a quest"),
    Operation(
        "quest_ranking",
        "GET",
        "/api/quests/{quest_id}/ranking",
        collections.QuestRankingRequest,
        collections.QuestRankingAnswer,
        "A quest's submissions, best first, with what is off topic or a duplicate",
    ),
    Operation(
        "photographers",
        "POST",
        "/api/assignments/photographers",
        collections.PhotographersRequest,
        collections.PhotographersAnswer,
        "Photographers for an assignment, with evidence",
        body="json",
    ),
)

BY_NAME = {operation.name: operation for operation in OPERATIONS}


def handlers_of(desks: Iterable[object]) -> Handlers:
    """What answers each operation: the methods of `desks` that are named as an operation is."""
    return {each.name: getattr(desk, each.name) for desk in desks for each in OPERATIONS if hasattr(desk, each.name)}
