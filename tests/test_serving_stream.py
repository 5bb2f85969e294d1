"""Whole stories with TF Serving as the encoder: the stream waits for it, and embeds every photo once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from album_process import AlbumProcess, colour_folder, colour_photo, until
from serving_process import ServingProcess

from models.manifest import read_manifest
from stream_app.kafka import read_topic
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic


@pytest.fixture(params=["grpc", "rest"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each story is told over both protocols."""
    return str(request.param)


@contextmanager
def serving(settings: Settings, folder: Path, **faults: Any) -> Iterator[ServingProcess]:
    """The servers around the bundle of these settings."""
    servers = ServingProcess(Path(settings.bundle), folder, **faults)
    try:
        yield servers
    finally:
        servers.kill()


@contextmanager
def worker_at(servers: ServingProcess, kind: str, settings: Settings) -> Iterator[AlbumProcess]:
    """A ready worker whose encoder they are; small batches, so that many requests are made."""
    address = servers.address(kind)
    chosen = replace(settings, encoder=address, encoder_batch_size=2, encoder_timeout_seconds=0.5)
    process = AlbumProcess(chosen, "worker")
    try:
        yield process.ready()
    finally:
        process.stop()


def records_written(settings: Settings) -> list[bytes]:
    """The key of every record that was ever written to the embeddings topic."""
    topic = embeddings_topic(settings, read_manifest(Path(settings.bundle)).vision_id)

    async def keys() -> list[bytes]:
        return [record.key async for record in read_topic(settings, topic)]

    return asyncio.run(keys())


def test_every_photo_is_embedded_once_though_a_fifth_of_the_answers_are_late_or_fail(settings, kind, tmp_path):
    """Nothing is lost, nothing is a dead letter, and nothing is written twice."""
    with serving(settings, tmp_path, delayed=0.1, failed=0.1) as servers, worker_at(servers, kind, settings) as worker:
        worker.run("publish", str(colour_folder(tmp_path / "photos", 40)))
        worker.until_findable(160)
        outcomes = servers.outcomes()

        assert worker.metric("sightline_photos_embedded_total") == 160
        assert sorted(Counter(records_written(settings)).values()) == [1] * 160
        assert worker.run("dead-letters", "list") == ""
        assert outcomes["delayed"] > 0 and outcomes.total() - outcomes["answered"] - outcomes["delayed"] > 0


def test_photos_wait_for_a_server_that_dies_and_are_embedded_once_it_is_back(settings, kind, tmp_path):
    """Meanwhile words are searched as ever, and what needs the encoder says that it is away."""
    with serving(settings, tmp_path) as servers, worker_at(servers, kind, settings) as worker:
        photos = colour_folder(tmp_path / "photos", 5)
        worker.run("publish", str(photos))
        worker.until_findable(20)
        servers.kill()
        for seed in range(40):
            (photos / f"later-{seed}.png").write_bytes(colour_photo("green", 100 + seed))
        worker.run("publish", str(photos))
        until(lambda: worker.metric("sightline_encoder_circuit_open") == 1, what="an open circuit")
        status, problem = worker.send("POST", "/api/search/image?k=5", colour_photo("blue", 99))
        found = worker.names("/api/search?q=red&k=5")
        servers.start()
        worker.until_findable(60)

        assert (status, "does not answer" in problem["title"] + problem.get("detail", "")) == (503, True)
        assert all(name.startswith("red") for name in found)
        assert worker.metric("sightline_photos_embedded_total") == 60
        assert sorted(Counter(records_written(settings)).values()) == [1] * 60
        assert worker.metric("sightline_encoder_circuit_open") == 0
        assert worker.run("dead-letters", "list") == ""


def test_a_worker_refuses_a_server_with_another_model(settings, kind, tmp_path):
    """One line that names both models, and nothing is embedded."""
    with serving(settings, tmp_path, wrong_vision_id=1.0) as servers:
        # A server that does not answer in time is one that is away, for which a worker waits.
        chosen = replace(settings, encoder=servers.address(kind), encoder_timeout_seconds=60.0)
        command = [sys.executable, "-m", "stream_app.cli", "worker"]
        environment = os.environ | chosen.to_environment()
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

        assert ran.returncode == 2
        assert "has another model than the bundle; expected vision_id" in ran.stderr
        assert "Traceback" not in ran.stderr
