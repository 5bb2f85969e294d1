"""Photos whose class is known, as an evaluation wants them: looked at once, then rows of numbers.

A folder has one folder of photos per class (which may hold another, `images`), or photos beside a table `labels.csv`
with the columns `file` and `wordnet_id` or `label`; a tar file of such a folder is read without being unpacked.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from models.encoder import Encoder, Encoding
from models.tags import ClassTags, Word, read_tags
from stream_app.errors import TrainingRejected

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
BATCH = 64

LabelledFile = tuple[str, str, Callable[[], bytes]]  # file name, label, its bytes


@dataclass(frozen=True)
class LabelledPhotos:
    """n photos of c classes."""

    image_embeddings: np.ndarray  # float32 [n, d]
    label_indices: np.ndarray  # int [n, t], as in Encoding
    label_scores: np.ndarray  # float32 [n, t]
    class_of: np.ndarray  # int [n], rows of `classes`
    classes: list[ClassTags]
    left_out: list[str]  # a line for each photo that could not be read

    def of(self, classes: Sequence[int] | np.ndarray, per_class_max: int | None = None) -> np.ndarray:
        """The rows of the photos of these classes, int [m], in order; of each class the first few."""
        rows = [np.flatnonzero(self.class_of == each)[:per_class_max] for each in classes]
        return np.sort(np.concatenate(rows)) if rows else np.empty(0, int)


def read_labelled(source: Path) -> Iterator[LabelledFile]:
    """Every photo of a folder or tar file with its label; TrainingRejected when there is none."""
    if source.is_dir():
        table = source / "labels.csv"
        files = _from_table(table) if table.is_file() else _from_folders(source)
    elif source.is_file() and tarfile.is_tarfile(source):
        files = _from_tar(source)
    else:
        raise TrainingRejected(
            f"There are no labelled photos at {source}",
            expected="a folder with a folder per class, a folder with labels.csv, or a tar file of the former",
            received="a file of another kind" if source.exists() else "nothing there",
        )
    first = next(files, None)
    if first is None:
        raise TrainingRejected(f"{source} holds no labelled photos", expected="photos in one folder per class")
    yield first
    yield from files


def encode_labelled(
    files: Iterator[LabelledFile], encoder: Encoder, *, say: Callable[[int], None] = lambda count: None
) -> LabelledPhotos:
    """Look at every photo once; `say` hears how many are done. Raises TrainingRejected when all are unreadable."""
    labels: list[str] = []
    encodings: list[Encoding] = []
    left_out: list[str] = []
    while batch := list(islice(files, BATCH)):
        answers = encoder.encode_images([read() for _, _, read in batch])
        for (name, label, _), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Encoding):
                labels.append(label)
                encodings.append(answer)
            else:
                left_out.append(f"{name}: {answer}")
        say(len(batch))
    if not encodings:
        raise TrainingRejected("No labelled photo could be read", received=left_out[0] if left_out else "none")
    names = sorted(set(labels))
    numbers = {name: number for number, name in enumerate(names)}
    known = tags_by_label()
    return LabelledPhotos(
        np.stack([each.image_embedding for each in encodings]).astype(np.float32),
        np.stack([each.label_indices for each in encodings]).astype(np.int64),
        np.stack([each.label_scores for each in encodings]).astype(np.float32),
        np.array([numbers[label] for label in labels]),
        [tags_of_label(name, known) for name in names],
        left_out,
    )


def encode_once(
    source: Path, encoder: Encoder, cache_dir: Path, *, say: Callable[[int], None] = lambda count: None
) -> LabelledPhotos:
    """`encode_labelled`, kept in `cache_dir` under the model's id and the files' names and sizes."""
    cache = cache_dir / f"{encoder.vision_id}-{_fingerprint(source)}.npz"
    if cache.is_file():
        with np.load(cache) as arrays:
            known = tags_by_label()
            classes = [tags_of_label(str(name), known) for name in arrays["names"]]
            return LabelledPhotos(
                arrays["image_embeddings"].astype(np.float32),
                arrays["label_indices"].astype(np.int64),
                arrays["label_scores"].astype(np.float32),
                arrays["class_of"],
                classes,
                [str(line) for line in arrays["left_out"]],
            )
    photos = encode_labelled(read_labelled(source), encoder, say=say)
    cache_dir.mkdir(parents=True, exist_ok=True)
    unfinished = cache.with_suffix(".unfinished.npz")
    np.savez(
        unfinished,
        image_embeddings=photos.image_embeddings.astype(np.float16),
        label_indices=photos.label_indices.astype(np.uint16),
        label_scores=photos.label_scores.astype(np.float16),
        class_of=photos.class_of,
        names=np.array([each.wordnet_id or each.names[0].text for each in photos.classes]),
        left_out=np.array(photos.left_out, dtype=str),
    )
    unfinished.replace(cache)
    return photos


def tags_by_label() -> dict[str, ClassTags]:
    """The classes of ImageNet by WordNet id and by each of their names, in small letters."""
    classes = read_tags()
    by_name = {name.text.lower(): each for each in reversed(classes) for name in reversed(each.names)}
    return by_name | {each.wordnet_id: each for each in classes}


def tags_of_label(label: str, known: dict[str, ClassTags]) -> ClassTags:
    """The tags of a class that WordNet's table has, by id or name; a name that it has not is its own only tag."""
    words = re.sub(r"[_\s]+", " ", label).strip()
    return known.get(label) or known.get(words.lower()) or ClassTags("", (Word(words),), ())


def subset(photos: LabelledPhotos, rows: np.ndarray) -> LabelledPhotos:
    """The photos of these rows; the classes stay."""
    return replace(
        photos,
        image_embeddings=photos.image_embeddings[rows],
        label_indices=photos.label_indices[rows],
        label_scores=photos.label_scores[rows],
        class_of=photos.class_of[rows],
    )


def _from_folders(folder: Path) -> Iterator[LabelledFile]:
    for path in sorted(folder.rglob("*")):
        label = _label_of(path.relative_to(folder).parts)
        if label and path.is_file():
            yield str(path), label, path.read_bytes


def _from_table(table: Path) -> Iterator[LabelledFile]:
    with table.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            label, file = row.get("wordnet_id") or row.get("label"), row.get("file")
            if not label or not file:
                raise TrainingRejected(f"Line {number} of {table} is wrong", expected="file and wordnet_id or label")
            path = table.parent / file
            yield str(path), label, path.read_bytes


def _from_tar(path: Path) -> Iterator[LabelledFile]:
    with tarfile.open(path) as archive:
        for member in archive:
            label = _label_of(Path(member.name).parts)
            if label and member.isfile():
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, label, io.BytesIO(file.read()).getvalue


def _label_of(parts: tuple[str, ...]) -> str | None:
    """The folder a photo lies in, or the one above when that is called `images`; None for what is no photo."""
    if Path(parts[-1]).suffix.lower() not in SUFFIXES:
        return None
    folders = [part for part in parts[:-1] if part != "images"]
    return folders[-1] if folders else None


def _fingerprint(source: Path) -> str:
    paths = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    lines = [f"{path.relative_to(source.parent)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
