"""Make a model bundle: the folder with everything that turns photographs and words into vectors.

bundle.json       what is in it, with a hash of each file
saved_model/1/    the vision model and the way to the words, laid out as TF Serving wants it
words.txt, word_vectors.npy, answers.txt, labels.txt, tags.tsv, space.npz
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.bundle_fit import SPACE_FILE, check_fit
from models.linear_projection import TrainedProjection
from models.manifest import (
    TAGS_FILE,
    VISION_DIR,
    BundleManifest,
    Ingredients,
    hash_files,
    make_space_id,
    make_vision_id,
    read_manifest,
    sha256_of,
    verify_bundle,
    write_manifest,
)
from models.projection import RECIPE, SpaceArrays, derive_space
from models.space import LABELS_FILE
from models.tags import ClassTags, format_tags, read_tags
from models.vision import BuiltVision, VisionModel, vision_model
from models.word_sources import SourceWords, save_words, word_source
from models.words import ANSWERS_FILE, Vocabulary
from stream_app.errors import BundleError

__all__ = ["BundleManifest", "build_bundle", "build_tiny_bundle", "ensure_bundle", "read_manifest", "verify_bundle"]

SERVING_NAME = "sightline"  # the model's name at TF Serving
Progress = Callable[[str], None]


def build_bundle(
    bundle_dir: Path,
    *,
    vision: str = "efficientnet_lite0",
    words: str = "glove_6b_50d",
    projection: TrainedProjection | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make the bundle from installed packages, and a trained projection where there is one.

    Whole or not at all, and the same each time. Takes seconds.
    """
    say = progress or (lambda line: None)
    model, read_words = vision_model(vision), word_source(words)
    say(f"Reading the weights of {vision}")
    built = model.build(model.weights_path())
    say(f"Reading the words of {words}")
    source = read_words()
    say("Deriving the space that photos and words share")
    return write_bundle(bundle_dir, model, built, words, source, read_tags(), projection)


def build_tiny_bundle(bundle_dir: Path) -> Path:
    """Make the bundle of colours that `models.tiny` describes, for quick tests."""
    from models import tiny

    return tiny.build_tiny_bundle(bundle_dir)


def write_bundle(
    bundle_dir: Path,
    model: VisionModel,
    built: BuiltVision,
    words: str,
    source: SourceWords,
    classes: list[ClassTags],
    projection: TrainedProjection | None = None,
    serving_name: str = SERVING_NAME,
) -> Path:
    """Write a bundle from its parts; a folder that is there already is replaced only when the new one is whole."""
    if len(classes) != built.classifier.shape[1]:
        raise BundleError("The tags do not fit the network", expected=f"{built.classifier.shape[1]} classes")
    from models.saved_model import save_vision  # TensorFlow with it
    from models.warmup import write_warmup

    space = derive_space(built.classifier, built.classifier_bias, built.mean_embedding, classes, source.vocabulary)
    arrays = asdict(space) | (projection.arrays() if projection else {})
    vision_id = make_vision_id(model.name, model.preprocessing, built.fingerprint)
    with _whole_or_nothing(bundle_dir) as folder:
        save_vision(built.module, folder / VISION_DIR, model=model, vision_id=vision_id, arrays=arrays)
        write_warmup(folder / VISION_DIR, serving_name=serving_name)
        np.savez(folder / SPACE_FILE, **arrays)
        _write_words(folder, classes, source.vocabulary)
        ingredients = Ingredients(
            weights=built.fingerprint,
            words=source.fingerprint,
            tags=sha256_of(folder / TAGS_FILE),
            recipe=RECIPE,
            projection=_fingerprint(projection),
        )
        write_manifest(folder, _manifest(folder, model, words, ingredients, space))
    return bundle_dir


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


def _manifest(
    folder: Path, model: VisionModel, words: str, ingredients: Ingredients, space: SpaceArrays
) -> BundleManifest:
    vision_id = make_vision_id(model.name, model.preprocessing, ingredients.weights)
    label_count, joint_dimensions = space.tag_vectors.shape
    image_dimensions, image_axes = space.image_axes.shape
    return BundleManifest(
        vision_id=vision_id,
        space_id=make_space_id(vision_id, ingredients),
        vision=model.name,
        words=words,
        preprocessing=model.preprocessing,
        image_dimensions=image_dimensions,
        joint_dimensions=joint_dimensions,
        search_dimensions=space.joint_axes.shape[1] + image_axes,
        label_count=label_count,
        ingredients=ingredients,
        files=hash_files(folder),
    )


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Path]:
    """A temporary folder beside the target that takes its place at the end, and vanishes when anything fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def ensure_bundle(
    bundles_dir: Path,
    *,
    vision: str = "efficientnet_lite0",
    words: str = "glove_6b_50d",
    progress: Progress | None = None,
) -> Path:
    """The bundle of these models, built on first use; whoever builds it at the same time is waited for."""
    bundle_dir = bundles_dir / f"{vision}-{words}"
    bundles_dir.mkdir(parents=True, exist_ok=True)
    with _locked(bundles_dir / f".{bundle_dir.name}.lock"):
        if not _is_whole(bundle_dir):
            _build_apart(bundle_dir, vision, words, progress or (lambda line: None))
    return bundle_dir


def _build_apart(bundle_dir: Path, vision: str, words: str, say: Progress) -> None:
    """Build in a process of its own: TensorFlow and all words would stay in a worker's memory for good."""
    say(f"Building the model bundle {bundle_dir.name} (once)")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            problem = pool.submit(_build_or_say, bundle_dir, vision, words).result()
        except BrokenProcessPool as error:
            raise BundleError(
                "The process that builds the model bundle died", remedy="Is there memory left?"
            ) from error
    if problem is not None:
        raise BundleError(problem[0], expected=problem[1], received=problem[2], remedy=problem[3])


def _build_or_say(bundle_dir: Path, vision: str, words: str) -> tuple[str, str | None, str | None, str | None] | None:
    """What went wrong, as texts: an exception with keyword arguments would not survive the way back."""
    try:
        build_bundle(bundle_dir, vision=vision, words=words)
    except BundleError as error:
        return error.problem, error.expected, error.received, error.remedy
    return None


def _is_whole(bundle_dir: Path) -> bool:
    """Whether the bundle is there, undamaged, and of these formulas; any other is made again, not complained about."""
    try:
        check_fit(bundle_dir, verify_bundle(bundle_dir))
    except BundleError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the system lets go of it when its holder dies."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
