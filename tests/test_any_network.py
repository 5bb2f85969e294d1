"""A bundle of any Keras model or SavedModel, by the name of the function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from colours import colour_photo

from models.any_network import AnyNetwork, find_network
from models.bundle import build_bundle
from models.encoder import Encoding, LocalEncoder
from models.made_photos import made_photos
from models.quiet_import import import_tensorflow
from models.tags import COLUMNS
from models.vision import vision_model
from stream_app.cli import main
from stream_app.errors import BundleError

tf = import_tensorflow()
SIDE = 32


@pytest.fixture(scope="module")
def network() -> Any:
    """A MobileNetV2 as keras.applications makes it, of three classes and with no trained weights."""
    tf.keras.utils.set_random_seed(3)
    return tf.keras.applications.MobileNetV2(weights=None, classes=3, input_shape=(SIDE, SIDE, 3), alpha=0.35)


@pytest.fixture
def given(network: Any, tmp_path: Path) -> AnyNetwork:
    """What a user would say of it."""
    tags = tmp_path / "tags.tsv"
    rows = [COLUMNS, ("0", "n1", "red", "1:colour"), ("1", "n2", "dog", "1:animal"), ("2", "n3", "house", "1:building")]
    tags.write_text("\n".join("\t".join(each) for each in rows) + "\n")
    return AnyNetwork(network, SIDE, 127.5, 127.5, "global_average_pooling2d", "of the test", tags=tags)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any], str]:
    """Makes what it gets importable, and says its name."""

    def name(made: Any) -> str:
        (tmp_path / "my_networks.py").write_text("import builtins\ndef make():\n    return builtins.made_for_a_test\n")
        monkeypatch.setattr("builtins.made_for_a_test", made, raising=False)
        monkeypatch.chdir(tmp_path)
        return "my_networks:make"

    return name


def test_a_bundle_of_a_keras_model_says_what_the_model_says(given: AnyNetwork, named: Any, tmp_path: Path):
    bundle = build_bundle(tmp_path / "bundle", vision=named(given))
    [answer] = LocalEncoder(bundle).encode_images([colour_photo("red")])

    square = np.full((1, SIDE, SIDE, 3), (255, 0, 0), np.float32) / 127.5 - 1
    expected = given.network.predict(square, verbose=0)[0]
    assert isinstance(answer, Encoding)
    assert answer.label_indices.tolist() == np.argsort(-expected).tolist()
    np.testing.assert_allclose(answer.label_scores, np.sort(expected)[::-1], atol=1e-3)
    assert (bundle / "labels.txt").read_text().split() == ["red", "dog", "house"]


def test_a_saved_model_gives_what_its_keras_model_gives(given: AnyNetwork, named: Any, tmp_path: Path):
    layer = given.network.get_layer(given.embedding)
    both = tf.keras.Model(given.network.input, {"features": layer.output, "scores": given.network.output})
    both.export(tmp_path / "saved", verbose=False)

    ours = vision_model(named(given)).build(Path())
    theirs = find_network(named(replace(given, network=tmp_path / "saved", embedding="features"))).build(Path())

    pictures = tf.constant(made_photos(SIDE, 4) / 127.5 - 1)
    for left, right in zip(ours.module(pictures), theirs.module(pictures), strict=True):  # type: ignore[operator]
        np.testing.assert_allclose(left, right, atol=1e-5)
    np.testing.assert_array_equal(ours.classifier, theirs.classifier)


def test_logits_become_probabilities(given: AnyNetwork, named: Any):
    network = tf.keras.models.clone_model(given.network)
    network.set_weights(given.network.get_weights())
    network.layers[-1].activation = tf.keras.activations.linear
    built = find_network(named(replace(given, network=network))).build(Path())

    _, scores = built.module(tf.constant(made_photos(SIDE, 2) / 127.5 - 1))  # type: ignore[operator]

    np.testing.assert_allclose(tf.reduce_sum(scores, axis=1), 1, atol=1e-5)


def test_each_channel_may_have_its_own_offset(given: AnyNetwork, named: Any, tmp_path: Path):
    offset, scale = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    bundle = build_bundle(tmp_path / "bundle", vision=named(replace(given, offset=offset, scale=scale)))
    [answer] = LocalEncoder(bundle).encode_images([colour_photo("blue")])

    square = (np.full((1, SIDE, SIDE, 3), (0, 0, 255), np.float32) - offset) / scale
    expected = given.network.predict(square, verbose=0)[0]
    np.testing.assert_allclose(answer.label_scores, np.sort(expected)[::-1], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": "no_such_layer"}, "there is none of that name.* there are input_layer"),
        ({"embedding": "Conv_1"}, "outputs of other shapes"),
        ({"embedding": "predictions"}, "does not end as a classifier does"),
        ({"network": "nowhere"}, "no network that can be used"),
        ({"side_px": 0}, "no square to look at"),
        ({"side_px": 64, "resize_px": 32}, "resize_px >= side_px"),
        ({"scale": 0}, "one positive number"),
        ({"offset": (1.0, 2.0)}, "one number, or three"),
        ({"tags": "nowhere.tsv"}, "its tags cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(given: AnyNetwork, named: Any, change: dict[str, Any], message: str):
    with pytest.raises(BundleError, match=message):
        find_network(named(replace(given, **change))).build(Path())


def test_classes_without_tags_are_refused(given: AnyNetwork, named: Any):
    network = tf.keras.applications.MobileNetV2(weights=None, classes=4, input_shape=(SIDE, SIDE, 3), alpha=0.35)
    with pytest.raises(BundleError, match=r"expected 4 classes.* received 3 in tags\.tsv"):
        find_network(named(replace(given, network=network, embedding=network.layers[-2].name))).build(Path())


@pytest.mark.parametrize("made", [None, "a model"])
def test_a_factory_that_describes_nothing_is_refused(named: Any, made: Any):
    with pytest.raises(BundleError, match="describes no network"):
        find_network(named(made))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:make", "no_such_module:make: its module cannot be imported"),
        ("json:nothing", "json:nothing is no function"),
        ("json:loads", "json:loads failed"),
    ],
)
def test_a_name_that_leads_nowhere_is_told_on_the_command_line(name: str, message: str, tmp_path: Path):
    result = CliRunner().invoke(main, ["export", str(tmp_path / "bundle"), "--vision", name])

    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "bundle").exists()
