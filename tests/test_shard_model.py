"""A shard against a dictionary: thousands of random operations, with crashes, and never a lost, doubled or
resurrected photo.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stream_app.index import finishing
from stream_app.index.shard import Shard, ShardSettings
from stream_app.versions import Version

DIMENSIONS = 8
PHOTO_IDS = st.integers(0, 11)
TIMES = st.integers(1, 40)
VECTORS = np.random.default_rng(0).standard_normal((64, DIMENSIONS)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
SMALL = ShardSettings(fan_out=3, forest_vectors_min=1_000)


def vector_of(photo_id: int, time_ms: int) -> np.ndarray:
    return VECTORS[(photo_id * 7 + time_ms * 3) % 64]


class ShardModel(RuleBasedStateMachine):
    """`known` maps a photo to (version, lives); `durable` is `known` as it was at the last seal."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.lives = 0
        self.shard = self.open()
        self.known: dict[int, tuple[Version, bool]] = {}
        self.durable: dict[int, tuple[Version, bool]] = {}

    def open(self) -> Shard:
        shard = Shard(self.root / str(self.lives), dimensions=DIMENSIONS, space_id="space", settings=SMALL)
        # The same work as the child process does, without its start-up time.
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
        self.shard.seal(self.shard.manifest.next_offset + 1)
        self.durable = dict(self.known)

    @rule()
    def merge(self):
        self.shard.merge_once()

    @rule()
    def crash(self):
        before, self.lives = self.lives, self.lives + 1
        shutil.copytree(self.root / str(before), self.root / str(self.lives))
        self.shard.close()
        self.shard = self.open()
        self.known = dict(self.durable)

    @invariant()
    def every_living_photo_is_found_once_with_its_newest_version(self):
        living = {photo_id: version for photo_id, (version, lives) in self.known.items() if lives}
        hits = self.shard.search(VECTORS[0], 100)
        assert len(hits) == len(self.shard) == len(living)
        assert {hit.photo_id: hit.version for hit in hits} == living
        assert sorted(self.shard.photo_ids()) == sorted(living)

    @invariant()
    def every_fact_is_remembered(self):
        for photo_id, (version, lives) in self.known.items():
            assert self.shard.version(photo_id) == version
            vector = self.shard.vector(photo_id)
            assert (vector is not None) == lives
            assert not lives or np.allclose(vector, vector_of(photo_id, version.time_ms), atol=1e-3)

    def teardown(self):
        self.shard.close()
        shutil.rmtree(self.root)


TestShardModel = ShardModel.TestCase
TestShardModel.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
