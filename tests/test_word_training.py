"""Learning words from tags and text: what is read, what is counted, and that likeness is learnt from company."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from models.word_tags import PhotoTags, open_tags, read_photo_tags, tag_words, words_of
from models.word_training import SENTENCE_WORDS_MAX, WordPlan, sentences_of, train_words, without_common_directions
from models.words import Vocabulary
from stream_app.errors import WordsRejected

ANIMALS, DISHES = ["dog", "cat", "horse", "cow", "sheep"], ["soup", "bread", "cheese", "salad", "pie"]
# Few different words are all frequent ones: none may be passed over.
QUICK = WordPlan(dimensions=16, epochs=10, sample=0.0, workers=1, common_directions=0)


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """A thousand lines that speak of animals or of food, never of both."""
    chance = random.Random(7)
    farm, table = ["grass", "field", "barn", "tail"], ["plate", "spoon", "oven", "lunch"]
    lines = [
        " ".join(chance.sample(ANIMALS, 2) + chance.sample(farm, 2))
        if chance.random() < 0.5
        else " ".join(chance.sample(DISHES, 2) + chance.sample(table, 2))
        for _ in range(1_000)
    ]
    (tmp_path / "captions.txt").write_text("\n".join(lines))
    return tmp_path / "captions.txt"


def test_words_that_keep_the_same_company_come_near_each_other(captions: Path) -> None:
    """Each animal is nearer to every other animal than to any dish."""
    trained = train_words(sentences_of(captions), QUICK)

    vocabulary = Vocabulary(trained.words, trained.vectors)
    animals, dishes = (np.stack([vocabulary.vector(word) for word in words]) for words in (ANIMALS, DISHES))
    assert (animals @ animals.T).min() > (animals @ dishes.T).max()


def test_one_worker_learns_the_same_words_again(captions: Path) -> None:
    """To the last bit; another seed gives others."""
    first, again = (train_words(sentences_of(captions), QUICK) for _ in range(2))
    other = train_words(sentences_of(captions), replace(QUICK, seed=2))

    assert first.words == again.words
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)


def test_words_come_by_frequency_and_rare_ones_are_counted(tmp_path: Path) -> None:
    """What was left out is told with how often it was seen."""
    (tmp_path / "t.txt").write_text("sky sky sky sea sea sea sea\nsky sun once\nsun twice twice\n")

    trained = train_words(sentences_of(tmp_path / "t.txt"), replace(QUICK, min_count=2))
    fewer = train_words(sentences_of(tmp_path / "t.txt"), replace(QUICK, words_max=2))

    assert (trained.words, trained.counts) == (["sea", "sky", "sun", "twice"], [4, 4, 2, 2])
    assert (trained.rare_words, trained.rare_tokens, trained.token_count) == (1, 1, 13)
    assert (fewer.words, fewer.rare_words, fewer.rare_tokens) == (["sea", "sky"], 3, 5)


def test_words_that_belong_together_become_a_phrase(tmp_path: Path) -> None:
    """New and york come together always, red and car by chance."""
    chance = random.Random(3)
    colours, things = ["red", "blue", "green", "black"], ["car", "house", "boat", "dress"]
    lines = [f"{chance.choice(colours)} {chance.choice(things)} new york" for _ in range(500)]
    (tmp_path / "t.txt").write_text("\n".join(lines))

    trained = train_words(sentences_of(tmp_path / "t.txt"), replace(QUICK, phrases=True))

    assert set(trained.words) == {"new_york", *colours, *things}


def test_nothing_of_a_very_long_line_is_lost(tmp_path: Path) -> None:
    """gensim alone would forget what comes after 10,000 words."""
    (tmp_path / "t.txt").write_text("sea sky " * SENTENCE_WORDS_MAX + "sun sun")

    trained = train_words(sentences_of(tmp_path / "t.txt"), replace(QUICK, epochs=1))

    assert (trained.words, trained.token_count) == (["sea", "sky", "sun"], 2 * SENTENCE_WORDS_MAX + 2)


def test_progress_rises_to_the_end(captions: Path) -> None:
    """From the first sentence of the first epoch to the last of the last."""
    told: list[tuple[str, float]] = []
    train_words(sentences_of(captions), QUICK, lambda doing, share: told.append((doing, share)))

    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[-1] == ("Epoch 10 of 10", 1.0)


@pytest.mark.parametrize("text", ["", "\n\n", "!!! ???\n", "one two three\n", "same same same\n"])
def test_too_little_to_learn_from_is_said(text: str, tmp_path: Path) -> None:
    """No tags at all, none that come twice, and a single word."""
    (tmp_path / "t.txt").write_text(text)

    with pytest.raises(WordsRejected, match=r"to learn words from.*at least two words that come 2 times"):
        train_words(sentences_of(tmp_path / "t.txt"), QUICK)


def test_a_direction_that_all_words_share_is_taken_out() -> None:
    """What is left has no mean and nothing along it."""
    own = np.random.default_rng(4).normal(size=(500, 40)).astype(np.float32)
    shared = np.eye(40, dtype=np.float32)[0]
    strength = np.linspace(-50, 80, 500, dtype=np.float32)[:, None]

    cleaned = without_common_directions(own + strength * shared, 1)

    np.testing.assert_allclose(cleaned.mean(axis=0), 0, atol=1e-4)
    assert np.abs(cleaned @ shared).max() < np.abs(own).max()


def test_words_are_small_and_keep_what_is_within_them() -> None:
    """Hyphens, apostrophes and any script."""
    assert words_of("The T-shirt, isn’t «Élan»—42 новый_год!") == ["the", "t-shirt", "isn't", "élan", "42", "новый_год"]


def test_a_tag_of_several_words_is_one_word_unless_it_is_a_sentence() -> None:
    """As in `new_york`."""
    assert tag_words("#New York") == ["new_york"]
    assert tag_words("my holiday in the south of France") == ["my", "holiday", "in", "the", "south", "of", "france"]
    assert tag_words("!?") == []


def test_tags_may_be_separated_by_a_comma(tmp_path: Path) -> None:
    """Then a line is a photo, and each tag a word."""
    (tmp_path / "t.txt").write_text("New York, night\nstatue of liberty,, sea\n")

    assert list(open_tags(tmp_path / "t.txt", ",")) == [["new_york", "night"], ["statue_of_liberty", "sea"]]


def test_the_lines_of_a_paragraph_may_be_one_sentence(tmp_path: Path) -> None:
    """Books break their lines at the margin."""
    (tmp_path / "t.txt").write_text("It was the best\nof times.\n \n\nIt was\nthe worst")

    assert list(open_tags(tmp_path / "t.txt", paragraphs=True)) == [
        ["it", "was", "the", "best", "of", "times"],
        ["it", "was", "the", "worst"],
    ]


def test_of_a_table_the_last_column_is_read(tmp_path: Path) -> None:
    """Flickr's captions have the name of the photo before the tab."""
    (tmp_path / "captions.tsv").write_text("10026.jpg#0\tA child in pink\n10026.jpg#1\tA girl\n")

    assert list(open_tags(tmp_path / "captions.tsv")) == [["a", "child", "in", "pink"], ["a", "girl"]]


