"""A tiny but real bundle for quick tests: it tells the colour of a photo, and has words for colours.

The network is a real TensorFlow module with fixed weights. It looks at 32 x 32 pixels: the image embedding is the
mean colour of each quarter of the photo, and its classes are ten colours, of which the nearest to the mean wins. So
a picture filled with red is found by "red", by "scarlet" (a synonym that no class is named by) and, more faintly, by
"color", which every class is a kind of.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.bundle import BundleParts, write_bundle
from models.quiet_import import import_tensorflow
from models.tags import ClassTags, Word
from models.vision import BuiltVision, VisionModel
from models.word_sources import SourceWords, prepare_words

SIDE_PX = 32
WORD_DIMENSIONS = 16
SHARPNESS = 20.0  # how surely the nearest colour wins

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 200, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "orange": (255, 128, 0),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
}
SYNONYMS = {"scarlet": "red", "emerald": "green", "azure": "blue", "gold": "yellow", "gray": "grey", "dark": "black"}
KINDS = {"warm": ("red", "yellow", "orange"), "cold": ("green", "blue", "cyan"), "neutral": ("black", "white", "grey")}
OTHER_WORDS = ("king", "queen", "man", "woman", "dog", "cat", "photo", "t-shirt", "house", "music")


def build_tiny_bundle(bundle_dir: Path) -> Path:
    """Make the bundle of colours: the same interface end to end, built and loaded in a few seconds."""
    model = VisionModel(
        name="tiny_colours",
        side_px=SIDE_PX,
        resize_px=SIDE_PX,
        offset=0.0,
        scale=255.0,
        weights_path=lambda: bundle_dir,
        build=lambda _: _build_network(),
        origin="Sightline's own: fixed weights that tell ten colours.",
        licence="Apache-2.0",
        tested="It computes what its few lines say; Sightline's tests use it throughout.",
    )
    return write_bundle(bundle_dir, BundleParts(model, _build_network(), "tiny_words", _words(), _classes()))


def _build_network() -> BuiltVision:
    """Mean colours of the four quarters, float32 [n, 12], and a softmax over the nearest of ten colours."""
    tf = import_tensorflow()
    centres = np.array(list(COLOURS.values()), np.float32) / 255.0  # [10, 3]
    # -|x - c|^2 = 2 x.c - |c|^2 - |x|^2, and the last term is the same for all classes: a plain linear layer.
    classifier = np.tile(2 * SHARPNESS * centres.T / 4, (4, 1)).astype(np.float32)  # [12, 10]
    bias = (-SHARPNESS * (centres**2).sum(axis=1)).astype(np.float32)

    class ColourNetwork(tf.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """The network; made here because TensorFlow is imported late."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = tf.Variable(classifier, trainable=False)
            self.bias = tf.Variable(bias, trainable=False)
            self.pool = tf.keras.layers.AveragePooling2D(SIDE_PX // 2)

        def __call__(self, x):  # type: ignore[no-untyped-def]
            """float32 [n, 32, 32, 3] to embeddings [n, 12] and probabilities [n, 10]."""
            embeddings = tf.reshape(self.pool(x), [-1, 12])
            return embeddings, tf.nn.softmax(embeddings @ self.classifier + self.bias)

    return BuiltVision(ColourNetwork(), classifier, bias, np.full(12, 0.5, np.float32), "tiny colours 1")


def _classes() -> list[ClassTags]:
    return [
        ClassTags(f"n{ordinal:08d}", (Word(name),), ((1, (Word("color"),)),)) for ordinal, name in enumerate(COLOURS)
    ]


def _words() -> SourceWords:
    """Made vectors with a meaning: synonyms lie close together, and kinds between their colours."""
    random = np.random.default_rng(7)
    vectors = {word: _unit(random.normal(size=WORD_DIMENSIONS)) for word in (*COLOURS, "color", *OTHER_WORDS)}
    for synonym, colour in SYNONYMS.items():
        vectors[synonym] = _unit(vectors[colour] + 0.2 * _unit(random.normal(size=WORD_DIMENSIONS)))
    for kind, colours in KINDS.items():
        vectors[kind] = _unit(np.sum([vectors[colour] for colour in colours], axis=0))
    vectors["queen"] = _unit(vectors["king"] - vectors["man"] + vectors["woman"])
    return prepare_words(list(vectors), np.stack(list(vectors.values())).astype(np.float32))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
