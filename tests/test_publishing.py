"""What publishing sends, to a real broker, and what it remembers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition

from stream_app import kafka
from stream_app.activity import Event, PhotoDeleted, PhotoUploaded, parse_event
from stream_app.collection_events import CollectionDeleted, PhotoEntered, parse_collection_event
from stream_app.errors import EventRejected, ServiceUnavailable, SettingsError
from stream_app.folders import folder_photo_id
from stream_app.publishing import EventsReport, PublishReport, _Folder, publish
from stream_app.roots import PublishedRoots
from stream_app.settings import Settings
from stream_app.topics import activity_topic, collections_topic, create_topics, topic_specs

UPLOAD = {"type": "photo.uploaded", "photo_id": 7, "time": 5, "url": "https://example.org/7.jpg"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two photos, as far as their names go."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"a")
    (folder / "deep" / "b c.png").write_bytes(b"b")
    return folder


async def sent(settings: Settings) -> list[Event]:
    """All events on photo-activity, by partition; each is valid, under its key."""
    here = [TopicPartition(activity_topic(settings), each) for each in range(settings.partition_count)]
    events = []
    async with kafka.consumer(settings) as consumer:
        consumer.assign(here)
        ends = await consumer.end_offsets(here)
        while any([await consumer.position(each) < ends[each] for each in here]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                events += [parse_event(each.value, each.key) for each in records]
    return events


def write_lines(path: Path, *events: dict[str, Any] | bytes) -> Path:
    path.write_bytes(b"\n".join(each if isinstance(each, bytes) else orjson.dumps(each) for each in events))
    return path


class TestFolder:
    async def test_each_photo_is_sent_with_its_digest_and_address(self, log_settings: Settings, photos: Path) -> None:
        """The id from the path below the folder, the address ending in the file's name."""
        assert await publish(log_settings, photos, progress=False) == PublishReport(sent=2)

        events = {each.photo_id: each for each in await sent(log_settings)}
        event = events[folder_photo_id("deep/b c.png")]
        assert len(events) == 2
        assert isinstance(event, PhotoUploaded)
        assert event.url == (photos / "deep" / "b c.png").as_uri()
        assert event.sha256 == "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"

    async def test_the_folder_may_be_read_afterwards(self, log_settings: Settings, photos: Path) -> None:
        """To publish is to allow."""
        await publish(log_settings, photos, progress=False)

        assert PublishedRoots(log_settings)() == [photos]

    async def test_publishing_again_sends_the_very_same_events(self, log_settings: Settings, photos: Path) -> None:
        """Whoever knows them finds no news; whoever forgot them learns them again."""
        await publish(log_settings, photos, progress=False)
        assert await publish(log_settings, photos, progress=False) == PublishReport(sent=2, unchanged=2)

        events = await sent(log_settings)
        assert len(events) == 4
        assert len(set(events)) == 2

    async def test_a_changed_photo_is_sent_as_a_newer_one(self, log_settings: Settings, photos: Path) -> None:
        """With its new digest."""
        await publish(log_settings, photos, progress=False)
        await asyncio.sleep(0.02)
        (photos / "a.jpg").write_bytes(b"A")

        assert await publish(log_settings, photos, progress=False) == PublishReport(sent=2, unchanged=1)

        before, after = [each for each in await sent(log_settings) if each.photo_id == folder_photo_id("a.jpg")]
        assert isinstance(before, PhotoUploaded)
        assert isinstance(after, PhotoUploaded)
        assert before.sha256 != after.sha256
        assert (before.time_ms or 0) < (after.time_ms or 0)

    async def test_a_vanished_photo_is_deleted_once(self, log_settings: Settings, photos: Path) -> None:
        """Later than it was uploaded, and not again the next time."""
        await publish(log_settings, photos, progress=False)
        (photos / "a.jpg").unlink()

        assert (await publish(log_settings, photos, progress=False)).deleted == 1
        assert (await publish(log_settings, photos, progress=False)).deleted == 0

        events = [each for each in await sent(log_settings) if each.photo_id == folder_photo_id("a.jpg")]
        assert [type(each) for each in events] == [PhotoUploaded, PhotoDeleted]
        assert (events[0].time_ms or 0) <= (events[1].time_ms or 0)

    async def test_a_photo_that_another_folder_still_has_is_not_deleted(
        self, log_settings: Settings, photos: Path, tmp_path: Path
    ) -> None:
        """Equal paths below two folders are one photo."""
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "a.jpg").write_bytes(b"a")
        await publish(log_settings, tmp_path / "copy", progress=False)
        await publish(log_settings, photos, progress=False)
        (photos / "a.jpg").unlink()

        assert (await publish(log_settings, photos, progress=False)).deleted == 0

    async def test_what_vanishes_after_half_a_publishing_is_deleted(self, log_settings: Settings, photos: Path) -> None:
        """It may have been sent: what is about to be sent is remembered first."""

        class Broken:
            async def send(self, *_: object) -> None:
                raise ServiceUnavailable("killed half-way")

        with pytest.raises(ServiceUnavailable):
            await _Folder(log_settings, photos).publish(Broken(), progress=False)  # type: ignore[arg-type]
        (photos / "a.jpg").unlink()

        assert (await publish(log_settings, photos, progress=False)).deleted == 1

    async def test_a_file_that_cannot_be_sent_is_counted_and_the_others_go_on(
        self, log_settings: Settings, photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With a word about which, and why."""
        (photos / "link.jpg").symlink_to("/etc/hostname")

        assert await publish(log_settings, photos, progress=False) == PublishReport(sent=2, skipped=1)
        assert "link.jpg: a link that leaves the folder" in capsys.readouterr().err

    @pytest.mark.parametrize("memory", [b"", b"[]", b'{"x": 1}', b'{"7": [1, 2, "x", 3, 4]}', b"\xff"])
    async def test_a_damaged_memory_is_only_forgotten(
        self, log_settings: Settings, photos: Path, memory: bytes
    ) -> None:
        """Everything counts as new then, which does no harm."""
        await publish(log_settings, photos, progress=False)
        [path] = (log_settings.data_dir / "published").glob("*.json")
        path.write_bytes(memory)

        assert await publish(log_settings, photos, progress=False) == PublishReport(sent=2)

    async def test_a_missing_broker_is_named(self, photos: Path, tmp_path: Path, unused_tcp_port: int) -> None:
        """One line, with what to do."""
        settings = Settings(broker_url=f"kafka://127.0.0.1:{unused_tcp_port}", data_dir=tmp_path / "data")

        with pytest.raises(ServiceUnavailable, match="Kafka does not answer"):
            await publish(settings, photos, progress=False)

    async def test_more_photos_than_are_in_flight_all_arrive(self, log_settings: Settings, photos: Path) -> None:
        """The sender waits for the broker, not the other way round."""
        for each in range(1100):
            (photos / f"{each}.gif").write_bytes(b"%d" % each)

        assert (await publish(log_settings, photos, progress=False)).sent == 1102
        assert len(set(await sent(log_settings))) == 1102


class TestEvents:
    async def test_each_line_is_sent_under_its_key(self, log_settings: Settings, tmp_path: Path) -> None:
        """Blank lines are nothing."""
        deletion = {"type": "photo.deleted", "photo_id": "8", "time": 6}
        source = write_lines(tmp_path / "events.jsonl", UPLOAD, b"", deletion, b"  ")

        assert await publish(log_settings, source, progress=False) == EventsReport(
            {"photo.uploaded": 1, "photo.deleted": 1}
        )
        assert {each.photo_id for each in await sent(log_settings)} == {7, 8}

    async def test_events_of_collections_go_to_their_own_topic(self, log_settings: Settings, tmp_path: Path) -> None:
        """One file may hold both; those without a time get that of the file."""
        added = {"type": "gallery.photo_added", "gallery_id": 9, "photo_id": 7}
        source = write_lines(tmp_path / "events.jsonl", UPLOAD, added, {"type": "quest.deleted", "quest_id": 9})

        report = await publish(log_settings, source, progress=False)
        assert str(report) == "3 events sent: 1 gallery.photo_added, 1 photo.uploaded, 1 quest.deleted"
        assert {each.photo_id for each in await sent(log_settings)} == {7}
        records = [each async for each in kafka.read_topic(log_settings, collections_topic(log_settings))]
        events = [parse_collection_event(each.value, each.key) for each in records]
        assert [(type(each), each.kind, each.collection_id) for each in events] == [
            (PhotoEntered, "gallery", 9),
            (CollectionDeleted, "quest", 9),
        ]
        assert {each.time_ms for each in events} == {source.stat().st_mtime_ns // 1_000_000}

    async def test_the_deletion_of_a_user_is_not_told_as_one_photos(
        self, log_settings: Settings, tmp_path: Path
    ) -> None:
        """How many photos it deletes, the agents find out."""
        source = write_lines(tmp_path / "events.jsonl", {"type": "user.deleted", "user_id": "7"})

        assert str(await publish(log_settings, source, progress=False)) == "1 event sent: 1 user.deleted"

    async def test_a_private_brokers_address_is_enough(self, log_settings: Settings, tmp_path: Path) -> None:
        """As SIGHTLINE_BROKER_URL alone: it has no idempotent producer, and is known for what it is."""
        known_by_address = replace(log_settings, embedded_broker=False)
        await publish(known_by_address, write_lines(tmp_path / "events.jsonl", UPLOAD), progress=False)

        assert {each.photo_id for each in await sent(log_settings)} == {7}

    async def test_fields_that_we_ignore_are_passed_on(self, log_settings: Settings, tmp_path: Path) -> None:
        """Somebody else may read the topic."""
        await publish(log_settings, write_lines(tmp_path / "e.jsonl", UPLOAD | {"camera": "x"}), progress=False)

        here = [TopicPartition(activity_topic(log_settings), each) for each in range(4)]
        async with kafka.consumer(log_settings) as consumer:
            consumer.assign(here)
            record = await consumer.getone()
        assert orjson.loads(record.value)["camera"] == "x"

    async def test_an_event_without_a_time_gets_that_of_its_file(self, log_settings: Settings, tmp_path: Path) -> None:
        """Sent again, it is no newer than before."""
        undated = {name: value for name, value in UPLOAD.items() if name != "time"}
        source = write_lines(tmp_path / "events.jsonl", undated)
        for _ in range(2):
            await publish(log_settings, source, progress=False)

        assert len(set(await sent(log_settings))) == 1

    async def test_one_bad_line_is_named_and_nothing_is_sent(self, log_settings: Settings, tmp_path: Path) -> None:
        """Half a file would be worse than none."""
        source = write_lines(tmp_path / "events.jsonl", UPLOAD, b"", b"{no JSON", UPLOAD | {"photo_id": -1})

        with pytest.raises(EventRejected, match=r"events\.jsonl, line 3 \(and 1 more\): .*Nothing was sent"):
            await publish(log_settings, source, progress=False)

    async def test_a_bad_event_of_a_collection_is_named_as_such(self, log_settings: Settings, tmp_path: Path) -> None:
        """It is no photo's event that lacks something."""
        source = write_lines(tmp_path / "events.jsonl", {"type": "gallery.photo_added", "photo_id": 7})

        with pytest.raises(EventRejected, match=r"line 1: The event has no gallery_id"):
            await publish(log_settings, source, progress=False)

    @pytest.mark.parametrize(
        ("name", "watch", "said"),
        [
            ("cat.jpg", False, "name the folder that it lies in"),
            ("empty.jsonl", False, "holds no events"),
            ("full.jsonl", True, "Only a folder can be followed"),
            ("missing.jsonl", False, "There is no such folder"),
        ],
    )
    async def test_what_cannot_be_published_is_one_clear_line(
        self, tmp_path: Path, name: str, watch: bool, said: str
    ) -> None:
        """Before any broker is asked."""
        (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8")
        (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
        write_lines(tmp_path / "full.jsonl", UPLOAD)

        with pytest.raises(SettingsError, match=said):
            await publish(Settings(data_dir=tmp_path / "data"), tmp_path / name, watch=watch)


class TestWatch:
    async def test_a_folder_is_followed(self, log_settings: Settings, photos: Path) -> None:
        """New, changed, renamed and vanished files, also in folders that were not there before."""
        async with _following(log_settings, photos):
            await _until(lambda: _ids(log_settings), {"a.jpg", "deep/b c.png"})
            (photos / "new").mkdir()
            (photos / "new" / "c.jpg").write_bytes(b"c")
            (photos / "a.jpg").rename(photos / "z.jpg")
            (photos / "deep" / "b c.png").unlink()
            await _until(lambda: _ids(log_settings), {"new/c.jpg", "z.jpg"})

    async def test_unchanged_photos_are_sent_only_once_while_followed(
        self, log_settings: Settings, photos: Path
    ) -> None:
        """A large folder is not sent anew for each file that is added."""
        for each in photos.rglob("*.*"):
            os.utime(each, (1, 1))
        await asyncio.sleep(2.1)  # younger files are read twice, as their times could not show a quick change
        async with _following(log_settings, photos):
            await _until(lambda: _ids(log_settings), {"a.jpg", "deep/b c.png"})
            (photos / "c.jpg").write_bytes(b"c")
            await _until(lambda: _ids(log_settings), {"a.jpg", "deep/b c.png", "c.jpg"})

        events = await sent(log_settings)
        assert len([each for each in events if each.photo_id == folder_photo_id("a.jpg")]) == 1

    async def test_a_folder_that_is_taken_away_deletes_nothing(self, log_settings: Settings, photos: Path) -> None:
        """A disk that was unplugged is no wish to forget its photos."""
        async with _following(log_settings, photos):
            await _until(lambda: _ids(log_settings), {"a.jpg", "deep/b c.png"})
            photos.rename(photos.with_name("away"))
            photos.mkdir()
            await asyncio.sleep(0.5)

        assert not [each for each in await sent(log_settings) if isinstance(each, PhotoDeleted)]

    async def test_a_disk_that_refuses_for_a_while_is_waited_for(
        self, log_settings: Settings, photos: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What came meanwhile is sent when there is room again; here the memory's folder is out of the way."""
        memory = log_settings.data_dir / "published"
        async with _following(log_settings, photos):
            await _until(lambda: _ids(log_settings), {"a.jpg", "deep/b c.png"})
            memory.rename(memory.with_name("away"))
            memory.touch()
            (photos / "c.jpg").write_bytes(b"c")
            async with asyncio.timeout(10):
                while "cannot be remembered" not in capsys.readouterr().err:
                    await asyncio.sleep(0.1)
            memory.unlink()
            memory.with_name("away").rename(memory)
            (photos / "d.jpg").write_bytes(b"d")
            await _until(lambda: _ids(log_settings), {"a.jpg", "deep/b c.png", "c.jpg", "d.jpg"})


@asynccontextmanager
async def _following(settings: Settings, photos: Path) -> AsyncIterator[None]:
    # A look at a topic that is not there yet makes it, with as many partitions as the broker likes.
    await create_topics(settings, topic_specs(settings, "v"))
    task = asyncio.create_task(publish(settings, photos, watch=True, progress=False))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _ids(settings: Settings) -> set[int]:
    """The photos that are there after all that was sent."""
    there: set[int] = set()
    for event in sorted(await sent(settings), key=lambda each: each.time_ms or 0):
        (there.discard if isinstance(event, PhotoDeleted) else there.add)(event.photo_id)
    return there


async def _until(state: Callable[[], Awaitable[set[int]]], names: set[str]) -> None:
    expected = {folder_photo_id(each) for each in names}
    async with asyncio.timeout(10):
        while await state() != expected:
            await asyncio.sleep(0.1)
