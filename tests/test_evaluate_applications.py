"""`sightline evaluate applications`, from made collections to the report; the tiny network tells colours apart."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from colours import colour_photo

from stream_app.application_judgement import GALLERY_RECALL, Outcomes
from stream_app.application_report import differences
from stream_app.cli import main
from stream_app.errors import TrainingRejected
from stream_app.labelled_album import FileNames
from stream_app.made_collections import read_collections

SHADES = 9
COLOURS = {"red": (235, 10, 10), "green": (10, 180, 10), "blue": (10, 10, 235), "yellow": (235, 235, 10)}


def name(colour: str, shade: int) -> str:
    return f"photos/{colour}/{shade}.png"


def names(colour: str, *shades: int) -> list[str]:
    return [name(colour, shade) for shade in shades]


def submissions(*files: str) -> list[dict[str, Any]]:
    return [{"file": file, "on_topic": "/red/" in file} for file in files]


MADE = {
    "galleries": [
        {"kind": "pure", "labels": ["red"], "members": names("red", 0, 1, 2), "left_out": names("red", 3, 4)},
        {
            "kind": "mixed",
            "labels": ["green", "blue"],
            "members": names("green", 0, 1, 2) + names("blue", 0, 1, 2),
            "left_out": names("green", 3) + names("blue", 3),
        },
    ],
    "quests": [
        {
            "brief": "red",
            "examples": names("red", 0, 1),
            "submissions": submissions(*names("red", 2, 3, 4, 5), *names("blue", 0, 1), name("red", 3)),
        }
    ],
    "portfolios": [
        {"user_id": 1, "files": names("red", *range(8)) + names("blue", 4)},
        {"user_id": 2, "files": names("blue", 5, 6, 7, 8)},
        {"user_id": 3, "files": names("red", 8) + names("green", *range(4, 9))},
    ],
    "assignments": [{"brief": "red", "relevance": {"1": 8 / 9, "2": 0.0, "3": 1 / 6}}],
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine shades of each of four colours, in a folder per colour, and a file that is no photo."""
    folder = tmp_path_factory.mktemp("album") / "photos"
    for colour, (red, green, blue) in COLOURS.items():
        (folder / colour).mkdir(parents=True)
        for shade in range(SHADES):
            rgb = (red + 2 * shade, green + 3 * shade, blue + shade)
            (folder / colour / f"{shade}.png").write_bytes(colour_photo(rgb))
    (folder / "green" / "broken.png").write_bytes(b"no photo")
    return folder


@pytest.fixture(scope="module")
def collections(photos: Path) -> Path:
    path = photos.parent / "made.json"
    path.write_text(json.dumps(MADE))
    return path


def run(collections: Path, *photos: Path, bundle: Path, out: Path) -> Result:
    arguments = ["evaluate", "applications", str(collections), *map(str, photos), "--bundle", str(bundle)]
    return CliRunner().invoke(main, [*arguments, "--out", str(out)])


@pytest.fixture(scope="module")
def result(collections: Path, photos: Path, tiny_bundle: Path) -> Result:
    return run(collections, photos, bundle=tiny_bundle, out=photos.parent / "out")


@pytest.fixture(scope="module")
def report(result: Result, photos: Path) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads((photos.parent / "out" / "report.json").read_text())
    return found


