"""The client: one method for each operation of the contract; tests hold them to it, field for field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, Unpack

from stream_app.client.connection import Connection, answer_of
from stream_app.client.options import CollectionId, HitOptions, Options, PhotoId, UserId
from stream_app.contract.collections import (
    GalleryAnswer,
    PhotographersAnswer,
    PortfolioModel,
    QuestAnswer,
    QuestRankingAnswer,
    SuggestionMethod,
    SuggestionsAnswer,
)
from stream_app.contract.operations import BY_NAME
from stream_app.contract.photos import ClassificationAnswer, PhotoAnswer, PhotosAnswer
from stream_app.contract.plain_routes import PLAIN_ROUTES
from stream_app.contract.searching import SearchAnswer
from stream_app.contract.uploads import UploadAnswer
from stream_app.contract.words import Candidate, DisambiguateAnswer, WordsAnswer
from stream_app.contract.workers import StatsAnswer

A = TypeVar("A")
#: A photo's bytes, or the path of its file.
Photo = bytes | Path

_PLAIN = {each.name: each for each in PLAIN_ROUTES}


class Client:
    """Asks a worker over HTTP; searches and suggestions take the filters and options of HitOptions as keywords.

    Every method raises RequestFailed, with `status`, `problem`, `expected`, `received` and `remedy`, where the worker
    refuses, and ServiceUnavailable where none answers. One that is not ready is asked again, up to `retries` times.
    """

    def __init__(self, url: str = "http://127.0.0.1:6066", *, timeout_seconds: float = 40.0, retries: int = 3) -> None:
        self._connection = Connection(url, timeout_seconds=timeout_seconds, retries=retries)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._connection.close()

    def search(self, q: str, **options: Unpack[Options]) -> SearchAnswer:
        """Photos for words: `sunset^2 beach`, `king - man + woman`, `"ice cream"`, `photo:42^0.5`."""
        return self._ask(SearchAnswer, "search", {"q": q, **options})

    def search_image(
        self, image: Photo | None = None, *, url: str = "", q: str = "", **options: Unpack[Options]
    ) -> SearchAnswer:
        """Photos like the one that is sent, or lies at `url`, and whether it is known."""
        return self._ask(SearchAnswer, "search_image", {"url": url or None, "q": q, **options}, image)

    def related(self, photo_id: PhotoId, **options: Unpack[Options]) -> SearchAnswer:
        """Photos like one of the album."""
        return self._ask(SearchAnswer, "related", {"photo_id": photo_id, **options})

    def photos(self, *, offset: int = 0, k: int = 20) -> PhotosAnswer:
        """The album, newest first."""
        return self._ask(PhotosAnswer, "photos", {"offset": offset, "k": k})

    def photo(self, photo_id: PhotoId) -> PhotoAnswer:
        """One photo."""
        return self._ask(PhotoAnswer, "photo", {"photo_id": photo_id})

    def classification(self, photo_id: PhotoId, *, k: int = 20) -> ClassificationAnswer:
        """Words and labels for a photo of the album."""
        return self._ask(ClassificationAnswer, "classification", {"photo_id": photo_id, "k": k})

    def classify(self, image: Photo | None = None, *, url: str = "", k: int = 20) -> ClassificationAnswer:
        """Words and labels for the photo that is sent, or lies at `url`."""
        return self._ask(ClassificationAnswer, "classify", {"url": url or None, "k": k}, image)

    def similar_words(self, word: str, *, k: int = 20) -> WordsAnswer:
        """Words near a word or phrase."""
        return self._ask(WordsAnswer, "similar_words", {"word": word, "k": k})

    def analogy(
        self, q: str = "", *, positive: Sequence[str] = (), negative: Sequence[str] = (), k: int = 20
    ) -> WordsAnswer:
        """Words near a sum of words: `king - man + woman`, or what is added and what is taken away."""
        return self._ask(WordsAnswer, "analogy", {"q": q, "positive": positive, "negative": negative, "k": k})

    def disambiguate(self, candidates: Sequence[str | Candidate], context: Sequence[str]) -> DisambiguateAnswer:
        """Which translation of a tag is meant, by the tags beside it."""
        return self._ask(DisambiguateAnswer, "disambiguate", {"candidates": candidates, "context": context})

    def gallery(self, gallery_id: CollectionId) -> GalleryAnswer:
        """A gallery's members."""
        return self._ask(GalleryAnswer, "gallery", {"gallery_id": gallery_id})

    def gallery_suggestions(
        self, gallery_id: CollectionId, *, method: SuggestionMethod = "themes", **options: Unpack[HitOptions]
    ) -> SuggestionsAnswer:
        """Photos that would complete a gallery."""
        values = {"gallery_id": gallery_id, "method": method, **options}
        return self._ask(SuggestionsAnswer, "gallery_suggestions", values)

    def suggestions(
        self, photo_ids: Sequence[PhotoId], *, method: SuggestionMethod = "themes", **options: Unpack[HitOptions]
    ) -> SuggestionsAnswer:
        """Photos that would complete a list of photos."""
        return self._ask(SuggestionsAnswer, "suggestions", {"photo_ids": photo_ids, "method": method, **options})

    def add_to_gallery(self, gallery_id: CollectionId, photo_ids: Sequence[PhotoId]) -> GalleryAnswer:
        """Add photos to a gallery, which begins with its first."""
        return self._ask(GalleryAnswer, "add_to_gallery", {"gallery_id": gallery_id, "photo_ids": photo_ids})

    def remove_from_gallery(self, gallery_id: CollectionId, photo_ids: Sequence[PhotoId]) -> GalleryAnswer:
        """Take photos out of a gallery."""
        return self._ask(GalleryAnswer, "remove_from_gallery", {"gallery_id": gallery_id, "photo_ids": photo_ids})

    def delete_gallery(self, gallery_id: CollectionId) -> None:
        """Delete a gallery; its photos stay."""
        self._connection.ask(BY_NAME["delete_gallery"], {"gallery_id": gallery_id})

    def quest(self, quest_id: CollectionId) -> QuestAnswer:
        """A quest: its brief and its submissions."""
        return self._ask(QuestAnswer, "quest", {"quest_id": quest_id})

    def set_quest_brief(self, quest_id: CollectionId, *, q: str = "", photo_ids: Sequence[PhotoId] = ()) -> QuestAnswer:
        """Begin a quest, or change what it asks for: words, example photos, or both."""
        return self._ask(QuestAnswer, "set_quest_brief", {"quest_id": quest_id, "q": q, "photo_ids": photo_ids})

    def submit_to_quest(self, quest_id: CollectionId, photo_ids: Sequence[PhotoId]) -> QuestAnswer:
        """Submit photos to a quest."""
        return self._ask(QuestAnswer, "submit_to_quest", {"quest_id": quest_id, "photo_ids": photo_ids})

    def withdraw_from_quest(self, quest_id: CollectionId, photo_ids: Sequence[PhotoId]) -> QuestAnswer:
        """Withdraw submissions."""
        return self._ask(QuestAnswer, "withdraw_from_quest", {"quest_id": quest_id, "photo_ids": photo_ids})

    def delete_quest(self, quest_id: CollectionId) -> None:
        """Delete a quest; its photos stay."""
        self._connection.ask(BY_NAME["delete_quest"], {"quest_id": quest_id})

    def quest_ranking(self, quest_id: CollectionId, *, k: int = 100, explain: bool = False) -> QuestRankingAnswer:
        """A quest's submissions, best first, with what is off topic or a duplicate."""
        return self._ask(QuestRankingAnswer, "quest_ranking", {"quest_id": quest_id, "k": k, "explain": explain})

    def photographers(
        self,
        q: str = "",
        *,
        photo_ids: Sequence[PhotoId] = (),
        k: int = 20,
        model: PortfolioModel = "best",
        evidence: int = 3,
        exclude_user: Sequence[UserId] = (),
    ) -> PhotographersAnswer:
        """Photographers whose portfolios suit a brief of words, example photos, or both; with evidence."""
        values = {"q": q, "photo_ids": photo_ids, "k": k, "model": model, "evidence": evidence}
        return self._ask(PhotographersAnswer, "photographers", {**values, "exclude_user": exclude_user})

    def upload(
        self, image: Photo, *, name: str = "", title: str = "", tags: Sequence[str] = (), idempotency_key: str = ""
    ) -> UploadAnswer:
        """Take a photo into the album; it can be found when its `state` says so.

        A repetition under the same idempotency key gets the same answer, and makes no second photo.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        values = {"name": name or (image.name if isinstance(image, Path) else ""), "title": title, "tags": tags}
        return answer_of(UploadAnswer, self._connection.ask(_PLAIN["upload"], values, _bytes(image), headers))

    def delete(self, photo_id: PhotoId) -> None:
        """Delete a photo; it can no longer be found when this returns."""
        self._connection.ask(_PLAIN["delete"], {"photo_id": photo_id})

    def image(self, photo_id: PhotoId, *, side: int | None = None) -> bytes:
        """A photo's file, or a WebP thumbnail whose longer side has about so many pixels."""
        return self._connection.ask(_PLAIN["image"], {"photo_id": photo_id, "side": side})

    def stats(self) -> StatsAnswer:
        """How the worker is doing."""
        return answer_of(StatsAnswer, self._connection.ask(_PLAIN["stats"], {}))

    def _ask(self, kind: type[A], name: str, values: dict[str, Any], image: Photo | None = None) -> A:
        return answer_of(kind, self._connection.ask(BY_NAME[name], values, _bytes(image)))


def _bytes(image: Photo | None) -> bytes | None:
    return image.read_bytes() if isinstance(image, Path) else image
