"""`bundle.json`: what a model bundle holds, with a hash of each file. Read without TensorFlow."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stream_app.errors import BundleError

MANIFEST_FILE = "bundle.json"
VISION_DIR = "saved_model/1"  # versioned, as TF Serving wants it
FORMAT = 1
REBUILD = "Remove the folder: `sightline bundle build` makes it again."


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
    files: dict[str, str]  # path below the bundle -> sha256
    format: int = FORMAT


def read_manifest(bundle_dir: Path) -> BundleManifest:
    """The manifest of a bundle; BundleError when there is none or it is of another format."""
    path = bundle_dir / MANIFEST_FILE
    try:
        manifest = BundleManifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise BundleError("The model bundle is missing", expected=str(path), remedy=REBUILD) from error
    except (ValueError, TypeError) as error:
        raise BundleError(
            "The model bundle's bundle.json is damaged", received=str(error)[:120], remedy=REBUILD
        ) from error
    if manifest.format != FORMAT:
        raise BundleError(
            "The bundle is of another format", expected=str(FORMAT), received=str(manifest.format), remedy=REBUILD
        )
    return manifest


def write_manifest(bundle_dir: Path, manifest: BundleManifest) -> None:
    """Write the manifest: last of all files, so that a folder with one is whole."""
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n"
    (bundle_dir / MANIFEST_FILE).write_text(text, encoding="utf-8")


def verify_bundle(bundle_dir: Path, *, below: str = "") -> BundleManifest:
    """The manifest, after the files (only those whose path begins with `below`) were found to be as they were made."""
    manifest = read_manifest(bundle_dir)
    for name, expected in manifest.files.items():
        path = bundle_dir / name
        if not name.startswith(below):
            continue
        if not path.is_file():
            raise BundleError(f"The model bundle lacks {path}", remedy=REBUILD)
        if sha256_of(path) != expected:
            raise BundleError(f"The model bundle is damaged: {path} has changed", remedy=REBUILD)
    return manifest


def hash_files(bundle_dir: Path) -> dict[str, str]:
    """Each file below a folder with its sha256, by its path in POSIX form."""
    paths = sorted(path for path in bundle_dir.rglob("*") if path.is_file() and path.name != MANIFEST_FILE)
    return {path.relative_to(bundle_dir).as_posix(): sha256_of(path) for path in paths}


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
