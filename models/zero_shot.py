"""Judge contenders on classes that they never saw, over many splits of the classes.

In each split some classes train, some choose each contender's settings, and some are shown once, at the end. The
network's own outputs and last-layer rows for the classes of the last two groups are kept from every contender. Its
features were still trained with photos of them: that stays true of every pretrained network, for all contenders alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.class_targets import class_targets
from models.contenders import Contender, Lesson, Projector, Seen
from models.labelled_photos import LabelledPhotos
from models.tags import ClassTags
from models.words import Vocabulary
from models.zero_shot_metrics import class_ranking, flat_hit_at_k, hierarchical_precision_at_k, hierarchy_hops
from stream_app.errors import TrainingRejected

KS = (1, 2, 5, 10, 20)
AMONG = ("held out", "all")


@dataclass(frozen=True)
class ClassSplit:
    """Rows of classes, int arrays that share none."""

    seed: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class NetworkHead:
    """The last layer of the vision model, and the classes it knows."""

    classifier: np.ndarray  # float32 [d, classes]
    bias: np.ndarray  # float32 [classes]
    mean_embedding: np.ndarray  # float32 [d]
    classes: list[ClassTags]


@dataclass(frozen=True)
class Outcome:
    """How one contender fared in one split: measures by (among, measure), e.g. ("all", "flat_hit@5")."""

    contender: str
    seed: int
    settings: dict[str, float]
    measures: dict[tuple[str, str], float]


def class_split(class_count: int, seed: int) -> ClassSplit:
    """Three fifths of the classes train, one fifth validates, one fifth tests."""
    if class_count < 5:
        raise TrainingRejected(
            "Too few classes to hold some out", expected="at least 5 classes", received=f"{class_count}"
        )
    order = np.random.default_rng(seed).permutation(class_count)
    first, second = class_count * 3 // 5, class_count * 4 // 5
    return ClassSplit(seed, order[:first], order[first:second], order[second:])


@dataclass(frozen=True)
class Judge:
    """What stays the same over all splits."""

    photos: LabelledPhotos
    head: NetworkHead
    vocabulary: Vocabulary
    targets: np.ndarray  # float32 [classes, w]
    target_kind: str
    hops: np.ndarray  # int [classes, classes]
    train_per_class_max: int

    @classmethod
    def of(
        cls,
        photos: LabelledPhotos,
        head: NetworkHead,
        vocabulary: Vocabulary,
        *,
        target_kind: str = "hypernyms",
        train_per_class_max: int = 40,
    ) -> Judge:
        """Prepared once; raises TrainingRejected when a class has no word."""
        targets = class_targets(photos.classes, vocabulary, target_kind)
        hops = hierarchy_hops(photos.classes)
        return cls(photos, head, vocabulary, targets, target_kind, hops, train_per_class_max)

    def judge(self, contenders: Sequence[Contender], seeds: Iterable[int]) -> Iterable[Outcome]:
        """Tune and show every contender in every split, one outcome after the other."""
        for seed in seeds:
            exam = _Exam(self, class_split(len(self.photos.classes), seed))
            for contender in contenders:
                yield exam.take(contender)
            yield exam.softmax()


class _Exam:
    """One split: the lesson, the validation, and the test."""

    def __init__(self, judge: Judge, split: ClassSplit) -> None:
        self._judge, self._split = judge, split
        hidden = [judge.photos.classes[each] for each in (*split.validation, *split.test)]
        self._known = np.array([row for row, each in enumerate(judge.head.classes) if not _same(each, hidden)])
        train_rows = judge.photos.of(split.train, judge.train_per_class_max)
        position = np.full(len(judge.photos.classes), -1)
        position[split.train] = np.arange(len(split.train))
        known_classes = [judge.head.classes[row] for row in self._known]
        self._validation = self._seen(judge.photos.of(split.validation, judge.train_per_class_max))
        self._test = self._seen(judge.photos.of(split.test))
        self._lesson = Lesson(
            photos=self._seen(train_rows)[0],
            class_of=position[judge.photos.class_of[train_rows]],
            targets=judge.targets[split.train],
            known_classes=known_classes,
            known_targets=class_targets(known_classes, judge.vocabulary, judge.target_kind),
            classifier=judge.head.classifier[:, self._known],
            mean_embedding=judge.head.mean_embedding,
            vocabulary=judge.vocabulary,
            validate=self._validate,
            seed=split.seed,
        )

    def take(self, contender: Contender) -> Outcome:
        """Fit with every settings, keep what validation likes best, and show that the test classes."""
        fitted = [(settings, contender.fit(self._lesson, **settings)) for settings in contender.settings()]
        if len(fitted) > 1:
            fitted.sort(key=lambda each: -self._validate(each[1]))
        settings, projector = fitted[0]
        photos, right = self._test
        joint = projector(photos)
        return Outcome(contender.name, self._split.seed, settings, self._measures(joint @ self._judge.targets.T, right))

    def softmax(self) -> Outcome:
        """The network's own scores of the classes, test classes included: what is possible, not zero-shot."""
        head = self._judge.head
        rows = {each.wordnet_id or each.names[0].text: row for row, each in enumerate(head.classes)}
        keys = [each.wordnet_id or each.names[0].text for each in self._judge.photos.classes]
        columns = [rows.get(key) for key in keys]
        photos = self._judge.photos.image_embeddings[self._judge.photos.of(self._split.test)]
        scores = np.full((len(photos), len(columns)), -np.inf, np.float32)
        for column, row in enumerate(columns):
            if row is not None:
                scores[:, column] = photos @ head.classifier[:, row] + head.bias[row]
        return Outcome("softmax that saw the classes", self._split.seed, {}, self._measures(scores, self._test[1]))

    def _seen(self, rows: np.ndarray) -> tuple[Seen, np.ndarray]:
        """Photos as contenders may see them, and their classes."""
        embeddings = self._judge.photos.image_embeddings[rows]
        head = self._judge.head
        logits = embeddings @ head.classifier[:, self._known] + head.bias[self._known]
        return Seen(embeddings, logits), self._judge.photos.class_of[rows]

    def _validate(self, projector: Projector) -> float:
        """The mean of flat hit@1 and hit@5 among the validation classes, and among them and the training classes."""
        photos, right = self._validation
        joint = projector(photos)
        hits = []
        for among in (self._split.validation, np.concatenate([self._split.train, self._split.validation])):
            ranking = among[class_ranking(joint @ self._judge.targets[among].T, 5)]
            hits += [flat_hit_at_k(ranking, right, k) for k in (1, 5)]
        return float(np.mean(hits))

    def _measures(self, scores: np.ndarray, right: np.ndarray) -> dict[tuple[str, str], float]:
        measures = {}
        for among, candidates in zip(AMONG, (np.sort(self._split.test), np.arange(scores.shape[1])), strict=True):
            ranking = candidates[class_ranking(scores[:, candidates], max(KS))]
            hops = np.full_like(self._judge.hops, np.iinfo(np.int32).max)
            hops[:, candidates] = self._judge.hops[:, candidates]
            for k in KS:
                measures[among, f"flat_hit@{k}"] = flat_hit_at_k(ranking, right, k)
                measures[among, f"hierarchical_precision@{k}"] = hierarchical_precision_at_k(ranking, right, hops, k)
        return measures


def _same(network_class: ClassTags, hidden: Sequence[ClassTags]) -> bool:
    """Whether a class of the network is one of the hidden ones: by WordNet id, or by any shared name without one."""
    names = {name.text.lower() for name in network_class.names}
    return any(
        each.wordnet_id == network_class.wordnet_id
        if each.wordnet_id
        else bool(names & {name.text.lower() for name in each.names})
        for each in hidden
    )


def chance(candidates: int, k: int) -> float:
    """The flat hit@k of guessing."""
    return min(1.0, k / candidates)
