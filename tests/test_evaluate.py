"""`sightline evaluate`, from labelled files to the report."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from colours import colour_photo

from models.calibration import ScoreBin, score_bins, worth_showing
from models.encoder import LocalEncoder
from models.evaluation_report import Evaluation, as_markdown, compare, write_report
from models.labelled_photos import LabelledPhotos, encode_once, read_labelled, tags_by_label, tags_of_label
from models.linear_projection import unit
from models.related_judgement import WordProbe, judge_vectors, kinds_of_photos
from models.space import Space
from models.zero_shot import AMONG, KS, Outcome
from stream_app.cli import main
from stream_app.errors import TrainingRejected

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos in each of four folders, one of them no photo."""
    folder = tmp_path / "photos"
    for colour in COLOURS:
        (folder / colour).mkdir(parents=True)
        for number, image_format in enumerate(("PNG", "JPEG")):
            (folder / colour / f"{number}.{image_format.lower()}").write_bytes(colour_photo(colour, image_format))
    (folder / "red" / "broken.jpg").write_bytes(b"no photo")
    (folder / "red" / "notes.txt").write_text("nothing")
    return folder


@pytest.fixture(scope="module")
def encoder(tiny_bundle: Path) -> LocalEncoder:
    return LocalEncoder(tiny_bundle)


class TestReading:
    def test_a_folder_per_class_gives_every_photo_its_label(self, photos: Path):
        found = [(Path(name).name, label) for name, label, _ in read_labelled(photos)]

        assert ("0.png", "green") in found and ("broken.jpg", "red") in found
        assert len(found) == 9

    def test_a_tar_file_reads_as_the_folder_does(self, photos: Path, tmp_path: Path):
        with tarfile.open(tmp_path / "photos.tar", "w") as archive:
            archive.add(photos, "train")
        from_folder = sorted((label, read()) for _, label, read in read_labelled(photos))

        assert sorted((label, read()) for _, label, read in read_labelled(tmp_path / "photos.tar")) == from_folder

    def test_a_table_names_the_classes_of_photos_that_lie_together(self, tmp_path: Path):
        (tmp_path / "a.png").write_bytes(colour_photo("red"))
        (tmp_path / "labels.csv").write_text("file,wordnet_id\na.png,n02084071\n")

        [(_, label, read)] = read_labelled(tmp_path)

        assert label == "n02084071" and read() == colour_photo("red")

    def test_an_empty_folder_and_a_missing_one_are_refused(self, tmp_path: Path):
        with pytest.raises(TrainingRejected, match="holds no labelled photos"):
            list(read_labelled(tmp_path))
        with pytest.raises(TrainingRejected, match="nothing there"):
            list(read_labelled(tmp_path / "missing"))

    def test_photos_are_looked_at_once(self, photos: Path, encoder: LocalEncoder, tmp_path: Path):
        first = encode_once(photos, encoder, tmp_path / "cache")

        class Blind:
            vision_id = encoder.vision_id

            def encode_images(self, images: object) -> list[object]:
                raise AssertionError("looked at a photo again")

        again = encode_once(photos, Blind(), tmp_path / "cache")  # type: ignore[arg-type]
        assert again.class_of.tolist() == first.class_of.tolist()
        assert again.classes == first.classes
        assert len(again.left_out) == 1 and "broken.jpg" in again.left_out[0]
        np.testing.assert_array_equal(again.image_embeddings, first.image_embeddings)

    def test_a_label_is_looked_up_by_id_and_by_name(self):
        known = tags_by_label()

        assert tags_of_label("n01443537", known).names[0].text == "goldfish"
        assert tags_of_label("great_white_shark", known).wordnet_id == "n01484850"
        assert tags_of_label("my own class", known).wordnet_id == ""


def test_vectors_that_tell_colours_apart_find_their_like(photos: Path, encoder: LocalEncoder, tiny_bundle: Path):
    from models.labelled_photos import encode_labelled

    labelled = encode_labelled(iter(list(read_labelled(photos)) * 4), encoder)
    figures = {each.vector: each for each in judge_vectors(labelled, Space.load(tiny_bundle))}

    assert figures["search vector"].words_at_5 == 1.0
    assert figures["image embedding"].words_at_5 is None
    assert figures["search vector"].related_map == pytest.approx(1.0)


