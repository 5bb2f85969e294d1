"""What must outlive the embedded broker, whose log is in memory only: the newest record of each key, on disk.

`sightline up` runs a `LogKeeper` beside the worker and, at the next start, gives a fresh broker back what was
kept. Only compacted topics are kept: the newest record of each key is all that they promise.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from stream_app import kafka, topics
from stream_app.errors import SegmentCorrupt, ServiceUnavailable, SettingsError
from stream_app.settings import Settings
from stream_app.topics import TopicSpec

log = logging.getLogger(__name__)

KEPT_SECONDS_MAX = 15.0
_POLL_MS = 200
_RESTORED_TOGETHER = 1_000
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS newest (
    arrival INTEGER PRIMARY KEY, topic TEXT, partition INTEGER, key BLOB, value BLOB, UNIQUE (topic, partition, key)
);
CREATE TABLE IF NOT EXISTS progress (
    topic TEXT, partition INTEGER, log_id TEXT, next_offset INTEGER, PRIMARY KEY (topic, partition)
);
"""

Offsets = Mapping[TopicPartition, int]


def kept_path(settings: Settings) -> Path:
    """Where the records are kept."""
    return settings.data_dir / "log.sqlite"


class KeptLog:
    """The file itself: the newest record of each key, and up to which offset of which log it is complete.

    Raises SegmentCorrupt, naming the file, when it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            # Used by one task at a time, each in whatever thread it is given.
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.executescript(_SCHEMA)

    def keep(self, log_id: str, messages: Iterable[ConsumerRecord], next_offsets: Offsets) -> None:
        """Write messages and progress in one transaction; when it returns they survive a power cut."""
        with self._explained(), self._transaction():
            for each in messages:
                here = (each.topic, each.partition, each.key)
                self._database.execute("DELETE FROM newest WHERE (topic, partition, key) = (?, ?, ?)", here)
                if each.value is not None:
                    self._database.execute(
                        "INSERT INTO newest (topic, partition, key, value) VALUES (?, ?, ?, ?)",
                        (*here, each.value),
                    )
            self._database.executemany(
                "REPLACE INTO progress (topic, partition, log_id, next_offset) VALUES (?, ?, ?, ?)",
                [(here.topic, here.partition, log_id, offset) for here, offset in next_offsets.items()],
            )

    def records(self, topic: str) -> Iterator[tuple[int, bytes, bytes]]:
        """(partition, key, value) of every key, in the order in which they came."""
        with self._explained():
            yield from self._database.execute(
                "SELECT partition, key, value FROM newest WHERE topic = ? ORDER BY arrival", (topic,)
            )

    def next_offset(self, log_id: str, here: TopicPartition) -> int:
        """Up to, not including, which offset of this log everything is kept."""
        with self._explained():
            row = self._database.execute(
                "SELECT next_offset FROM progress WHERE topic = ? AND partition = ? AND log_id = ?",
                (here.topic, here.partition, log_id),
            ).fetchone()
        return row[0] if row else 0

    def partition_count(self, topic: str) -> int:
        """How many partitions the topic had when it was kept last; 0 when it never was."""
        with self._explained():
            (count,) = self._database.execute("SELECT count(*) FROM progress WHERE topic = ?", (topic,)).fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if not self._path.is_dir():
                raise  # a full disk or a lock, not a damaged file
            raise self._damaged("a folder") from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, received: str) -> SegmentCorrupt:
        return SegmentCorrupt(
            f"{self._path} is damaged",
            expected="a file that Sightline wrote",
            received=received,
            remedy="Move it away; published folders are embedded anew.",
        )


async def restore(settings: Settings, specs: Sequence[TopicSpec]) -> int:
    """Give a fresh broker what was kept of the topics, which exist and are empty; returns how many records.

    Raises SettingsError when the partition count changed since, and what `KeptLog` raises.
    """
    kept = [spec for spec in specs if spec.compacted]
    log_id = await topics.log_id(settings)
    with closing(KeptLog(kept_path(settings))) as file:
        ends = {here: 0 for here in _partitions(kept)}
        async with kafka.producer(settings) as producer:
            for spec in kept:
                _check_partition_count(spec, file.partition_count(spec.name))
                for message in await _sent_again(producer, spec.name, file):
                    ends[message.topic_partition] += 1
        file.keep(log_id, (), ends)
    return sum(ends.values())


async def _sent_again(producer: AIOKafkaProducer, topic: str, file: KeptLog) -> list[RecordMetadata]:
    """What the broker answered for every kept record of the topic."""
    confirmed: list[RecordMetadata] = []
    records = file.records(topic)
    while some := list(islice(records, _RESTORED_TOGETHER)):
        sent = [await producer.send(topic, value, key, partition) for partition, key, value in some]
        confirmed += await asyncio.gather(*sent)
    return confirmed


class LogKeeper:
    """Follows the compacted topics and keeps what comes, from where it stopped; `start`, then `stop`.

    A row of a table rests on the embedding it was made from. What is kept after a power cut may therefore never
    hold a changelog's record without the embedding that came before it: see `_ends`.
    """

    def __init__(self, settings: Settings, specs: Sequence[TopicSpec]) -> None:
        self._settings = settings
        self._kept = [spec for spec in specs if spec.compacted]
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; what was sent before is kept as well."""
        log_id = await topics.log_id(self._settings)
        file = KeptLog(kept_path(self._settings))
        self._task = asyncio.create_task(self._run(file, log_id))

    async def failed(self) -> None:
        """Raise what ended the keeping before its time; nothing must be taken for kept after that."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Return when everything that was confirmed before the call is kept."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self, file: KeptLog, log_id: str) -> None:
        with closing(file):
            while True:
                try:
                    return await self._follow(file, log_id)
                except (KafkaError, ServiceUnavailable, sqlite3.OperationalError) as error:
                    log.error("What the embedded broker holds cannot be kept just now: %s", error)
                    if self._stopping.is_set():
                        return
                    await asyncio.sleep(1)

    async def _follow(self, file: KeptLog, log_id: str) -> None:
        async with kafka.consumer(self._settings, max_partition_fetch_bytes=8 * 1024 * 1024) as consumer:
            here = _partitions(self._kept)
            consumer.assign(here)
            for each in here:
                consumer.seek(each, file.next_offset(log_id, each))
            ahead: list[ConsumerRecord] = []
            stopping = False
            while not stopping:
                stopping = self._stopping.is_set()
                ahead += await _more(consumer)
                if ahead or stopping:
                    ends = await self._ends(consumer)
                    while any([await consumer.position(each) < end for each, end in ends.items()]):
                        ahead += await _more(consumer)
                    ready = [each for each in ahead if each.offset < ends[_place(each)]]
                    ahead = [each for each in ahead if each.offset >= ends[_place(each)]]
                    await asyncio.to_thread(file.keep, log_id, ready, ends)

    async def _ends(self, consumer: AIOKafkaConsumer) -> Offsets:
        """Where to cut: the changelogs' ends are asked for first, so that no row is kept before its embedding."""
        changelogs = {topics.changelog_topic(self._settings, table) for table in topics.TABLES}
        here = _partitions(self._kept)
        rows = await consumer.end_offsets([each for each in here if each.topic in changelogs])
        rest = await consumer.end_offsets([each for each in here if each.topic not in changelogs])
        return rows | rest


