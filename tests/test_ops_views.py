"""What operators are told over HTTP: live events, and the dead letters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from web_client import problem_of

from stream_app.dead_letters import DeadLetter
from stream_app.errors import EventRejected
from stream_app.observations import Observations
from stream_app.settings import Settings
from stream_app.watch import WorkerCard
from stream_app.web import application_options
from stream_app.web.ops_views import LISTENERS_MAX, attach_ops

LETTER = DeadLetter(
    reason="<img src=x onerror=alert(1)>",
    stage="decode",
    topic="photo-activity",
    partition=1,
    offset=5,
    time_ms=1_795_472_160_000,
    key=b"7",
    value=b"\xff no text",
    place="1-0",
)
TOO_LARGE = replace(LETTER, reason="too large", value=None, key=None, place="1-1")


class MemoryWatch:
    """A worker that sees what the test tells it, and keeps its letters in a list."""

    def __init__(self) -> None:
        self.card = WorkerCard("here:1", "f00d", 1, "0", "space", "vision", "tiny", "local", 4, 256, 0.95)
        self.observations = Observations(5)
        self.letters = [LETTER, TOO_LARGE]
        self.running = False

    async def run(self) -> None:
        self.running = True
        await asyncio.Event().wait()

    async def dead_letters(self) -> list[DeadLetter]:
        return self.letters

    async def replay(self, place: str) -> DeadLetter | None:
        letter = next((each for each in self.letters if each.place == place), None)
        if letter is not None and letter.value is None:
            raise EventRejected("The dead letter cannot be replayed", remedy="Send it anew.")
        self.letters = [each for each in self.letters if each.place != place]
        return letter

    def see(self, count: float) -> None:
        """One more observation."""
        self.observations.add(int(count), {"index.photos": count}, {"ready": True})


@pytest.fixture
def watch() -> MemoryWatch:
    """A worker that has seen three things of itself."""
    watch = MemoryWatch()
    for count in (1, 2, 3):
        watch.see(count)
    return watch


@asynccontextmanager
async def serving_ops(watch: MemoryWatch, data_dir: Path) -> AsyncIterator[TestClient]:
    """A client of a real server, behind the same doors as the worker's."""
    web_app = web.Application(**application_options(Settings.from_environment({}, data_dir=data_dir)))
    attach_ops(web_app, watch)
    async with TestClient(TestServer(web_app)) as client:
        yield client


@pytest.fixture
async def client(watch: MemoryWatch, tmp_path: Path) -> AsyncIterator[TestClient]:
    """A client of a running server."""
    async with serving_ops(watch, tmp_path) as client:
        yield client


async def event_of(stream: ClientResponse) -> tuple[str, Any]:
    """The name and the data of the next event; comments and times to wait are passed over."""
    name = ""
    while line := (await stream.content.readline()).decode():
        if line.startswith("event: "):
            name = line[7:].strip()
        elif line.startswith("data: "):
            return name, json.loads(line[6:])
    return "", None


async def events_of(stream: ClientResponse, count: int) -> list[tuple[str, Any]]:
    return [await event_of(stream) for _ in range(count)]


