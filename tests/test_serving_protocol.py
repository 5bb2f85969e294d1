"""Addresses of servers, and answers that nobody vouches for."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from models.encoder_process import ProcessEncoder
from models.manifest import BundleManifest, read_manifest
from models.serving import RemoteEncoder
from models.serving_protocol import AnswerWrong, OtherModel, parse_address, read_prediction
from stream_app.encoders import make_encoder
from stream_app.errors import SettingsError
from stream_app.settings import Settings

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def manifest(tiny_bundle: Path) -> BundleManifest:
    """That of the tiny bundle: embeddings of 12 numbers, 10 classes."""
    return read_manifest(tiny_bundle)


def outputs_for(manifest: BundleManifest, count: int, **other: Any) -> dict[str, Any]:
    """What a server should answer for `count` photos, but for some outputs."""
    right = {
        "image_embedding": np.zeros((count, manifest.image_dimensions)).tolist(),
        "label_scores": np.full((count, 3), 0.3).tolist(),
        "label_indices": np.zeros((count, 3), int).tolist(),
        "vision_id": [manifest.vision_id] * count,
    }
    return right | other


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("grpc://host", "grpc://host:8500/sightline"),
        ("rest://host", "rest://host:8501/sightline"),
        ("grpc://host:9000/other", "grpc://host:9000/other"),
        ("rests://host.example/lite0/", "rests://host.example:8501/lite0"),
        ("grpcs://[::1]:443/m", "grpcs://[::1]:443/m"),
        ("GRPC://Host:1/M", "grpc://host:1/M"),
    ],
)
def test_an_address_has_a_port_and_a_model_also_where_they_are_not_said(text: str, meaning: str) -> None:
    assert str(parse_address(text)) == meaning


@pytest.mark.parametrize(
    "text",
    [
        *("", "local", "host:8500", "grpc://", "grpc:///model", "http://host/model", "s://host", "grpc://host:0/m"),
        *("grpc://host:port/m", "grpc://host:99999/m", "grpc://user:secret@host/m", "rest://host/v1/models/m"),
        *("rest://host/m:predict", "rest://host/m?x=1", "rest://host/m#x", "grpc://[::1/m"),
    ],
)
def test_anything_else_is_refused_with_the_form_that_is_expected(text: str) -> None:
    with pytest.raises(SettingsError, match="expected local, or grpc://host:port/model or rest://host:port/model"):
        parse_address(text)


def test_the_setting_chooses_the_encoder(tiny_bundle: Path, tmp_path: Path) -> None:
    chosen = [
        make_encoder(Settings(data_dir=tmp_path, encoder=encoder), tiny_bundle)
        for encoder in ("local", "grpc://127.0.0.1:1/m", "rest://127.0.0.1:1/m")
    ]

    assert [type(each) for each in chosen] == [ProcessEncoder, RemoteEncoder, RemoteEncoder]
    with pytest.raises(SettingsError, match="SIGHTLINE_ENCODER"):
        make_encoder(Settings(data_dir=tmp_path, encoder="remote"), tiny_bundle)


def test_a_right_answer_is_read(manifest: BundleManifest) -> None:
    prediction = read_prediction(outputs_for(manifest, 2), 2, manifest)

    assert prediction.image_embedding.shape == (2, 12) and prediction.finite.tolist() == [True, True]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30, 70_000.0])
def test_a_row_that_half_precision_cannot_hold_is_marked(manifest: BundleManifest, bad: float) -> None:
    """The other photos of its batch are none the worse for it."""
    embedding = np.zeros((3, 12))
    embedding[1, 5] = bad
    prediction = read_prediction(outputs_for(manifest, 3, image_embedding=embedding.tolist()), 3, manifest)

    assert prediction.finite.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_embedding", [[0.0] * 12]),
        ("image_embedding", [[0.0] * 11] * 2),
        ("image_embedding", [[0.0] * 12, [0.0] * 11]),
        ("image_embedding", [["a"] * 12] * 2),
        ("label_scores", [0.1, 0.2]),
        ("label_indices", [[0, 1]] * 2),
        ("label_indices", [[0, 1, 10]] * 2),
        ("label_indices", [[0, 1, -1]] * 2),
        ("label_indices", [[0, 1, 2**70]] * 2),
        ("vision_id", "0123456789ab"),
        ("vision_id", None),
    ],
)
def test_an_answer_of_other_shapes_is_wrong(manifest: BundleManifest, name: str, value: Any) -> None:
    with pytest.raises(AnswerWrong, match=name):
        read_prediction(outputs_for(manifest, 2, **{name: value}), 2, manifest)


def test_one_row_of_another_model_spoils_the_answer(manifest: BundleManifest) -> None:
    with pytest.raises(OtherModel, match="0123456789ab"):
        read_prediction(outputs_for(manifest, 2, vision_id=[manifest.vision_id, "0123456789ab"]), 2, manifest)


@given(name=some.sampled_from(["image_embedding", "label_scores", "label_indices", "vision_id"]), value=JSON)
def test_whatever_comes_is_read_or_wrong(manifest: BundleManifest, name: str, value: Any) -> None:
    """No answer makes the client fail in a way that nobody foresaw."""
    with suppress(AnswerWrong):
        read_prediction(outputs_for(manifest, 2, **{name: value}), 2, manifest)
