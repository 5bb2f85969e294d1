"""The commands `sightline index`, as a person types them, on folders that real shards wrote."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sent_embeddings import send_embeddings

from models.space import Space
from stream_app.cli import main
from stream_app.errors import SegmentCorrupt
from stream_app.index import files, finishing, manifest
from stream_app.index.inspection import PartitionFolder, inspect, settled
from stream_app.index.shard import Shard, ShardSettings
from stream_app.index.verification import verify
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version

DIMENSIONS = 16
SMALL = ShardSettings(vectors_per_cell=10, forest_vectors_min=300)


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def at(time_ms: int, kind: int = KIND_CHANGED) -> Version:
    return Version(time_ms, kind, 0, time_ms)


def opened(directory: Path) -> Shard:
    return Shard(directory, dimensions=DIMENSIONS, space_id="space", log_id="log", settings=SMALL)


def fill(shard: Shard, first: int, count: int) -> None:
    assert all(shard.add_many(range(first, first + count), [at(1)] * count, unit(count, seed=first)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Partition 0 with a forest of 400, a scanned segment of 51, two dead rows and a tombstone; 1 is empty."""
    folder = tmp_path_factory.mktemp("written")
    shard = opened(folder / "index" / "space" / "0")
    fill(shard, 0, 400)
    shard.seal(400)
    fill(shard, 400, 50)
    shard.remove(7, at(2, KIND_DELETED))
    shard.add(8, at(2), unit(1)[0])
    shard.seal(452)
    shard.close()
    opened(folder / "index" / "space" / "1").close()
    return folder


