"""A quest's submissions: their order, what is off topic, and what repeats an earlier one."""

from __future__ import annotations

import numpy as np
import pytest

from stream_app.album_sample import AlbumSample
from stream_app.quest_ranking import (
    BACKGROUND_MIN,
    OFF_TOPIC,
    ON_TOPIC,
    UNSURE,
    Judged,
    Repetition,
    Submission,
    brief_vector,
    find_repetitions,
    learn_topic,
    rank_submissions,
    verdict_of,
)

DIMENSIONS = 64
RANDOM = np.random.default_rng(0)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


BRIEF = unit(RANDOM.normal(size=DIMENSIONS))
ALBUM = AlbumSample(unit(RANDOM.normal(size=(500, DIMENSIONS))))


def on_topic(count: int, seed: int = 1) -> np.ndarray:
    """Photos that show what the brief asks for."""
    noise = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    return unit(BRIEF + 0.15 * noise)


def off_topic(count: int, seed: int = 2) -> np.ndarray:
    """Photos of anything."""
    return unit(np.random.default_rng(seed).normal(size=(count, DIMENSIONS)))


def judged(vectors: np.ndarray, sample: AlbumSample = ALBUM) -> list[Judged]:
    """The verdicts in the order of submission."""
    submissions = [Submission(100 + place, vector) for place, vector in enumerate(vectors)]
    return sorted(rank_submissions(BRIEF, submissions, sample).judged, key=lambda each: each.place)


def verdicts(vectors: np.ndarray, sample: AlbumSample = ALBUM) -> list[str]:
    return [each.verdict for each in judged(vectors, sample)]


class TestOffTopic:
    def test_both_kinds_are_told_apart(self):
        assert verdicts(np.concatenate([on_topic(30), off_topic(10)])) == [ON_TOPIC] * 30 + [OFF_TOPIC] * 10

    def test_where_all_are_on_topic_none_is_flagged(self):
        assert verdicts(on_topic(30)) == [ON_TOPIC] * 30

    def test_where_none_is_on_topic_all_are_flagged(self):
        assert verdicts(off_topic(30)).count(OFF_TOPIC) == 30

    @pytest.mark.parametrize(("vectors", "verdict"), [(on_topic(1), ON_TOPIC), (off_topic(1), OFF_TOPIC)])
    def test_one_submission_is_judged_as_well(self, vectors: np.ndarray, verdict: str):
        assert verdicts(vectors) == [verdict]

    def test_on_the_border_it_is_unsure(self):
        known, steps = np.concatenate([on_topic(30), off_topic(10)]) @ BRIEF, np.linspace(-1, 1, 1_001)
        counts = np.arange(len(known) + len(steps)) < len(known)
        topic = learn_topic(np.concatenate([known, steps]), ALBUM.scores(BRIEF), counts)
        assert topic.chances is not None and topic.threshold is not None

        found = [verdict_of(float(chance)) for chance in topic.chances[len(known) :]]
        assert list(dict.fromkeys(found)) == [OFF_TOPIC, UNSURE, ON_TOPIC]
        assert found[int(np.abs(steps - topic.threshold).argmin())] == UNSURE

    @pytest.mark.parametrize(
        "sample", [AlbumSample(ALBUM.vectors[: BACKGROUND_MIN - 1]), AlbumSample(np.tile(ALBUM.vectors[:1], (50, 1)))]
    )
    def test_beside_an_album_that_says_nothing_it_is_unsure_of_all(self, sample: AlbumSample):
        found = judged(on_topic(3), sample)

        assert [(each.verdict, each.on_topic) for each in found] == [(UNSURE, None)] * 3

    def test_in_an_album_all_on_topic_nothing_is_called_off_topic_for_sure(self):
        """What is asked for is then no rarer than anything."""
        assert ON_TOPIC not in verdicts(on_topic(20), AlbumSample(on_topic(500, seed=3)))

    @pytest.mark.parametrize("share", [0.1, 0.25, 0.33])
    def test_what_is_common_in_the_album_is_still_on_topic(self, share: float):
        """A quest for red in an album of which a quarter is red."""
        many = int(share * 200)
        album = AlbumSample(np.concatenate([on_topic(many, seed=8), off_topic(200 - many, seed=9)]))

        assert verdicts(np.concatenate([on_topic(20), off_topic(10)]), album) == [ON_TOPIC] * 20 + [OFF_TOPIC] * 10

    def test_a_better_score_is_never_less_on_topic(self):
        scores = np.linspace(-1, 1, 200)
        chances = learn_topic(scores, ALBUM.scores(BRIEF)).chances

        assert chances is not None and (np.diff(chances) >= -1e-9).all()

    def test_repetitions_teach_nothing(self):
        scores = np.concatenate([on_topic(5), off_topic(5)]) @ BRIEF
        often = np.concatenate([scores, np.repeat(scores[-1:], 90)])
        counts = np.arange(len(often)) < 10

        assert learn_topic(often, ALBUM.scores(BRIEF), counts).share == pytest.approx(
            learn_topic(scores, ALBUM.scores(BRIEF)).share
        )


