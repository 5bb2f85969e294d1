"""Sending a folder of photos, or a file of events, to the activity topics; to repeat it does no harm.

Whatever a folder holds is sent each time, also what has not changed: the event carries the time of the file, so
it is old news to whoever knows it, and it fills again whatever was lost in between.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stream_app.activity import Event, PhotoDeleted, PhotoUploaded, event_key, event_to_json, parse_event
from stream_app.collection_events import CollectionEvent, parse_collection_event
from stream_app.errors import EventRejected, ServiceUnavailable, SettingsError
from stream_app.folders import FolderScan, PhotoFile, event_time_ms, require_photos, scan_folder, watch_folder
from stream_app.roots import publish_root
from stream_app.sending import ActivitySender, activity_sender
from stream_app.sent_photos import SentPhoto, SentPhotos, read_photo
from stream_app.settings import Settings

EVENT_SUFFIXES = (".jsonl", ".ndjson")
#: How the types of those events begin that go to `collection-activity`.
COLLECTION_TYPES = ("gallery.", "quest.")
_READ_TOGETHER = 32
_WORDS_MAX = 20


@dataclass(frozen=True)
class PublishReport:
    """How many photos of a folder were sent, how many of these were unchanged, deletions, and files left out."""

    sent: int = 0
    unchanged: int = 0
    deleted: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return (
            f"{self.sent:,} sent ({self.unchanged:,} of them as before),"
            f" {self.deleted:,} deleted, {self.skipped:,} left out"
        )

    def __add__(self, other: PublishReport) -> PublishReport:
        return PublishReport(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class EventsReport:
    """How many events of a file were sent, by their types: one that deletes a user deletes any number of photos."""

    sent: Mapping[str, int]

    def __str__(self) -> str:
        count = sum(self.sent.values())
        kinds = ", ".join(f"{self.sent[kind]:,} {kind}" for kind in sorted(self.sent))
        return f"{count:,} {'event' if count == 1 else 'events'} sent: {kinds}"


async def publish(
    settings: Settings, source: Path, *, watch: bool = False, progress: bool = True
) -> PublishReport | EventsReport:
    """Send what `source`, a folder or a JSONL file, holds; with `watch` follow the folder until cancelled.

    Returns when the broker has all of it. Raises SettingsError when there is nothing that can be sent,
    EventRejected when a line is no event (and then nothing was sent), and ServiceUnavailable.
    """
    source = source.expanduser()
    if source.is_file():
        return await _publish_events(settings, _require_events(source, watch), progress)
    root = await asyncio.to_thread(require_photos, source)
    publish_root(settings, root)
    folder = _Folder(settings, root)
    async with activity_sender(settings) as sender:
        if watch:
            return await folder.follow(sender, progress)
        return await folder.publish(sender, progress)


class _Folder:
    """One published folder, and what is remembered of it."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._root = root
        self._identity = _identity(root)
        self._memory = SentPhotos.of(settings, root)
        self._sent = self._memory.load()
        self._console = Console(stderr=True, highlight=False)
        self._said: set[str] = set()

    async def follow(self, sender: ActivitySender, progress: bool) -> PublishReport:
        """Send everything once, then what is new, until cancelled; a broker that is away is waited for."""
        report, begun = PublishReport(), False
        async for _ in watch_folder(self._root):
            try:
                news = await self.publish(sender, progress and not begun, only_news=begun)
                report += news
                if not begun:
                    self._console.print(f"Following {self._root}: new, changed and vanished photos", markup=False)
                elif news != PublishReport():
                    self._console.print(f"{self._root.name}: {news}", markup=False)
                begun = True
            except ServiceUnavailable as error:
                if not begun:
                    raise
                self._say([str(error)])
        return report

    async def publish(self, sender: ActivitySender, progress: bool, *, only_news: bool = False) -> PublishReport:
        """One pass over the folder."""
        scan = await asyncio.to_thread(scan_folder, self._root)
        if _identity(self._root) != self._identity:
            self._say([f"{self._root} is not there now; nothing is deleted"])
            return PublishReport()
        self._say(scan.left_out)
        due = [each for each in scan.photos if not (only_news and self._is_known(each))]
        vanished = self._vanished(scan)
        if not due and not vanished:
            return PublishReport()
        # Remembered before it is sent: what vanishes after a crash half-way must be noticed, too.
        self._memory.save({each.photo_id: SentPhoto(0, 0, "", 0) for each in due} | self._sent)
        report = await self._send_photos(due, sender, progress)
        for photo_id in vanished:
            time_ms = max(_now_ms(), self._sent[photo_id].time_ms)
            await sender.send(photo_id, event_to_json(PhotoDeleted(photo_id, time_ms)))
        await sender.confirmed()
        self._sent = {photo_id: sent for photo_id, sent in self._sent.items() if photo_id not in vanished}
        self._memory.save(self._sent)
        return report + PublishReport(deleted=len(vanished), skipped=len(scan.left_out))

    async def _send_photos(self, due: Sequence[PhotoFile], sender: ActivitySender, progress: bool) -> PublishReport:
        """Reads some files at a time, in threads, while the broker confirms those before them."""
        report = PublishReport()
        sent: dict[int, SentPhoto] = {}
        with _bar(self._console, "Publishing", len(due), progress) as delivered:
            for begin in range(0, len(due), _READ_TOGETHER):
                files = due[begin : begin + _READ_TOGETHER]
                read = await asyncio.gather(*(asyncio.to_thread(_read, each) for each in files))
                for file, now in zip(files, read, strict=True):
                    if isinstance(now, OSError):
                        self._say([f"{file.path}: {now.strerror}"])
                        report += PublishReport(skipped=1)
                        continue
                    await sender.send(file.photo_id, _upload(file, now), delivered)
                    report += PublishReport(sent=1, unchanged=_is_same(self._sent.get(file.photo_id), now))
                    sent[file.photo_id] = now
            await sender.confirmed()
        self._sent |= sent
        return report

    def _is_known(self, file: PhotoFile) -> bool:
        sent = self._sent.get(file.photo_id)
        return sent is not None and sent.is_still(file)

    def _vanished(self, scan: FolderScan) -> set[int]:
        """The photos to delete; none when a part of the folder could not be seen."""
        if not scan.complete:
            return set()
        gone = self._sent.keys() - scan.present_ids
        return gone - self._memory.ids_elsewhere() if gone else set()

    def _say(self, words: Sequence[str]) -> None:
        """Print what was not said before."""
        new = [each for each in words if each not in self._said]
        self._said.update(new)
        for each in new[:_WORDS_MAX]:
            self._console.print(f"left out: {each}", markup=False, soft_wrap=True)
        if len(new) > _WORDS_MAX:
            self._console.print(f"left out: {len(new) - _WORDS_MAX:,} more")


