"""Choosing a translation by the tags beside the word."""

from __future__ import annotations

import pytest
from benchmarks.bench_translation import outcomes, read_cases

from models.translation import SURE_MARGIN, Candidate, disambiguate
from models.word_sources import word_source
from models.words import Vocabulary
from stream_app.errors import QueryRejected, UnknownWords

BANCO = [Candidate("bank"), Candidate("bench")]


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return word_source("glove_6b_50d")().vocabulary


@pytest.mark.parametrize(
    ("context", "right"), [(["money", "credit"], "bank"), (["garden", "chair", "wooden"], "bench")]
)
def test_a_banco_is_what_its_context_says(words: Vocabulary, context: list[str], right: str) -> None:
    choice = disambiguate(BANCO, context, words)

    assert choice.ranked[0].candidate.text == right
    assert choice.sure and choice.margin is not None and choice.margin >= SURE_MARGIN
    assert (choice.ranked[0].score or 0) - (choice.ranked[1].score or 0) == pytest.approx(choice.margin)


def test_the_hand_made_cases_are_mostly_right_and_the_sure_ones_nearly_all(words: Vocabulary) -> None:
    """What bench_translation.py prints; a guess without context is right in half of them."""
    found = outcomes(read_cases(), words)
    sure = [each for each in found if each.margin >= SURE_MARGIN]

    assert len(found) >= 100
    assert sum(each.right for each in found) / len(found) >= 0.93
    assert sum(each.right for each in sure) / len(sure) >= 0.95 and len(sure) / len(found) >= 0.8


def test_a_gloss_tells_two_senses_of_one_word_apart(words: Vocabulary) -> None:
    """Both are written "bank"."""
    senses = [Candidate("bank", "money and credit"), Candidate("bank", "side of a river")]

    assert disambiguate(senses, ["water", "boat"], words).ranked[0].candidate.gloss == "side of a river"
    assert disambiguate(senses, ["loan", "cash"], words).ranked[0].candidate.gloss == "money and credit"


def test_a_candidate_that_nothing_tells_from_another_is_not_sure(words: Vocabulary) -> None:
    choice = disambiguate([Candidate("sofa"), Candidate("Sofa")], ["room"], words)

    assert (choice.margin, choice.sure) == (pytest.approx(0.0), False)


def test_unknown_words_are_counted_and_an_unknown_candidate_comes_last(words: Vocabulary) -> None:
    """The choice among the others may be right, but it is not sure: the unknown one was not looked at."""
    candidates = [Candidate("quuxly"), *BANCO]
    choice = disambiguate(candidates, ["money", "quuxly", "quuxly", "zyxwvut"], words)

    assert [each.candidate.text for each in choice.ranked] == ["bank", "bench", "quuxly"]
    assert choice.ranked[-1].score is None and not choice.sure
    assert choice.unknown == {"quuxly": 3, "zyxwvut": 1}


def test_a_single_known_candidate_has_no_lead(words: Vocabulary) -> None:
    choice = disambiguate([Candidate("bank"), Candidate("quuxly")], ["money"], words)

    assert (choice.ranked[0].candidate.text, choice.margin, choice.sure) == ("bank", None, False)


@pytest.mark.parametrize(
    ("candidates", "context", "named"),
    [(BANCO, ["quuxly", "quuxly"], r"context.*quuxly \(2\)"), ([Candidate("qq9"), Candidate("zz9")], ["money"], "qq9")],
)
def test_nothing_but_unknown_words_is_an_error_that_counts_them(
    words: Vocabulary, candidates: list[Candidate], context: list[str], named: str
) -> None:
    with pytest.raises(UnknownWords, match=named):
        disambiguate(candidates, context, words)


@pytest.mark.parametrize(
    ("candidates", "context"),
    [
        ([], ["money"]),
        ([Candidate("bank")] * 3, ["money"]),
        ([Candidate(f"word {n}") for n in range(51)], ["money"]),
        (BANCO, []),
        (BANCO, ["money"] * 101),
        (BANCO, ["m" * 201]),
    ],
)
def test_too_few_and_too_many_are_refused(words: Vocabulary, candidates: list[Candidate], context: list[str]) -> None:
    with pytest.raises(QueryRejected, match="expected"):
        disambiguate(candidates, context, words)