class TestRanking:
    def test_the_nearest_to_the_brief_comes_first_and_repetitions_last(self):
        vectors = np.stack([off_topic(1)[0], BRIEF, BRIEF])
        submissions = [Submission(1, vectors[0]), Submission(2, vectors[1]), Submission(2, vectors[2])]
        ranking = rank_submissions(BRIEF, submissions, ALBUM)

        assert [each.place for each in ranking.judged] == [1, 0, 2]
        assert ranking.judged[0].score == pytest.approx(1, abs=1e-5)
        assert ranking.judged[2].repeats == Repetition(1, "photo")

    def test_each_names_the_example_that_it_is_most_like(self):
        examples = off_topic(3, seed=8)
        [only] = rank_submissions(BRIEF, [Submission(1, examples[2])], ALBUM, examples=examples).judged

        assert only.nearest_example == 2 and only.nearest_example_score == pytest.approx(1, abs=1e-5)

    def test_no_submissions_are_no_trouble(self):
        assert rank_submissions(BRIEF, [], ALBUM).judged == []


class TestBrief:
    def test_words_and_examples_both_count(self):
        words, examples = off_topic(2, seed=4), off_topic(3, seed=5)
        both = brief_vector(words, examples)

        assert np.linalg.norm(both) == pytest.approx(1, abs=1e-5)
        assert both @ unit(words.mean(axis=0)) > 0.3 and both @ unit(examples.mean(axis=0)) > 0.6

    def test_the_nearest_of_the_album_help_words_alone(self):
        words, examples, nearest = off_topic(1, seed=4)[0], off_topic(3, seed=5), on_topic(10)

        assert brief_vector(words, None, nearest) @ BRIEF > brief_vector(words, None) @ BRIEF + 0.3
        assert np.array_equal(brief_vector(words, examples, nearest), brief_vector(words, examples))

    def test_a_brief_of_nothing_is_refused(self):
        with pytest.raises(ValueError, match="words or examples"):
            brief_vector(None, np.empty((0, DIMENSIONS), np.float32))


class TestRepetitions:
    def test_the_same_photo_the_same_file_and_the_same_picture_point_at_the_first(self):
        picture = np.zeros(32, np.uint8)
        nearly = picture.copy()
        nearly[0] = 0b111
        submissions = [
            Submission(1, BRIEF, "a", picture),
            Submission(2, BRIEF, "b", ~picture),
            Submission(1, BRIEF, "c", None),
            Submission(3, BRIEF, "b", None),
            Submission(4, BRIEF, "d", nearly),
        ]

        assert find_repetitions(submissions) == [
            None,
            None,
            Repetition(0, "photo"),
            Repetition(1, "file"),
            Repetition(0, "picture"),
        ]
        assert find_repetitions(submissions, differing_bits_max=2)[-1] is None

    def test_what_repeats_a_repetition_points_at_the_original(self):
        submissions = [Submission(1, BRIEF, "a"), Submission(2, BRIEF, "a"), Submission(2, BRIEF, "z")]

        assert find_repetitions(submissions)[2] == Repetition(0, "photo")

    def test_a_photo_with_neither_file_nor_signature_repeats_nothing(self):
        assert find_repetitions([Submission(1, BRIEF), Submission(2, BRIEF)]) == [None, None]
