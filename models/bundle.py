"""Make a model bundle: the folder with everything that turns photographs and words into vectors.

bundle.json       what is in it, with a hash of each file
MODEL_CARD.md     the same for people; NOTICE is WordNet's
saved_model/1/    the vision model and the way to the words, laid out as TF Serving wants it
words.txt, word_vectors.npy, answers.txt, labels.txt, tags.tsv, space.npz
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle_fit import SPACE_FILE, WORD_VECTORS_FILE, check_fit
from models.linear_projection import TrainedProjection
from models.manifest import (
    MANIFEST_FILE,
    TAGS_FILE,
    VISION_DIR,
    BundleManifest,
    Ingredients,
    hash_files,
    make_space_id,
    make_vision_id,
    read_manifest,
    verify_bundle,
    write_manifest,
)
from models.model_card import MODEL_CARD_FILE, NOTICE_FILE, model_card
from models.projection import RECIPE, SpaceArrays, derive_space
from models.quiet_import import import_tensorflow
from models.space import LABELS_FILE
from models.tags import TAGS_PATH, ClassTags, format_tags, read_tags
from models.vision import DEFAULT_VISION, BuiltVision, VisionModel, vision_model
from models.word_sources import DEFAULT_WORDS, WORD_SOURCES, SourceWords, save_words, word_source
from models.words import ANSWERS_FILE, Vocabulary
from stream_app.errors import BundleError

__all__ = ["BundleManifest", "build_bundle", "build_tiny_bundle", "read_manifest", "verify_bundle"]

SERVING_NAME = "sightline"  # the model's name at TF Serving
WORDS_FILE = "words.txt"
WORD_FILES = (WORDS_FILE, WORD_VECTORS_FILE, ANSWERS_FILE, LABELS_FILE, TAGS_FILE)
# All that a bundle's folder ever holds: a folder with anything else in it is never replaced.
NAMES = {MANIFEST_FILE, MODEL_CARD_FILE, NOTICE_FILE, SPACE_FILE, *WORD_FILES, *Path(VISION_DIR).parts[:1], ".DS_Store"}
Progress = Callable[[str], None]


@dataclass(frozen=True)
class BundleParts:
    """What a bundle is made from."""

    model: VisionModel
    built: BuiltVision
    words: str  # the name of the words
    source: SourceWords
    classes: list[ClassTags]
    projection: TrainedProjection | None = None

    @property
    def ingredients(self) -> Ingredients:
        """What the bundle's ids are made from."""
        tags = "\n".join([*format_tags(self.classes), ""])
        return Ingredients(
            weights=self.built.fingerprint,
            words=self.source.fingerprint,
            tags=hashlib.sha256(tags.encode()).hexdigest(),
            recipe=RECIPE,
            projection=_fingerprint(self.projection),
        )