@pytest.fixture
def data_dir(written: Path, tmp_path: Path) -> Path:
    """A copy of it to work on."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def owned(data_dir: Path) -> Iterator[Shard]:
    """Partition 0 in the hands of a worker."""
    shard = opened(data_dir / "index" / "space" / "0")
    yield shard
    shard.close()


def run(data_dir: Path, *arguments: object, **environment: str) -> Result:
    """The command and what it said."""
    environment = {"SIGHTLINE_DATA_DIR": str(data_dir)} | environment
    return CliRunner().invoke(main, ["index", *map(str, arguments)], env=environment)


def verdict(data_dir: Path, *arguments: object) -> dict:
    return json.loads(run(data_dir, "verify", "--partition", 0, "--json", "--quiet", *arguments).stdout)[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestInspect:
    def test_it_says_what_lies_on_disk(self, data_dir: Path) -> None:
        """Photos, the place in the log, and of each segment rows, dead, tier and bytes."""
        first, second = json.loads(run(data_dir, "inspect", "--json").stdout)

        assert (first["space_id"], first["partition"], first["log_id"], first["next_offset"]) == (
            "space",
            0,
            "log",
            452,
        )
        assert (first["photos"], first["tombstones"], first["dimensions"]) == (449, 1, DIMENSIONS)
        assert [(each["rows"], each["dead_rows"], each["tier"]) for each in first["segments"]] == [
            (400, 2, 0),
            (51, 0, 0),
        ]
        assert {"forest.ann", "vectors.npy"} < first["segments"][0]["files_bytes"].keys()
        assert (second["photos"], second["segments"]) == (0, [])

    def test_people_read_the_same(self, data_dir: Path) -> None:
        said = run(data_dir, "inspect", "--partition", 0).stdout

        assert "449 photos in 16 dimensions, 1 tombstones" in said and "everything before offset 452 of log" in said
        assert re.search(r"segment-00000001 +400 +2 +0 ", said)

    def test_it_works_beside_a_worker_and_writes_nothing(self, data_dir: Path, owned: Shard) -> None:
        """Not even what the worker has begun to write is swept."""
        folder = data_dir / "index" / "space" / "0"
        (folder / "segment-99999999.tmp").mkdir()
        (folder / "segment-99999999.tmp" / "vectors.npy").write_bytes(b"half")
        before = contents(folder)

        assert run(data_dir, "inspect").exit_code == 0
        assert contents(folder) == before
        owned.add(1, at(9), unit(1)[0])
        owned.seal(500)

    def test_how_a_segment_is_searched_is_shown(self, data_dir: Path) -> None:
        """With the recall that was seen when it was written."""
        (state,) = json.loads(run(data_dir, "inspect", "--partition", 0, "--json").stdout)
        said = run(data_dir, "inspect", "--partition", 0).stdout

        forest, scanned = (each["tuning"] for each in state["segments"])
        assert (forest["kind"], scanned["kind"]) == ("forest", "exact")
        assert "forest euclidean" in said and "exact" in said
        effort = next(each for each in forest["inside"]["10"] if each[-1] >= 0.95)
        assert f"{effort[-1]:.3f}" in said

    def test_a_merge_in_between_is_waited_for(self, data_dir: Path) -> None:
        """The files of an old manifest are gone: the new one is read."""
        folder = data_dir / "index" / "space" / "0"
        looks = []

        def look(known: manifest.Manifest) -> int:
            looks.append(known)
            if len(looks) == 1:
                manifest.write(manifest.Manifest("space", DIMENSIONS), folder)
                raise SegmentCorrupt("a file is gone")
            return len(known.segments)

        assert settled(folder, look) == 0

    def test_a_cut_off_file_is_named(self, data_dir: Path) -> None:
        """In one line."""
        (path,) = (data_dir / "index" / "space" / "0").glob("segment-00000001/photo_ids.npy")
        path.write_bytes(path.read_bytes()[:-5])
        ran = run(data_dir, "inspect")

        assert ran.exit_code == 2 and f"{path} cannot be read" in ran.stderr and ran.stderr.count("\n") == 1


class TestVerify:
    def test_a_sound_index_is_said_to_be(self, data_dir: Path) -> None:
        """With the recall of its searches, and of which queries."""
        ran = run(data_dir, "verify", "--quiet")

        assert ran.exit_code == 0, ran.output
        assert "space/0: sound; 12 files" in ran.stdout and "449 photos" in ran.stdout
        assert "space/1: sound; 0 files" in ran.stdout
        assert re.search(r"recall@10 (0\.9[5-9]|1\.0)", ran.stdout) and "moved by 0.25 of its length" in ran.stdout

    def test_it_works_beside_a_worker_and_writes_nothing(self, data_dir: Path, owned: Shard) -> None:
        """Nor does it take the folder from it."""
        before = contents(data_dir)

        assert run(data_dir, "verify", "--quiet").exit_code == 0
        assert contents(data_dir) == before

    @pytest.mark.parametrize(
        "name", ["photo_ids.npy", "versions.npy", "vectors.npy", "forest.ann", "signatures.npy", "cells.npy"]
    )
    def test_every_damaged_file_is_named_with_its_remedy(self, data_dir: Path, name: str) -> None:
        """And the exit status is 1."""
        path = data_dir / "index" / "space" / "0" / "segment-00000001" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        ran = run(data_dir, "verify", "--quiet")

        assert ran.exit_code == 1 and "space/0: damaged" in ran.stdout and "space/1: sound" in ran.stdout
        assert f"{path}: it is damaged" in ran.stdout and "sightline index rebuild --partition 0" in ran.stdout

    def test_a_worker_that_seals_and_merges_meanwhile_is_not_taken_for_damage(self, tmp_path: Path) -> None:
        """Files vanish between the manifest and the look at them."""
        folder = PartitionFolder("space", 0, tmp_path / "shard")
        shard = Shard(folder.path, dimensions=DIMENSIONS, space_id="space", settings=ShardSettings(fan_out=2))
        shard._writer._processes.run = finishing.run
        stop = threading.Event()

        def work() -> None:
            for time_ms in itertools.takewhile(lambda _: not stop.is_set(), itertools.count(1)):
                shard.add_many(range(50), [at(time_ms)] * 50, unit(50))
                shard.seal(time_ms)
                shard.merge_once()

        worker = threading.Thread(target=work)
        worker.start()
        try:
            while not shard.manifest.segments:
                time.sleep(0.001)
            looks = [
                (inspect(folder), verify(folder, sample=2, recall_min=0.9, say=lambda *_: None)) for _ in range(20)
            ]
        finally:
            stop.set()
            worker.join()
            shard.close()

        assert [verdict.faults for _, verdict in looks] == [[]] * 20
        assert {state.photos for state, _ in looks} == {50}
        assert looks[0][0].next_offset < looks[-1][0].next_offset

    def test_all_damaged_files_are_named(self, data_dir: Path) -> None:
        """One that is gone, one that is cut off, and the tombstones."""
        folder = data_dir / "index" / "space" / "0"
        paths = [folder / "segment-00000001" / "vectors.npy", folder / "segment-00000002" / "versions.npy"]
        paths += folder.glob("tombstones-*.npy")
        paths[0].unlink()
        for path in paths[1:]:
            path.write_bytes(path.read_bytes()[:-1])

        assert sorted(each["path"] for each in verdict(data_dir)["faults"]) == sorted(map(str, paths))

    def test_a_damaged_manifest_is_named(self, data_dir: Path) -> None:
        path = data_dir / "index" / "space" / "0" / "manifest.json"
        path.write_bytes(path.read_bytes()[:-9])

        (fault,) = verdict(data_dir)["faults"]
        assert fault["path"] == str(path)

    @pytest.mark.parametrize(
        ("name", "spoil", "said"),
        [
            ("vectors.npy", lambda rows: rows * 2, "row 0 is not a finite vector of length 1"),
            ("vectors.npy", lambda rows: np.where(rows == rows[9, 3], np.nan, rows), "row 9 is not a finite"),
            ("vectors.npy", lambda rows: rows[:-1], "expected 400; received 400 photo ids, 400 versions, 399 vectors"),
            ("vectors.npy", lambda rows: rows[:, :-1], "expected 16 dimensions"),
            ("photo_ids.npy", lambda rows: np.where(rows == 5, 4, rows), "not ascending, each once"),
            ("photo_ids.npy", lambda rows: rows + np.where(rows == 399, 1, 0), "photo 400 was written twice"),
            ("signatures.npy", lambda rows: rows[:-1], "it has not 400 rows"),
            ("cells.npy", lambda rows: rows[:-1], "its cells do not hold every row once"),
            ("cells.npy", lambda rows: np.where(rows == 7, 8, rows), "its cells do not hold every row once"),
            ("cell_starts.npy", lambda starts: starts + 1, "its cells do not hold every row once"),
            ("cell_starts.npy", lambda starts: starts[::-1], "its cells do not hold every row once"),
            ("centres.npy", lambda centres: centres[:-1], "its cells do not hold every row once"),
        ],
    )
    def test_what_was_written_wrongly_is_noticed_though_checksums_fit(self, data_dir: Path, name, spoil, said) -> None:
        """As a program with a fault would have written it."""
        folder = data_dir / "index" / "space" / "0"
        path = folder / "segment-00000001" / name
        np.save(path, spoil(np.load(path)))
        seal_anew(folder)

        assert said in " ".join(each["problem"] for each in verdict(data_dir)["faults"])

    def test_an_index_that_finds_too_little_is_a_fault(self, data_dir: Path) -> None:
        """Signatures of other vectors have a checksum, too."""
        shards = [opened(data_dir / "index" / space / "0") for space in ("one", "other")]
        for seed, shard in enumerate(shards):
            shard.add_many(range(3_000), [at(1)] * 3_000, unit(3_000, seed))
            shard.seal()
            shard.close()
        one, other = (data_dir / "index" / space / "0" for space in ("one", "other"))
        for path in other.glob("segment-*/signatures.npy"):
            shutil.copy(path, one / path.relative_to(other))
        seal_anew(one)
        ran = run(data_dir, "verify", "--space", "one", "--quiet")

        assert ran.exit_code == 1 and "expected at least 0.9" in ran.stdout and "sightline index compact" in ran.stdout
        assert run(data_dir, "verify", "--space", "one", "--quiet", "--recall-min", 0).exit_code == 0

    def test_the_sample_may_be_larger_than_the_index_or_nothing(self, data_dir: Path) -> None:
        assert verdict(data_dir, "--sample", 10_000)["recall"]["query_count"] == 449
        assert verdict(data_dir, "--sample", 0)["recall"] is None


def seal_anew(folder: Path) -> None:
    """Write the manifest's checksums as the files are now."""
    known = manifest.read(folder)
    assert known is not None
    segments = tuple(
        replace(each, files={name: files.fingerprint(folder / each.name / name) for name in each.files})
        for each in known.segments
    )
    manifest.write(replace(known, segments=segments), folder)


