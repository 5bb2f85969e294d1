"""The shelf: what lies on it, which bundle a name means, and how each file of one is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from test_manifest import keep_whole

from models.bundle_fit import SPACE_FILE
from models.manifest import read_manifest
from models.shelf import bundle_states, default_bundle, find_bundle, is_sound, shelved_bundles


@pytest.fixture
def shelf(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A shelf with a bundle, a damaged one, a folder that is none, and one under work."""
    shelf = tmp_path / "bundles"
    shutil.copytree(tiny_bundle, shelf / "good")
    shutil.copytree(tiny_bundle, shelf / "bad")
    (shelf / "bad" / "bundle.json").write_text("{")
    (shelf / "empty").mkdir()
    (shelf / ".good.1234").mkdir()
    (shelf / "notes.txt").write_text("mine")
    return shelf


def test_everything_on_the_shelf_is_listed_with_what_is_wrong_with_it(shelf: Path, tiny_bundle: Path) -> None:
    """A bad bundle hides no good one."""
    bad, empty, good = shelved_bundles(shelf)

    assert [each.path.name for each in (bad, empty, good)] == ["bad", "empty", "good"]
    assert "damaged" in bad.problem and "an empty folder" in empty.problem and not good.problem
    assert bad.manifest is None and good.manifest == read_manifest(tiny_bundle)
    assert good.size_bytes == sum(path.stat().st_size for path in tiny_bundle.rglob("*") if path.is_file())
    assert good.made_at == max(path.stat().st_mtime for path in (shelf / "good").rglob("*") if path.is_file())


def test_a_shelf_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """As before the first start."""
    assert shelved_bundles(tmp_path / "bundles") == []


def test_a_name_means_a_path_or_a_place_on_the_shelf(shelf: Path, tiny_bundle: Path) -> None:
    """A folder without a manifest is nobody's bundle."""
    assert find_bundle("good", shelf) == shelf / "good"
    assert find_bundle(str(tiny_bundle), shelf) == tiny_bundle
    assert find_bundle("default", shelf) == default_bundle(shelf)
    assert find_bundle("empty", shelf) is None and find_bundle("gone", shelf) is None


def test_the_state_of_every_file_is_told(shelf: Path) -> None:
    """The manifest's own as well; what lies beside does no harm."""
    (shelf / "good" / "labels.txt").unlink()
    (shelf / "good" / "notes.txt").write_text("mine")

    states, problem = bundle_states(shelf / "good")

    assert not problem and not is_sound(states)
    assert states["labels.txt"] == "missing" and states["notes.txt"] == "unknown" and states["bundle.json"] == "ok"
    assert set(states) == {*read_manifest(shelf / "good").files, "bundle.json", "notes.txt"}


def test_a_damaged_manifest_is_all_that_is_told(shelf: Path) -> None:
    """Without it nothing is known of the files."""
    states, problem = bundle_states(shelf / "bad")

    assert states == {"bundle.json": "damaged"} and "damaged" in problem


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_part_that_cannot_be_read_is_told(content: bytes, shelf: Path) -> None:
    """A bundle that was put together by hand, with right hashes of wrong files."""
    (shelf / "good" / SPACE_FILE).write_bytes(content)
    keep_whole(shelf / "good")

    states, problem = bundle_states(shelf / "good")

    assert is_sound(states) and "cannot be read" in problem
    assert "cannot be read" in shelved_bundles(shelf)[2].problem


def test_a_part_for_other_dimensions_is_told(shelf: Path) -> None:
    """Though each file is what its hash says."""
    arrays = dict(np.load(shelf / "good" / SPACE_FILE))
    np.savez(shelf / "good" / SPACE_FILE, **arrays | {"tag_vectors": np.zeros((10, 3), np.float32)})
    keep_whole(shelf / "good")

    assert "other dimensions" in bundle_states(shelf / "good")[1]
