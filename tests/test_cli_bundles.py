"""The commands `sightline export` and `sightline bundles`, as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from colours import colour_photo

from models.manifest import VISION_DIR, read_manifest, verify_bundle
from models.space import Space
from models.tiny import COLOURS
from stream_app.cli import main


@pytest.fixture
def data_dir(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A data folder with two bundles on its shelf, one of them damaged."""
    for name in ("good", "bad"):
        shutil.copytree(tiny_bundle, tmp_path / "data" / "bundles" / name)
    (tmp_path / "data" / "bundles" / "bad" / "words.txt").write_text("cut off")
    return tmp_path / "data"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a photo of each colour, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in COLOURS.items():
        (folder / f"{name}.png").write_bytes(colour_photo(colour))
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


def run(data_dir: Path, *arguments: object, bundle: str = "good") -> Result:
    """The command and what it said."""
    environment = {"SIGHTLINE_DATA_DIR": str(data_dir), "SIGHTLINE_BUNDLE": bundle}
    return CliRunner().invoke(main, [str(each) for each in arguments], env=environment)


def test_an_exported_bundle_is_whole_and_has_what_was_asked_for(tmp_path: Path) -> None:
    """The default network with words of another name, for a server under another name."""
    ran = run(
        tmp_path, "export", tmp_path / "out", "--vision", "efficientnet_lite0", "--words", "glove_6b_50d",
        "--serving-name", "photos",
    )  # fmt: skip

    assert ran.exit_code == 0, ran.output
    manifest = verify_bundle(tmp_path / "out")
    assert (manifest.vision, manifest.words, manifest.serving_name) == ("efficientnet_lite0", "glove_6b_50d", "photos")
    assert "/models/photos" in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert (tmp_path / "out" / VISION_DIR / "saved_model.pb").is_file()
    assert Space.load(tmp_path / "out").joint_dimensions == 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--vision", "alexnet"), "No such vision model"),
        (("--words", "nowhere.vec"), "No such words"),
        (("--evaluation", __file__), "The evaluation"),
        (("--weights", __file__), "cannot be read"),
    ],
)
def test_an_export_that_cannot_be_says_why_in_one_line(arguments: tuple[str, str], said: str, tmp_path: Path) -> None:
    """And leaves nothing behind."""
    ran = run(tmp_path, "export", tmp_path / "out", *arguments)

    assert ran.exit_code == 2 and said in ran.stderr and ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_nothing_is_exported_over_what_is_no_bundle(photos: Path, tmp_path: Path) -> None:
    """Somebody's photographs stay."""
    ran = run(tmp_path, "export", photos)

    assert ran.exit_code == 2 and "would be lost" in ran.stderr
    assert (photos / "red.png").is_file()


def test_the_list_shows_ids_sizes_and_the_one_that_is_used(data_dir: Path, tiny_bundle: Path) -> None:
    """For people and for programs."""
    manifest = read_manifest(tiny_bundle)
    lines = run(data_dir, "bundles", "list").stdout.splitlines()
    rows = json.loads(run(data_dir, "bundles", "list", "--json").stdout)

    assert [line[0] for line in lines[1:3]] == [" ", "*"]
    assert all(said in lines[2] for said in ("good", manifest.vision_id, manifest.space_id, "12 / 16 / 26", "MB"))
    assert [(Path(row["path"]).name, row["used"]) for row in rows] == [("bad", False), ("good", True)]
    assert rows[1]["space_id"] == manifest.space_id and rows[1]["age_seconds"] >= 0


def test_a_bundle_that_is_used_from_elsewhere_is_listed_too(data_dir: Path, tiny_bundle: Path) -> None:
    """SIGHTLINE_BUNDLE may be a path."""
    rows = json.loads(run(data_dir, "bundles", "list", "--json", bundle=str(tiny_bundle)).stdout)

    assert [row["path"] for row in rows if row["used"]] == [str(tiny_bundle)] and len(rows) == 3


def test_a_setting_that_names_no_bundle_is_told(data_dir: Path) -> None:
    """The list is there all the same."""
    ran = run(data_dir, "bundles", "list", bundle="nowhere")

    assert ran.exit_code == 0 and "SIGHTLINE_BUNDLE=nowhere names none" in ran.stderr and "good" in ran.stdout


def test_an_empty_shelf_is_no_error(tmp_path: Path) -> None:
    """Before the first start."""
    ran = run(tmp_path, "bundles", "list", bundle="default")

    assert ran.exit_code == 0 and "built when it is first used" in ran.stderr


def test_verify_names_the_state_of_each_file(data_dir: Path) -> None:
    """And tells scripts by its exit status."""
    good, bad = run(data_dir, "bundles", "verify"), run(data_dir, "bundles", "verify", "bad")

    assert good.exit_code == 0 and good.stdout.splitlines()[-1] == "whole"
    assert bad.exit_code == 1 and "changed words.txt" in bad.stdout and "ok      labels.txt" in bad.stdout
    told = json.loads(run(data_dir, "bundles", "verify", "bad", "--json").stdout)
    assert told["files"]["words.txt"] == "changed" and told["files"]["bundle.json"] == "ok"


def test_verify_of_no_bundle_says_what_is_there(data_dir: Path, photos: Path) -> None:
    """A folder of photos, and nothing at all."""
    folder, nothing = run(data_dir, "bundles", "verify", photos), run(data_dir, "bundles", "verify", "nowhere")

    assert folder.exit_code == 1 and "a folder with black.png" in folder.stdout
    assert nothing.exit_code == 2 and "There is no such bundle" in nothing.stderr


def test_two_bundles_are_compared_on_a_folder(data_dir: Path, photos: Path, tiny_bundle: Path) -> None:
    """A table for people, JSON for programs; what could not be read is said beside."""
    arguments = ("bundles", "compare", "good", tiny_bundle, "--photos", photos, "--word", "red", "--word", "xyzzy")
    table, ran = run(data_dir, *arguments), run(data_dir, *arguments, "--json")

    found = json.loads(ran.stdout)
    assert (found["photos"], found["search_overlap"], found["words_unknown"]) == (10, 1.0, ["xyzzy"])
    assert [line.split(":")[0] for line in found["left_out"]] == ["broken.jpg"]
    assert "on 10 photos" in table.stdout and "Not known to both: xyzzy" in table.stdout
    assert "left out: broken.jpg" in table.stderr


def test_a_damaged_bundle_is_not_compared(data_dir: Path, photos: Path) -> None:
    """One line names its file."""
    ran = run(data_dir, "bundles", "compare", "good", "bad", "--photos", photos)

    assert ran.exit_code == 2 and "words.txt has changed" in ran.stderr


def test_the_former_name_of_the_build_command_still_works(data_dir: Path) -> None:
    """`sightline bundle build` was in the README."""
    ran = run(data_dir, "bundle", "build", "--help")

    assert ran.exit_code == 0 and "Build the default bundle" in ran.stdout
