"""The commands `sightline train words` and `sightline words`, as a person types them."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from models.word_formats import read_word_vectors
from stream_app.cli import main


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Lines of words that WordSim-353 knows, and some that come once."""
    chance = random.Random(5)
    words = ["tiger", "cat", "book", "paper", "computer", "keyboard", "car", "train"]
    lines = [" ".join(chance.sample(words, 4)) for _ in range(300)]
    (tmp_path / "captions.txt").write_text("\n".join([*lines, "", "hapax legomenon"]))
    return tmp_path / "captions.txt"


def run(*arguments: object) -> Result:
    """The command and what it said."""
    return CliRunner().invoke(main, [str(each) for each in arguments], env={"COLUMNS": "200"})


def test_one_command_learns_writes_and_judges(text: Path, tmp_path: Path) -> None:
    """The words, the report for people and for programs, and the comparison with others."""
    arguments = ("--dimensions", 20, "--epochs", 3, "--workers", 1, "--quiet", "--report", tmp_path / "report.json")
    ran = run("train", "words", text, "--out", tmp_path / "w.bin", *arguments, "--compare", "wordnet_sgns_200d")

    assert ran.exit_code == 0, ran.output
    found = read_word_vectors(tmp_path / "w.bin", tmp_path)
    assert (len(found.words), found.vectors.shape) == (8, (8, 20))
    for said in (
        "301 sentences or photos, 1 without a word",
        "8 different words",
        "2 rarer ones left out",
        "WordSim-353",
    ):
        assert said in ran.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["words"] == 8
    assert report["pairs"][1]["judged"] < report["pairs"][1]["pairs"] == 999
    assert report["pairs"][1]["unknown"]["old"] == 2
    assert report["compared"][0]["wordnet_sgns_200d"] is not None
    assert (report["training"]["plan"]["epochs"], report["training"]["rare_words"]) == (3, 2)


def test_words_of_one_format_become_words_of_another(text: Path, tmp_path: Path) -> None:
    """And are judged on the way."""
    run("train", "words", text, "--out", tmp_path / "w.vec", "--dimensions", 20, "--epochs", 1, "--quiet")
    ran = run("words", tmp_path / "w.vec", "--out", tmp_path / "packed.npz")

    assert ran.exit_code == 0, ran.output
    assert "8 words in 20 dimensions" in ran.output
    before, after = (read_word_vectors(tmp_path / name, tmp_path) for name in ("w.vec", "packed.npz"))
    assert before.words == after.words


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "either SOURCE or --stream"),
        (("{text}", "--stream"), "either SOURCE or --stream"),
        (("{text}", "--count", "5"), "for --stream"),
        (("{text}", "--out", "words.xlsx"), "No such format of words"),
        (("{text}", "--compare", "word2vec"), "No such words.*wordnet_sgns_200d"),
        (("{text}", "--min-count", "1000"), "too little to learn words from.*lower --min-count"),
        (("nowhere.txt",), "nowhere.txt cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: tuple[str, ...], complaint: str, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And before an hour of training, wherever it can be known before."""
    monkeypatch.chdir(text.parent)
    ran = run("train", "words", "--quiet", *(each.format(text=text) for each in arguments))

    assert ran.exit_code == 2
    assert len(ran.output.strip().splitlines()) == 1
    assert re.search(complaint, ran.output)
    assert not (text.parent / "words.vec").exists()