def events(path: Path, *lines: object) -> Path:
    """A JSONL file."""
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines))
    return path


def test_of_each_photo_the_last_tags_count(tmp_path: Path) -> None:
    """Edits replace, an edit of the title changes nothing, and a deleted photo teaches nothing."""
    path = events(
        tmp_path / "events.jsonl",
        {"type": "photo.uploaded", "photo_id": "1", "url": "u", "tags": ["dog", "New York"]},
        {"type": "photo.uploaded", "photo_id": "2", "url": "u", "tags": ["secret"]},
        {"type": "photo.edited", "photo_id": 1, "tags": ["puppy"]},
        {"type": "photo.edited", "photo_id": 1, "title": "Rex"},
        {"type": "photo.deleted", "photo_id": 2},
        {"type": "photo.uploaded", "photo_id": "3", "url": "u"},
        b"{broken",
        b"[1]",
        {"photo_id": "4", "tags": "dog"},
        b"",
    )
    photos = read_photo_tags(path)

    assert (list(photos), len(photos)) == ([["puppy"]], 1)
    assert (photos.counts.sentences, photos.counts.wordless, photos.counts.unreadable) == (1, 1, 3)


def test_how_many_photos_have_tags_is_known_at_any_time() -> None:
    """Through every change."""
    photos = PhotoTags()
    counts = []
    for photo_id, tags in [(1, ["a"]), (2, []), (1, ["b"]), (2, ["c"]), (1, None), (1, []), (3, None)]:
        photos.note(photo_id, tags)
        counts.append(len(photos))
    photos.forget(2)
    photos.forget(2)

    assert ([*counts, len(photos)]) == [1, 1, 1, 2, 2, 1, 1, 0]


