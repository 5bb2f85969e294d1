"""Requests over Kafka against the same over HTTP: how many a second, and how long one takes.

A worker on private services (or a real broker), with the tiny bundle unless another is named, and a folder of photos:

    python tests/benchmarks/bench_kafka_queries.py [PHOTOS] [--seconds 5] [--bundle tiny] [--broker URL]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from album_process import AlbumProcess, colour_folder

from models.bundle import build_tiny_bundle
from stream_app.kafka_client import KafkaQueries
from stream_app.local_services import LocalServices
from stream_app.settings import Settings

WORDS = ("red", "green", "blue", "red - blue", "yellow", "green blue")
CALLERS = 16
BULK = 1_000

Ask = Callable[[str], Awaitable[object]]


async def main() -> None:
    """Print one line for each way to ask."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("photos", nargs="?", type=Path)
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--bundle", default="tiny")
    arguments.add_argument("--broker", default="", help="kafka://host:port of a real broker")
    given = arguments.parse_args()
    own = uuid.uuid4().hex[:8]
    with (
        tempfile.TemporaryDirectory() as name,
        LocalServices(
            Settings(data_dir=Path(name), broker_url=given.broker, app_id=own, topic_prefix=f"{own}.")
        ) as settings,
    ):
        bundle = str(build_tiny_bundle(Path(name) / "tiny")) if given.bundle == "tiny" else given.bundle
        worker = AlbumProcess(replace(settings, bundle=bundle), "worker")
        try:
            worker.ready()
            photos = given.photos or colour_folder(Path(name) / "photos", 25)
            worker.run("publish", str(photos))
            worker.until_findable(sum(1 for each in photos.rglob("*.*") if each.is_file()))
            await compare(worker, given.seconds)
        finally:
            worker.stop()


async def compare(worker: AlbumProcess, seconds: float) -> None:
    """Each door with one caller, and with many; then a thousand requests in one message."""
    async with KafkaQueries(worker.settings) as queries, aiohttp.ClientSession() as session:

        async def over_http(words: str) -> None:
            async with session.get(f"{worker.url}/api/search", params={"q": words, "k": "20"}) as reply:
                await reply.read()

        async def over_kafka(words: str) -> None:
            await queries.exchange({"operation": "search", "request": {"q": words, "k": 20}})

        for name, ask in (("HTTP", over_http), ("Kafka", over_kafka)):
            for callers in (1, CALLERS):
                print(await measured(f"{name}, {callers} at a time", ask, callers, seconds))
        requests = [("search", {"q": WORDS[number % len(WORDS)], "k": 20}) for number in range(BULK)]
        begun, rounds = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds or not rounds:
            answers = await queries.ask_all(requests)
            assert len(answers) == BULK
            rounds += 1
        spent = time.perf_counter() - begun
        line = f"{rounds * BULK / spent:8,.0f} a second  {spent / rounds:6.2f} s a message"
        print(f"{'Kafka, 1,000 in a message':28} {line}")


async def measured(name: str, ask: Ask, callers: int, seconds: float) -> str:
    """Requests a second, and their middle and 99th percentile."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def call(first: int) -> None:
        number = first
        while (begun := time.perf_counter()) < end:
            await ask(WORDS[number % len(WORDS)])
            times.append(time.perf_counter() - begun)
            number += 1

    await ask("red")
    await asyncio.gather(*(call(each) for each in range(callers)))
    p50, p99 = np.percentile(times, [50, 99]) * 1000
    return f"{name:28} {len(times) / seconds:8,.0f} a second  p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"


if __name__ == "__main__":
    asyncio.run(main())
