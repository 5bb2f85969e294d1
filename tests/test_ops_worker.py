"""A real worker looking at itself: its numbers against what was done to it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from album_process import AlbumProcess, colour_folder, colour_photo, until

from stream_app.settings import Settings


@pytest.fixture
def worker(settings: Settings) -> Iterator[AlbumProcess]:
    """One worker on the services of this run, ready."""
    process = AlbumProcess(settings, "worker")
    try:
        yield process.ready()
    finally:
        process.stop()


def seen(worker: AlbumProcess) -> dict[str, Any]:
    """What it saw of itself last; nothing before it has looked."""
    observation = worker.get("/api/ops")["observation"]
    return observation["numbers"] | observation["state"] if observation else {}


def until_seen(worker: AlbumProcess, name: str, value: Any) -> dict[str, Any]:
    """What it saw, once `name` is `value`."""
    return until(lambda: each if (each := seen(worker)).get(name) == value else None, what=f"{name} = {value}")


class TestNumbers:
    def test_a_worker_counts_what_came_in_what_was_found_and_what_was_not(self, worker, tmp_path: Path) -> None:
        """By stage, by partition, and how long it took; Prometheus is told the same."""
        photos = colour_folder(tmp_path / "photos", 3)
        (photos / "text.jpg").write_text("not a photo at all")
        worker.run("publish", str(photos))
        worker.until_findable(12)
        worker.get("/api/search?q=red&k=3")

        numbers = until_seen(worker, "index.photos", 12)
        done = until(
            lambda: each if (each := seen(worker))["lag.embeddings"] == 0 and each["lag.activity"] == 0 else None,
            what="no lag",
        )
        counted = until(lambda: each if (each := seen(worker)["since_start"])["searches"] else None, what="a search")

        assert (counted["accepted"], counted["embedded"], counted["indexed"], counted["rejected"]) == (13, 12, 12, 1)
        assert numbers["freshness.count"] == 12 and numbers["freshness.p50"] <= numbers["freshness.p99"]
        assert sum(each["photos"] for each in done["partitions"]) == 12
        assert [each["lag"] for each in done["partitions"]] == 4 * [{"activity": 0, "embeddings": 0, "collections": 0}]
        assert (done["queue.encoder"], done["queue.redis"], done["queue.activity"]) == (0, 0, 0)
        assert done["redis"]["reachable"] and done["broker_problem"] == ""
        assert worker.metric("sightline_freshness_seconds_count") == 12
        assert worker.metric("sightline_activity_accepted_total") == 13
        assert (worker.metric("sightline_shard_rows"), worker.metric("sightline_redis_reachable")) == (12, 1)

    def test_recall_is_measured_against_an_exact_search(self, worker, tmp_path: Path) -> None:
        """So few photos are all compared, so that all are found."""
        worker.run("publish", str(colour_folder(tmp_path / "photos", 3)))
        worker.until_findable(12)
        worker.get("/api/search?q=red&k=3")

        numbers = until(lambda: each if (each := seen(worker)).get("recall.words") is not None else None, what="recall")

        assert (numbers["recall.words"], numbers["recall.photo"]) == (1.0, 1.0)
        assert worker.metric("sightline_search_recall") == 2.0


class TestDeadLetters:
    def test_one_is_replayed_and_its_photo_is_found(self, worker, tmp_path: Path) -> None:
        """The other one stays where it is."""
        photos = tmp_path / "photos"
        photos.mkdir()
        for name in ("mended.png", "broken.png"):
            (photos / name).write_bytes(colour_photo("red", 1)[:200])
        worker.run("publish", str(photos))
        letters = until(lambda: found if len(found := listed(worker)) == 2 else None, what="two dead letters")
        (photos / "mended.png").write_bytes(colour_photo("red", 1))
        [mended] = [each for each in letters if "mended.png" in each["reason"]]

        status, _ = worker.send("POST", f"/api/ops/dead-letters/{mended['place']}/replay", b"")
        worker.until_findable(1)

        assert (status, mended["stage"]) == (202, "decode")
        assert ["broken.png" in each["reason"] for each in listed(worker)] == [True]
        assert "broken.png" in worker.run("dead-letters", "list")


class TestListeners:
    def test_a_worker_ends_in_order_while_a_page_listens(self, worker, tmp_path: Path) -> None:
        """It lets go of the page rather than wait for it."""
        worker.run("publish", str(colour_folder(tmp_path / "photos", 1)))
        worker.until_findable(4)
        with urlopen(worker.url + "/api/ops/events", timeout=60) as stream:
            lines = iter(stream.readline, b"")
            card = json.loads(next(line for line in lines if line.startswith(b"data: "))[6:])
            worker.process.send_signal(signal.SIGTERM)
            rest = list(lines)

        assert worker.process.wait(60) == 0
        assert card["name"].endswith(f":{worker.port}") and rest


def listed(worker: AlbumProcess) -> list[dict[str, Any]]:
    """The dead letters, newest first."""
    return list(worker.get("/api/ops/dead-letters")["dead_letters"])
