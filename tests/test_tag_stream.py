"""Reading tags from the live stream, until there is enough."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.word_formats import read_word_vectors
from stream_app import kafka
from stream_app.cli import main
from stream_app.errors import SettingsError
from stream_app.settings import Settings
from stream_app.tag_stream import read_tag_stream
from stream_app.topics import activity_topic, create_topics, topic_specs


@pytest.fixture
async def settings(log_settings: Settings) -> Settings:
    """With the topics of a worker."""
    await create_topics(log_settings, topic_specs(log_settings, "v"))
    return log_settings


async def send(settings: Settings, *events: str) -> None:
    """All to one partition, so that their order is kept."""
    async with kafka.producer(settings) as producer:
        for event in events:
            await producer.send_and_wait(activity_topic(settings), event.encode(), partition=0)


def upload(photo_id: int, *tags: str) -> str:
    """An event as it comes."""
    listed = ", ".join(f'"{tag}"' for tag in tags)
    return f'{{"type": "photo.uploaded", "photo_id": "{photo_id}", "url": "https://e.org/p.jpg", "tags": [{listed}]}}'


async def test_the_tags_of_photos_are_read_until_the_time_is_over(settings: Settings) -> None:
    """As they are at that moment: edited, deleted, and what is no event counted."""
    await send(
        settings,
        upload(1, "dog", "New York"),
        upload(2, "secret"),
        '{"type": "photo.edited", "photo_id": "1", "tags": ["puppy", "New York"]}',
        '{"type": "photo.deleted", "photo_id": "2"}',
        "no event",
        upload(3),
    )

    photos = await read_tag_stream(settings, seconds=2)

    assert list(photos) == [["puppy", "new_york"]]
    assert (photos.counts.sentences, photos.counts.wordless, photos.counts.unreadable) == (1, 1, 1)


async def test_reading_ends_when_enough_photos_have_tags(settings: Settings) -> None:
    """Those without tags do not count, and what came later is left for another time."""
    await send(settings, upload(1), upload(2, "a"), upload(3, "b"), upload(4, "c"))

    assert list(await read_tag_stream(settings, count=2)) == [["a"], ["b"]]


async def test_photos_that_come_while_it_reads_are_waited_for(settings: Settings) -> None:
    """The stream is live."""
    await send(settings, upload(1, "a"))
    told: list[int] = []
    reading = asyncio.create_task(read_tag_stream(settings, count=2, progress=told.append))
    while 1 not in told:
        await asyncio.sleep(0.05)
    assert not reading.done()
    await send(settings, upload(2, "b"))

    assert list(await reading) == [["a"], ["b"]]


async def test_a_stream_without_an_end_is_refused(log_settings: Settings) -> None:
    """It would never come to learning."""
    with pytest.raises(SettingsError, match=r"--count, --seconds"):
        await read_tag_stream(log_settings)


async def test_a_stream_that_is_not_there_is_refused(log_settings: Settings) -> None:
    """And is not made by asking for it."""
    with pytest.raises(SettingsError, match=r"no topic .*photo-activity"):
        await read_tag_stream(log_settings, count=1)


def test_the_command_learns_words_from_the_stream(log_settings: Settings, tmp_path: Path) -> None:
    """`sightline train words --stream`, from the first event to the file of words."""
    asyncio.run(create_topics(log_settings, topic_specs(log_settings, "v")))
    asyncio.run(send(log_settings, upload(1, "dog", "New York"), upload(2, "New York", "dog"), upload(3, "once")))
    arguments = ["train", "words", "--stream", "--count", "3", "--dimensions", "8", "--out", str(tmp_path / "w.vec")]

    ran = CliRunner().invoke(main, [*arguments, "--quiet"], env=log_settings.to_environment())

    assert ran.exit_code == 0, ran.output
    assert "Read 3 sentences or photos: 5 words" in ran.output
    assert set(read_word_vectors(tmp_path / "w.vec", tmp_path).words) == {"dog", "new_york"}