def test_a_bar_tells_how_far_it_is(data_dir: Path) -> None:
    """On the terminal's other stream, so that JSON stays JSON."""
    ran = run(data_dir, "verify", "--json")

    assert "100 %" in ran.stderr and len(json.loads(ran.stdout)) == 2


class TestCompact:
    def test_one_segment_is_left_without_the_dead(self, data_dir: Path) -> None:
        """The same photos, and the same place in the log."""
        ran = run(data_dir, "compact", "--quiet")
        shard = opened(data_dir / "index" / "space" / "0")

        assert ran.exit_code == 0, ran.output
        assert "space/0: 2 segments with 451 rows -> 1 with 449" in ran.stdout
        assert sorted(shard.photo_ids()) == [each for each in range(450) if each != 7]
        assert shard.version(8) == at(2) and shard.version(7) == at(2, KIND_DELETED)
        assert shard.manifest.next_offset == 452
        shard.close()
        assert run(data_dir, "verify", "--quiet").exit_code == 0

    def test_repeating_it_changes_nothing(self, data_dir: Path) -> None:
        run(data_dir, "compact", "--quiet")
        before = contents(data_dir)

        assert run(data_dir, "compact", "--quiet").exit_code == 0
        assert contents(data_dir) == before

    def test_a_damaged_index_is_not_compacted(self, data_dir: Path) -> None:
        """What cannot be believed is not copied."""
        (path,) = (data_dir / "index" / "space" / "0").glob("segment-00000001/vectors.npy")
        path.write_bytes(path.read_bytes()[:-1])
        ran = run(data_dir, "compact", "--quiet")

        assert ran.exit_code == 2 and f"{path} is damaged" in ran.stderr


