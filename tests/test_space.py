"""The space of photos and words: unit vectors, halves, and words that find colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from colours import colour_photo, search_vectors_of

from models.bundle import build_tiny_bundle
from models.encoder import Encoding, LocalEncoder
from models.projection import derive_axes
from models.space import Space
from models.tag_vectors import TEMPERATURE, derive_tag_vectors, general_tags, loss_gradient, tag_words
from models.tags import ClassTags, Synset, Word, format_tags, parse_words, read_synsets, read_tags, tags_of
from models.tiny import COLOURS
from models.words import Vocabulary
from stream_app.errors import BundleError, UnknownWords, VectorRejected


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, made once for this file."""
    return build_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def space(bundle_dir: Path) -> Space:
    """Its space."""
    return Space.load(bundle_dir)


@pytest.fixture(scope="module")
def encodings(bundle_dir: Path) -> list[Encoding]:
    """One photo of each colour, encoded."""
    encoder = LocalEncoder(bundle_dir)
    answers = encoder.encode_images([colour_photo(colour) for colour in COLOURS.values()])
    encoder.close()
    return [answer for answer in answers if isinstance(answer, Encoding)]


@pytest.mark.parametrize(
    ("word", "colour"), [*zip(COLOURS, COLOURS, strict=True), ("scarlet", "red"), ("gray", "grey")]
)
def test_a_word_finds_the_photo_of_its_colour(word: str, colour: str, space: Space, encodings: list[Encoding]) -> None:
    """A colour's name, and a synonym that no class has, find the photo."""
    query = space.word_query(space.embed_words(word).vector)

    best = int((search_vectors_of(space, encodings) @ query).argmax())

    assert list(COLOURS)[best] == colour


def test_search_vectors_have_length_one(space: Space, encodings: list[Encoding]) -> None:
    """What a shard indexes is a unit vector of at most 256 numbers."""
    vectors = search_vectors_of(space, encodings)

    assert vectors.shape == (len(COLOURS), space.search_dimensions) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert space.search_dimensions <= 256


def test_a_word_query_leaves_the_image_half_empty(space: Space) -> None:
    """Words say nothing about pixels."""
    query = space.word_query(space.embed_words("red").vector)

    assert np.flatnonzero(query).max() < space.joint_dimensions
    assert np.linalg.norm(query) == pytest.approx(1.0, abs=1e-5)


def test_a_word_score_is_the_cosine_among_the_words(space: Space, encodings: list[Encoding]) -> None:
    """The weight of the half is undone, so that a score means the same in every space."""
    word = space.embed_words("orange").vector
    vectors = search_vectors_of(space, encodings)

    scores = space.word_score(vectors @ space.word_query(word), word)

    cosines = [float(space.joint_half(vector) @ word) for vector in vectors]
    np.testing.assert_allclose(scores, cosines, atol=1e-5)


def test_the_word_nearest_to_a_red_photo_is_its_name(space: Space, encodings: list[Encoding]) -> None:
    """A photo is described with words for things that can be seen."""
    [joint] = [space.joint_half(vector) for vector in search_vectors_of(space, encodings[:1])]

    assert [word for word, _ in space.nearest_words(joint, 1)] == ["red"]


def test_labels_are_the_network_s_own_classes(space: Space, encodings: list[Encoding]) -> None:
    """The fixed vocabulary names the class and its probability."""
    [(name, score), _] = space.labels(encodings[2].label_indices, encodings[2].label_scores, 2)

    assert name == "blue" and score > 0.9


def test_a_photo_of_no_class_at_all_still_has_a_vector(space: Space) -> None:
    """Scores of zero make no NaN: such a photo can be indexed like any other."""
    joint = space.project(np.zeros((1, 12)), np.zeros((1, 3), np.uint16), np.zeros((1, 3)))

    assert np.linalg.norm(joint) == pytest.approx(1.0)


def test_numbers_that_are_not_finite_are_refused(space: Space) -> None:
    """A broken encoding is told apart from a photo."""
    with pytest.raises(VectorRejected):
        space.search_vectors(np.full((1, 12), np.nan), np.ones((1, space.joint_dimensions)))


def test_an_unknown_word_is_refused_with_a_suggestion(space: Space) -> None:
    """A misspelt colour gets the right one."""
    with pytest.raises(UnknownWords, match="yellow"):
        space.embed_words("yelow")


def test_the_axes_are_the_classifier_s_singular_vectors() -> None:
    """Together the axes give the classifier back, as far as they reach."""
    classifier = np.random.default_rng(2).normal(size=(20, 8))
    centred = classifier - classifier.mean(axis=1, keepdims=True)

    image_axes, class_axes = derive_axes(classifier, 7)

    np.testing.assert_allclose(image_axes.T @ image_axes, np.eye(7), atol=1e-5)
    np.testing.assert_allclose(image_axes @ (image_axes.T @ centred @ class_axes) @ class_axes.T, centred, atol=1e-5)


