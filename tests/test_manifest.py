"""bundle.json, and whether what it speaks of is there, undamaged, and fits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle_fit import SPACE_FILE, WORD_VECTORS_FILE
from models.manifest import (
    FORMAT,
    Ingredients,
    file_states,
    hash_files,
    make_space_id,
    read_manifest,
    sha256_of,
    verify_bundle,
    write_manifest,
)
from models.space import Space
from stream_app.errors import BundleError

FILES = ("space.npz", "words.txt", "word_vectors.npy", "labels.txt", "answers.txt", "tags.tsv")
GRAPH = ("saved_model/1/saved_model.pb", "saved_model/1/variables/variables.index")


@pytest.fixture
def tiny(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut off": (cut_off, "changed"),
    "empty": (lambda path: path.write_bytes(b""), "changed"),
    "a bit": (change_a_bit, "changed"),
    "gone": (Path.unlink, "missing"),
    "a folder": (lambda path: (path.unlink(), path.mkdir())[1], "missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", [*FILES, *GRAPH])
def test_every_damaged_file_is_named_and_the_others_are_not(name: str, damage: str, tiny: Path) -> None:
    """One clear line, whatever happened to whichever file."""
    harm, state = DAMAGES[damage]
    harm(tiny / name)

    with pytest.raises(BundleError, match=name) as caught:
        Space.load(tiny)

    assert "\n" not in str(caught.value)
    states = file_states(tiny, read_manifest(tiny))
    assert [each for each in states.items() if each[1] != "ok"] == [(name, state)]


def test_a_file_that_nobody_asked_for_is_told_and_does_no_harm(tiny: Path) -> None:
    """Notes that somebody keeps beside a bundle are theirs."""
    (tiny / "notes.txt").write_text("holiday")

    assert file_states(tiny, verify_bundle(tiny))["notes.txt"] == "unknown"


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "no json", '{"format": "2"}', '{"format": 2}', "\0"])
def test_a_manifest_that_is_none_is_refused_in_one_line(text: str, tiny: Path) -> None:
    (tiny / "bundle.json").write_text(text)

    with pytest.raises(BundleError, match=r"bundle\.json cannot be used") as caught:
        read_manifest(tiny)

    assert "\n" not in str(caught.value)


def test_a_manifest_cut_off_anywhere_is_refused(tiny: Path) -> None:
    text = (tiny / "bundle.json").read_text()

    for length in range(0, len(text) - 2, 50):
        (tiny / "bundle.json").write_text(text[:length])
        with pytest.raises(BundleError, match="damaged"):
            read_manifest(tiny)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_dimensions", 13),
        ("vision_id", "0123456789ab"),
        ("space_id", "0123456789ab"),
        ("words", "others"),
        ("files", {}),
        ("seal", "0" * 64),
        ("preprocessing", {"side_px": 32, "resize_px": 64}),
        ("ingredients", {"weights": "w"}),
        ("ingredients", []),
        ("more", 1),
    ],
)
def test_a_value_that_was_changed_by_hand_is_noticed(key: str, value: Any, tiny: Path) -> None:
    """Also one that no file's hash depends on, as how photos are prepared."""
    values = json.loads((tiny / "bundle.json").read_text())
    (tiny / "bundle.json").write_text(json.dumps(values | {key: value}))

    with pytest.raises(BundleError, match="damaged"):
        Space.load(tiny)


@pytest.mark.parametrize("changed", ["weights", "words", "tags", "recipe", "projection"])
def test_ids_that_do_not_follow_from_the_ingredients_are_refused(changed: str, tiny: Path) -> None:
    """Whatever is exchanged in a bundle, it cannot keep its old name."""
    manifest = read_manifest(tiny)
    write_manifest(tiny, replace(manifest, ingredients=replace(manifest.ingredients, **{changed: "another"})))

    with pytest.raises(BundleError, match="ids that are not made from its ingredients"):
        read_manifest(tiny)


def test_every_ingredient_of_a_space_changes_its_name() -> None:
    """Other words, tags, formulas or a trained layer: another space; the weights speak through vision_id."""
    plain = Ingredients("weights", "words", "tags", "recipe", "projection")
    others = [replace(plain, **{name: "another"}) for name in ("words", "tags", "recipe", "projection")]
    ids = [make_space_id("v", each) for each in (plain, *others)] + [make_space_id("other v", plain)]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("other", "said"), [(FORMAT + 1, r"newer format.*later version"), (1, "former format")])
def test_a_bundle_of_another_format_says_what_to_do(other: int, said: str, tiny: Path) -> None:
    """A later version may have any fields."""
    (tiny / "bundle.json").write_text(json.dumps({"format": other, "sections": []}))

    with pytest.raises(BundleError, match=said):
        read_manifest(tiny)


def test_what_is_no_bundle_is_told_apart(tmp_path: Path) -> None:
    """The line says what is there instead."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name in "abcd":
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / f"{name}.jpg").write_text("x")
    said = {
        "gone": "nothing of that name",
        "empty": "an empty folder",
        "file": "a file",
        "photos": r"a folder with a\.jpg, b\.jpg, c\.jpg, \.\.\.",
    }

    for name, received in said.items():
        with pytest.raises(BundleError, match=rf"{name} is missing.*bundle\.json; received {received}"):
            Space.load(tmp_path / name)


def keep_whole(bundle_dir: Path) -> None:
    """Write the manifest anew, as somebody does who puts a bundle together by hand."""
    manifest = read_manifest(bundle_dir)
    write_manifest(bundle_dir, replace(manifest, files=hash_files(bundle_dir)))


def test_words_of_other_dimensions_do_not_fit(tiny: Path) -> None:
    """Though every hash is right."""
    words = np.load(tiny / WORD_VECTORS_FILE)
    np.save(tiny / WORD_VECTORS_FILE, words[:, :8])
    keep_whole(tiny)

    with pytest.raises(
        BundleError, match=rf"other dimensions: {WORD_VECTORS_FILE}; expected \d+ x 16; received \d+ x 8"
    ):
        Space.load(tiny)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("tag_vectors", (10, 8)),
        ("classifier", (13, 10)),
        ("image_axes", (12, 9)),
        ("joint_axes", (8, 16)),
        ("projection", (2048, 16)),
    ],
)
def test_a_space_of_other_dimensions_does_not_fit(name: str, shape: tuple[int, int], tiny: Path) -> None:
    """A layer that was trained on another network, for instance."""
    arrays = dict(np.load(tiny / SPACE_FILE))
    np.savez(tiny / SPACE_FILE, **arrays | {name: np.zeros(shape, np.float32)})
    keep_whole(tiny)

    with pytest.raises(BundleError, match="other dimensions"):
        Space.load(tiny)


def test_a_bundle_for_other_formulas_is_refused(tiny: Path) -> None:
    """Its space_id would promise what this version does not compute."""
    manifest = read_manifest(tiny)
    ingredients = replace(manifest.ingredients, recipe="as it was last year")
    space_id = make_space_id(manifest.vision_id, ingredients)
    write_manifest(tiny, replace(manifest, ingredients=ingredients, space_id=space_id))

    with pytest.raises(BundleError, match=r"other formulas.*last year"):
        Space.load(tiny)


def test_the_tags_of_a_bundle_are_those_that_its_name_was_made_from(tiny: Path) -> None:
    """A hash in the name and one of the file are the same."""
    assert read_manifest(tiny).ingredients.tags == sha256_of(tiny / "tags.tsv")
