"""The model card: complete by itself, true to its bundle, and never with figures of another."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.bundle import NAMES
from models.manifest import read_manifest
from models.model_card import MODEL_CARD_FILE, model_card, read_evaluation
from models.vision import VISION_MODELS
from stream_app.errors import BundleError


def evaluation_of(space_id: str) -> dict[str, Any]:
    """What `sightline evaluate` writes, of two splits."""
    measures = ("held out/flat_hit@1", "held out/flat_hit@5", "all/flat_hit@1", "all/flat_hit@5")
    outcome = {name: 0.25 + 0.1 * place for place, name in enumerate(measures)}
    return {
        "facts": {"photos": "3,000 of 200 classes", "bundle": f"space {space_id}, vision x"},
        "default": "ours",
        "zero_shot": [
            {"contender": "ours", "measures": outcome},
            {"contender": "ours", "measures": {name: value + 0.1 for name, value in outcome.items()}},
            {"contender": "ConSE(10)", "measures": outcome},
        ],
        "vectors": [
            {"vector": "search", "dimensions": 256, "related_precision_at_10": 0.31, "words_at_5": None},
            {"vector": "joint", "dimensions": 16, "related_precision_at_10": 0.3, "words_at_5": 0.95},
        ],
    }


def test_the_card_in_a_bundle_says_what_the_manifest_says(tiny_bundle: Path) -> None:
    """Ids, dimensions, preprocessing, and every file that is there."""
    card, manifest = (tiny_bundle / MODEL_CARD_FILE).read_text(), read_manifest(tiny_bundle)

    for said in (manifest.vision_id, manifest.space_id, "12 numbers", "16 numbers", "32 x 32", "/ 255.0", "bicubic"):
        assert said in card
    unnamed = NAMES - {".DS_Store", MODEL_CARD_FILE}
    assert [name for name in unnamed if f"`{name}" not in card] == []
    assert card == model_card(manifest)


def test_every_registered_network_can_be_described() -> None:
    """Where it comes from, its licence, and how its loader was tested."""
    for model in VISION_MODELS.values():
        assert model.origin and model.licence and model.tested, model.name


def test_what_came_out_of_a_file_is_said_to(tiny_bundle: Path) -> None:
    """Nobody is told of a licence that Sightline does not know."""
    card = model_card(replace(read_manifest(tiny_bundle), about={}, words="mine.vec"))

    assert card.count("which Sightline does not know") == 2 and "It was not: the network" in card


def test_a_trained_projection_is_told(tiny_bundle: Path) -> None:
    """It was learnt from somebody's photographs."""
    manifest = read_manifest(tiny_bundle)
    projected = replace(manifest, ingredients=replace(manifest.ingredients, projection="0" * 64))

    assert "trained on photographs" in model_card(projected) and "trained on photographs" not in model_card(manifest)


def test_figures_are_means_over_the_splits(tiny_bundle: Path) -> None:
    """In per cent, beside the baselines."""
    manifest = read_manifest(tiny_bundle)

    card = model_card(manifest, evaluation_of(manifest.space_id))

    assert "| ours | 30.0 | 40.0 | 50.0 | 60.0 |" in card
    assert "| ConSE(10) | 25.0 | 35.0 | 45.0 | 55.0 |" in card
    assert "| search | 256 | 0.310 | |" in card and "| joint | 16 | 0.300 | 0.950 |" in card


def test_figures_of_another_bundle_are_refused(tiny_bundle: Path) -> None:
    """A card never boasts with what another one can."""
    with pytest.raises(BundleError, match=r"another bundle.*space 0123456789ab"):
        model_card(read_manifest(tiny_bundle), evaluation_of("0123456789ab"))


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json", None])
def test_what_is_no_evaluation_is_refused(content: str | None, tmp_path: Path) -> None:
    """A missing and a foreign file each give one clear line."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(BundleError, match=r"report\.json cannot be used") as caught:
        read_evaluation(path)

    assert "\n" not in str(caught.value)


def test_an_evaluation_of_another_form_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """One without the measures that are shown."""
    manifest = read_manifest(tiny_bundle)
    (tmp_path / "report.json").write_text(json.dumps(evaluation_of(manifest.space_id) | {"zero_shot": [{}]}))

    with pytest.raises(BundleError, match="another form"):
        model_card(manifest, read_evaluation(tmp_path / "report.json"))


def test_the_cards_tables_are_whole(tiny_bundle: Path) -> None:
    """Every row has as many cells as its heading."""
    manifest = read_manifest(tiny_bundle)
    card = model_card(manifest, evaluation_of(manifest.space_id))

    for table in re.findall(r"(?:^\|.*\n?)+", card, re.MULTILINE):
        widths = {line.count("|") for line in table.strip().splitlines()}
        assert len(widths) == 1, table
