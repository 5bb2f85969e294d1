"""Judging on classes that were held out: the measures, the splits, and what reaches a contender."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contenders import CONSE_10, CONTENDERS, Contender, Lesson, Projector, Seen
from models.labelled_photos import LabelledPhotos
from models.linear_projection import unit
from models.tags import ClassTags, Word
from models.words import Vocabulary
from models.zero_shot import AMONG, Judge, NetworkHead, class_split
from models.zero_shot_metrics import (
    class_ranking,
    flat_hit_at_k,
    hierarchical_precision_at_k,
    hierarchy_hops,
    mean_average_precision,
    paired_bootstrap,
)
from stream_app.errors import TrainingRejected


def tags(name: str, *hypernyms: str) -> ClassTags:
    above = tuple((steps, (Word(each),)) for steps, each in enumerate(hypernyms, start=1))
    return ClassTags(f"n-{name}", (Word(name),), above)


ANIMALS = [
    tags("poodle", "dog", "animal"),
    tags("beagle", "dog", "animal"),
    tags("siamese", "cat", "animal"),
    tags("oak", "tree", "plant"),
]


class TestMeasures:
    def test_a_hit_counts_from_the_place_where_the_truth_stands(self):
        ranking = class_ranking(np.array([[0.1, 0.9, 0.5], [0.8, 0.2, 0.9]]), 3)

        assert ranking.tolist() == [[1, 2, 0], [2, 0, 1]]
        assert [flat_hit_at_k(ranking, np.array([2, 1]), k) for k in (1, 2, 3)] == [0.0, 0.5, 1.0]

    def test_hops_go_through_the_nearest_common_hypernym(self):
        hops = hierarchy_hops(ANIMALS)

        assert hops[0, :3].tolist() == [0, 2, 4]
        assert hops[0, 3] > 1_000
        assert (hops == hops.T).all()

    def test_an_answer_as_near_as_the_kth_nearest_class_is_right(self):
        """For poodle the two nearest are itself and beagle; cat comes with the third."""
        hops = hierarchy_hops(ANIMALS)
        ranking = np.array([[1, 2, 0]])

        assert hierarchical_precision_at_k(ranking, np.array([0]), hops, 1) == 0.0
        assert hierarchical_precision_at_k(ranking, np.array([0]), hops, 2) == 0.5
        assert hierarchical_precision_at_k(ranking, np.array([0]), hops, 3) == 1.0

    def test_average_precision_is_one_when_each_class_keeps_to_itself(self):
        vectors = unit(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]))

        assert mean_average_precision(vectors, np.array([0, 0, 1, 1])) == 1.0
        assert mean_average_precision(vectors, np.array([0, 1, 0, 1])) < 0.6

    def test_the_bootstrap_excludes_zero_only_for_a_steady_difference(self):
        steady, unsteady = paired_bootstrap([0.1, 0.12, 0.09, 0.11]), paired_bootstrap([0.5, -0.6, 0.4, -0.3])

        assert steady[0] > 0
        assert unsteady[0] < 0 < unsteady[1]


@given(st.integers(5, 300), st.integers(0, 50))
def test_a_split_uses_every_class_once(class_count: int, seed: int):
    split = class_split(class_count, seed)
    together = np.concatenate([split.train, split.validation, split.test])

    assert sorted(together) == list(range(class_count))
    assert len(split.train) > len(split.test) > 0 < len(split.validation)


def test_four_classes_are_too_few():
    with pytest.raises(TrainingRejected, match="at least 5"):
        class_split(4, 0)


@pytest.fixture(scope="module")
def world() -> Judge:
    """Thirty classes in three families; photos lie about their class, words about their family."""
    rng = np.random.default_rng(3)
    families = ("animal", "plant", "tool")
    words = [*families, *(f"w{number}" for number in range(30))]
    family_vectors = np.eye(3, 16)
    class_vectors = unit(family_vectors.repeat(10, axis=0) + 0.5 * rng.normal(size=(30, 16)))
    vocabulary = Vocabulary(words, np.concatenate([family_vectors, class_vectors]).astype(np.float32))
    classes = [tags(f"w{number}", families[number // 10]) for number in range(30)]
    mixing = rng.normal(size=(16, 24))
    prototypes = class_vectors @ mixing
    class_of = np.repeat(np.arange(30), 8)
    embeddings = (prototypes[class_of] + 0.4 * rng.normal(size=(240, 24))).astype(np.float32)
    photos = LabelledPhotos(embeddings, np.empty((240, 0)), np.empty((240, 0)), class_of, classes, [])
    head = NetworkHead(prototypes.T.astype(np.float32), np.zeros(30, np.float32), embeddings.mean(axis=0), classes)
    return Judge.of(photos, head, vocabulary)


class TestJudge:
    @pytest.mark.slow
    @pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
    def test_every_contender_learns_something_of_unseen_classes(self, world: Judge, contender: Contender):
        """Chance is one in six; an untrained layer is at chance, everything else is not."""
        [outcome, softmax] = world.judge([contender], [1])

        hit = outcome.measures["held out", "flat_hit@2"]
        assert hit > 2 / 6 or contender.name == "random projection"
        assert 0 <= outcome.measures["all", "flat_hit@1"] <= hit
        assert softmax.measures["held out", "flat_hit@1"] > 0.9

    def test_nothing_of_a_held_out_class_reaches_a_contender(self, world: Judge):
        lessons: list[Lesson] = []

        def spy(lesson: Lesson) -> Projector:
            lessons.append(lesson)
            return CONSE_10.fit(lesson)

        list(world.judge([Contender("spy", spy)], [2]))
        [lesson] = lessons
        split = class_split(30, 2)

        known = {each.wordnet_id for each in lesson.known_classes}
        hidden = {world.photos.classes[each].wordnet_id for each in (*split.validation, *split.test)}
        assert len(known) == 18 and not known & hidden
        assert lesson.classifier.shape == (24, 18) and lesson.photos.logits.shape[1] == 18
        assert lesson.targets.shape[0] == len(split.train) == len(np.unique(lesson.class_of))

    def test_the_settings_are_those_that_validation_liked_best(self, world: Judge):
        def fit(lesson: Lesson, *, good: bool) -> Projector:
            right = CONSE_10.fit(lesson)
            return right if good else lambda photos: np.ones((len(photos.logits), 16), np.float32) / 4

        [outcome, _] = world.judge([Contender("two ways", fit, {"good": (False, True)})], [0])

        assert outcome.settings == {"good": True}

    def test_no_contender_has_more_than_eight_settings(self):
        assert max(len(each.settings()) for each in CONTENDERS) <= 8

    def test_both_kinds_of_candidates_are_measured(self, world: Judge):
        [outcome, _] = world.judge([CONSE_10], [0])

        assert {among for among, _ in outcome.measures} == set(AMONG)


def test_probabilities_are_those_of_the_k_best():
    scores = Seen(np.empty((1, 0)), np.log(np.array([[0.5, 0.3, 0.2]]))).probabilities(1.0, 2)

    assert scores == pytest.approx(np.array([[0.625, 0.375, 0.0]]))
