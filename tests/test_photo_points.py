"""The photos of the stream as points, and the command that writes them out: on the services of this run."""

from __future__ import annotations

import io
import random
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from album_process import AlbumProcess, colour_folder, until, write_events

from models.space import Space
from stream_app import kafka
from stream_app.errors import SettingsError
from stream_app.folders import folder_photo_id
from stream_app.photo_points import FairSample, read_points
from stream_app.records import EmbeddingRecord, PhotoEmbedded, PhotoRemoved
from stream_app.settings import Settings
from stream_app.topics import TopicSpec, create_topics
from stream_app.versions import KIND_CHANGED, KIND_DELETED, Version


@pytest.fixture
def worker(settings: Settings) -> Iterator[AlbumProcess]:
    """One worker on the services of this run, ready."""
    process = AlbumProcess(settings, "worker")
    try:
        yield process.ready()
    finally:
        process.stop()


def embedded(photo_id: int, time_ms: int = 1) -> PhotoEmbedded:
    vector = np.zeros(2, np.float16)
    version = Version(time_ms, KIND_CHANGED, 0, time_ms)
    return PhotoEmbedded(photo_id, version, "file:///a.png", "", 1, 1, vector, vector.astype(np.uint16), vector)


def removed(photo_id: int, time_ms: int = 2) -> PhotoRemoved:
    return PhotoRemoved(photo_id, Version(time_ms, KIND_DELETED, 0, time_ms))


def sampled(records: list[EmbeddingRecord], count: int) -> list[PhotoEmbedded]:
    sample = FairSample(count)
    for each in records:
        sample.offer(each)
    return sample.photos()


class TestSample:
    def test_few_photos_are_all_taken_newest_first(self) -> None:
        assert [each.photo_id for each in sampled([embedded(1, 5), embedded(2, 9), embedded(3, 7)], 9)] == [2, 3, 1]

    def test_of_a_photo_only_the_newest_record_counts(self) -> None:
        """An older one may come late, and a photo may come back after its deletion."""
        records = [embedded(1, 5), embedded(1, 3), removed(2, 4), embedded(2, 1), removed(3, 4), embedded(3, 6)]

        assert [(each.photo_id, each.version.time_ms) for each in sampled(records, 9)] == [(3, 6), (1, 5)]

    def test_the_same_photos_are_chosen_in_whatever_order_they_come(self) -> None:
        """Also while the sample is thinned out again and again; with deletions among the chosen."""
        records: list[EmbeddingRecord] = [embedded(each) for each in range(5_000)]
        first = {each.photo_id for each in sampled(records, 100)}
        records += [removed(each) for each in sorted(first)[::10]]
        before = {each.photo_id for each in sampled(records, 100)}
        random.Random(3).shuffle(records)

        assert len(first) == len(before) == 100
        assert {each.photo_id for each in sampled(records, 100)} == before
        assert before > first - set(sorted(first)[::10])

    def test_the_sample_is_fair(self) -> None:
        """Of ids in a row, about half lie in the upper half."""
        chosen = [each.photo_id for each in sampled([embedded(each) for each in range(10_000)], 1_000)]

        assert 400 < sum(each >= 5_000 for each in chosen) < 600


async def test_a_topic_is_read_to_its_end_and_one_that_is_not_there_is_not_made(log_settings: Settings) -> None:
    """Every partition, each in its order."""
    here, nowhere = f"{log_settings.topic_prefix}here", f"{log_settings.topic_prefix}nowhere"
    await create_topics(log_settings, [TopicSpec(here, 4, 1, {"cleanup.policy": "compact"})])
    async with kafka.producer(log_settings) as producer:
        for each in range(40):
            await producer.send_and_wait(here, b"%d" % each, b"%d" % each, partition=each % 3)
    values = [int(record.value) async for record in kafka.read_topic(log_settings, here)]

    assert sorted(values) == list(range(40))
    assert [each for each in values if each % 3 == 1] == list(range(1, 40, 3))
    for _ in range(2):
        with pytest.raises(SettingsError, match="There is no topic"):
            [record async for record in kafka.read_topic(log_settings, nowhere)]


async def test_an_album_of_the_stream_is_exported_by_one_command(
    worker: AlbumProcess, tmp_path: Path, tiny_bundle: Path
) -> None:
    """With titles and photographers, without what was deleted, and with a blank for a file that has gone since."""
    photos = colour_folder(tmp_path / "photos", 3)
    worker.run("publish", str(photos))
    worker.until_findable(12)
    titled, gone = folder_photo_id("red-0.png"), folder_photo_id("blue-1.png")
    event = {"type": "photo.edited", "photo_id": str(titled), "title": "The red one", "user_id": "31"}
    worker.run("publish", str(write_events(tmp_path / "edits.jsonl", [event])))
    until(lambda: worker.get(f"/api/photos/{titled}")["title"], what="the title")
    assert worker.send("DELETE", f"/api/photos/{gone}")[0] == 204
    (photos / "green-2.png").unlink()
    said = worker.run("projector", str(tmp_path / "export"), "--words", "2")
    lines = [line.split("\t") for line in (tmp_path / "export" / "photos_among_words.tsv").read_text().splitlines()]
    points = await read_points(worker.settings, Space.load(tiny_bundle), 100)

    assert "11 photos, 1 of them without a picture and 2 words" in said
    by_id = {row[6]: row for row in lines[1:12]}
    assert by_id[str(titled)][0] == "The red one" and by_id[str(titled)][5] == "31"
    assert str(gone) not in by_id and len(by_id) == 11
    red = next(each for each in points if each.photo.photo_id == titled)
    answered = worker.get(f"/api/photos/{titled}")
    assert [name for name, _ in red.photo.words] == [each["name"] for each in answered["words"]]
    assert [name for name, _ in red.photo.labels] == [each["name"] for each in answered["labels"]]
    assert len(await read_points(worker.settings, Space.load(tiny_bundle), 5)) == 5


def test_a_worker_answers_for_its_words_and_gives_its_album_as_a_zip(worker: AlbumProcess, tmp_path: Path) -> None:
    """The same doors as over an album in memory, with everything real behind them."""
    worker.run("publish", str(colour_folder(tmp_path / "photos", 2)))
    worker.until_findable(8)
    near = worker.get("/api/words/red/similar?k=3")
    with urllib.request.urlopen(f"{worker.url}/api/projector.zip?words=3", timeout=60) as reply:
        archive = zipfile.ZipFile(io.BytesIO(reply.read()))
    table = archive.read("sightline-projector/photos_among_words.tsv").decode().splitlines()

    assert near["known_words"] == ["red"] and len(near["words"]) == 3
    assert archive.testzip() is None
    assert [line.split("\t")[1] for line in table[1:]] == ["photo"] * 8 + ["word"] * 3
    by_title = {line.split("\t")[0]: line.split("\t") for line in table}
    assert by_title["red-0.png"][2].split(", ")[0] == "red"