class TestRebuild:
    async def rebuilt(self, settings: Settings, tiny_bundle: Path, *arguments: object) -> Result:
        environment = settings.to_environment() | {"SIGHTLINE_BUNDLE": str(tiny_bundle)}
        return await asyncio.to_thread(run, settings.data_dir, "rebuild", "--quiet", *arguments, **environment)

    async def test_the_partitions_are_built_anew_from_the_log(self, log_settings: Settings, tiny_bundle: Path) -> None:
        """A damaged one, too; the others stay where only one is asked for."""
        space = Space.load(tiny_bundle)
        index_dir = log_settings.data_dir / "index" / space.space_id
        log_settings.data_dir.mkdir()
        await send_embeddings(log_settings, space, 20)
        first = await self.rebuilt(log_settings, tiny_bundle)
        (path,) = index_dir.glob("0/segment-*/vectors.npy")
        path.write_bytes(b"")
        (index_dir / "1" / "manifest.json").write_bytes(b"")
        second = await self.rebuilt(log_settings, tiny_bundle, "--partition", 0)

        assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
        assert f"{space.space_id}/0: 19 photos, from the log up to offset 21" in second.stdout
        state = inspect(PartitionFolder(space.space_id, 0, index_dir / "0"))
        assert (state.photos, state.tombstones, state.next_offset) == (19, 1, 21)
        assert state.log_id.endswith(f"/{embeddings_topic(log_settings, space.vision_id)}/0")
        assert (index_dir / "1" / "manifest.json").read_bytes() == b""
        assert sorted(path.name for path in index_dir.iterdir()) == ["0", "1", "2", "3"]
        assert sorted(path.name for path in log_settings.data_dir.iterdir()) == ["index"]

    async def test_what_fails_half_way_leaves_the_old_folder(
        self, log_settings: Settings, tiny_bundle: Path, monkeypatch
    ) -> None:
        """Here the disk is full when the segments are written."""
        space = Space.load(tiny_bundle)
        log_settings.data_dir.mkdir()
        await send_embeddings(log_settings, space, 5)
        await self.rebuilt(log_settings, tiny_bundle)
        before = contents(log_settings.data_dir)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("stream_app.index.files.write_array", full)
            failed = await self.rebuilt(log_settings, tiny_bundle)

        assert failed.exit_code == 2 and "No space left on device" in failed.stderr
        assert contents(log_settings.data_dir) == before

    async def test_a_worker_keeps_its_folder(self, log_settings: Settings, tiny_bundle: Path) -> None:
        """It is said in one line, and nothing is read."""
        space = Space.load(tiny_bundle)
        folder = log_settings.data_dir / "index" / space.space_id / "2"
        worker = Shard(folder, dimensions=space.search_dimensions, space_id=space.space_id)
        ran = await self.rebuilt(log_settings, tiny_bundle)
        worker.close()

        assert ran.exit_code == 2 and f"{folder} is in use by another process" in ran.stderr
        assert ran.stderr.count("\n") == 1

    async def test_a_log_that_nobody_wrote_is_told(self, log_settings: Settings, tiny_bundle: Path) -> None:
        """And is not made by asking."""
        log_settings.data_dir.mkdir()
        ran = await self.rebuilt(log_settings, tiny_bundle)

        assert ran.exit_code == 2 and "There is no topic" in ran.stderr

    def test_a_broker_that_is_away_is_told(self, tmp_path: Path, tiny_bundle: Path) -> None:
        environment = {"SIGHTLINE_BROKER_URL": "kafka://127.0.0.1:1", "SIGHTLINE_BUNDLE": str(tiny_bundle)}
        ran = run(tmp_path, "rebuild", "--quiet", **environment)

        assert ran.exit_code == 2 and "Kafka does not answer" in ran.stderr
        assert os.listdir(tmp_path) == []

    def test_a_partition_that_cannot_be_is_told(self, tmp_path: Path, tiny_bundle: Path) -> None:
        environment = {"SIGHTLINE_BROKER_URL": "kafka://127.0.0.1:1", "SIGHTLINE_BUNDLE": str(tiny_bundle)}
        ran = run(tmp_path, "rebuild", "--partition", 4, **environment)

        assert ran.exit_code == 2 and "There is no such partition; expected 0 to 3; received 4" in ran.stderr


@pytest.mark.parametrize("command", ["inspect", "verify", "compact"])
class TestRefusals:
    def test_no_data_folder(self, tmp_path: Path, command: str) -> None:
        """Nor is one made."""
        ran = run(tmp_path / "nowhere", command)

        assert ran.exit_code == 2 and "There is no index" in ran.stderr and ran.stderr.count("\n") == 1
        assert not (tmp_path / "nowhere").exists()

    @pytest.mark.parametrize("arguments", [("--partition", 9), ("--space", "other")])
    def test_what_is_not_there(self, data_dir: Path, command: str, arguments: tuple) -> None:
        """The line says what there is."""
        ran = run(data_dir, command, *arguments)

        assert ran.exit_code == 2 and "There is no such partition; expected one of space/0, space/1" in ran.stderr


def test_a_worker_keeps_its_folder_from_compaction(data_dir: Path, owned: Shard) -> None:
    """In one line."""
    ran = run(data_dir, "compact", "--quiet")

    assert ran.exit_code == 2 and "space/0 is in use by another process" in ran.stderr
    assert ran.stderr.count("\n") == 1
