"""How soon a gallery shows what was sent to it, while the same worker embeds photos.

    python tests/benchmarks/bench_collection_freshness.py [SECONDS] [PHOTOS]

One worker in this process, with the default bundle, its encoder in a child; on private services, or on those of
SIGHTLINE_BROKER_URL and SIGHTLINE_REDIS_URL. Another process sends 20 `gallery.photo_added` a second for SECONDS (60)
each: first while nothing else happens, then behind PHOTOS (20,000) uploads that are sent at once, so that thousands of
them wait. An event's time runs from the moment before it is sent until the worker's own event loop, which is asked
every 2 ms, is told of the photo.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from album_process import colour_folder  # noqa: E402  (the project must be on the path first)

import stream_app.app as joins  # noqa: E402
from models.manifest import read_manifest  # noqa: E402
from models.space import Space  # noqa: E402
from stream_app import kafka, topics  # noqa: E402
from stream_app.activity import PhotoUploaded, event_to_json  # noqa: E402
from stream_app.collection_events import PhotoEntered, collection_event_to_json, collection_key  # noqa: E402
from stream_app.encoders import make_encoder  # noqa: E402
from stream_app.errors import CollectionNotFound, ServiceUnavailable  # noqa: E402
from stream_app.live_collections import LiveCollections  # noqa: E402
from stream_app.local_services import LocalServices, free_port  # noqa: E402
from stream_app.metrics import PHOTOS_EMBEDDED  # noqa: E402
from stream_app.roots import publish_root  # noqa: E402
from stream_app.sending import activity_sender  # noqa: E402
from stream_app.settings import Settings  # noqa: E402
from stream_app.worker import bundle_dir  # noqa: E402

GALLERIES = 16
EVENTS_PER_SECOND = 20
ASKED_SECONDS = 0.002
FILES_PER_COLOUR = 64


def main(seconds: float = 60.0, photos: int = 20_000) -> None:
    """Run both stories and print their figures."""
    with tempfile.TemporaryDirectory() as folder, _services(Path(folder)) as settings:
        asyncio.run(_measure(settings, colour_folder(Path(folder) / "photos", FILES_PER_COLOUR), seconds, photos))


@contextmanager
def _services(folder: Path) -> Iterator[Settings]:
    own = uuid.uuid4().hex[:8]
    given = Settings.from_environment(
        data_dir=folder / "data", web_port=free_port(), app_id=own, topic_prefix=f"{own}."
    )
    given.data_dir.mkdir()
    with LocalServices(given) as settings:
        yield replace(settings, embedded_broker=not given.broker_url)


async def _measure(settings: Settings, photos_dir: Path, seconds: float, photos: int) -> None:
    publish_root(settings, photos_dir)
    bundle = bundle_dir(settings)
    await topics.create_topics(settings, topics.topic_specs(settings, read_manifest(bundle).vision_id))
    rooms: list[LiveCollections] = []
    join = joins.join_collections
    joins.join_collections = lambda *given: rooms.append(join(*given)) or rooms[-1]  # type: ignore[func-returns-value]
    app = joins.create_app(settings, Space.load(bundle), make_encoder(settings, bundle), await topics.log_id(settings))
    await app.start()
    try:
        await asyncio.sleep(5)
        await _story("nothing else happens", rooms[0], settings, seconds)
        await _send_uploads(settings, sorted(photos_dir.iterdir()), photos)
        await asyncio.sleep(2)
        before = _embedded()
        await _story("photos are embedded", rooms[0], settings, seconds)
        print(f"{(_embedded() - before) / seconds:.0f} photos embedded a second meanwhile, of {photos:,} sent before")
    finally:
        await app.stop()


async def _story(name: str, room: LiveCollections, settings: Settings, seconds: float) -> None:
    """Send and look until all that was sent is seen."""
    count = int(seconds * EVENTS_PER_SECOND)
    sender = multiprocessing.get_context("spawn").Process(target=_send_additions, args=(settings, count), daemon=True)
    seen = {photo_id for gallery_id in range(GALLERIES) for photo_id in _members(room, gallery_id)}
    versions: dict[int, int] = {}
    took_ms: list[float] = []
    sender.start()
    deadline = time.monotonic() + 3 * seconds + 60
    while len(took_ms) < count and time.monotonic() < deadline:
        for gallery_id in range(GALLERIES):
            version = room._room.tables["gallery"].version_of(gallery_id)
            if version != versions.get(gallery_id):
                versions[gallery_id] = version
                new = set(_members(room, gallery_id)) - seen
                took_ms += [(_now_us() - photo_id) / 1000 for photo_id in new]
                seen |= new
        await asyncio.sleep(ASKED_SECONDS)
    await asyncio.to_thread(sender.join)
    p50, p99, most = np.percentile(took_ms, [50, 99, 100])
    print(f"{name}: {len(took_ms):,} of {count:,} events, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms")


def _members(room: LiveCollections, gallery_id: int) -> tuple[int, ...]:
    try:
        return room.gallery(gallery_id).photo_ids
    except (CollectionNotFound, ServiceUnavailable):
        return ()


def _send_additions(settings: Settings, count: int) -> None:
    asyncio.run(_send(settings, count))


async def _send(settings: Settings, count: int) -> None:
    """Photos whose ids are the moments at which they were sent."""
    topic = topics.collections_topic(settings)
    async with kafka.producer(settings) as producer:
        await producer.partitions_for(topic)
        begun = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number / EVENTS_PER_SECOND - time.monotonic()))
            event = PhotoEntered("gallery", number % GALLERIES, None, _now_us())
            await producer.send(topic, collection_event_to_json(event), collection_key(event.collection_id))


async def _send_uploads(settings: Settings, files: list[Path], count: int) -> None:
    async with activity_sender(settings) as sender:
        for photo_id in range(count):
            event = PhotoUploaded(photo_id, None, files[photo_id % len(files)].as_uri())
            await sender.send(photo_id, event_to_json(event))
        await sender.confirmed()


def _now_us() -> int:
    return time.monotonic_ns() // 1_000


def _embedded() -> float:
    return float(PHOTOS_EMBEDDED._value.get())


if __name__ == "__main__":
    arguments: list[Any] = [float(sys.argv[1])] if len(sys.argv) > 1 else []
    main(*arguments, *(int(each) for each in sys.argv[2:3]))
