"""Words and queries: folding, phrases, arithmetic, and what is said about unknown words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.word_query import embed_query, parse_terms
from models.word_sources import prepare_words, save_words, word_source
from models.words import Vocabulary
from stream_app.errors import BundleError, QueryRejected, UnknownWords

WORDS = ["king", "man", "woman", "queen", "dog", "berry", "leaf", "t-shirt", "ice-cream", "red", "church", "the", "on"]
WORDS += ["new_york", "statue_of_liberty", "hot_dog"]


@pytest.fixture
def vocabulary() -> Vocabulary:
    """A dozen words with random vectors, and a queen where she belongs."""
    vectors = np.random.default_rng(5).normal(size=(len(WORDS), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[WORDS.index("queen")] = vectors[0] - vectors[1] + vectors[2]
    return Vocabulary(WORDS, vectors)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dog", [(1, "dog")]),
        ("king - man + woman", [(1, "king"), (-1, "man"), (1, "woman")]),
        ("beach -people", [(1, "beach"), (-1, "people")]),
        ("-night city", [(-1, "night city")]),
        ("t-shirt", [(1, "t-shirt")]),
        ("red   t-shirt+hat", [(1, "red t-shirt"), (1, "hat")]),
        ("king \N{MINUS SIGN} man", [(1, "king"), (-1, "man")]),
        ("sunset^2 beach", [(2, "sunset"), (1, "beach")]),
        ("beach -people^.5 at night", [(1, "beach"), (-0.5, "people"), (1, "at night")]),
        ('cold "ice  cream"^1.5', [(1, "cold"), (1.5, "ice cream")]),
        ('-"red car" street', [(-1, "red car"), (1, "street")]),
        ("photo:42^0.5 - dog cat", [(0.5, "photo:42"), (-1, "dog cat")]),
    ],
)
def test_a_query_is_read_as_signed_phrases(text: str, terms: list[tuple[float, str]]) -> None:
    """A minus alone or before a word subtracts, within a word it is a hyphen; weights and quotes make terms."""
    assert parse_terms(text) == terms


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [("dgo", "dog"), ("DGO", "dog"), ("dgos", "dog"), ("odg", "dog"), ("chruch", "church"), ("churhc", "church")],
)
def test_letters_that_changed_places_are_one_slip(vocabulary: Vocabulary, typed: str, suggested: str) -> None:
    """Also in a word of three letters, of which they leave little that is alike."""
    assert vocabulary.suggestions(typed)[0] == suggested


@pytest.mark.parametrize("typed", ["", "x", "xx", "x" * 200])
def test_what_is_like_no_word_has_no_suggestion(vocabulary: Vocabulary, typed: str) -> None:
    assert vocabulary.suggestions(typed) == []


def test_king_minus_man_plus_woman_is_queen(vocabulary: Vocabulary) -> None:
    """Arithmetic on words gives the vector of the answer."""
    query = embed_query("King - man + woman", vocabulary)

    assert query.known == ["king", "man", "woman"]
    assert query.vector @ vocabulary.vector("queen") == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("DOGS", "dog"),
        ("berries", "berry"),
        ("leaves", "leaf"),
        ("churches", "church"),
        ("king's", "king"),
        ("T-Shirts", "t-shirt"),
    ],
)
def test_an_unknown_form_is_folded_to_a_known_word(typed: str, folded: str, vocabulary: Vocabulary) -> None:
    """Capitals, plurals and possessives find the word that the vocabulary has."""
    assert vocabulary.fold(typed) == folded


def test_a_phrase_is_the_mean_of_its_words(vocabulary: Vocabulary) -> None:
    """Every word of a phrase counts alike, and small words not at all."""
    phrase, known, _ = vocabulary.phrase("the red dog")

    assert known == ["red", "dog"]
    assert phrase @ vocabulary.vector("red") == pytest.approx(float(phrase @ vocabulary.vector("dog")), abs=1e-5)


def test_two_words_that_the_vocabulary_joins_are_one(vocabulary: Vocabulary) -> None:
    """ "ice cream" is the word ice-cream, not some ice and some cream."""
    assert vocabulary.phrase("Ice cream")[1] == ["ice-cream"]


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("red New York", ["red", "new_york"]),
        ("hot dogs on the dog", ["hot_dog", "dog"]),
        ("the Statue of Liberty", ["statue_of_liberty"]),
        ("the on", ["the", "on"]),
    ],
)
def test_a_phrase_of_the_vocabulary_is_found_anywhere(typed: str, known: list[str], vocabulary: Vocabulary) -> None:
    """What the vocabulary writes with underscores is one word, also among others and in the plural."""
    assert vocabulary.phrase(typed)[1:] == (known, [])


def test_a_hyphenated_word_falls_into_its_known_parts(vocabulary: Vocabulary) -> None:
    """A hyphenated word that is not known as a whole is read as a phrase."""
    assert vocabulary.phrase("dog-king")[1] == ["dog", "king"]


def test_an_unknown_word_beside_a_known_one_is_named(vocabulary: Vocabulary) -> None:
    """The query goes on with what is known and says what was left out."""
    query = embed_query("dog xyzzy", vocabulary)

    assert (query.known, query.unknown) == (["dog"], ["xyzzy"])


def test_unknown_words_are_answered_with_near_spellings(vocabulary: Vocabulary) -> None:
    """A misspelt word gets the word that was probably meant."""
    with pytest.raises(UnknownWords, match=r"womann.*Did you mean woman"):
        embed_query("womann", vocabulary)


@pytest.mark.parametrize("text", ["", "   ", "- +", "?!", "x" * 201, "dog - dog"])
def test_a_query_without_a_direction_is_refused(text: str, vocabulary: Vocabulary) -> None:
    """Nothing, only signs, too much, and words that cancel out: each is told what was expected."""
    with pytest.raises(QueryRejected):
        embed_query(text, vocabulary)


@pytest.mark.parametrize("text", ["dog^", "dog^x", "dog^0", "dog^101", "dog^-1", "dog^1e3", "dog^nan", '"dog"^'])
def test_a_weight_that_is_none_is_refused(text: str, vocabulary: Vocabulary) -> None:
    """The message names the word and what a weight may be."""
    with pytest.raises(QueryRejected, match=r"weight of 'dog'.*above 0 and up to 100"):
        embed_query(text, vocabulary)


def test_a_weight_draws_the_query_towards_its_word(vocabulary: Vocabulary) -> None:
    """Twice the weight is the word said twice."""
    weighed = embed_query("dog^2 + king", vocabulary)

    np.testing.assert_allclose(weighed.vector, embed_query("dog + dog + king", vocabulary).vector, atol=1e-6)


def test_a_plus_that_an_address_lost_is_found_again(vocabulary: Vocabulary) -> None:
    """`q=king - man + woman`, typed without escaping, arrives with three blanks."""
    assert parse_terms("king - man   woman") == [(1, "king"), (-1, "man"), (1, "woman")]


def test_arithmetic_may_be_typed_without_gaps(vocabulary: Vocabulary) -> None:
    """A hyphen is a minus where a plus shows that a sum is meant, unless it joins a word that is known."""
    spaced = embed_query("king - man + woman", vocabulary)

    np.testing.assert_allclose(embed_query("king-man+woman", vocabulary).vector, spaced.vector)
    assert embed_query("t-shirt+dog", vocabulary).known == ["t-shirt", "dog"]
    assert embed_query("king-man", vocabulary).known == ["king", "man"]


def test_the_nearest_word_to_a_word_is_itself(vocabulary: Vocabulary) -> None:
    """The vocabulary is searched by cosine, best first, and small words are no answer."""
    nearest = vocabulary.nearest(vocabulary.vector("dog"), 100)

    assert nearest[0] == ("dog", pytest.approx(1.0))
    assert [score for _, score in nearest] == sorted((score for _, score in nearest), reverse=True)
    assert "the" not in dict(nearest)


def test_no_words_are_asked_for_and_none_are_given(vocabulary: Vocabulary) -> None:
    """k = 0 is an empty answer."""
    assert vocabulary.nearest(vocabulary.vector("dog"), 0) == []


def test_words_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A saved vocabulary comes back word for word, odd characters and all."""
    words = ["dog", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a\u2028b", "tab\there", "line\nbreak", ""]
    source = prepare_words(words, np.eye(6, dtype=np.float32))
    save_words(source.vocabulary, tmp_path)

    loaded = Vocabulary.load(tmp_path)

    assert list(loaded.words) == [word.replace("\n", "") for word in words]
    np.testing.assert_array_equal(loaded.vectors, source.vocabulary.vectors)


def test_the_default_words_know_that_a_dog_is_like_a_puppy() -> None:
    """The real vocabulary has 400,000 words in 50 dimensions, with sense in them."""
    vocabulary = word_source("glove_6b_50d")().vocabulary

    assert (len(vocabulary.words), vocabulary.dimensions) == (400_000, 50)
    dog = vocabulary.vector("dog")
    assert dog @ vocabulary.vector("puppy") > dog @ vocabulary.vector("bank") + 0.3


def test_unknown_sources_are_answered_with_the_known_ones() -> None:
    """A wrong name lists what there is."""
    with pytest.raises(BundleError, match="glove_6b_50d"):
        word_source("word2vec")
