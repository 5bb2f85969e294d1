"""A shard against a dictionary: ten thousand random operations on a disk that fills up, fails and loses its power at
random write points, and never a lost, doubled or resurrected photo.
"""

import errno
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from faulty_files import FaultyDisk, PowerCut
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from stream_app.errors import ServiceUnavailable
from stream_app.index import finishing
from stream_app.index.ranking import bounded
from stream_app.index.shard import Hit, Shard, ShardSettings
from stream_app.index.vectors import rounded
from stream_app.versions import Version

DIMENSIONS = 8
PHOTO_IDS = st.integers(0, 11)
TIMES = st.integers(1, 40)
#: A seal takes about 25 operations of the disk, a merge about 60: some faults come late, or not at all.
STEPS = st.integers(0, 70)
VECTORS = np.random.default_rng(0).standard_normal((64, DIMENSIONS)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
#: Small enough that tiers fill up, and that larger segments get a forest.
SMALL = ShardSettings(fan_out=2, vectors_per_cell=2, forest_vectors_min=7, n_trees=2)

Facts = dict[int, tuple[Version, bool]]
"""What is known of each photo: its version, and whether it lives."""


def vector_of(photo_id: int, time_ms: int) -> np.ndarray:
    return VECTORS[(photo_id * 7 + time_ms * 3) % 64]


class ShardModel(RuleBasedStateMachine):
    """`known` is what the shard must answer; `durable` is what it may be after a crash, by its place in the log.

    As a rule that is one state: that of the last seal. A seal that failed may have come through all the same.
    """

    #: Over all examples.
    operations = merges = crashes = failures = 0

    def __init__(self) -> None:
        super().__init__()
        self.age = 0
        self.root = Path(tempfile.mkdtemp())
        self.lives = self.offset = 0
        self.known: Facts = {}
        self.durable: dict[int, Facts] = {0: {}}
        self.is_broken = False
        self.plug_in(self.root / "0")
        self.shard = self.open()

    def plug_in(self, folder: Path) -> None:
        self.disk = FaultyDisk(folder)
        self.plugged = self.disk.plugged_in()
        self.plugged.__enter__()

    def open(self) -> Shard:
        folder = self.root / str(self.lives) / "shard"
        shard = Shard(folder, dimensions=DIMENSIONS, space_id="space", settings=SMALL)
        # The same work as the child process does, without its start-up time, and on the faulty disk.
        shard._writer._processes.run = finishing.run
        return shard

    def note(self, photo_id: int, version: Version, lives: bool) -> bool:
        newer = photo_id not in self.known or version > self.known[photo_id][0]
        if newer:
            self.known[photo_id] = (version, lives)
        return newer

    @rule(photos=st.lists(st.tuples(PHOTO_IDS, TIMES), max_size=6))
    def add(self, photos):
        versions = [Version(time_ms, 0, 0, 0) for _, time_ms in photos]
        photo_ids = [photo_id for photo_id, _ in photos]
        expected = [self.note(*each, True) for each in zip(photo_ids, versions, strict=True)]
        assert self.shard.add_many(photo_ids, versions, [vector_of(*each) for each in photos]) == expected

    @rule(photo_id=PHOTO_IDS, time_ms=TIMES)
    def remove(self, photo_id, time_ms):
        version = Version(time_ms, 1, 0, 0)
        assert self.shard.remove(photo_id, version) == self.note(photo_id, version, False)

    @rule()
    def seal(self):
        self.offset += 1
        self.durable[self.offset] = dict(self.known)  # perhaps
        if self.comes_through(lambda: self.shard.seal(self.offset)):
            self.durable = {self.offset: dict(self.known)}

    @rule()
    def merge(self):
        if self.comes_through(self.shard.merge_once):
            self.settle()
            ShardModel.merges += 1

    @rule(photos=st.lists(st.tuples(PHOTO_IDS, TIMES), min_size=1, max_size=12))
    def add_and_seal(self, photos):
        self.add(photos)
        self.seal()

    def comes_through(self, deed) -> object:
        try:
            return deed() is not False
        except ServiceUnavailable:
            assert self.is_broken
            ShardModel.failures += 1
            return False

    def settle(self) -> None:
        """The manifest that was written last is the one that a crash leaves."""
        offset = self.shard.manifest.next_offset
        self.durable = {offset: self.durable[offset]}

    @rule(step=STEPS, code=st.sampled_from([errno.ENOSPC, errno.EIO]), once=st.booleans())
    def break_disk(self, step, code, once):
        self.disk.fails_at(step, code, once=once)
        self.is_broken = True

    @rule()
    def mend_disk(self):
        self.disk.works()
        self.is_broken = False

    # Otherwise too few segments would come together to be merged.
    @precondition(lambda self: self.age > 5)
    @rule(deed=st.sampled_from(["seal", "merge"]), step=STEPS, seed=st.none() | st.integers(0, 999))
    def lose_power(self, deed, step, seed):
        self.disk.is_cut_at(step)
        self.is_broken = False
        try:
            self.seal() if deed == "seal" else self.merge()
            self.disk.is_cut_at(0)
        except PowerCut:
            pass
        self.shard.close()
        self.lives += 1
        self.disk.surviving(self.root / str(self.lives), seed)
        self.plugged.__exit__(None, None, None)
        self.plug_in(self.root / str(self.lives))
        self.shard = self.open()
        self.settle()
        self.known = dict(self.durable[self.shard.manifest.next_offset])
        self.age = 0
        ShardModel.crashes += 1

    @invariant()
    def every_answer_is_the_dictionarys(self):
        ShardModel.operations += 1
        self.age += 1
        query = VECTORS[self.offset % 64]
        living = {photo_id: version for photo_id, (version, lives) in self.known.items() if lives}
        hits = self.shard.search(query, 100)
        assert {hit.photo_id: hit.version for hit in hits} == living
        assert len(hits) == len(self.shard) == len(living)
        assert sorted(self.shard.photo_ids()) == sorted(living)
        self.are_best(hits, living, query, 100)
        self.are_best(self.shard.search(query, 3), living, query, 3)
        even = {photo_id: version for photo_id, version in living.items() if photo_id % 2 == 0}
        self.are_best(self.shard.search(query, 3, allow=lambda photo_id: photo_id % 2 == 0), even, query, 3)

    def are_best(self, hits: list[Hit], allowed: dict[int, Version], query: np.ndarray, k: int) -> None:
        """Of equally near photos any may be found, so it is scores that are compared."""
        vectors = {photo_id: vector_of(photo_id, version.time_ms) for photo_id, version in allowed.items()}
        scores = {photo_id: bounded(rounded(vector) @ query) for photo_id, vector in vectors.items()}
        best = sorted(scores.values(), reverse=True)[:k]
        assert np.allclose([hit.score for hit in hits], best, atol=1e-5)
        assert np.allclose([scores[hit.photo_id] for hit in hits], best, atol=1e-5)

    @invariant()
    def every_fact_is_remembered(self):
        for photo_id, (version, lives) in self.known.items():
            assert self.shard.version(photo_id) == version
            vector = self.shard.vector(photo_id)
            assert (vector is not None) == lives
            assert not lives or np.allclose(vector, vector_of(photo_id, version.time_ms), atol=1e-3)

    def teardown(self):
        self.plugged.__exit__(None, None, None)
        self.shard.close()
        shutil.rmtree(self.root)


@pytest.mark.slow
def test_ten_thousand_operations_lose_double_and_resurrect_nothing():
    """The same ones each time."""
    many = settings(
        max_examples=230,
        stateful_step_count=50,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(ShardModel, settings=many)

    assert ShardModel.operations >= 10_000
    assert min(ShardModel.merges, ShardModel.crashes) >= 200 and ShardModel.failures >= 100