def holds(path: Path, topic: str, partition: int, offset: int) -> bool:
    """Whether that record of the running broker is kept; for another process than the one that keeps."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute(
                "SELECT next_offset FROM progress WHERE topic = ? AND partition = ?", (topic, partition)
            ).fetchone()
    except sqlite3.OperationalError:
        return False
    return row is not None and row[0] > offset


async def until_kept(settings: Settings, topic: str, partition: int, offset: int) -> None:
    """Return when that record survives the end of the embedded broker; raises ServiceUnavailable after a while."""
    deadline = time.monotonic() + KEPT_SECONDS_MAX
    while not await asyncio.to_thread(holds, kept_path(settings), topic, partition, offset):
        if time.monotonic() > deadline:
            raise ServiceUnavailable(
                "It is done, but not yet safe on this machine's disk",
                expected=f"`sightline up` to keep it within {KEPT_SECONDS_MAX:.0f} s",
                received=f"{kept_path(settings)} without it",
                remedy="Is the disk full?",
            )
        await asyncio.sleep(0.02)


async def _more(consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    batches = await consumer.getmany(timeout_ms=_POLL_MS)
    return [each for batch in batches.values() for each in batch]


def _place(message: ConsumerRecord) -> TopicPartition:
    return TopicPartition(message.topic, message.partition)


def _partitions(specs: Iterable[TopicSpec]) -> list[TopicPartition]:
    return [TopicPartition(spec.name, each) for spec in specs for each in range(spec.partitions)]


def _check_partition_count(spec: TopicSpec, received: int) -> None:
    if received not in (0, spec.partitions):
        raise SettingsError(
            "The album was made with another number of partitions",
            expected=f"SIGHTLINE_PARTITION_COUNT={received}, as it was then",
            received=str(spec.partitions),
            remedy="Set it back, or begin anew with another SIGHTLINE_DATA_DIR.",
        )
