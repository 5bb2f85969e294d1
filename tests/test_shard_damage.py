"""The shard on files that somebody damaged, and its doors for vectors that are none."""

import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stream_app.errors import SegmentCorrupt, VectorRejected
from stream_app.index import finishing, manifest
from stream_app.index.inspection import PartitionFolder
from stream_app.index.shard import Shard, ShardSettings
from stream_app.index.verification import verify
from stream_app.versions import KIND_DELETED, Version

DIMENSIONS = 16
SETTINGS = ShardSettings(vectors_per_cell=10, forest_vectors_min=100, n_trees=3)
VECTORS = np.random.default_rng(0).standard_normal((300, DIMENSIONS)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


def at(time_ms: int, kind: int = 0) -> Version:
    return Version(time_ms, kind, 0, time_ms)


def opened(directory: Path) -> Shard:
    shard = Shard(directory, dimensions=DIMENSIONS, space_id="space", settings=SETTINGS)
    shard._writer._processes.run = finishing.run
    return shard


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of 300 photos in a segment with a forest, one of them removed."""
    directory = tmp_path_factory.mktemp("whole") / "shard"
    shard = opened(directory)
    shard.add_many(range(300), [at(1)] * 300, VECTORS)
    shard.seal(300)
    shard.remove(299, at(2, KIND_DELETED))
    shard.seal(301)
    shard.close()
    return directory


@pytest.fixture
def directory(whole: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "shard"))


def flipped(place: Callable[[int], int]) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place(len(content))] ^= 1
        path.write_bytes(content)

    return flip


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "a byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a byte long": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "its first bit": flipped(lambda size: 0),
    "a bit in its middle": flipped(lambda size: size // 2),
    "its last bit": flipped(lambda size: size - 1),
    "gone": Path.unlink,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "name", ["segment-*/photo_ids.npy", "segment-*/versions.npy", "segment-*/vectors.npy", "tombstones-*.npy"]
)
def test_a_damaged_file_is_named_before_it_is_believed(directory: Path, name: str, damage: str) -> None:
    """Every time, so that the folder is free for whoever mends it; nothing is answered from it."""
    (path,) = directory.glob(name)
    DAMAGES[damage](path)

    for _ in range(2):
        with pytest.raises(SegmentCorrupt, match=f"{path} ") as caught:
            opened(directory)
        assert "\n" not in str(caught.value) and "rebuilt" in str(caught.value)


@pytest.mark.parametrize("damage", [each for each in DAMAGES if each != "gone"])
def test_a_damaged_manifest_is_named(directory: Path, damage: str) -> None:
    """One that is gone is another matter: a folder without one is a new one."""
    path = directory / "manifest.json"
    DAMAGES[damage](path)
    if damage == "a byte long":  # a space more after the JSON would change nothing
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(SegmentCorrupt, match=f"{path} is damaged"):
        opened(directory)


def test_no_flipped_bit_of_the_manifest_goes_unnoticed(directory: Path) -> None:
    """Whichever it is."""
    path = directory / "manifest.json"
    text = path.read_bytes()

    for bit in range(8 * len(text)):
        content = bytearray(text)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(SegmentCorrupt, match="is damaged"):
            manifest.read(directory)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["forest.ann", "signatures.npy", "cells.npy", "cell_starts.npy", "centres.npy"])
def test_a_damaged_forest_costs_speed_only_until_it_is_grown_anew(directory: Path, name: str, damage: str) -> None:
    """Meanwhile every answer is that of an exact scan."""
    (path,) = directory.glob(f"segment-*/{name}")
    DAMAGES[damage](path)
    shard = opened(directory)

    for query in VECTORS[:5]:
        exact = np.argsort(-(VECTORS[:299] @ query))[:10].tolist()
        assert [hit.photo_id for hit in shard.search(query, 10)] == exact
    assert shard.merge_once() and not shard.merge_once()
    shard.close()
    assert verify(PartitionFolder("space", 0, directory), sample=20, recall_min=0.9, say=lambda *_: None).faults == []


@pytest.mark.parametrize("name", ["photo_ids.npy", "versions.npy", "vectors.npy"])
def test_a_file_of_another_segment_is_noticed(directory: Path, tmp_path: Path, name: str) -> None:
    """Though it is whole, and of the same size."""
    other = opened(tmp_path / "other")
    other.add_many(range(1_000, 1_300), [at(5)] * 300, VECTORS[::-1])
    other.seal()
    other.close()
    (path,), (foreign,) = (each.glob(f"segment-*/{name}") for each in (directory, tmp_path / "other"))
    shutil.copy(foreign, path)

    with pytest.raises(SegmentCorrupt, match=f"{path} is damaged; .*another checksum"):
        opened(directory)


def test_a_file_that_is_cut_off_under_a_running_process_ends_it_and_is_named_by_the_next(directory: Path) -> None:
    """The kernel answers with a signal where a mapped file has no more bytes: a wrong answer there is not."""
    (path,) = directory.glob("segment-*/vectors.npy")
    program = f"""
        import os, pathlib, numpy as np
        from stream_app.index.shard import Shard, ShardSettings
        shard = Shard(pathlib.Path({str(directory)!r}), dimensions={DIMENSIONS}, space_id="space")
        shard.vector(5)
        os.truncate({str(path)!r}, 0)
        print(shard.vector(5))
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)

    assert (ran.returncode, ran.stdout) == (-signal.SIGBUS, ""), ran.stderr
    with pytest.raises(SegmentCorrupt, match=f"{path} is damaged"):
        opened(directory)


def spoilt(row: int, value: float) -> np.ndarray:
    vector = VECTORS[row].copy()
    vector[3] = value
    return vector


BAD_VECTORS = {
    "too short": VECTORS[0][:-1],
    "too long": np.append(VECTORS[0], 0),
    "empty": np.empty(0),
    "NaN": spoilt(0, np.nan),
    "infinite": spoilt(0, np.inf),
    "infinite downwards": spoilt(0, -np.inf),
    "only zeros": np.zeros(DIMENSIONS),
    "too small to have a length": np.full(DIMENSIONS, 1e-30),
    "not of unit length": VECTORS[0] * 1.01,
    "too large for float32": np.full(DIMENSIONS, 1e300),
    "words": ["a"] * DIMENSIONS,
    "one number": 1.0,
    "nothing": None,
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("kind", BAD_VECTORS)
@pytest.mark.parametrize("door", ["add", "add_many", "search"])
def test_a_bad_vector_is_refused_at_every_door_and_changes_nothing(directory: Path, door: str, kind: str) -> None:
    """Neither the photo that it would have replaced, nor the good one beside it."""
    bad = BAD_VECTORS[kind]
    shard = opened(directory)
    doors: dict[str, Callable[[], object]] = {
        "add": lambda: shard.add(5, at(9), bad),
        "add_many": lambda: shard.add_many([1_000, 5], [at(9)] * 2, [VECTORS[1], bad]),
        "search": lambda: shard.search(bad, 10),
    }

    with pytest.raises(VectorRejected) as caught:
        doors[door]()

    assert "\n" not in str(caught.value)
    assert (len(shard), shard.version(5), shard.version(1_000)) == (299, at(1), None)
    assert shard.search(VECTORS[5], 1)[0].photo_id == 5
    shard.close()


def test_an_empty_batch_is_no_fault(directory: Path) -> None:
    """It adds nothing."""
    shard = opened(directory)

    assert shard.add_many([], [], []) == [] and shard.add_many([], [], np.empty((0, DIMENSIONS))) == []
    assert len(shard) == 299
    shard.close()
