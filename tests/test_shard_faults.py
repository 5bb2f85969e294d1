"""The shard on a disk that is full, that fails, that loses its power, and on files that somebody damaged."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faulty_files import FaultyDisk, PowerCut

from stream_app.errors import ServiceUnavailable
from stream_app.index import finishing
from stream_app.index.inspection import PartitionFolder
from stream_app.index.shard import Shard, ShardSettings
from stream_app.index.verification import Fault, verify
from stream_app.versions import KIND_DELETED, Version

DIMENSIONS = 16
PHOTOS = 20
#: Segments are scanned, or every one has a forest.
SCANNED = ShardSettings(fan_out=2, forest_vectors_min=1_000)
FORESTED = ShardSettings(fan_out=2, vectors_per_cell=2, forest_vectors_min=5, n_trees=3)
VECTORS = np.random.default_rng(0).standard_normal((64, DIMENSIONS)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)

Facts = dict[int, tuple[Version, int | None]]
"""What is known of each photo: its version, and which of VECTORS it has; None when it is removed."""


def at(time_ms: int, kind: int = 0) -> Version:
    return Version(time_ms, kind, 0, time_ms)


def opened(directory: Path, settings: ShardSettings = SCANNED) -> Shard:
    shard = Shard(directory, dimensions=DIMENSIONS, space_id="space", log_id="log", settings=settings)
    # The same work as the child process does, on this process's faulty disk.
    shard._writer._processes.run = finishing.run
    return shard


def add(shard: Shard, facts: Facts, photo_ids: range, time_ms: int, shift: int = 0) -> None:
    vectors = [(each + shift) % len(VECTORS) for each in photo_ids]
    assert all(shard.add_many(photo_ids, [at(time_ms)] * len(vectors), VECTORS[vectors]))
    facts.update({each: (at(time_ms), vector) for each, vector in zip(photo_ids, vectors, strict=True)})


def remove(shard: Shard, facts: Facts, photo_id: int, time_ms: int) -> None:
    assert shard.remove(photo_id, at(time_ms, KIND_DELETED))
    facts[photo_id] = (at(time_ms, KIND_DELETED), None)


def holds(shard: Shard, facts: Facts) -> bool:
    """Whether the shard knows just these facts, answers by them, and finds nothing else."""
    living = {each: (version, vector) for each, (version, vector) in facts.items() if vector is not None}
    hits = shard.search(VECTORS[0], 1_000)
    scores = {hit.photo_id: hit.score for hit in hits}
    return (
        {hit.photo_id: hit.version for hit in hits} == {each: version for each, (version, _) in living.items()}
        and len(hits) == len(shard) == len(list(shard.photo_ids())) == len(living)
        and all(shard.version(each) == version for each, (version, _) in facts.items())
        and all(abs(scores[each] - VECTORS[vector] @ VECTORS[0]) < 2e-3 for each, (_, vector) in living.items())
    )


def faults(directory: Path) -> list[Fault]:
    return verify(PartitionFolder("space", 0, directory), sample=0, recall_min=0, say=lambda *_: None).faults


class Story:
    """A shard on a faulty disk that is about to do a deed: the facts before, which are durable, and after it."""

    def __init__(self, folder: Path, deed: str) -> None:
        self.deed = deed
        self.settings = FORESTED if deed.endswith("forest") else SCANNED
        self.directory = folder / "disk" / "shard"
        self.before: Facts = {}
        shard = opened(self.directory, self.settings)
        for first in range(0, PHOTOS, 10):
            add(shard, self.before, range(first, first + 10), 1)
            remove(shard, self.before, first, 2)
            shard.seal(first + 10)
        shard.close()

    def begin(self, folder: Path) -> tuple[FaultyDisk, Shard, Facts]:
        """A disk of its own for one go, with the shard open on it, and the facts after the deed."""
        shutil.copytree(self.directory, folder / "shard")
        disk, after = FaultyDisk(folder), dict(self.before)
        shard = opened(folder / "shard", self.settings)
        if self.deed.startswith("seal"):
            add(shard, after, range(1, 4), 3, shift=20)
            add(shard, after, range(PHOTOS, PHOTOS + 10), 3)
            remove(shard, after, 5, 3)
        return disk, shard, after

    def do(self, shard: Shard) -> None:
        if self.deed.startswith("seal"):
            shard.seal(50)
        else:
            assert shard.merge_once()

    def operations(self, folder: Path) -> list[str]:
        """The operations of the disk that the deed takes when nothing goes wrong."""
        disk, shard, after = self.begin(folder)
        with disk.plugged_in():
            self.do(shard)
        assert holds(shard, after)
        shard.close()
        return disk.operations


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is safe on the faulty disk is a matter of bookkeeping: the real one need not be waited for."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(params=["seal", "seal a forest", "merge", "merge a forest"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Story:
    return Story(tmp_path, request.param)


def reopened(story: Story, directory: Path, to: Path) -> Shard:
    """The folder as it is now, opened by another process."""
    shutil.copytree(directory, to)
    return opened(to, story.settings)


@pytest.mark.parametrize(("code", "once"), [(errno.ENOSPC, False), (errno.EIO, True)])
def test_whichever_operation_fails_nothing_is_lost(story: Story, tmp_path: Path, code: int, once: bool) -> None:
    """At every step: the shard answers on, a reopened folder is as it was before or after, the next seal succeeds."""
    for step in range(len(story.operations(tmp_path / "whole"))):
        folder = tmp_path / f"{step}"
        disk, shard, after = story.begin(folder)
        disk.fails_at(step, code, once=once)
        with disk.plugged_in(), contextlib.suppress(ServiceUnavailable):
            story.do(shard)

        assert holds(shard, after), step
        again = reopened(story, folder / "shard", tmp_path / f"{step} again")
        assert holds(again, story.before) or holds(again, after), step
        again.close()

        add(shard, after, range(100, 103), 4)
        shard.seal(60)
        assert holds(shard, after), step
        shard.close()
        again = opened(folder / "shard", story.settings)
        assert holds(again, after) and again.manifest.next_offset == 60, step
        again.close()
        assert faults(folder / "shard") == [], step


def test_whatever_a_power_cut_leaves_is_the_state_before_or_after(story: Story, tmp_path: Path) -> None:
    """At every step, of what was not synced nothing, or any part, survives: the folder opens and can be written to."""
    for step in range(len(story.operations(tmp_path / "whole")) + 1):
        disk, shard, after = story.begin(tmp_path / f"{step}")
        disk.is_cut_at(step)
        with disk.plugged_in(), contextlib.suppress(PowerCut):
            story.do(shard)
        done = step == len(disk.operations)
        shard.close()

        for seed in (None, *range(4 * step, 4 * step + 4)):
            again_at = disk.surviving(tmp_path / f"{step} {seed}", seed) / "shard"
            again = opened(again_at, story.settings)
            facts = dict(after if holds(again, after) else story.before)
            assert holds(again, facts), (step, seed)
            assert facts == after or not done, (step, seed)
            assert again.manifest.next_offset in ((50,) if facts == after != story.before else (PHOTOS, 50))
            add(again, facts, range(100, 103), 9)
            again.seal(70)
            assert holds(again, facts), (step, seed)
            again.close()
            assert faults(again_at) == [], (step, seed)


def test_a_disk_that_stays_full_is_not_filled_with_leavings(story: Story, tmp_path: Path) -> None:
    """Each try removes what it wrote, wherever it fails: what no manifest names would stay until the next start."""
    whole = story.operations(tmp_path / "whole")
    last_rename = max(number for number, kind in enumerate(whole) if kind == "rename")  # the manifest's
    for step in range(last_rename + 1):
        folder = tmp_path / f"{step}"
        disk, shard, _ = story.begin(folder)
        for _ in range(3):
            disk.fails_at(step)
            with disk.plugged_in(), pytest.raises(ServiceUnavailable, match="No space left"):
                story.do(shard)
        shard.close()

        there = {path.name for path in (folder / "shard").iterdir()} - {"lock", "manifest.json", "manifest.json.tmp"}
        assert there == shard.manifest.names(), step


def test_what_a_doubtful_commit_named_goes_with_the_next_one(tmp_path: Path) -> None:
    """The manifest was replaced and could not be synced: until another is, a crash may leave either."""
    story = Story(tmp_path, "seal")
    whole = story.operations(tmp_path / "whole")
    last_rename = max(number for number, kind in enumerate(whole) if kind == "rename")
    disk, shard, after = story.begin(tmp_path / "doubtful")
    disk.fails_at(last_rename + 1)
    with disk.plugged_in(), pytest.raises(ServiceUnavailable):
        story.do(shard)
    again = reopened(story, tmp_path / "doubtful" / "shard", tmp_path / "again")
    assert holds(again, after)
    again.close()

    shard.seal(51)
    shard.close()
    there = {path.name for path in (tmp_path / "doubtful" / "shard").iterdir()} - {"lock", "manifest.json"}
    assert there == shard.manifest.names()


@pytest.fixture(params=["a new folder", "a folder of another space"])
def unopened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], Path]:
    """Makes a folder to open for a space that it was not written in."""
    story = Story(tmp_path, "seal")

    def make(disk: Path) -> Path:
        if request.param == "a new folder":
            disk.mkdir()
        else:
            shutil.copytree(story.directory, disk / "shard")
        return disk / "shard"

    return make


def open_new(directory: Path) -> Shard:
    return Shard(directory, dimensions=DIMENSIONS, space_id="another", log_id="log", settings=SCANNED)


def opening_steps(unopened: Callable[[Path], Path], folder: Path) -> int:
    unopened(folder)
    disk = FaultyDisk(folder)
    with disk.plugged_in():
        open_new(folder / "shard").close()
    return len(disk.operations)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_while_a_folder_is_opened_is_said_in_one_line(
    unopened: Callable[[Path], Path], tmp_path: Path, code: int
) -> None:
    """And the folder is opened, empty, as soon as it can be."""
    for step in range(opening_steps(unopened, tmp_path / "whole")):
        directory = unopened(tmp_path / f"{step}")
        disk = FaultyDisk(tmp_path / f"{step}")
        disk.fails_at(step, code)
        with disk.plugged_in(), contextlib.suppress(ServiceUnavailable):
            open_new(directory).close()

        shard, facts = open_new(directory), Facts()
        add(shard, facts, range(3), 1)
        shard.seal(3)
        assert holds(shard, facts), step
        shard.close()
        assert faults(directory) == [], step


def test_a_power_cut_while_a_folder_is_emptied_leaves_nothing_of_the_other_space(
    unopened: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Its vectors mean something else."""
    for step in range(opening_steps(unopened, tmp_path / "whole") + 1):
        directory = unopened(tmp_path / f"{step}")
        disk = FaultyDisk(tmp_path / f"{step}")
        disk.is_cut_at(step)
        with disk.plugged_in(), contextlib.suppress(PowerCut):
            open_new(directory).close()
        for seed in (None, *range(4 * step, 4 * step + 4)):
            shard = open_new(disk.surviving(tmp_path / f"{step} {seed}", seed) / "shard")
            assert (len(shard), shard.manifest.next_offset, shard.manifest.space_id) == (0, 0, "another"), (step, seed)
            shard.close()


