"""An album of labelled photos that is made to judge by: looked at once, searched as the live one, each file known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

import numpy as np

from models.encoder import Encoder
from models.labelled_photos import LabelledPhotos, encode_once, read_labelled
from models.space import Space
from models.tags import ClassTags
from stream_app.errors import TrainingRejected
from stream_app.index.shard import Shard
from stream_app.photo_signatures import signatures
from stream_app.versions import Version

WORD_EXAMPLES = 1_000  # as many as the live index learns from
ADDED = Version(1, 0, 0, 0)


class FileNames:
    """Rows of files by their names, or by the end of their names from some folder on."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows: dict[tuple[str, ...], int | None] = {}
        for row, name in enumerate(names):
            for ending in _endings(name):
                # An ending that two files have names neither.
                self._rows[ending] = None if ending in self._rows else row

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """int [n]; TrainingRejected for a name that no file has, or several have."""
        return np.array([self._row(name) for name in names], dtype=np.int64)

    def _row(self, name: str) -> int:
        for ending in _endings(name):
            row = self._rows.get(ending)
            if row is not None:
                return row
        raise TrainingRejected(
            f"{name} is not among the photos, or more than one is called so",
            expected="every photo that the collections name, readable",
            remedy="Give the folder or tar file from which the collections were made.",
        )


@dataclass(frozen=True)
class LabelledAlbum:
    """n photos in a shard, where a photo's id is its row."""

    space: Space
    shard: Shard
    files: FileNames
    sha256: list[str]  # of each file
    labels: np.ndarray  # str [n], see `label_id`
    seen: np.ndarray  # int [n], the class that the network holds likeliest
    vectors: np.ndarray  # float32 [n, d], search vectors as the shard has them
    signatures: np.ndarray  # uint8 [n, 32]
    left_out: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def label_count(self) -> int:
        """How many labels the photos have."""
        return len(set(self.labels.tolist()))

    def nearest(self, query: np.ndarray, k: int, *, is_word: bool = False) -> np.ndarray:
        """The rows of the photos that the shard finds for a query, int [at most k]."""
        hits = self.shard.search(query, k, outside=is_word)
        return np.array([each.photo_id for each in hits], dtype=np.int64)


def label_id(tags: ClassTags) -> str:
    """The name by which a class is the same, however a file calls it: its WordNet id, or else its name."""
    return tags.wordnet_id or tags.names[0].text.lower()


def labelled_album(
    sources: Sequence[Path],
    space: Space,
    encoder: Encoder,
    *,
    cache_dir: Path,
    shard_dir: Path,
    say: Callable[[int], None] = lambda count: None,
) -> LabelledAlbum:
    """Look at the photos of all sources, unless `cache_dir` has them already, and fill a shard in `shard_dir`."""
    parts = [encode_once(source, encoder, cache_dir, say=say) for source in sources]
    files = [each for source, part in zip(sources, parts, strict=True) for each in _readable(source, part)]
    vectors = np.concatenate([_search_vectors(space, each) for each in parts])
    return LabelledAlbum(
        space=space,
        shard=_filled_shard(shard_dir, space, vectors),
        files=FileNames([name for name, _ in files]),
        sha256=[digest for _, digest in files],
        labels=np.concatenate([np.array([label_id(tags) for tags in each.classes])[each.class_of] for each in parts]),
        seen=np.concatenate([each.label_indices[:, 0] for each in parts]),
        vectors=vectors,
        signatures=np.concatenate([signatures(each.image_embeddings, encoder.vision_id) for each in parts]),
        left_out=[line for each in parts for line in each.left_out],
    )


def _readable(source: Path, photos: LabelledPhotos) -> Iterator[tuple[str, str]]:
    """The name and SHA-256 of each file that became a row, in the order of rows."""
    left_out = iter([*photos.left_out, ""])
    next_left_out = next(left_out)
    for name, _, read in read_labelled(source):
        if next_left_out.startswith(f"{name}: "):
            next_left_out = next(left_out)
        else:
            yield name, hashlib.sha256(read()).hexdigest()


def _search_vectors(space: Space, photos: LabelledPhotos) -> np.ndarray:
    joint = space.project(photos.image_embeddings, photos.label_indices, photos.label_scores)
    found = space.search_vectors(photos.image_embeddings, joint)
    return found.astype(np.float16).astype(np.float32)


def _filled_shard(directory: Path, space: Space, vectors: np.ndarray) -> Shard:
    shard = Shard(
        directory,
        dimensions=space.search_dimensions,
        space_id=space.space_id,
        outside_queries=space.word_query_examples(WORD_EXAMPLES),
    )
    shard.add_many(range(len(vectors)), [ADDED] * len(vectors), vectors)
    shard.seal()
    while shard.merge_once():
        pass
    return shard


def _endings(name: str) -> Iterator[tuple[str, ...]]:
    """The whole name in its parts, then without its first folder, and so on to the bare name of the file."""
    parts = PurePath(name).parts
    return (parts[start:] for start in range(len(parts)))
