"""How soon the suggestions for a gallery follow an event of `collection-activity`, while the worker embeds photos.

    python tests/benchmarks/bench_collection_freshness.py [SECONDS] [PHOTOS]

A real worker in a process of its own with the default bundle: `sightline up` and its private services, or one worker on
those of SIGHTLINE_BROKER_URL and SIGHTLINE_REDIS_URL. Eight galleries, each given a findable photo and asked over HTTP
for its suggestions, every 20 ms, until these stand on one member more; then it is given the next one, for SECONDS (60):
first while nothing else happens, then behind PHOTOS (20,000) uploads sent at once, so that thousands of them wait. An
event's time runs from the moment before it is sent to the moment when the answer is here.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from album_process import AlbumProcess, colour_folder  # noqa: E402  (the project must be on the path first)

from stream_app import kafka, topics  # noqa: E402
from stream_app.activity import PhotoUploaded, event_to_json  # noqa: E402
from stream_app.collection_events import PhotoEntered, collection_event_to_json, collection_key  # noqa: E402
from stream_app.running import with_running_services  # noqa: E402
from stream_app.sending import activity_sender  # noqa: E402
from stream_app.settings import Settings  # noqa: E402
from stream_app.worker import bundle_dir  # noqa: E402

GALLERIES = 8
FINDABLE = 256
ASKED_SECONDS = 0.02
PAUSE_SECONDS_MAX = 0.5
LOST_SECONDS = 60.0


def main(seconds: float = 60.0, photos: int = 20_000) -> None:
    """Run both stories and print their figures."""
    own = uuid.uuid4().hex[:8]
    with tempfile.TemporaryDirectory() as folder:
        files = colour_folder(Path(folder) / "photos", FINDABLE // 4)
        settings = Settings.from_environment(
            data_dir=Path(folder) / "data", photo_roots=str(files), app_id=own, topic_prefix=f"{own}."
        )
        bundle_dir(settings)  # made now, not while somebody waits for the worker
        album = AlbumProcess(settings, *(["worker"] if settings.broker_url else ["up"]))
        try:
            album.ready()
            running = with_running_services(settings)
            asyncio.run(_measure(album, running, sorted(files.iterdir()), seconds, photos))
        finally:
            album.stop()


async def _measure(album: AlbumProcess, settings: Settings, files: list[Path], seconds: float, photos: int) -> None:
    await _upload(settings, files, range(FINDABLE))
    await asyncio.to_thread(album.until_findable, FINDABLE)
    # What a worker does once, at the first suggestions of its life, is not what is measured.
    await asyncio.to_thread(album.send, "POST", "/api/suggestions", b'{"photo_ids": ["0"]}', "application/json")
    galleries = itertools.count(1)
    await _story("nothing else happens", album, settings, galleries, seconds)
    await _upload(settings, files, range(FINDABLE, FINDABLE + photos))
    before, begun = album.photo_count(), time.monotonic()
    await _story("photos are embedded", album, settings, galleries, seconds)
    rate = (album.photo_count() - before) / (time.monotonic() - begun)
    print(f"{rate:.0f} photos became findable a second meanwhile, of {photos:,} sent before")


async def _story(name: str, album: AlbumProcess, settings: Settings, galleries: Iterator[int], seconds: float) -> None:
    """Fill new galleries, one photo after the other, until the time is over."""
    async with kafka.producer(settings) as producer, aiohttp.ClientSession(album.url) as web:
        until = time.monotonic() + seconds
        new = itertools.islice(galleries, GALLERIES)
        filled = [_fill(gallery_id, producer, web, settings, until) for gallery_id in new]
        took_ms = [each for times in await asyncio.gather(*filled) for each in times]
    p50, p99, most = np.percentile(took_ms, [50, 99, 100])
    print(f"{name}: {len(took_ms):,} events, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms", flush=True)


async def _fill(
    gallery_id: int, producer: kafka.AIOKafkaProducer, web: aiohttp.ClientSession, settings: Settings, until: float
) -> list[float]:
    took_ms = []
    for photo_id in random.Random(gallery_id).sample(range(FINDABLE), FINDABLE):
        if time.monotonic() > until:
            break
        await asyncio.sleep(random.uniform(0, PAUSE_SECONDS_MAX))
        began = time.monotonic()
        event = PhotoEntered("gallery", gallery_id, None, photo_id)
        topic = topics.collections_topic(settings)
        await producer.send(topic, collection_event_to_json(event), collection_key(gallery_id))
        while await _members(web, gallery_id) <= len(took_ms):
            assert time.monotonic() < began + LOST_SECONDS, f"gallery {gallery_id} never got photo {photo_id}"
            await asyncio.sleep(ASKED_SECONDS)
        took_ms.append((time.monotonic() - began) * 1000)
    return took_ms


async def _members(web: aiohttp.ClientSession, gallery_id: int) -> int:
    """How many members the suggestions stand on."""
    async with web.get(f"/api/galleries/{gallery_id}/suggestions?k=10") as reply:
        answer = await reply.json()
        return int(answer["members"]) if reply.status == 200 else 0


async def _upload(settings: Settings, files: list[Path], photo_ids: range) -> None:
    async with activity_sender(settings) as sender:
        for photo_id in photo_ids:
            event = PhotoUploaded(photo_id, None, files[photo_id % len(files)].as_uri())
            await sender.send(photo_id, event_to_json(event))
        await sender.confirmed()


if __name__ == "__main__":
    main(*(float(each) for each in sys.argv[1:2]), *(int(each) for each in sys.argv[2:3]))