#: What happens to the process that writes merged segments: it is told through its environment.
CHILD = """
import os, resource, signal

kind, value = os.environ["FAULTY_CHILD"].split()
if kind == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
elif kind == "file_bytes_max":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), int(value)))
else:
    from faulty_files import FaultyDisk

    disk = FaultyDisk(os.environ["FAULTY_ROOT"])
    disk.fails_at(int(value))
    plugged = disk.plugged_in()
    plugged.__enter__()
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("full 0", "No space left on device"),  # the first file of rows
        ("full 10", "No space left on device"),  # the last one
        ("file_bytes_max 30000", "File too large"),  # Annoy, which writes by itself: the disk takes less than it wants
        ("killed 9", "exit code -9"),  # as the kernel does when memory is short
    ],
)
def test_a_merge_process_that_fails_leaves_the_old_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    """Its fault comes back in one line, nothing of it is left, and the next try succeeds."""
    directory = tmp_path / "shard"
    settings = ShardSettings(fan_out=2, vectors_per_cell=1, forest_vectors_min=400, n_trees=100, apart_vectors_min=400)
    shard = Shard(directory, dimensions=DIMENSIONS, space_id="space", settings=settings)
    facts: Facts = {}
    for first in (0, 200):
        add(shard, facts, range(first, first + 200), 1)
        shard.seal(first)
    before = shard.manifest
    (tmp_path / "sitecustomize.py").write_text(CHILD)
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(__file__).parent)]))
        patched.setenv("FAULTY_CHILD", fault)
        patched.setenv("FAULTY_ROOT", str(directory))
        with pytest.raises(ServiceUnavailable, match=f"a segment could not be written; received .*{said}") as caught:
            shard.merge_once()

    assert "\n" not in str(caught.value)
    assert shard.manifest == before and holds(shard, facts)
    assert {path.name for path in directory.iterdir()} == {"lock", "manifest.json", *before.names()}
    assert shard.merge_once() and holds(shard, facts)
    shard.close()
    assert faults(directory) == []
