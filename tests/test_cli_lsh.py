"""`sightline lsh` and `sightline redis`, as they are typed, on a real broker and a real Redis."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from embedded_photos import append, embedded, make_topics

from models.space import Space
from stream_app.cli import main
from stream_app.index.shard import Shard
from stream_app.record_vectors import search_vectors
from stream_app.settings import Settings
from stream_app.versions import Version


@pytest.fixture(scope="module")
def space(tiny_bundle) -> Space:
    return Space.load(tiny_bundle)


@pytest.fixture
def album(settings: Settings, space: Space) -> Settings:
    """Eleven hundred photos on the topic; nothing in Redis."""
    settings = replace(settings, partition_count=2)

    async def make() -> None:
        await make_topics(settings, space)
        await append(settings, space, embedded(space, range(1_100)))

    asyncio.run(make())
    return settings


def sightline(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(main, list(words), env=settings.to_environment())


def test_from_an_empty_redis_to_a_fitted_layout(album):
    """Verify finds all missing, rebuild brings it back, fit switches, expire has nothing left to do."""
    missing = sightline(album, "redis", "verify", "--quiet")
    assert missing.exit_code == 1
    assert "1,100 photos missing: 0, 1, 2" in missing.stdout and "sightline redis rebuild" in missing.stdout

    assert "all mended" in sightline(album, "redis", "rebuild", "--quiet").stdout
    whole = sightline(album, "redis", "verify", "--json")
    assert (whole.exit_code, json.loads(whole.stdout)["members"]) == (0, 1_100 * 8)

    fitted = sightline(album, "lsh", "fit", "--sample", "1000", "--quiet")
    assert fitted.exit_code == 0, fitted.output
    assert "serves 1,100 photos" in fitted.stdout and "fitted to 1,000" in fitted.stdout

    [usage] = json.loads(sightline(album, "redis", "report", "--json").stdout)
    assert (usage["photos"], usage["serving"]) == (1_100, True)
    assert usage["layout_id"] in fitted.stdout
    assert ", serving: 1,100 photos of " in sightline(album, "redis", "report").stdout
    assert sightline(album, "redis", "verify", "--quiet").exit_code == 0
    assert sightline(album, "redis", "expire").stdout == "0 keys removed\n"


@pytest.mark.parametrize(
    "words", [("lsh", "fit"), ("redis", "verify"), ("redis", "rebuild"), ("redis", "report"), ("redis", "expire")]
)
def test_a_redis_that_is_away_is_one_line_at_each_command(album, words):
    """No traceback, and an exit code that a script can see."""
    said = sightline(replace(album, redis_url="redis://127.0.0.1:9/0"), *words)

    assert said.exit_code == 2
    assert said.stderr.count("sightline: Redis does not answer") == 1 and "Traceback" not in said.output


class TestReport:
    def test_a_file_of_vectors_is_reported_on(self, tmp_path):
        """Both kinds of planes, sizes, recall and the error of signatures."""
        np.save(tmp_path / "vectors.npy", np.random.default_rng(0).standard_normal((2_000, 40)))

        said = CliRunner().invoke(main, ["lsh", "report", str(tmp_path / "vectors.npy"), "--json"])

        report = json.loads(said.stdout)
        assert (report["vectors"], report["dimensions"]) == (1_800, 40)
        assert [each["name"] for each in report["planes"]] == ["random", "fitted"]
        assert all(each["recall"]["2000"] == 1.0 for each in report["planes"])
        assert report["cosine_rmse"]["256"] < report["cosine_rmse"]["32"]

    def test_the_table_names_every_figure(self, tmp_path):
        """Occupancy, p99, largest, empty share, recall and candidates."""
        np.save(tmp_path / "vectors.npy", np.random.default_rng(0).standard_normal((1_500, 40)))

        said = CliRunner().invoke(main, ["lsh", "report", str(tmp_path / "vectors.npy")], env={"COLUMNS": "160"}).stdout

        for word in ("photos a bucket", "p99", "largest", "empty", "recall@10 of 500", "for recall 0.9", "64 bits"):
            assert word in said

    def test_without_a_file_it_reads_the_shards(self, settings, space):
        """What is sealed in the data folder."""
        vectors = search_vectors(space, embedded(space, range(1_300)))
        folder = settings.data_dir / "index" / space.space_id / "0"
        shard = Shard(folder, dimensions=space.search_dimensions, space_id=space.space_id)
        shard.add_many(range(1_300), [Version(1, 0, 0, each) for each in range(1_300)], vectors)
        shard.seal(1_300)
        shard.close()

        said = sightline(settings, "lsh", "report", "--json")

        assert json.loads(said.stdout)["vectors"] == 1_100

    def test_no_shards_are_said_in_one_line(self, settings):
        """With where they were looked for."""
        said = sightline(settings, "lsh", "report")

        assert said.exit_code == 2 and said.stderr.startswith("sightline: There are no vectors to report on; expected")

    @pytest.mark.parametrize("content", [b"", b"not numpy", "text", "cube", "few", "zero", "infinite", "words"])
    def test_files_that_cannot_be_used_are_said_in_one_line(self, tmp_path: Path, content):
        """Damaged ones, other shapes, too few rows, rows that are no directions."""
        path = tmp_path / "vectors.npy"
        good = np.random.default_rng(0).standard_normal((1_500, 8))
        made = {
            "cube": good.reshape(150, 10, 8),
            "few": good[:50],
            "zero": good * (np.arange(1_500) != 7)[:, None],
            "infinite": np.where(good == good[7, 3], np.inf, good),
            "words": np.array(["a", "b"]),
            "text": np.array("a"),
        }
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, made[content])

        said = CliRunner().invoke(main, ["lsh", "report", str(path)])

        assert said.exit_code == 2, said.output
        assert said.stderr.startswith("sightline: ") and said.stderr.count("\n") == 1
