"""The operations on quests: the brief, the submissions, and these in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from stream_app import quest_ranking
from stream_app.album import Photo
from stream_app.application_room import ApplicationRoom
from stream_app.briefs import Brief, read_brief
from stream_app.collection_events import BriefChanged, CollectionDeleted, CollectionEvent, PhotoEntered, PhotoLeft
from stream_app.collection_views import Quest
from stream_app.contract.collections import (
    QuestAnswer,
    QuestBriefRequest,
    QuestPhotosRequest,
    QuestRankingAnswer,
    QuestRankingRequest,
    QuestRequest,
    Submission,
    SubmissionExplanation,
)
from stream_app.contract.searching import HitExplanation
from stream_app.contract.values import id_of, rounded
from stream_app.errors import QueryRejected
from stream_app.hit_explanations import Explainer
from stream_app.hit_pages import Candidate
from stream_app.photo_answers import image_url
from stream_app.query_vectors import QueryVector, query_vector, read_question
from stream_app.quest_ranking import Judged, rank_submissions

TOPICS: dict[str, Literal["on", "off", "unsure"]] = {
    quest_ranking.ON_TOPIC: "on",
    quest_ranking.OFF_TOPIC: "off",
    quest_ranking.UNSURE: "unsure",
}
REPEATS = {"photo": "the same photo as", "file": "the same file as", "picture": "nearly the same picture as"}


class QuestAnswers:
    """Quests of the stream."""

    def __init__(self, room: ApplicationRoom) -> None:
        self._room = room
        self._explainer = Explainer(room.space)

    async def quest(self, request: QuestRequest) -> QuestAnswer:
        """The brief and the submissions; raises CollectionNotFound."""
        return await self._answer(self._room.collections.quest(id_of(request.quest_id, "quest_id")))

    async def set_quest_brief(self, request: QuestBriefRequest) -> QuestAnswer:
        """Begin a quest, or change what it asks for; raises QueryRejected and UnknownWords."""
        quest_id = id_of(request.quest_id, "quest_id")
        examples = [id_of(each, "photo_ids") for each in request.photo_ids]
        if not request.q.strip() and not examples:
            raise QueryRejected("The quest asks for nothing", expected="q, photo_ids, or both", received="neither")
        if request.q.strip():
            question = read_question(request.q)
            if question.phrases and not (examples or question.photos):
                await query_vector(self._room.space, question.phrases, [])  # words that nobody knows are no brief
        event = BriefChanged("quest", quest_id, None, words=request.q, example_photo_ids=tuple(examples))
        await self._room.collections.publish([event])
        return await self._answer(self._room.collections.quest(quest_id))

    async def submit_to_quest(self, request: QuestPhotosRequest) -> QuestAnswer:
        """Submit photos; answers when that is durable. Photos that come later count once they are there."""
        return await self._change(request, lambda quest, photo: PhotoEntered("quest", quest, None, photo))

    async def withdraw_from_quest(self, request: QuestPhotosRequest) -> QuestAnswer:
        """Withdraw submissions; what was not submitted changes nothing. Raises CollectionNotFound."""
        return await self._change(request, lambda quest, photo: PhotoLeft("quest", quest, None, photo))

    async def delete_quest(self, request: QuestRequest) -> None:
        """Delete a quest; its photos stay in the album. Raises CollectionNotFound."""
        quest_id = self._room.collections.quest(id_of(request.quest_id, "quest_id")).quest_id
        await self._room.collections.publish([CollectionDeleted("quest", quest_id, None)])

    async def quest_ranking(self, request: QuestRankingRequest) -> QuestRankingAnswer:
        """The submissions, best first, with what is off topic or repeats another.

        Raises CollectionNotFound, and QueryRejected for a quest that has no brief yet.
        """
        began = time.perf_counter()
        quest = self._room.collections.quest(id_of(request.quest_id, "quest_id"))
        brief = await read_brief(
            self._room.space, self._room.photos, quest.words, quest.example_photo_ids, of=f"Quest {quest.quest_id}"
        )
        vectors = await self._room.photos.vectors(each.photo_id for each in quest.submissions)
        signatures = self._room.photos.signatures(list(vectors))
        rows = [self._room.photos.row(each) for each in vectors]
        submitted = [
            quest_ranking.Submission(photo_id, vector, row.sha256 if row else None, signature)
            for (photo_id, vector), row, signature in zip(vectors.items(), rows, signatures, strict=True)
        ]
        examples = np.array(list(brief.examples.values()), np.float32) if brief.examples else None
        sample = await self._room.sample.now()
        ranking = await asyncio.to_thread(rank_submissions, brief.vector, submitted, sample, examples=examples)
        again = {each.photo_id: len(each.again) for each in quest.submissions}
        order = list(vectors)
        states = self._room.photos.states((each.photo_id for each in quest.submissions), vectors)
        shown = [
            self._shown(each, order, again[each.photo_id], photo)
            for each in ranking.judged
            if (photo := self._room.photos.shown(each.photo_id))
        ][: request.k]
        if request.explain:
            shown = await self._explained(shown, {each.photo_id: each for each in ranking.judged}, brief, vectors)
        return QuestRankingAnswer(
            submissions=shown,
            threshold=None if ranking.threshold is None else rounded(ranking.threshold),
            waiting=list(states),
            states=states,
            took_ms=round((time.perf_counter() - began) * 1000, 2),
        )

    async def _change(self, request: QuestPhotosRequest, event: Callable[[int, int], CollectionEvent]) -> QuestAnswer:
        quest_id = self._room.collections.quest(id_of(request.quest_id, "quest_id")).quest_id
        photo_ids = dict.fromkeys(id_of(each, "photo_ids") for each in request.photo_ids)
        await self._room.collections.publish([event(quest_id, each) for each in photo_ids])
        return await self._answer(self._room.collections.quest(quest_id))

    async def _answer(self, quest: Quest) -> QuestAnswer:
        submissions = [each.photo_id for each in quest.submissions]
        named = [*submissions, *quest.example_photo_ids]
        return QuestAnswer(
            quest_id=str(quest.quest_id),
            q=quest.words,
            photo_ids=[str(each) for each in quest.example_photo_ids],
            submissions=[str(each) for each in submissions],
            states=self._room.photos.states(named, await self._room.photos.vectors(named)),
        )

    def _shown(self, judged: Judged, order: list[int], again: int, photo: Photo) -> Submission:
        original = None if judged.repeats is None else str(order[judged.repeats.place])
        return Submission(
            photo_id=str(judged.photo_id),
            score=rounded(judged.score),
            topic=TOPICS[judged.verdict],
            duplicate_of=original,
            resubmitted=again,
            reason=_reason(judged, original),
            url=photo.url,
            image_url=image_url(photo.photo_id),
            title=photo.title,
            user_id=photo.user_id,
            width=photo.width_px,
            height=photo.height_px,
        )

    async def _explained(
        self, shown: list[Submission], judged: dict[int, Judged], brief: Brief, vectors: dict[int, np.ndarray]
    ) -> list[Submission]:
        query = QueryVector(brief.vector, False, [], words=brief.words.words if brief.words else [])
        ids = [int(each.photo_id) for each in shown]
        candidates = [Candidate(each, judged[each].score, judged[each].score, 0.0, "quest") for each in ids]
        photos = {each: photo for each in ids if (photo := self._room.photos.shown(each))}
        asked = [photo for each in brief.examples if (photo := self._room.photos.shown(each))]
        labels = frozenset(name for photo in asked for name, _ in photo.labels)
        explained = await self._explainer.explain(query, candidates, photos, vectors, labels)
        return [
            msgspec.structs.replace(each, explanation=_explanation(judged[photo_id], list(brief.examples), why))
            if (why := explained.get(photo_id := int(each.photo_id)))
            else each
            for each in shown
        ]


def _explanation(judged: Judged, examples: list[int], why: HitExplanation) -> SubmissionExplanation:
    nearest, cosine = judged.nearest_example, judged.nearest_example_score
    return SubmissionExplanation(
        on_topic=None if judged.on_topic is None else rounded(judged.on_topic),
        nearest_example=None if nearest is None else str(examples[nearest]),
        nearest_example_cosine=None if cosine is None else rounded(cosine),
        shared_words=why.shared_words,
        shared_labels=why.shared_labels,
    )


def _reason(judged: Judged, original: str | None) -> str:
    """The verdict in a few words."""
    if judged.repeats is not None:
        return f"{REPEATS[judged.repeats.reason]} submission {original}"
    if judged.on_topic is None:
        return "too little of the album is known to tell"
    chance = f"{judged.on_topic:.0%} likely to be what the brief asks for"
    return chance if judged.verdict != quest_ranking.OFF_TOPIC else f"off topic: {chance}"
