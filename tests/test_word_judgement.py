"""Judging words: people's judgements, analogies, what is unknown, and the words that we ship."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from models.word_judgement import (
    compare_pairs,
    judge_analogies,
    judge_pairs,
    judge_words,
    nearest_to_frequent,
    read_analogies,
    read_pairs,
    spearman,
    unit_rows,
)
from models.word_sources import WORDNET_WORDS, word_source
from models.words import Vocabulary


def on_a_circle(**degrees: float) -> Vocabulary:
    """Words in two dimensions, each at its angle."""
    angles = np.radians(list(degrees.values()))
    return Vocabulary(list(degrees), np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def test_words_as_alike_as_people_say_have_a_correlation_of_one() -> None:
    """Only the order counts."""
    vocabulary = on_a_circle(dog=0, puppy=10, cat=40, bank=90, rate=180)
    pairs = [("dog", "puppy", 9.0), ("dog", "cat", 5.0), ("dog", "bank", 1.0), ("dog", "rate", 0.5)]

    assert judge_pairs("p", pairs, vocabulary).spearman == pytest.approx(1)
    assert judge_pairs("p", [(*pair[:2], -pair[2]) for pair in pairs], vocabulary).spearman == pytest.approx(-1)


def test_equal_judgements_share_their_rank() -> None:
    """As in every textbook: (1, 2, 2, 4) against (1, 2, 3, 4) is .9487."""
    assert spearman(np.array([1, 2, 2, 4]), np.array([1, 2, 3, 4])) == pytest.approx(0.9487, abs=1e-4)


def test_unknown_words_are_counted_with_the_pairs_that_they_spoil() -> None:
    """And the rest is judged without them."""
    vocabulary = on_a_circle(dog=0, puppy=10, cat=40)
    pairs = [
        ("dog", "puppy", 9.0),
        ("dog", "cat", 5.0),
        ("puppy", "cat", 6.0),
        ("dog", "xyzzy", 1.0),
        ("xyzzy", "q", 2.0),
    ]

    score = judge_pairs("p", pairs, vocabulary)

    assert (score.judged, score.pairs, score.unknown) == (3, 5, {"xyzzy": 2, "q": 1})
    assert score.spearman == pytest.approx(1)


def test_a_vocabulary_that_knows_no_pair_has_no_score() -> None:
    """In JSON it is null."""
    report = judge_words(on_a_circle(xyzzy=0, plugh=90))

    assert [pair.judged for pair in report.pairs] == [0, 0]
    assert [pair["spearman"] for pair in report.to_json()["pairs"]] == [None, None]
    assert report.to_json()["analogies"]["accuracy"] is None


def test_an_analogy_is_answered_by_a_word_that_is_not_in_the_question() -> None:
    """Even where a word of the question is nearer: king - man + woman is nearest to king or woman itself."""
    vectors = np.array([[1, 0, 0], [1, 0, 0.2], [1, 1, 0], [1, 1, 0.5], [-1, 0, 0]], np.float32)
    vocabulary = Vocabulary(["man", "woman", "king", "queen", "stone"], vectors)
    questions = [
        ("man", "king", "woman", "queen"),
        ("man", "king", "woman", "stone"),
        ("man", "king", "girl", "princess"),
    ]

    score = judge_analogies(questions, vocabulary)

    assert (score.right, score.covered, score.questions, score.accuracy) == (1, 2, 3, 0.5)


def test_two_vocabularies_are_compared_on_the_pairs_that_both_know() -> None:
    """What one of them lacks counts for neither."""
    words = ["tiger", "cat", "book", "paper", "computer", "keyboard"]
    rng = np.random.default_rng(1)
    large = Vocabulary(words, rng.normal(size=(6, 3)).astype(np.float32))
    small = Vocabulary(words[:4], rng.normal(size=(4, 3)).astype(np.float32))

    one, other = compare_pairs(large, small)[0]

    known = {word for pair in read_pairs("WordSim-353") for word in pair[:2] if {*pair[:2]} <= set(words[:4])}
    assert known == {"tiger", "cat", "book", "paper"}
    assert one.judged == other.judged == one.pairs == 3  # tiger and itself, tiger and cat, book and paper


def test_the_nearest_of_frequent_words_leave_out_small_words_and_themselves() -> None:
    """The most frequent first."""
    vocabulary = on_a_circle(the=0, dog=1, of=2, puppy=3, bank=90)

    nearest = nearest_to_frequent(vocabulary, unit_rows(vocabulary))

    assert list(nearest) == ["dog", "puppy", "bank"]
    assert "dog" not in nearest["dog"]


def test_the_judgements_are_complete() -> None:
    """As they were published."""
    assert [len(read_pairs(name)) for name in ("WordSim-353", "SimLex-999")] == [353, 999]
    assert len(list(read_analogies())) == 19_544


@pytest.mark.slow
def test_our_own_words_agree_with_people_more_than_glove_does() -> None:
    """On the same pairs, and well above what we ask of words learnt from a text of this size."""
    own, glove = word_source("wordnet_sgns_200d")().vocabulary, word_source("glove_6b_50d")().vocabulary

    (word_sim, glove_word_sim), (sim_lex, glove_sim_lex) = compare_pairs(own, glove)

    assert word_sim.judged >= 350 and sim_lex.judged >= 995
    assert word_sim.spearman > max(0.55, glove_word_sim.spearman)
    assert sim_lex.spearman > max(0.41, glove_sim_lex.spearman)


def test_our_own_words_are_those_that_the_notice_tells_of() -> None:
    """At most 16 MB, with the hash and the command beside them."""
    notice = (WORDNET_WORDS.parent / "NOTICE").read_text(encoding="utf-8")

    assert WORDNET_WORDS.stat().st_size <= 16_000_000
    assert hashlib.sha256(WORDNET_WORDS.read_bytes()).hexdigest() in notice
    assert "sightline train words" in notice