async def _publish_events(settings: Settings, source: Path, progress: bool) -> EventsReport:
    """All lines are looked at before the first is sent: a file is sent whole or not at all."""
    count = await asyncio.to_thread(_check_events, source)
    time_ms = event_time_ms(source.stat(), _now_ms())
    kinds = Counter[str]()
    async with activity_sender(settings) as sender:
        with _bar(Console(stderr=True), "Publishing", count, progress) as delivered:
            for _, line in _lines(source):
                event = _parse(line)
                value = line if event.time_ms is not None else _dated(line, time_ms)
                kinds[orjson.loads(line)["type"]] += 1
                if isinstance(event, CollectionEvent):
                    await sender.send_collection(event.collection_id, value, delivered)
                else:
                    await sender.send(event_key(event), value, delivered)
            await sender.confirmed()
    return EventsReport(kinds)


def _require_events(source: Path, watch: bool) -> Path:
    if source.suffix.lower() not in EVENT_SUFFIXES:
        raise SettingsError(
            f"{source.name} cannot be published",
            expected="a folder of photos, or a file of events, one JSON object on each line, called *.jsonl",
            received=str(source),
            remedy="To publish one photo, name the folder that it lies in.",
        )
    if watch:
        raise SettingsError("Only a folder can be followed", expected="--watch DIR", received=str(source))
    return source


def _check_events(source: Path) -> int:
    """How many events the file holds; raises EventRejected, with the number of the line, and SettingsError."""
    count, bad, first = 0, 0, None
    for number, line in _lines(source):
        try:
            _parse(line)
        except EventRejected as error:
            bad, first = bad + 1, first or (number, error)
        count += 1
    if first:
        number, rejected = first
        others = f" (and {bad - 1:,} more)" if bad > 1 else ""
        raise EventRejected(
            f"{source.name}, line {number}{others}: {rejected.problem}",
            expected=rejected.expected,
            received=rejected.received,
            remedy=f"{rejected.remedy or ''} Nothing was sent.".strip(),
        )
    if not count:
        raise SettingsError(f"{source} holds no events", expected="one JSON object on each line")
    return count


def _parse(line: bytes) -> Event | CollectionEvent:
    """An event of either topic: its type says which. Raises EventRejected."""
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError:
        return parse_event(line)  # which says what is wrong with it
    kind = str(message.get("type", "")) if isinstance(message, dict) else ""
    return parse_collection_event(line) if kind.startswith(COLLECTION_TYPES) else parse_event(line)


def _lines(source: Path) -> Iterator[tuple[int, bytes]]:
    """(number, line) of those that are not blank."""
    try:
        with source.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line := line.strip():
                    yield number, line
    except OSError as error:
        raise SettingsError(f"{source} cannot be read", received=error.strerror) from error


def _dated(line: bytes, time_ms: int) -> bytes:
    """The event with the time of its file: sent again, it must not be newer than what happened since."""
    return orjson.dumps(orjson.loads(line) | {"time": time_ms})


def _read(file: PhotoFile) -> SentPhoto | OSError:
    try:
        return read_photo(file)
    except OSError as error:
        return error


def _upload(file: PhotoFile, now: SentPhoto) -> bytes:
    return event_to_json(PhotoUploaded(file.photo_id, now.time_ms, file.path.as_uri(), now.sha256))


def _is_same(before: SentPhoto | None, now: SentPhoto) -> bool:
    return before is not None and (before.time_ms, before.sha256) == (now.time_ms, now.sha256)


def _identity(root: Path) -> tuple[int, int] | None:
    """Which folder it is: another one when a disk was taken out, whose empty place must not delete everything."""
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def _bar(console: Console, title: str, total: int, shown: bool) -> Iterator[Callable[[], None]]:
    """A progress bar, moved on by calling what it gives."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not shown or not total) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
