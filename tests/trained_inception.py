"""A really trained Inception-v3 for tests: that of the npm package `nsfwjs`, fetched by npm, never kept here.

Its weights are bytes with a scale and an offset per tensor; they are unpacked to float32 and given under the names of
torchvision, and as a Keras model. Its own head has three layers; here its first, 2048 to 256, serves as class layer.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PACKAGE = "nsfwjs@4.3.0"
# Each of the package's scripts exports one thing: the model with its list of tensors, or bytes in base64.
EXPORT = """
const fs = require("fs"), folder = process.argv[1] + "/";
const shards = fs.readdirSync(folder).filter(each => each.startsWith("group")).sort();
const model = require(folder + "model.min.js");
process.stdout.write(JSON.stringify({tensors: model.weightsManifest[0].weights,
    shards: shards.map(each => require(folder + each))}));
"""
Tensors = dict[str, np.ndarray]


def fetch_tensors(folder: Path) -> Tensors:
    """The trained tensors by Keras' names, float32; skips the test where npm is not installed."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm is not installed: the trained Inception-v3 comes from an npm package")
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True)
    subprocess.run(["tar", "xzf", next(folder.glob("*.tgz")).name], cwd=folder, check=True)
    source = folder / "package" / "dist" / "models" / "inception_v3"
    exported = subprocess.run(["node", "-e", EXPORT, str(source)], check=True, capture_output=True)
    return _unpack(json.loads(exported.stdout))


def _unpack(exported: dict[str, Any]) -> Tensors:
    data = b"".join(base64.b64decode(each) for each in exported["shards"])
    tensors, start = {}, 0
    for each in exported["tensors"]:
        count, scaling = int(np.prod(each["shape"])), each["quantization"]
        numbers = np.frombuffer(data, scaling["dtype"], count, start)
        tensors[each["name"]] = (numbers * scaling["scale"] + scaling["min"]).astype(np.float32).reshape(each["shape"])
        start += numbers.nbytes
    assert start == len(data)
    return tensors


def keras_model(tensors: Tensors) -> Any:
    """keras.applications' Inception-v3 with these weights: an implementation that is not ours."""
    import keras

    model = keras.applications.InceptionV3(weights=None, classes=tensors["dense_1/kernel"].shape[1])
    convolutions = _in_order_of_making(model, keras.layers.Conv2D)
    norms = _in_order_of_making(model, keras.layers.BatchNormalization)
    for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True), start=1):
        convolution.set_weights([tensors[f"conv2d_{number}/kernel"]])
        parts = ("beta", "moving_mean", "moving_variance")
        norm.set_weights([tensors[f"batch_normalization_{number}/{part}"] for part in parts])
    model.layers[-1].set_weights([tensors["dense_1/kernel"], tensors["dense_1/bias"]])
    return model


def _in_order_of_making(model: Any, kind: type) -> list[Any]:
    layers = [layer for layer in model.layers if isinstance(layer, kind)]
    return sorted(layers, key=lambda layer: int((re.findall(r"\d+$", layer.name.removeprefix("conv2d")) or ["0"])[0]))


def torch_state(tensors: Tensors, names: list[str]) -> Tensors:
    """The same weights as torchvision's state dictionary would have them, with a head that is to be left out."""
    state: Tensors = {"AuxLogits.conv0.conv.weight": np.zeros((128, 768, 1, 1), np.float32)}
    for number, name in enumerate(names, start=1):
        norm = f"batch_normalization_{number}"
        state[f"{name}.conv.weight"] = tensors[f"conv2d_{number}/kernel"].transpose(3, 2, 0, 1)
        state[f"{name}.bn.weight"] = np.ones_like(tensors[f"{norm}/beta"])
        state[f"{name}.bn.bias"] = tensors[f"{norm}/beta"]
        state[f"{name}.bn.running_mean"] = tensors[f"{norm}/moving_mean"]
        state[f"{name}.bn.running_var"] = tensors[f"{norm}/moving_variance"]
    state["fc.weight"], state["fc.bias"] = tensors["dense_1/kernel"].T, tensors["dense_1/bias"]
    return state
