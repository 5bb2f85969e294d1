"""`bundle.json`: what a model bundle holds, what it was made of, and a hash of each file. Read without TensorFlow."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stream_app.errors import BundleError

MANIFEST_FILE = "bundle.json"
VISION_DIR = "saved_model/1"  # versioned, as TF Serving wants it
TAGS_FILE = "tags.tsv"
FORMAT = 2
REBUILD = "`sightline export FOLDER` makes one; the default one is made again once its folder is gone."


@dataclass(frozen=True)
class Ingredients:
    """What the ids of a bundle are hashes of, so that all who make it from the same things agree on them.

    What is computed from these things is left out: its last bits are those of one kind of processor.
    """

    weights: str  # sha256 of the network's weights as they came
    words: str  # sha256 of the words and their vectors as they came
    tags: str  # sha256 of tags.tsv: the classes' names and hypernyms
    recipe: str  # the way in which the space is derived and used
    projection: str = ""  # sha256 of the trained layer, where there is one


@dataclass(frozen=True)
class BundleManifest:
    """The card of a bundle. `vision_id` names what encodings mean, `space_id` what vectors mean."""

    vision_id: str
    space_id: str
    vision: str  # name in the registry of vision models
    words: str
    preprocessing: dict[str, Any]
    image_dimensions: int
    joint_dimensions: int
    search_dimensions: int
    label_count: int
    ingredients: Ingredients
    files: dict[str, str]  # path below the bundle -> sha256
    serving_name: str  # the model's name at TF Serving
    about: dict[str, str]  # origin, licence and test of the vision model, in sentences
    format: int = FORMAT


def make_vision_id(vision: str, preprocessing: dict[str, Any], weights: str) -> str:
    """The name of what encodings mean: one network, and what it is shown of a photo."""
    return _short_hash(vision, preprocessing, weights)


def make_space_id(vision_id: str, ingredients: Ingredients) -> str:
    """The name of what vectors mean: encodings, words, and the way from the ones to the others."""
    return _short_hash(vision_id, ingredients.words, ingredients.tags, ingredients.recipe, ingredients.projection)


def read_manifest(bundle_dir: Path) -> BundleManifest:
    """The manifest of a bundle, undamaged and of this format; BundleError otherwise."""
    values = _read_values(bundle_dir)
    _check_format(bundle_dir, values.get("format"))
    seal = values.pop("seal", None)
    try:
        manifest = BundleManifest(**values | {"ingredients": Ingredients(**values["ingredients"])})
    except (TypeError, KeyError) as error:
        raise _damaged(bundle_dir, str(error)) from error
    if seal != _hash(values):
        raise _damaged(bundle_dir, "other values than were written")
    vision_id = make_vision_id(manifest.vision, manifest.preprocessing, manifest.ingredients.weights)
    space_id = make_space_id(vision_id, manifest.ingredients)
    if (manifest.vision_id, manifest.space_id) != (vision_id, space_id):
        raise _damaged(bundle_dir, "ids that are not made from its ingredients")
    return manifest


def _read_values(bundle_dir: Path) -> dict[str, Any]:
    path = bundle_dir / MANIFEST_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(
            f"The model bundle {bundle_dir} is missing",
            expected=f"a folder with a {MANIFEST_FILE}",
            received=_what_is_there(bundle_dir),
            remedy=REBUILD,
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read", received=error.strerror) from error
    except ValueError as error:
        raise _damaged(bundle_dir, str(error)) from error
    if not isinstance(values, dict):
        raise _damaged(bundle_dir, "no JSON object")
    return values


def _what_is_there(path: Path) -> str:
    if not path.exists():
        return "nothing of that name"
    if not path.is_dir():
        return "a file"
    names = sorted(each.name for each in path.iterdir())
    return f"a folder with {', '.join(names[:3])}{', ...' if names[3:] else ''}" if names else "an empty folder"


def _check_format(bundle_dir: Path, received: Any) -> None:
    if received == FORMAT:
        return
    if not isinstance(received, int):
        raise _damaged(bundle_dir, "no format")
    newer = received > FORMAT
    raise BundleError(
        f"The bundle {bundle_dir} is of a {'newer' if newer else 'former'} format",
        expected=str(FORMAT),
        received=str(received),
        remedy="A later version of Sightline reads it." if newer else REBUILD,
    )


def _damaged(bundle_dir: Path, what: str) -> BundleError:
    problem = f"The model bundle is damaged: {bundle_dir / MANIFEST_FILE} cannot be used"
    return BundleError(problem, received=what[:160], remedy=REBUILD)


def write_manifest(bundle_dir: Path, manifest: BundleManifest) -> None:
    """Write the manifest: last of all files, so that a folder with one is whole."""
    values = asdict(manifest)
    text = json.dumps(values | {"seal": _hash(values)}, indent=1, sort_keys=True) + "\n"
    (bundle_dir / MANIFEST_FILE).write_text(text, encoding="utf-8")


def verify_bundle(bundle_dir: Path, *, below: str = "") -> BundleManifest:
    """The manifest, after the files (only those whose path begins with `below`) were found to be as they were made."""
    manifest = read_manifest(bundle_dir)
    for name, expected in manifest.files.items():
        state = _state(bundle_dir / name, expected) if name.startswith(below) else "ok"
        if state == "missing":
            raise BundleError(f"The model bundle lacks {bundle_dir / name}", remedy=REBUILD)
        if state == "changed":
            raise BundleError(f"The model bundle is damaged: {bundle_dir / name} has changed", remedy=REBUILD)
    return manifest


def file_states(bundle_dir: Path, manifest: BundleManifest) -> dict[str, str]:
    """How each file of a bundle is: ok, changed or missing; and unknown, what lies there unasked."""
    states = {name: _state(bundle_dir / name, expected) for name, expected in manifest.files.items()}
    return states | {name: "unknown" for name in _files_below(bundle_dir) if name not in states}


def _state(path: Path, expected: str) -> str:
    if not path.is_file():
        return "missing"
    return "ok" if sha256_of(path) == expected else "changed"


def hash_files(bundle_dir: Path) -> dict[str, str]:
    """Each file below a folder with its sha256, by its path in POSIX form."""
    return {name: sha256_of(bundle_dir / name) for name in _files_below(bundle_dir)}


def _files_below(bundle_dir: Path) -> list[str]:
    paths = sorted(path for path in bundle_dir.rglob("*") if path.is_file() and path.name != MANIFEST_FILE)
    return [path.relative_to(bundle_dir).as_posix() for path in paths]


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _short_hash(*parts: Any) -> str:
    """Twelve hex digits of what names a model: the same on every machine."""
    return _hash(parts)[:12]