def build_bundle(
    bundle_dir: Path,
    *,
    vision: str = DEFAULT_VISION,
    words: str = DEFAULT_WORDS,
    weights: Path | None = None,
    projection: TrainedProjection | None = None,
    serving_name: str = SERVING_NAME,
    evaluation: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a bundle from installed packages or from files: `weights` of the network, and `words` may be a path.

    Whole or not at all, and the same each time. Takes seconds. `evaluation` is for the model card.
    """
    say = progress or (lambda line: None)
    check_replaceable(bundle_dir)
    model, read_words = vision_model(vision), word_source(words)
    say(f"Reading the weights of {vision}")
    built = model.build(weights or model.weights_path())
    say(f"Reading the words of {words}")
    source = read_words()
    say("Deriving the space that photos and words share")
    name = words if words in WORD_SOURCES else Path(words).name
    parts = BundleParts(model, built, name, source, read_tags(model.tags_path), projection)
    return write_bundle(bundle_dir, parts, serving_name=serving_name, evaluation=evaluation)


def build_tiny_bundle(bundle_dir: Path) -> Path:
    """Make the bundle of colours that `models.tiny` describes, for quick tests."""
    from models import tiny

    return tiny.build_tiny_bundle(bundle_dir)


def write_bundle(
    bundle_dir: Path,
    parts: BundleParts,
    *,
    serving_name: str = SERVING_NAME,
    evaluation: dict[str, Any] | None = None,
) -> Path:
    """Write a bundle from its parts; a bundle that is there already is replaced only when the new one is whole."""
    built, classes, vocabulary = parts.built, parts.classes, parts.source.vocabulary
    if len(classes) != built.classifier.shape[1]:
        raise BundleError("The tags do not fit the network", expected=f"{built.classifier.shape[1]} classes")
    import_tensorflow()
    from models.saved_model import save_vision
    from models.warmup import write_warmup

    space = derive_space(built.classifier, built.classifier_bias, built.mean_embedding, classes, vocabulary)
    manifest = _manifest(parts, space, serving_name)
    arrays = asdict(space) | (parts.projection.arrays() if parts.projection else {})
    with _whole_or_nothing(bundle_dir) as folder:
        np.savez(folder / SPACE_FILE, **arrays)
        _write_words(folder, classes, vocabulary)
        check_fit(folder, manifest)
        save_vision(built.module, folder / VISION_DIR, model=parts.model, vision_id=manifest.vision_id, arrays=arrays)
        write_warmup(folder / VISION_DIR, serving_name=serving_name)
        _complete(folder, manifest, evaluation)
    return bundle_dir


def project_bundle(base_dir: Path, bundle_dir: Path, projection: TrainedProjection) -> Path:
    """Write a bundle that has all of another, whatever that was made from, and a trained projection beside it."""
    base = verify_bundle(base_dir)
    import_tensorflow()
    from models.saved_model import save_again
    from models.warmup import write_warmup

    with np.load(base_dir / SPACE_FILE) as before:
        arrays = dict(before) | projection.arrays()
    ingredients = replace(base.ingredients, projection=_fingerprint(projection))
    manifest = replace(base, ingredients=ingredients, space_id=make_space_id(base.vision_id, ingredients))
    with _whole_or_nothing(bundle_dir) as folder:
        np.savez(folder / SPACE_FILE, **arrays)
        for name in WORD_FILES:
            shutil.copyfile(base_dir / name, folder / name)
        check_fit(folder, manifest)
        save_again(
            base_dir / VISION_DIR,
            folder / VISION_DIR,
            preprocessing=base.preprocessing,
            vision_id=base.vision_id,
            arrays=arrays,
        )
        write_warmup(folder / VISION_DIR, serving_name=base.serving_name)
        _complete(folder, manifest, None)
    return bundle_dir


def _complete(folder: Path, manifest: BundleManifest, evaluation: dict[str, Any] | None) -> None:
    """Add what people read, and last of all the manifest with every file's hash."""
    (folder / MODEL_CARD_FILE).write_text(model_card(manifest, evaluation), encoding="utf-8", newline="\n")
    shutil.copyfile(TAGS_PATH.parent / NOTICE_FILE, folder / NOTICE_FILE)
    write_manifest(folder, replace(manifest, files=hash_files(folder)))


def _write_words(folder: Path, classes: list[ClassTags], vocabulary: Vocabulary) -> None:
    save_words(vocabulary, folder)
    lines_of = {
        TAGS_FILE: [*format_tags(classes), ""],
        LABELS_FILE: [each.names[0].text for each in classes],
        ANSWERS_FILE: words_for_things(classes, vocabulary),
    }
    for name, lines in lines_of.items():
        (folder / name).write_text("\n".join(lines), encoding="utf-8", newline="\n")


def _fingerprint(projection: TrainedProjection | None) -> str:
    """The hash of a trained layer; it was trained once and came as it is, so its own numbers count."""
    if projection is None:
        return ""
    return hashlib.sha256(b"".join(array.tobytes() for array in projection.arrays().values())).hexdigest()


def words_for_things(classes: list[ClassTags], vocabulary: Vocabulary) -> list[str]:
    """Single words of the tags, in order; what more than half of all classes are called says nothing of a photo."""
    called = Counter(word for each in classes for word in {tag.text for _, names in each.tags for tag in names})
    return sorted(word for word, count in called.items() if word in vocabulary.rank_of and 2 * count <= len(classes))


def _manifest(parts: BundleParts, space: SpaceArrays, serving_name: str) -> BundleManifest:
    """The manifest of a bundle whose files are still to be written."""
    model, ingredients = parts.model, parts.ingredients
    vision_id = make_vision_id(model.name, model.preprocessing, ingredients.weights)
    label_count, joint_dimensions = space.tag_vectors.shape
    image_dimensions, image_axes = space.image_axes.shape
    return BundleManifest(
        vision_id=vision_id,
        space_id=make_space_id(vision_id, ingredients),
        vision=model.name,
        words=parts.words,
        preprocessing=model.preprocessing,
        image_dimensions=image_dimensions,
        joint_dimensions=joint_dimensions,
        search_dimensions=space.joint_axes.shape[1] + image_axes,
        label_count=label_count,
        ingredients=ingredients,
        files={},
        serving_name=serving_name,
        about={"origin": model.origin, "licence": model.licence, "tested": model.tested},
    )


def check_replaceable(target: Path) -> None:
    """BundleError unless a bundle may take this place: nothing is there, or a bundle and nothing besides."""
    if not target.exists():
        return
    if not target.is_dir():
        raise BundleError(f"{target} is a file", expected="a folder for the bundle")
    versions = target / Path(VISION_DIR).parts[0]
    strangers = [each.name for each in target.iterdir() if each.name not in NAMES]
    strangers += [f"{versions.name}/{each.name}" for each in versions.glob("*") if each.name != Path(VISION_DIR).name]
    if strangers:
        raise BundleError(
            f"{target} holds what is no part of a bundle, and would be lost",
            expected="a new folder, an empty one, or a bundle",
            received=", ".join(sorted(strangers)[:5]),
        )


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Path]:
    """A temporary folder beside the target that takes its place at the end, and vanishes when anything fails."""
    check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder, former = (target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}" for _ in range(2))
    folder.mkdir()
    try:
        yield folder
        if target.exists():
            target.rename(former)
        folder.rename(target)
    finally:
        for each in (folder, former):
            shutil.rmtree(each, ignore_errors=True)
