"""Networks that are in no registry: any Keras model or SavedModel, by the name `package.module:factory`.

The factory takes nothing and returns an AnyNetwork:

    def mobilenet() -> AnyNetwork:
        return AnyNetwork(
            keras.applications.MobileNetV2(), side_px=224, offset=127.5, scale=127.5,
            embedding="global_average_pooling2d", licence="Apache-2.0",
        )

A network fits when its class scores are softmax(embedding @ kernel + bias): from that last layer follows where
photographs lie among the words.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.quiet_import import import_tensorflow
from models.tags import TAGS_PATH
from models.vision import BuiltVision, VisionModel
from stream_app.errors import BundleError

ITS_OWN = Path()  # the weights come with the network, so there is no file of them


@dataclass(frozen=True)
class AnyNetwork:
    """What must be known of a network to make a bundle of it. It sees (pixel - offset) / scale, pixels being 0..255."""

    network: Any  # a keras.Model, or the folder of a SavedModel with the signature serving_default
    side_px: int
    offset: float | Sequence[float]  # one number, or one for each of red, green and blue
    scale: float | Sequence[float]
    embedding: str  # the Keras layer, or the SavedModel's output, that is the image embedding [n, d]
    licence: str  # of the weights, for the model card
    scores: str = ""  # the same for the class scores [n, classes] or their logits; empty: the only (other) output
    tags: Path | str = TAGS_PATH  # what the classes are called and are kinds of; by default ImageNet's 1,000
    resize_px: int = 0  # a photo's short side before the middle is cut out; 0: side_px
    origin: str = ""  # whose network it is, in a sentence


def find_network(name: str) -> VisionModel:
    """The vision model that `package.module:factory` describes; BundleError saying what is wrong with it."""
    given = _call(name)

    def build(weights_path: Path) -> BuiltVision:
        if weights_path != ITS_OWN:
            raise BundleError(f"{name} brings its own weights", expected="no --weights", received=str(weights_path))
        from models.network_adapter import build_network  # TensorFlow with it

        return build_network(name, given)

    return VisionModel(
        name=name,
        side_px=given.side_px,
        resize_px=given.resize_px or given.side_px,
        offset=_channels(name, "offset", given.offset),
        scale=_channels(name, "scale", given.scale),
        weights_path=lambda: ITS_OWN,
        build=build,
        origin=given.origin or f"A network that was given by name: {name}.",
        licence=given.licence,
        tested="When the bundle was made, on pictures of noise: its scores are those of its last layer.",
        tags_path=Path(given.tags),
    )


def _call(name: str) -> AnyNetwork:
    module_name, _, attribute = name.partition(":")
    import_tensorflow()  # the module is about to, and less quietly
    with _importable_from(os.getcwd()):
        factory = getattr(_import(name, module_name), attribute, None)
        if not callable(factory):
            received = f"{attribute!r} of type {type(factory).__name__}" if factory is not None else "no such name"
            raise BundleError(f"{name} is no function", expected="package.module:factory", received=received)
        try:
            given = factory()
        except Exception as error:  # it is not our code
            raise BundleError(f"{name} failed", received=f"{type(error).__name__}: {error}"[:300]) from error
    if not isinstance(given, AnyNetwork):
        raise BundleError(
            f"{name} describes no network", expected="a models.any_network.AnyNetwork", received=type(given).__name__
        )
    if not 1 <= given.side_px <= (given.resize_px or given.side_px):
        sizes = f"side_px {given.side_px}, resize_px {given.resize_px}"
        raise BundleError(f"{name} has no square to look at", expected="resize_px >= side_px >= 1", received=sizes)
    return given


@contextmanager
def _importable_from(folder: str) -> Iterator[None]:
    """As for `python -m`: a module in the folder where the command was typed is found."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _import(name: str, module_name: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except Exception as error:  # a module runs when it is imported, and may raise anything
        raise BundleError(
            f"{name}: its module cannot be imported",
            expected="package.module:factory, in the working folder or installed",
            received=f"{type(error).__name__}: {error}"[:300],
            remedy=f"Does `python -c 'import {module_name}'` work here?",
        ) from error


def _channels(name: str, what: str, given: float | Sequence[float]) -> float | tuple[float, ...]:
    numbers = np.asarray(given, np.float64)
    if numbers.shape not in ((), (3,)) or not np.isfinite(numbers).all() or (what == "scale" and (numbers <= 0).any()):
        raise BundleError(
            f"{name} has {what} that cannot be used",
            expected=f"one {'positive ' if what == 'scale' else ''}number, or three, for pixels of 0 to 255",
            received=repr(given)[:100],
        )
    return float(numbers) if numbers.ndim == 0 else tuple(numbers.tolist())