def test_a_folder_is_read_with_all_its_texts(tmp_path: Path) -> None:
    """Packed ones and events among them; what is no text is left alone."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("alpha\n\n")
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("beta")
    events(tmp_path / "c.jsonl", {"tags": ["gamma"]}, {"tags": []})
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\0")
    (tmp_path / ".hidden.txt").write_text("no")

    source = open_tags(tmp_path)

    assert sorted(source) == [["alpha"], ["beta"], ["gamma"]]
    assert str(source.counts) == "3 sentences or photos, 2 without a word"


def test_several_sources_are_read_as_one(tmp_path: Path) -> None:
    """Captions and a text, for instance."""
    (tmp_path / "a.txt").write_text("alpha")
    events(tmp_path / "b.jsonl", {"tags": ["beta"]})
    source = sentences_of(tmp_path / "a.txt", tmp_path / "b.jsonl")

    assert list(source) == [["alpha"], ["beta"]]
    assert source.counts.sentences == 2


def test_lines_in_another_encoding_are_read_and_counted(tmp_path: Path) -> None:
    """The rest of the line is of use."""
    (tmp_path / "t.txt").write_bytes("fine café\n".encode() + "un café noir\n".encode("latin-1"))
    source = open_tags(tmp_path / "t.txt")

    sentences = list(source)

    assert sentences[0] == ["fine", "café"]
    assert source.counts.undecodable == 1


@pytest.mark.parametrize("name", ["nothing.txt", "empty", "photo.jpg", "cut.txt.gz"])
def test_what_is_no_text_is_refused(name: str, tmp_path: Path) -> None:
    """A file that is not there, a folder without texts, a photo, and a packed file that is cut off."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(random.Random(1).randbytes(9_000).hex().encode())[:5_000])

    with pytest.raises(WordsRejected, match=r"no text|cannot be read"):
        train_words(sentences_of(tmp_path / name), QUICK)


WORDNET = {
    "noun": "  1 the licence\n"
    '00000001 05 n 02 dog 0 domestic_dog 0 001 @ 00000002 n 0000 | a member of the genus Canis; "the dog barked"  \n'
    "00000002 05 n 01 canine 0 001 @ 00000003 n 0000 | a mammal with teeth  \n"
    "00000003 05 n 01 Carnivore 0 000 | eats meat  \n",
    "verb": "00000004 30 v 01 bark 0 000 01 + 02 00 | make barking sounds  \n",
    "adj": "00000005 00 a 01 loud(p) 0 000 | of great volume  \n"
    "00000006 00 s 01 noisy 0 001 & 00000005 a 0000 | full of noise  \n",
    "adv": "00000007 02 r 01 loudly 0 001 \\ 00000005 a 0101 | with much noise  \n",
}


def test_wordnet_becomes_a_sentence_for_each_meaning(tmp_path: Path) -> None:
    """Its words, those of what it is a kind of, and its gloss; then single words and what they are a kind of again."""
    for part, text in WORDNET.items():
        (tmp_path / f"data.{part}").write_text(text)
    source = sentences_of(tmp_path)

    sentences = [" ".join(sentence) for sentence in source]

    assert sentences == [
        "dog domestic_dog canine carnivore a member of the genus canis the dog barked",
        "dog canine",
        "canine carnivore a mammal with teeth",
        "canine carnivore",
        "carnivore eats meat",
        "bark make barking sounds",
        "loud of great volume",
        "noisy loud full of noise",
        "noisy loud",
        "loudly loud with much noise",
        "loudly loud",
    ]
    assert source.counts.sentences == 7