class TestEvents:
    async def test_a_listener_is_told_the_worker_the_past_and_then_what_comes(self, client, watch) -> None:
        """In this order, so that a plot is full before it grows."""
        async with client.get("/api/ops/events") as stream:
            worker, history, last = await events_of(stream, 3)
            watch.see(4)
            coming = await event_of(stream)

        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        assert worker == ("worker", watch.card.to_json())
        assert history[1] == {"continues": False, "times_ms": [1, 2, 3], "columns": {"index.photos": [1, 2, 3]}}
        assert (last[0], last[1]["sequence"]) == ("observation", 3)
        assert (coming[0], coming[1]["numbers"]) == ("observation", {"index.photos": 4})

    async def test_a_listener_that_comes_back_gets_what_it_missed(self, client) -> None:
        """The browser says itself what it heard last."""
        async with client.get("/api/ops/events", headers={"Last-Event-ID": "f00d.2"}) as stream:
            _, history, last = await events_of(stream, 3)

        assert history[1] == {"continues": True, "times_ms": [3], "columns": {"index.photos": [3]}}
        assert last[1]["sequence"] == 3

    @pytest.mark.parametrize(
        "last_id", ["beef.2", "f00d.x", "f00d", "", "f00d.-1", "f00d." + "9" * 400, "\u00b2.\u00b2"]
    )
    async def test_what_another_start_said_counts_for_nothing(self, client, last_id: str) -> None:
        """Neither does nonsense: the whole past is told."""
        async with client.get("/api/ops/events", headers={"Last-Event-ID": last_id}) as stream:
            _, history = await events_of(stream, 2)

        assert history[1]["times_ms"] == [1, 2, 3] and not history[1]["continues"]

    async def test_a_stream_has_the_headers_of_every_reply(self, client) -> None:
        """It is prepared before the doors see it again; and nothing keeps it."""
        async with client.get("/api/ops/events") as stream:
            assert "default-src 'self'" in stream.headers["Content-Security-Policy"]
            assert stream.headers["X-Content-Type-Options"] == "nosniff"
            assert stream.headers["Cache-Control"] == "no-store"

    async def test_there_are_only_so_many_listeners(self, client, watch) -> None:
        """One more is refused with a reason; one that leaves makes place."""
        streams = [await client.get("/api/ops/events") for _ in range(LISTENERS_MAX)]
        problem = await problem_of(await client.get("/api/ops/events"), 503)
        assert "too many" in problem["detail"]

        streams.pop().close()
        while (reply := await client.get("/api/ops/events")).status != 200:
            watch.see(1)  # a listener that has gone is noticed when it is told something
            await asyncio.sleep(0.01)

        assert (await event_of(reply))[0] == "worker"

    async def test_the_end_of_the_server_is_the_end_of_the_stream(self, watch, tmp_path: Path) -> None:
        """Without waiting for the page: the server would otherwise be given a minute for it."""
        async with serving_ops(watch, tmp_path) as client:
            stream = await client.get("/api/ops/events")
            await events_of(stream, 3)
            assert watch.running
            async with asyncio.timeout(30):
                await client.server.close()
            assert await event_of(stream) == ("", None)

    async def test_a_worker_that_has_not_looked_at_itself_yet_says_nothing_wrong(self, tmp_path: Path) -> None:
        """An empty past, and null for now."""
        watch = MemoryWatch()
        async with serving_ops(watch, tmp_path) as client:
            now = await (await client.get("/api/ops")).json()
            async with client.get("/api/ops/events") as stream:
                _, history = await events_of(stream, 2)

        assert (now["observation"], now["worker"]["name"]) == (None, "here:1")
        assert history[1] == {"continues": False, "times_ms": [], "columns": {}}

    async def test_what_is_now_can_be_asked_for_once(self, client) -> None:
        """For programs."""
        now = await (await client.get("/api/ops")).json()

        assert (now["observation"]["sequence"], now["observation"]["numbers"]) == (3, {"index.photos": 3})


class TestDeadLetters:
    async def test_letters_come_newest_first_as_text(self, client) -> None:
        """Whatever bytes they are of; and whether they can be replayed."""
        found = await (await client.get("/api/ops/dead-letters")).json()

        assert found["count"] == 2
        assert [each["reason"] for each in found["dead_letters"]] == ["too large", "<img src=x onerror=alert(1)>"]
        assert [each["replayable"] for each in found["dead_letters"]] == [False, True]
        assert (found["dead_letters"][1]["value"], found["dead_letters"][1]["value_bytes"]) == ("\ufffd no text", 9)

    async def test_a_letter_is_replayed_once(self, client, watch) -> None:
        """The second operator is told that it is gone."""
        replayed = await client.post("/api/ops/dead-letters/1-0/replay")
        assert (replayed.status, (await replayed.json())["replayed"]["place"]) == (202, "1-0")

        problem = await problem_of(await client.post("/api/ops/dead-letters/1-0/replay"), 404)
        assert "no such dead letter" in problem["detail"]
        assert watch.letters == [TOO_LARGE]

    async def test_a_letter_that_cannot_be_replayed_says_why(self, client) -> None:
        """And stays."""
        assert (
            "cannot be replayed"
            in (await problem_of(await client.post("/api/ops/dead-letters/1-1/replay"), 400))["detail"]
        )

    @pytest.mark.parametrize("place", ["x", "1-", "-1", "1-0x", "9" * 60 + "-1", "1-0%0a"])
    async def test_what_is_no_place_is_no_letter(self, client, place: str) -> None:
        """Nobody is asked for it."""
        await problem_of(await client.post(f"/api/ops/dead-letters/{place}/replay"), 404)

    async def test_another_sites_page_replays_nothing(self, client, watch) -> None:
        """The same doors as for uploads; and a link does not replay either."""
        foreign = {"Origin": "https://evil.example"}
        await problem_of(await client.post("/api/ops/dead-letters/1-0/replay", headers=foreign), 403)
        await problem_of(await client.post("/api/ops/dead-letters/1-0/replay", headers={"Host": "evil.example"}), 421)
        await problem_of(await client.get("/api/ops/dead-letters/1-0/replay"), 405)

        assert LETTER in watch.letters
