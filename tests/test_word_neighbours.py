"""Words near words, and near sums of words, in the real vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from models.word_neighbours import analogy, nearest_of_all, neighbours, similar_words
from models.word_sources import word_source
from models.words import Vocabulary
from stream_app.errors import QueryRejected, UnknownWords


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return word_source("glove_6b_50d")().vocabulary


def test_a_word_is_near_to_its_like_and_not_to_itself(words: Vocabulary) -> None:
    found = similar_words("Dog", words, 10)

    assert {"cat", "puppy"} & {word for word, _ in found.words}
    assert "dog" not in dict(found.words)
    assert (found.known, found.unknown) == (["dog"], {})


def test_neighbours_are_those_of_a_full_sort(words: Vocabulary) -> None:
    """The blocks in which the vectors are read leave no word out."""
    few = Vocabulary(words.words[:20_000], words.vectors[:20_000])
    vector = few.vector("guitar")
    scores = np.asarray(few.vectors, np.float32) @ vector
    found = nearest_of_all(vector, few, 50)

    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert found[0] == ("guitar", pytest.approx(1.0, abs=1e-3))
    threshold = found[-1][1] + 1e-3
    assert {few.words[row] for row in np.flatnonzero(scores > threshold)} - dict(found).keys() <= {"12-string"}


@pytest.mark.parametrize(
    ("positive", "negative", "answer"),
    [
        (["king", "woman"], ["man"], "queen"),
        (["paris", "germany"], ["france"], "berlin"),
        (["walking", "swam"], ["walked"], "swimming"),
    ],
)
def test_an_analogy_finds_the_fourth_word(
    words: Vocabulary, positive: list[str], negative: list[str], answer: str
) -> None:
    """Its own words are no answer, though they are the nearest of all."""
    found = dict(analogy(positive, negative, words, 5).words)

    assert answer in found
    assert not found.keys() & {*positive, *negative}


def test_unknown_words_are_counted(words: Vocabulary) -> None:
    found = analogy(["king", "quuxly", "quuxly"], ["zyxwvut"], words, 3)

    assert (found.known, found.unknown) == (["king"], {"quuxly": 2, "zyxwvut": 1})


def test_only_unknown_words_are_an_error_that_names_them(words: Vocabulary) -> None:
    with pytest.raises(UnknownWords, match="quuxly"):
        similar_words("quuxly", words, 3)


@pytest.mark.parametrize("terms", [[], [(1, " ")], [(1, "-+")], [(1, "dog")] * 51, [(1, "x" * 201)]])
def test_no_words_and_too_many_are_refused(words: Vocabulary, terms: list[tuple[int, str]]) -> None:
    with pytest.raises(QueryRejected):
        neighbours(terms, words, 3)


def test_words_that_cancel_out_are_refused(words: Vocabulary) -> None:
    with pytest.raises(QueryRejected, match="cancel"):
        analogy(["dog"], ["dogs", "dog"][1:], words, 3)


def test_a_word_of_another_script_can_be_an_answer() -> None:
    """A vocabulary trained on a service's own tags need not be English."""
    words = Vocabulary(["chien", "perro", "собака", "42"], np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [1, 0.01]]))

    assert [word for word, _ in similar_words("chien", words, 9).words] == ["perro", "собака"]
