"""Read the weights of an Inception-v3 in any of Keras' formats; no code in the file is run.

`.h5` of Keras 1 and 2 (weights, or a whole model) and `.keras` or `.weights.h5` of Keras 3. Keras keeps layers in the
order of depth in the graph, and its layers have no names of their own: which is which is learned from a
`keras.applications.InceptionV3` made for the purpose.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models.convolution import Weights
from models.quiet_import import import_tensorflow
from stream_app.errors import BundleError

SUFFIXES = (".h5", ".hdf5", ".keras")
KINDS = {"kernel": "convolution", "norm": "batch normalisation", "dense": "class layer"}
DOWNLOAD_TIMEOUT_SECONDS = 60.0
# Of the file with ImageNet weights, as keras.applications has it.
IMAGENET_MD5 = "9a0d58056eeedaa3f26cb7ebd46da564"


class KerasLayer(NamedTuple):
    """A layer with weights, as a file has it."""

    name: str
    arrays: list[np.ndarray]  # a convolution's kernel; or [gamma,] beta, mean, variance; or a class layer's two

    @property
    def kind(self) -> str:
        """What the layer is, told by its numbers: a key of KINDS, or "" for any other."""
        dimensions = [array.ndim for array in self.arrays]
        if dimensions in ([4], [4, 1]):
            return "kernel"
        if dimensions in ([1, 1, 1], [1, 1, 1, 1]):
            return "norm"
        return "dense" if dimensions in ([2], [2, 1]) else ""


def is_keras_file(path: Path) -> bool:
    """Whether the name says that Keras wrote the file."""
    return path.suffix.lower() in SUFFIXES


def download_inception_v3() -> Path:
    """Keras' own file of ImageNet weights, from its cache or from the network, with its hash checked."""
    import_tensorflow()
    import keras
    from keras.src.applications.inception_v3 import WEIGHTS_PATH

    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT_SECONDS):
            path = keras.utils.get_file(
                Path(WEIGHTS_PATH).name, WEIGHTS_PATH, cache_subdir="models", file_hash=IMAGENET_MD5
            )
    except Exception as error:  # no network, a wrong hash, a full disk: Keras has a kind of error for each
        raise BundleError(
            "Keras cannot download the weights of Inception-v3",
            received=f"{type(error).__name__}: {error}"[:200],
            remedy="Where there is no network, give a file: --weights PATH (Keras' .h5 or .keras, torchvision's .pth).",
        ) from error
    return Path(path)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    import socket

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_keras_inception_v3(path: Path, names: Sequence[str]) -> Weights:
    """The weights under the names and in the layout of torchvision; `names` in the order of keras.applications."""
    layers = read_keras_layers(path)
    convolutions = [each for each in layers if each.kind == "kernel"]
    norms = [each for each in layers if each.kind == "norm"]
    _check_count(path, "convolutions", len(names), len(convolutions))
    _check_count(path, "batch normalisations", len(names), len(norms))
    convolution_ranks, norm_ranks = _inception_v3_ranks()
    weights = _class_layer(path, [each for each in layers if each.kind == "dense"])
    for name, convolution_rank, norm_rank in zip(names, convolution_ranks, norm_ranks, strict=True):
        weights[f"{name}.conv.weight"] = convolutions[convolution_rank].arrays[0].transpose(3, 2, 0, 1)
        weights |= _norm(f"{name}.bn", norms[norm_rank].arrays)
    return weights


def _check_count(path: Path, what: str, expected: int, received: int) -> None:
    if expected != received:
        raise BundleError(
            f"{path.name} is no Inception-v3",
            expected=f"{expected} {what}",
            received=str(received),
            remedy="Any other Keras model: --vision package.module:factory (models/any_network.py).",
        )


def _class_layer(path: Path, dense: list[KerasLayer]) -> Weights:
    if len(dense) != 1:
        raise BundleError(
            f"{path.name} cannot say of what class a photo is",
            expected="one class layer after the pooling",
            received=", ".join(f"{each.name} {each.arrays[0].shape}" for each in dense) or "a file without top",
            remedy="Take the file with top; a head of several layers: --vision package.module:factory.",
        )
    kernel, *biases = dense[0].arrays
    return {"fc.weight": kernel.T, "fc.bias": biases[0] if biases else np.zeros(kernel.shape[1], np.float32)}


def _norm(name: str, arrays: list[np.ndarray]) -> Weights:
    beta, mean, variance = arrays[-3:]
    gamma = arrays[0] if len(arrays) == 4 else np.ones_like(beta)  # keras.applications leaves the scale out
    return {
        f"{name}.weight": gamma,
        f"{name}.bias": beta,
        f"{name}.running_mean": mean,
        f"{name}.running_var": variance,
    }


def _inception_v3_ranks() -> tuple[list[int], list[int]]:
    """For each convolution and each norm in the order of making: which one it is in the order of depth."""
    import_tensorflow()
    import keras

    model = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=(299, 299, 3))
    by_kind = [
        [layer.name for layer in model.layers if isinstance(layer, kind)]
        for kind in (keras.layers.Conv2D, keras.layers.BatchNormalization)
    ]
    first, second = ([each.index(name) for name in sorted(each, key=_number)] for each in by_kind)
    return first, second


def _number(name: str) -> int:
    """The number at the end of an automatic name; the first has none."""
    found = re.search(r"_(\d+)$", name)
    return int(found[1]) if found else 0


def read_keras_layers(path: Path) -> list[KerasLayer]:
    """The layers with weights in the file's own order; BundleError when it is no file of Keras'."""
    import h5py

    try:
        with h5py.File(_hdf5_of(path), "r") as file:
            group = file.get("model_weights", file)
            return list(_old_layers(group) if "layer_names" in group.attrs else _new_layers(group))
    except BundleError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise BundleError(
            f"The weights file {path.name} cannot be read",
            expected="what Keras writes as .h5, .weights.h5 or .keras",
            received=f"{type(error).__name__}: {error}"[:160],
            remedy="Is the file there, and whole?",
        ) from error


def _hdf5_of(path: Path) -> Any:
    """What h5py shall open: a `.keras` file is a zip with the weights in it."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read("model.weights.h5"))


def _old_layers(group: Any) -> Iterator[KerasLayer]:
    """Keras 1 and 2: the order of layers and of their weights is told beside them."""
    for name in (_text(each) for each in group.attrs["layer_names"]):
        arrays = [np.asarray(group[name][_text(each)]) for each in group[name].attrs["weight_names"]]
        if arrays:
            yield KerasLayer(name, arrays)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _new_layers(group: Any) -> Iterator[KerasLayer]:
    """Keras 3: layers of each class are numbered through (conv2d, conv2d_1, …), wherever in the model they lie."""
    found: dict[str, Any] = {}
    group.visititems(lambda name, item: found.update({name: item}) if name.endswith("/vars") and len(item) else None)
    for name in sorted((each for each in found if "optimizer" not in each), key=lambda each: _number(_layer(each))):
        variables = found[name]
        yield KerasLayer(_layer(name), [np.asarray(variables[each]) for each in sorted(variables, key=int)])


def _layer(path: str) -> str:
    return path.removesuffix("/vars").rsplit("/", 1)[-1]
