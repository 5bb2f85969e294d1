"""From a question to a vector: words, photos and mixtures of them, in the space of the small bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.space import Space
from stream_app.errors import QueryRejected, UnknownWords
from stream_app.query_vectors import Example, query_vector, read_question


@pytest.fixture(scope="module")
def space(tiny_bundle: Path) -> Space:
    """Its words are colours."""
    return Space.load(tiny_bundle)


def example(space: Space, seed: int, **more: object) -> Example:
    """A photo somewhere in the space."""
    vector = np.random.default_rng(seed).normal(size=space.search_dimensions).astype(np.float32)
    return Example(f"photo:{seed}", vector / np.linalg.norm(vector), **more)  # type: ignore[arg-type]


def test_words_and_photos_of_a_question_are_told_apart() -> None:
    """Each with its weight."""
    question = read_question("photo:42^0.5 - red car + photo:7")

    assert question.phrases == [(-1, "red car")]
    assert question.photos == [(0.5, 42), (1, 7)]


@pytest.mark.parametrize("text", ["photo:", "photo:x", "photo:9223372036854775808", "photo:1.5"])
def test_what_is_no_photo_id_is_refused(text: str) -> None:
    """It says what an id is."""
    with pytest.raises(QueryRejected, match="whole number from 0 to"):
        read_question(text)


async def test_words_alone_ask_about_meaning_alone(space: Space) -> None:
    """The image half of their vector is empty, and they are searched for as words are."""
    query = await query_vector(space, [(1, "red")], [])

    assert query.is_word and query.words == ["red"]
    np.testing.assert_allclose(query.vector, space.word_query(space.embed_words("red").vector), atol=1e-6)


async def test_a_mixture_lies_between_its_terms(space: Space) -> None:
    """The heavier term draws it nearer."""
    photo, word = example(space, 1, photo_id=1), space.word_query(space.embed_words("red").vector)
    even = await query_vector(space, [(1, "red")], [photo])
    heavy = await query_vector(space, [(3, "red")], [photo])

    assert not even.is_word and even.photo_ids == {1}
    assert heavy.vector @ word > even.vector @ word > photo.vector @ word
    assert np.linalg.norm(even.vector) == pytest.approx(1, abs=1e-6)


async def test_a_photo_may_be_subtracted(space: Space) -> None:
    """The result points away from it."""
    first, second = example(space, 1), example(space, 2, weight=-1.0)
    query = await query_vector(space, [], [first, second])

    assert query.vector @ second.vector < first.vector @ second.vector


async def test_unknown_words_beside_a_photo_are_named_and_left_out(space: Space) -> None:
    """With near spellings."""
    photo = example(space, 1)
    query = await query_vector(space, [(1, "redd qwzx")], [photo])

    assert query.unknown_words == ("redd", "qwzx")
    assert query.suggestions["redd"] == ["red"]
    np.testing.assert_allclose(query.vector, photo.vector, atol=1e-6)


async def test_only_unknown_words_are_a_clear_error(space: Space) -> None:
    """It names them."""
    with pytest.raises(UnknownWords, match="qwzx"):
        await query_vector(space, [(1, "qwzx")], [])


async def test_a_tag_that_stands_for_an_unknown_word_is_no_unknown_word(space: Space) -> None:
    """And counts among the words that tags are compared with."""
    query = await query_vector(space, [(1, "rex")], [example(space, 1, tag="rex")])

    assert (query.unknown_words, query.words) == ((), ["rex"])


async def test_terms_that_cancel_each_other_out_are_refused(space: Space) -> None:
    """Nothing is left to search for."""
    photo = example(space, 1)
    with pytest.raises(QueryRejected, match="cancel"):
        await query_vector(space, [], [photo, Example("photo:1", photo.vector, -1.0)])


async def test_nothing_is_no_question(space: Space) -> None:
    """Neither words nor photos."""
    with pytest.raises(QueryRejected, match="empty"):
        await query_vector(space, [], [])
