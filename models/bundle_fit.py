"""Whether the parts of a bundle fit one another, and the formulas that this version of Sightline has for them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from models.manifest import REBUILD, BundleManifest
from models.projection import RECIPE
from stream_app.errors import BundleError

SPACE_FILE = "space.npz"
WORD_VECTORS_FILE = "word_vectors.npy"


def check_fit(bundle_dir: Path, manifest: BundleManifest) -> None:
    """BundleError unless every part has the dimensions that the manifest says, and the space is one that is computed
    here as it was when the bundle was made."""
    if manifest.ingredients.recipe != RECIPE:
        raise BundleError(
            f"The bundle {bundle_dir} was made for other formulas",
            expected=f"{RECIPE!r}",
            received=f"{manifest.ingredients.recipe!r}",
            remedy=REBUILD,
        )
    try:
        parts = _parts(bundle_dir, manifest)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        problem = f"The bundle {bundle_dir} has a part that cannot be read"
        raise BundleError(problem, received=str(error)[:160], remedy=REBUILD) from error
    for part in parts:
        if part.expected != part.received:
            raise BundleError(
                f"The bundle {bundle_dir} has a part for other dimensions: {part.name}",
                expected=_spelt(part.expected),
                received=_spelt(part.received),
                remedy=REBUILD,
            )


class _Part(NamedTuple):
    name: str
    expected: tuple[int, ...]  # shapes
    received: tuple[int, ...]


def _parts(bundle_dir: Path, manifest: BundleManifest) -> list[_Part]:
    image, joint, labels = manifest.image_dimensions, manifest.joint_dimensions, manifest.label_count
    expected = {
        "tag_vectors": (labels, joint),
        "whitened_vectors": (labels, joint),
        "mean_embedding": (image,),
        "classifier": (image, labels),
        "classifier_bias": (labels,),
        "projection": (image, joint),
        "projection_bias": (joint,),
    }
    words = np.load(bundle_dir / WORD_VECTORS_FILE, mmap_mode="r")
    parts = [_Part(WORD_VECTORS_FILE, (len(words), joint), words.shape)]
    with np.load(bundle_dir / SPACE_FILE) as arrays:
        parts += [_Part(name, shape, arrays[name].shape) for name, shape in expected.items() if name in arrays]
        image_axes, joint_axes = arrays["image_axes"].shape, arrays["joint_axes"].shape
    parts.append(_Part("image_axes", (image, manifest.search_dimensions - joint_axes[1]), image_axes))
    parts.append(_Part("joint_axes", (joint, joint_axes[1]), joint_axes))
    return parts


def _spelt(shape: tuple[int, ...]) -> str:
    return " x ".join(str(each) for each in shape)