def some_classes() -> tuple[list[ClassTags], Vocabulary]:
    """Eight classes of four kinds, and words that point in different directions."""
    kinds = {"dog": ("poodle", "beagle"), "car": ("taxi", "jeep"), "tool": ("hammer", "saw"), "fruit": ("fig", "pear")}
    rows = {name: kind for kind, names in kinds.items() for name in names}
    words = [*rows, *kinds, "thing"]
    classes = [
        ClassTags(f"n{i}", (Word(name),), ((1, (Word(kind),)), (2, (Word("thing"),))))
        for i, (name, kind) in enumerate(rows.items())
    ]
    return classes, Vocabulary(words, np.eye(len(words), dtype=np.float32))


def test_a_kind_finds_its_own_classes_before_all_others() -> None:
    """ "dog" is nearer to every dog than to anything else, and a name nearest to its own class."""
    classes, vocabulary = some_classes()

    vectors = derive_tag_vectors(classes, vocabulary)

    by_dog = vectors @ vocabulary.vector("dog")
    assert by_dog[:2].min() > by_dog[2:].max() + 0.2
    assert [int((vectors @ vocabulary.vector(each.names[0].text)).argmax()) for each in classes] == list(range(8))


def test_what_all_classes_share_is_left_out() -> None:
    """A tag that every class has moves none of them."""
    classes, vocabulary = some_classes()

    assert np.abs(derive_tag_vectors(classes, vocabulary) @ vocabulary.vector("thing")).max() < 0.05


def test_the_loss_falls_along_its_gradient() -> None:
    """The gradient that training follows is that of the loss, by finite differences."""
    classes, vocabulary = some_classes()
    words = tag_words(classes, vocabulary, general_tags(classes))
    vectors = np.random.default_rng(4).normal(size=(8, vocabulary.dimensions))

    def loss(vectors: np.ndarray) -> float:
        scores = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ words.vectors.T / TEMPERATURE
        log_probabilities = scores - np.log(np.exp(scores).sum(axis=0))
        return float(-(words.targets * log_probabilities * words.weights).sum())

    step = np.zeros_like(vectors)
    step[1, 3] = 1e-5
    slope = (loss(vectors + step) - loss(vectors - step)) / 2e-5
    assert loss_gradient(vectors, words)[1, 3] == pytest.approx(slope, rel=1e-3)


def test_tags_climb_the_hierarchy_by_the_shortest_way() -> None:
    """Each kind is listed once, with the fewest steps up to it."""
    synsets = {
        "n1": Synset(parse_words("pug"), ("n2", "n3")),
        "n2": Synset(parse_words("dog, hound#2"), ("n4",)),
        "n3": Synset(parse_words("pet"), ("n4",)),
        "n4": Synset(parse_words("animal"), ()),
    }

    tags = tags_of("n1", synsets)

    assert [(steps, [word.text for word in names]) for steps, names in tags.tags] == [
        (0, ["pug"]),
        (1, ["dog", "hound"]),
        (1, ["pet"]),
        (2, ["animal"]),
    ]


def test_wordnet_s_own_files_are_read(tmp_path: Path) -> None:
    """A line of data.noun gives words and parents, and index.noun which meaning of each word it is."""
    head = "  1 This software and database is being provided to you\n"
    data = "00000002 05 n 02 dog 0 big_hound 0 002 @ 00000001 n 0000 ~ 00000003 n 0000 | a pet\n"
    index = "dog n 1 2 @ ~ 1 1 00000002\nbig_hound n 2 1 @ 2 0 00000009 00000002\n"
    (tmp_path / "data.noun").write_text(head + data)
    (tmp_path / "index.noun").write_text(head + index)

    assert read_synsets(tmp_path) == {"n00000002": Synset((Word("dog"), Word("big hound", 2)), ("n00000001",))}


def test_the_table_of_tags_has_the_thousand_classes_in_order() -> None:
    """Every class once, sorted by its id as ImageNet numbers them, each with a way up to the entity."""
    classes = read_tags()

    ids = [each.wordnet_id for each in classes]
    assert len(ids) == 1000 and ids == sorted(set(ids))
    assert all(any(Word("entity") in names for _, names in each.hypernyms) for each in classes)


def test_a_table_of_tags_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Writing and reading are each other's inverse."""
    classes = read_tags()[:3]
    path = tmp_path / "tags.tsv"
    path.write_text("\n".join(format_tags(classes)), encoding="utf-8")

    assert read_tags(path) == classes


def test_a_table_out_of_order_is_refused(tmp_path: Path) -> None:
    """A missing line would give every later class the wrong name."""
    lines = list(format_tags(read_tags()[:3]))
    path = tmp_path / "tags.tsv"
    path.write_text("\n".join(lines[:2] + lines[3:]), encoding="utf-8")

    with pytest.raises(BundleError, match="class 0"):
        read_tags(path)
