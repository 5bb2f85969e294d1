"""What suggestions for galleries, the ranking of quests and that of photographers are worth, on made collections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.labelled_photos import tags_by_label, tags_of_label
from stream_app.album_sample import SAMPLE_PHOTOS, AlbumSample
from stream_app.application_measures import (
    ndcg_at_k,
    ndcg_of_chance,
    ndcg_of_scores,
    recall_at_k,
    recall_of_a_draw,
    recall_of_scores,
    roc_auc,
)
from stream_app.errors import UnknownWords
from stream_app.gallery_suggestions import METHODS, gallery_queries, merge_suggestions
from stream_app.labelled_album import LabelledAlbum
from stream_app.made_collections import Assignment, MadeCollections, MadeGallery, MadeQuest
from stream_app.photographer_ranking import MODELS, Portfolio, assignment_vector, rank_photographers
from stream_app.photographer_ranking import NEAREST_PHOTOS as NEAREST_FOR_ASSIGNMENTS
from stream_app.quest_ranking import NEAREST_PHOTOS as NEAREST_FOR_QUESTS
from stream_app.quest_ranking import OFF_TOPIC, UNSURE, QuestRanking, Submission, brief_vector, rank_submissions

SUGGESTIONS = 20
PHOTOGRAPHERS = 5
EXAMPLES = 3  # photos that stand for an assignment's brief
CHANCE, LABEL_ONLY, ORACLE = "chance", "label only", "label oracle"
WORDS, PHOTOS, BOTH = "words", "examples", "words and examples"
BRIEFS = (WORDS, PHOTOS, BOTH)

GALLERY_RECALL = f"recall@{SUGGESTIONS}"
QUEST_NDCG = f"NDCG@{SUGGESTIONS}"
PHOTOGRAPHER_NDCG = f"NDCG@{PHOTOGRAPHERS}"


@dataclass
class Outcomes:
    """Values by (contender, measure), one for each gallery, quest or assignment, in the same order for all."""

    kinds: list[str] = field(default_factory=list)
    values: dict[tuple[str, str], list[float | None]] = field(default_factory=dict)

    def add(self, contender: str, measure: str, value: float | None) -> None:
        """The value of the next one; None where the measure has none."""
        self.values.setdefault((contender, measure), []).append(value)

    def of(self, contender: str, measure: str, kind: str | None = None) -> np.ndarray:
        """float [n] of one kind, or of all; what has no value is left out."""
        found = zip(self.kinds, self.values[contender, measure], strict=True)
        return np.array([value for each, value in found if value is not None and kind in (None, each)])

    @property
    def contenders(self) -> list[str]:
        """Whoever was judged, in order."""
        return list(dict.fromkeys(contender for contender, _ in self.values))


class Judge:
    """Judges on one album. `seed` draws the sample of the album and the examples of assignments."""

    def __init__(self, album: LabelledAlbum, collections: MadeCollections, *, seed: int = 0) -> None:
        self._album, self._made = album, collections
        self._random = np.random.default_rng(seed)
        rows = self._random.permutation(len(album))[:SAMPLE_PHOTOS]
        self._sample = AlbumSample(album.vectors[rows])
        self._known = tags_by_label()

    def galleries(self, say: Callable[[int], None] = lambda count: None) -> Outcomes:
        """Recall of the members that were left out."""
        outcomes = Outcomes()
        for gallery in self._made.galleries:
            outcomes.kinds.append(gallery.kind)
            for name, recall in self._gallery(gallery):
                outcomes.add(name, GALLERY_RECALL, recall)
            say(1)
        return outcomes

    def _gallery(self, gallery: MadeGallery) -> list[tuple[str, float]]:
        album, wanted = self._album, gallery.left_out
        outside = np.ones(len(album), bool)
        outside[gallery.members] = False
        of_labels = outside & np.isin(album.labels, gallery.labels)
        classes = album.seen[gallery.members]
        votes = np.bincount(classes, minlength=int(album.seen.max()) + 1)[album.seen].astype(float)
        return [
            (CHANCE, recall_of_a_draw(outside, wanted, SUGGESTIONS)),
            (LABEL_ONLY, recall_of_scores(np.where(outside, votes, -np.inf), wanted, SUGGESTIONS)),
            (ORACLE, recall_of_a_draw(of_labels, wanted, SUGGESTIONS)),
            *((method, recall_at_k(self.suggestions(gallery.members, method), wanted)) for method in METHODS),
        ]

    def suggestions(self, members: np.ndarray, method: str) -> np.ndarray:
        """Rows of the first suggestions for a gallery, found by the shard."""
        queries = gallery_queries(self._album.vectors[members], self._sample, method=method)
        known = {int(row) for row in members}
        hits = [
            [
                (hit.photo_id, hit.score)
                for hit in self._album.shard.search(each.vector, SUGGESTIONS, allow=lambda row: row not in known)
            ]
            for each in queries
        ]
        found = merge_suggestions(queries, hits, known)
        return np.array([each.photo_id for each in found[:SUGGESTIONS]], dtype=np.int64)

    def quests(self, say: Callable[[int], None] = lambda count: None) -> Outcomes:
        """How well on topic is told from off topic, and what is known as a repetition."""
        outcomes = Outcomes()
        for quest in self._made.quests:
            outcomes.kinds.append("quest")
            outcomes.add(CHANCE, "ROC-AUC", 0.5 if 0 < quest.on_topic.mean() < 1 else None)
            self._label_only(outcomes, quest)
            for brief in BRIEFS:
                self._quest(outcomes, quest, brief)
            say(1)
        return outcomes

    def _label_only(self, outcomes: Outcomes, quest: MadeQuest) -> None:
        classes = self._album.seen[quest.examples]
        votes = (self._album.seen[quest.submissions][:, None] == classes).mean(axis=1)
        outcomes.add(LABEL_ONLY, "ROC-AUC", roc_auc(votes, quest.on_topic))
        outcomes.add(LABEL_ONLY, QUEST_NDCG, ndcg_of_scores(votes, quest.on_topic.astype(float), SUGGESTIONS))

    def _quest(self, outcomes: Outcomes, quest: MadeQuest, brief: str) -> None:
        album = self._album
        words = self.words(quest.label) if brief != PHOTOS else None
        examples = album.vectors[quest.examples] if brief != WORDS else None
        nearest = None if words is None or examples is not None else self._nearest_to(words, NEAREST_FOR_QUESTS)
        # Each is handed in as a photo of its own: what repeats is known by its file, or by its looks alone.
        vectors, hashes = album.vectors[quest.submissions], [album.sha256[row] for row in quest.submissions]
        submissions = [
            Submission(place, vectors[place], hashes[place], album.signatures[row])
            for place, row in enumerate(quest.submissions)
        ]
        by_looks = [each._replace(sha256=None) for each in submissions]
        vector = brief_vector(words, examples, nearest)
        ranking = rank_submissions(vector, submissions, self._sample, examples=examples)
        self._verdicts(outcomes, brief, quest, ranking)
        self._repetitions(outcomes, brief, quest, ranking, "repetitions")
        looked = rank_submissions(vector, by_looks, self._sample, examples=examples)
        self._repetitions(outcomes, brief, quest, looked, "repetitions by looks")

    def _verdicts(self, outcomes: Outcomes, brief: str, quest: MadeQuest, ranking: QuestRanking) -> None:
        places = [each.place for each in ranking.judged]
        scores = np.array([each.score for each in ranking.judged])
        on_topic = quest.on_topic[places]
        flagged = np.array([each.verdict == OFF_TOPIC for each in ranking.judged])
        first = np.array([each.repeats is None for each in ranking.judged])
        outcomes.add(brief, "ROC-AUC", roc_auc(scores, on_topic))
        outcomes.add(brief, QUEST_NDCG, ndcg_at_k(on_topic[first].astype(float), SUGGESTIONS))
        outcomes.add(brief, "flag precision", _share(~on_topic, flagged))
        outcomes.add(brief, "flag recall", _share(flagged, ~on_topic))
        outcomes.add(brief, "unsure", float(np.mean([each.verdict == UNSURE for each in ranking.judged])))

    def _repetitions(self, outcomes: Outcomes, brief: str, quest: MadeQuest, ranking: QuestRanking, name: str) -> None:
        repeated = np.zeros(len(quest.submissions), bool)
        repeated[[each.place for each in ranking.judged if each.repeats is not None]] = True
        _, first = np.unique(quest.submissions, return_index=True)
        again = np.ones(len(repeated), bool)
        again[first] = False
        outcomes.add(brief, f"{name} found", _share(repeated, again))
        outcomes.add(brief, f"{name} imagined", float((repeated & ~again).mean()))

    def photographers(self, say: Callable[[int], None] = lambda count: None) -> Outcomes:
        """How well each model of a portfolio ranks photographers for an assignment."""
        outcomes = Outcomes()
        album = self._album
        portfolios = {
            user: Portfolio([int(row) for row in rows], album.vectors[rows])
            for user, rows in self._made.portfolios.items()
        }
        for assignment in self._made.assignments:
            outcomes.kinds.append("assignment")
            relevance = np.array([assignment.relevance[user] for user in portfolios])
            outcomes.add(CHANCE, PHOTOGRAPHER_NDCG, ndcg_of_chance(relevance, PHOTOGRAPHERS))
            examples = self._examples(assignment)
            outcomes.add(LABEL_ONLY, PHOTOGRAPHER_NDCG, self._share_of_label(examples, relevance))
            for brief in BRIEFS:
                vector = self._assignment_vector(assignment, examples, brief)
                for model in MODELS:
                    ranked = rank_photographers(vector, portfolios, self._sample, model=model)
                    gains = np.array([assignment.relevance[each.user_id] for each in ranked])
                    outcomes.add(f"{model}, {brief}", PHOTOGRAPHER_NDCG, ndcg_at_k(gains, PHOTOGRAPHERS))
            say(1)
        return outcomes

    def _assignment_vector(self, assignment: Assignment, examples: np.ndarray, brief: str) -> np.ndarray:
        words = self.words(assignment.label) if brief != PHOTOS else None
        photos = self._album.vectors[examples] if brief != WORDS else None
        asked = brief_vector(words, photos)
        rows = self._album.nearest(asked, NEAREST_FOR_ASSIGNMENTS, is_word=brief == WORDS)
        return assignment_vector(self._album.vectors[rows], self._sample)

    def _examples(self, assignment: Assignment) -> np.ndarray:
        """Photos of the label, from outside of the portfolios where there are enough."""
        album = self._album
        of_label = np.flatnonzero(album.labels == assignment.label)
        free = np.setdiff1d(of_label, np.concatenate(list(self._made.portfolios.values())))
        return self._random.permutation(free if len(free) >= EXAMPLES else of_label)[:EXAMPLES]

    def _share_of_label(self, examples: np.ndarray, relevance: np.ndarray) -> float | None:
        """NDCG of ranking by the share of photos in which the network sees what it sees in the examples."""
        classes = self._album.seen[examples]
        rows = self._made.portfolios.values()
        shares = np.array([(self._album.seen[each][:, None] == classes).mean() for each in rows])
        return ndcg_of_scores(shares, relevance, PHOTOGRAPHERS)

    def words(self, label: str) -> np.ndarray:
        """A label's known names as queries of words, float32 [w, d]; UnknownWords when none is known."""
        tags = tags_of_label(label, self._known)
        queries = []
        for name in tags.names:
            try:
                queries.append(self._album.space.word_query(self._album.space.embed_words(name.text).vector))
            except UnknownWords:
                continue
        if not queries:
            raise UnknownWords(f"No name of {label} is known", received=", ".join(each.text for each in tags.names))
        return np.stack(queries)

    def _nearest_to(self, words: np.ndarray, k: int) -> np.ndarray:
        rows = self._album.nearest(brief_vector(words, None), k, is_word=True)
        return self._album.vectors[rows]


def _share(of: np.ndarray, among: np.ndarray) -> float | None:
    """The share of `among` that is also `of`; None where there is none."""
    return float(of[among].mean()) if among.any() else None