def test_photos_of_one_kind_are_related_where_each_class_has_one():
    known = tags_by_label()
    classes = [tags_of_label(name, known) for name in ("beagle", "pug", "violin", "banjo", "tench")]
    photos = LabelledPhotos(np.eye(5), np.zeros((5, 1), int), np.ones((5, 1)), np.arange(5), classes, [])
    few = len(classes) - 3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.related_judgement.KIND_CLASSES_MAX", few)
        kinds = kinds_of_photos(photos)

    assert kinds[0] == kinds[1] and kinds[2] == kinds[3] and len(set(kinds)) == 3


class TestCalibration:
    def test_bins_count_hits_by_score(self):
        joint = unit(np.array([[1, 0], [1, 0.1], [0, 1]]))
        bins = score_bins(joint, [WordProbe("right", np.array([1.0, 0.0]), np.array([True, True, False]))])

        assert bins == [ScoreBin(1.0, 1, 1.0), ScoreBin(0.9, 1, 1.0), ScoreBin(0.0, 1, 0.0)]

    def test_a_score_is_worth_showing_down_to_the_first_bin_that_is_mostly_wrong(self):
        assert worth_showing([ScoreBin(0.8, 9, 0.9), ScoreBin(0.7, 9, 0.6), ScoreBin(0.6, 9, 0.3)]) == 0.7
        assert worth_showing([ScoreBin(0.8, 9, 0.1)]) is None


def outcome(name: str, seed: int, hit: float) -> Outcome:
    measures = {(among, f"{kind}@{k}"): hit for among in AMONG for kind in MEASURES for k in KS}
    return Outcome(name, seed, {}, measures)


MEASURES = ("flat_hit", "hierarchical_precision")


class TestReport:
    def test_a_steady_lead_over_a_baseline_is_called_better(self):
        outcomes = [outcome("ours", seed, 0.6 + seed / 100) for seed in range(5)]
        outcomes += [outcome("ConSE(10)", seed, 0.5 + seed / 100) for seed in range(5)]

        [first, *_] = compare(outcomes, "ours")

        assert (first.baseline, first.among, first.measure) == ("ConSE(10)", "held out", "flat_hit@1")
        assert first.low == pytest.approx(0.1) and first.times == pytest.approx(0.62 / 0.52)

    def test_a_baseline_that_was_judged_alone_is_compared_with_nothing(self):
        evaluation = Evaluation({}, [outcome("ConSE(10)", 0, 0.5)], "ours", {"held out": 2, "all": 9}, [], [])

        assert compare(evaluation.outcomes, "ours") == []
        assert "against the baselines" not in as_markdown(evaluation)

    def test_the_report_has_tables_figures_and_plots(self, tmp_path: Path):
        evaluation = Evaluation(
            {"photos": "9"}, [outcome("ours", 0, 0.5)], "ours", {"held out": 2, "all": 9}, [], [ScoreBin(0.5, 3, 0.7)]
        )
        report = write_report(evaluation, tmp_path / "out")

        assert report.read_text() == as_markdown(evaluation)
        assert "| **ours** | 50.0 ± 0.0 |" in report.read_text()
        assert "From a score of 0.5 upwards" in report.read_text()
        assert json.loads((tmp_path / "out" / "report.json").read_text())["zero_shot"][0]["contender"] == "ours"
        assert (tmp_path / "out" / "zero_shot.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "out" / "calibration.png").read_bytes().startswith(b"\x89PNG")


class TestCommand:
    def test_it_judges_a_folder(self, photos: Path, tiny_bundle: Path, tmp_path: Path):
        arguments = [
            "evaluate",
            str(photos),
            "--bundle",
            str(tiny_bundle),
            "--splits",
            "0",
            "--out",
            str(tmp_path / "o"),
        ]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)

        assert result.exit_code == 0, result.output
        assert "| search vector |" in result.output
        assert "left out: " in result.output and "broken.jpg" in result.output

    def test_an_unknown_contender_is_named(self, photos: Path, tiny_bundle: Path, tmp_path: Path):
        arguments = ["evaluate", str(photos), "--bundle", str(tiny_bundle), "--contender", "magic"]
        result = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "o")])

        assert result.exit_code == 2
        assert "received magic" in result.output and "ConSE(10)" in result.output
