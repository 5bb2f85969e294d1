"""Building the shards of partitions anew from the embeddings topic: beside the old ones, then in their place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka.errors import KafkaError

from models.space import Space
from stream_app import kafka
from stream_app.embedding_log import EmbeddingReader
from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.index import files
from stream_app.index.buckets import RedisBuckets
from stream_app.index.folder import LOCK, locked
from stream_app.index.inspection import Say
from stream_app.index.lsh import Hyperplanes
from stream_app.live_index import LiveIndex
from stream_app.settings import Settings
from stream_app.topics import embeddings_topic, log_id

#: Below the data folder, so that what was built there can be moved into its place in one step.
BESIDE = "index-rebuilt"
POLL_SECONDS = 0.2
STALL_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Rebuilt:
    """A partition that was built anew."""

    partition: int
    photos: int
    next_offset: int


async def rebuild(settings: Settings, space: Space, partitions: Sequence[int], say: Say) -> list[Rebuilt]:
    """Replay the embeddings topic into new folders of `partitions`, and put them where the old ones are.

    Whatever fails before, the old folders stay. Raises ServiceUnavailable when a worker owns one or the broker does
    not answer, and SettingsError as `check` does and where no worker of this vision model ever ran.
    """
    check(settings, partitions)
    topic = embeddings_topic(settings, space.vision_id)
    places = {each: settings.data_dir / "index" / space.space_id / str(each) for each in partitions}
    with _owned(list(places.values())), _beside(settings) as scratch:
        async with aclosing(kafka.read_topic(settings, topic)) as records:
            await anext(records, None)  # raises where there is no such topic: reading a partition would make it
        built = await _replayed(replace(settings, data_dir=scratch), space, topic, partitions, say)
        for partition, place in places.items():
            await asyncio.to_thread(_swap, scratch / "index" / space.space_id / str(partition), place)
    return built


async def _replayed(settings: Settings, space: Space, topic: str, partitions: Sequence[int], say: Say) -> list[Rebuilt]:
    reader = EmbeddingReader(topic, settings)
    # A replay fills shards; what is in Redis stays as it is.
    buckets = RedisBuckets(None, space_id=space.space_id, planes=Hyperplanes(space.search_dimensions))
    index = LiveIndex(settings, space, reader, buckets)
    try:
        end = sum([await reader.end_offset(each) for each in partitions])
        opening = asyncio.ensure_future(index.open(partitions, await log_id(settings)))
        try:
            await _until(opening, index, end, say)
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        states = index.describe()
        say("Writing segments", 0.95)
    except KafkaError as error:
        raise kafka.no_answer(settings, error) from error
    finally:
        await index.close()
    return [
        Rebuilt(each, int(states[str(each)]["photos"]), int(states[str(each)]["next_offset"])) for each in partitions
    ]


async def _until(opening: asyncio.Future[None], index: LiveIndex, end: int, say: Say) -> None:
    """Wait for a replay; raises ServiceUnavailable when it stands still: a reader waits for a lost broker for ever."""
    done, since = -1, time.monotonic()
    while not opening.done():
        await asyncio.wait([opening], timeout=POLL_SECONDS)
        now = sum(int(each["next_offset"]) for each in index.describe().values())
        if now != done:
            done, since = now, time.monotonic()
        elif time.monotonic() > since + STALL_SECONDS_MAX:
            raise ServiceUnavailable(
                "The replay stands still",
                received=f"{done:,} of {end:,} offsets, and no more for {STALL_SECONDS_MAX:.0f} s",
                remedy="Look at the broker, and repeat this; the old index is as it was.",
            )
        say(f"Replaying {end:,} offsets", 0.9 * done / max(1, end))
    await opening


def check(settings: Settings, partitions: Sequence[int]) -> None:
    """Raises SettingsError where there is no data folder, or for a partition that cannot be."""
    if not settings.data_dir.is_dir():
        raise SettingsError(
            "There is no data folder",
            expected="the folder of a worker that ran before",
            received=str(settings.data_dir),
            remedy="Set SIGHTLINE_DATA_DIR.",
        )
    for each in partitions:
        if each not in range(settings.partition_count):
            raise SettingsError(
                "There is no such partition",
                expected=f"0 to {settings.partition_count - 1}",
                received=str(each),
                remedy="SIGHTLINE_PARTITION_COUNT says how many there are.",
            )


@contextmanager
def _owned(places: Sequence[Path]) -> Iterator[None]:
    """Own the old folders, so that no worker begins to use what is about to go."""
    with ExitStack() as held:
        for each in places:
            if each.is_dir():
                held.enter_context(locked(each / LOCK))
        yield


@contextmanager
def _beside(settings: Settings) -> Iterator[Path]:
    """An empty folder to build in, one at a time; it is gone afterwards."""
    scratch = settings.data_dir / BESIDE
    try:
        scratch.mkdir(exist_ok=True)
        with locked(scratch / LOCK):
            files.remove(scratch / "index")
            try:
                yield scratch
            finally:
                files.remove(scratch)
    except OSError as error:
        raise ServiceUnavailable(
            f"{settings.data_dir} cannot be written",
            received=error.strerror or str(error),
            remedy="The old index is as it was.",
        ) from error


def _swap(built: Path, place: Path) -> None:
    """Put what was built where the old folder is. A crash in between leaves none: a worker then replays the log."""
    former = place.with_name(f"{place.name}.former")
    files.remove(former)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        files.publish(place, former)
    try:
        files.publish(built, place)
    except OSError:
        if former.exists() and not place.exists():
            files.publish(former, place)
        raise
    files.remove(former)