class TestReport:
    def test_both_methods_find_what_was_left_out_of_plain_colours(self, report: dict[str, Any]):
        recall = report["galleries"]["recall"]

        assert recall["themes"]["all"] == recall["mean"]["all"] == 1.0
        assert recall["label oracle"] == {"all": 1.0, "pure": 1.0, "mixed": 1.0}
        assert recall["chance"]["pure"] == pytest.approx(20 / (4 * SHADES - 3))

    def test_a_quest_is_judged_by_words_by_examples_and_by_both(self, report: dict[str, Any]):
        means = report["quests"]["means"]

        for brief in ("words", "examples", "words and examples"):
            assert means[brief]["ROC-AUC"] == 1.0
            assert means[brief]["repetitions found"] == means[brief]["repetitions by looks found"] == 1.0
        assert means["label only"]["ROC-AUC"] == 1.0 and means["chance"]["ROC-AUC"] == 0.5

    def test_the_photographer_of_red_comes_first(self, report: dict[str, Any]):
        means = report["photographers"]["means"]

        assert means["best, words"]["NDCG@5"] == means["share, words"]["NDCG@5"] == pytest.approx(1.0)
        assert means["chance"]["NDCG@5"] < 1.0

    def test_people_can_read_it(self, result: Result, report: dict[str, Any], photos: Path):
        text = (photos.parent / "out" / "report.md").read_text()

        assert text in result.output
        assert "| themes | 1.000 (1.00) |" in text and "themes against mean" in text
        assert report["facts"]["photos"] == "36 of 4 labels, photos"
        assert "left out: " in result.output and "broken.png" in result.output

    def test_a_tar_file_and_names_from_another_folder_give_the_same(
        self, report: dict[str, Any], collections: Path, photos: Path, tiny_bundle: Path, tmp_path: Path
    ):
        with tarfile.open(tmp_path / "train.tar", "w") as archive:
            archive.add(photos, "train")
        other = run(collections, tmp_path / "train.tar", bundle=tiny_bundle, out=tmp_path / "out")

        assert other.exit_code == 0, other.output
        found = json.loads((tmp_path / "out" / "report.json").read_text())
        assert found["quests"]["means"] == report["quests"]["means"]

    def test_folders_may_be_given_one_by_one(
        self, report: dict[str, Any], collections: Path, photos: Path, tiny_bundle: Path, tmp_path: Path
    ):
        halves = tmp_path / "one", tmp_path / "two"
        for half, colours in zip(halves, (("red", "green"), ("blue", "yellow")), strict=True):
            half.mkdir()
            for colour in colours:
                (half / colour).symlink_to(photos / colour, target_is_directory=True)
        with tarfile.open(tmp_path / "two.tar", "w", dereference=True) as archive:
            archive.add(halves[1], "two")
        with tarfile.open(tmp_path / "one.tar", "w", dereference=True) as archive:
            archive.add(halves[0], "one")
        other = run(collections, tmp_path / "one.tar", tmp_path / "two.tar", bundle=tiny_bundle, out=tmp_path / "out")

        assert other.exit_code == 0, other.output
        found = json.loads((tmp_path / "out" / "report.json").read_text())
        assert found["galleries"]["recall"]["themes"]["all"] == report["galleries"]["recall"]["themes"]["all"]


class TestCommand:
    def test_a_missing_photo_is_named(self, photos: Path, tiny_bundle: Path, tmp_path: Path):
        made = json.loads(json.dumps(MADE))
        made["galleries"][0]["members"].append("photos/red/99.png")
        (tmp_path / "made.json").write_text(json.dumps(made))
        found = run(tmp_path / "made.json", photos, bundle=tiny_bundle, out=photos.parent / "out")

        assert found.exit_code == 2 and "photos/red/99.png is not among the photos" in found.output

    def test_the_groups_help_names_both(self):
        found = CliRunner().invoke(main, ["evaluate", "--help"])

        assert "applications" in found.output and "space" in found.output

    def test_photos_alone_are_still_the_spaces(self):
        found = CliRunner().invoke(main, ["evaluate", "--splits", "x", "somewhere"])

        assert found.exit_code == 2 and "--splits" in found.output and "No such option" not in found.output


class TestFiles:
    def test_a_name_need_only_end_alike(self):
        files = FileNames(["train/a/1.jpg", "train/b/1.jpg", "train/b/2.jpg"])

        assert files.rows(["train/b/1.jpg", "b/2.jpg", "/elsewhere/a/1.jpg", "2.jpg"]).tolist() == [1, 2, 0, 2]

    @pytest.mark.parametrize("missing", ["1.jpg", "c/3.jpg"])
    def test_a_name_of_none_or_of_several_is_refused(self, missing: str):
        with pytest.raises(TrainingRejected, match=missing):
            FileNames(["a/1.jpg", "b/1.jpg"]).rows([missing])

    @pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"galleries": [{"kind": "pure"}]}'])
    def test_what_holds_no_collections_is_refused(self, text: str, tmp_path: Path):
        (tmp_path / "made.json").write_text(text)

        with pytest.raises(TrainingRejected, match="holds no collections"):
            read_collections(tmp_path / "made.json", FileNames([]))


def test_a_steady_lead_over_the_mean_is_called_better():
    outcomes = Outcomes(["pure"] * 20)
    for contender, level in (("chance", 0.0), ("label only", 0.4), ("mean", 0.5), ("themes", 0.6)):
        outcomes.values[contender, GALLERY_RECALL] = list(level + np.linspace(0, 0.1, 20))

    [against_mean, *_] = differences(outcomes)
    assert (against_mean.better, against_mean.than) == ("themes", "mean")
    assert against_mean.low == pytest.approx(0.1) and against_mean.high == pytest.approx(0.1)
