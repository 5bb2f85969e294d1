"""Messages that could not be worked on: how they are put aside, listed, and sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import faust
import orjson
import pytest
from aiokafka import TopicPartition

from stream_app import kafka
from stream_app.activity import parse_event
from stream_app.collection_events import parse_collection_event
from stream_app.dead_letters import (
    KEPT_BYTES_MAX,
    DeadLetters,
    list_dead_letters,
    replay_dead_letter,
    replay_dead_letters,
)
from stream_app.errors import EventRejected, ServiceUnavailable
from stream_app.local_services import faust_settings
from stream_app.settings import Settings
from stream_app.topics import collections_topic, create_topics, topic_specs

TIME_MS = 1_795_472_160_000
UPLOAD = orjson.dumps({"type": "photo.uploaded", "photo_id": 7, "url": "https://example.org/7.jpg"})


@pytest.fixture
async def settings(log_settings: Settings) -> Settings:
    """With the topics of a worker."""
    await create_topics(log_settings, topic_specs(log_settings, "v"))
    return log_settings


@pytest.fixture
async def dead_letters(settings: Settings, tmp_path: Path) -> AsyncIterator[DeadLetters]:
    """As the agents have it: over a Faust topic."""
    options = faust_settings(settings) | {"broker": settings.broker_url, "datadir": tmp_path}
    app = faust.App(settings.app_id, autodiscover=False, **options)
    name = f"{settings.topic_prefix}dead-letters"
    async with app.producer:
        yield DeadLetters(app.topic(name, key_type=bytes, value_type=bytes))


def event(settings: Settings, value: bytes, offset: int = 5, time_ms: int = TIME_MS) -> SimpleNamespace:
    """A Faust event, as far as anybody looks at it here."""
    topic = f"{settings.topic_prefix}photo-activity"
    place = {"topic": topic, "partition": 1, "offset": offset, "timestamp": time_ms / 1000}
    return SimpleNamespace(message=SimpleNamespace(key=b"7", value=value, **place))


async def activity(settings: Settings) -> list[tuple[int, bytes | None, bytes | None]]:
    """(partition, key, value) of everything on photo-activity."""
    here = [TopicPartition(f"{settings.topic_prefix}photo-activity", each) for each in range(4)]
    found = []
    async with kafka.consumer(settings) as consumer:
        consumer.assign(here)
        ends = await consumer.end_offsets(here)
        while any([await consumer.position(each) < ends[each] for each in here]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(each.partition, each.key, each.value) for each in records]
    return found


async def test_a_dead_letter_says_what_why_and_where(settings: Settings, dead_letters: DeadLetters) -> None:
    """Reason, stage and place come back as they were put in, and the message byte for byte."""
    await dead_letters.put(event(settings, b"\xff no JSON"), "validate", "The event is not JSON — at all")

    [letter] = await list_dead_letters(settings)

    assert (letter.stage, letter.reason) == ("validate", "The event is not JSON — at all")
    assert (letter.topic, letter.partition, letter.offset) == (f"{settings.topic_prefix}photo-activity", 1, 5)
    assert (letter.key, letter.value, letter.time_ms) == (b"7", b"\xff no JSON", TIME_MS)
    assert str(letter).endswith("photo-activity/1/5 7 [validate] The event is not JSON — at all")


async def test_dead_letters_are_listed_oldest_first(settings: Settings, dead_letters: DeadLetters) -> None:
    """Whatever partitions they lie on."""
    for offset, time_ms in ((9, TIME_MS + 2), (3, TIME_MS), (4, TIME_MS + 1)):
        await dead_letters.put(event(settings, UPLOAD, offset, time_ms), "fetch", "gone")

    assert [each.offset for each in await list_dead_letters(settings)] == [3, 4, 9]


async def test_a_replayed_message_is_back_where_it_came_from(settings: Settings, dead_letters: DeadLetters) -> None:
    """Same partition, same key, same value."""
    value = orjson.dumps(orjson.loads(UPLOAD) | {"time": 5})
    await dead_letters.put(event(settings, value), "fetch", "took too long")

    assert await replay_dead_letters(settings) == 1

    assert await activity(settings) == [(1, b"7", value)]


async def test_a_replayed_event_keeps_the_time_at_which_it_first_came(
    settings: Settings, dead_letters: DeadLetters
) -> None:
    """Without it, an old upload would be newer than the deletion that came since."""
    await dead_letters.put(event(settings, UPLOAD), "fetch", "took too long")

    await replay_dead_letters(settings)

    [(_, key, value)] = await activity(settings)
    assert parse_event(value, key).time_ms == TIME_MS


async def test_an_event_of_a_collection_keeps_its_time_too(settings: Settings, dead_letters: DeadLetters) -> None:
    """For the same reason: a removal may have come since."""
    added = orjson.dumps({"type": "gallery.photo_added", "gallery_id": 7, "photo_id": 1})
    source = event(settings, added)
    source.message.topic = collections_topic(settings)
    await dead_letters.put(source, "collect", "unexpected trouble")

    await replay_dead_letters(settings)

    [record] = [each async for each in kafka.read_topic(settings, collections_topic(settings))]
    assert parse_collection_event(record.value, record.key).time_ms == TIME_MS


async def test_a_dead_letter_is_replayed_once(settings: Settings, dead_letters: DeadLetters) -> None:
    """The second replay has nothing to do, and the list is empty, until a new letter comes."""
    await dead_letters.put(event(settings, UPLOAD), "fetch", "first")
    await replay_dead_letters(settings)

    assert await replay_dead_letters(settings) == 0
    assert await list_dead_letters(settings) == []

    await dead_letters.put(event(settings, UPLOAD), "fetch", "second")
    assert [each.reason for each in await list_dead_letters(settings)] == ["second"]


async def test_one_letter_is_replayed_by_itself(settings: Settings, dead_letters: DeadLetters) -> None:
    """The others stay, and it does not come back: neither in the list nor with those that are replayed together."""
    for photo_id in (1, 2, 3):
        upload = orjson.dumps(orjson.loads(UPLOAD) | {"photo_id": photo_id, "time": 5})
        await dead_letters.put(event(settings, upload, photo_id, TIME_MS + photo_id), "fetch", f"reason {photo_id}")
    second = (await list_dead_letters(settings))[1]

    replayed = await replay_dead_letter(settings, second.place)

    assert replayed == second and second.reason == "reason 2"
    assert [each.reason for each in await list_dead_letters(settings)] == ["reason 1", "reason 3"]
    assert await replay_dead_letter(settings, second.place) is None
    assert await replay_dead_letters(settings) == 2
    values = [orjson.loads(value)["photo_id"] for _, _, value in await activity(settings)]
    assert values == [2, 1, 3]
    assert await list_dead_letters(settings) == []


async def test_a_letter_that_fails_again_is_another_letter(settings: Settings, dead_letters: DeadLetters) -> None:
    """It has a place of its own, and can be replayed too."""
    await dead_letters.put(event(settings, UPLOAD), "fetch", "first")
    [first] = await list_dead_letters(settings)
    await replay_dead_letter(settings, first.place)
    await dead_letters.put(event(settings, UPLOAD), "fetch", "again")

    [again] = await list_dead_letters(settings)
    assert again.reason == "again" and again.place != first.place
    assert await replay_dead_letter(settings, again.place) == again


async def test_a_letter_that_was_not_kept_whole_is_not_replayed(settings: Settings, dead_letters: DeadLetters) -> None:
    """It says so, and stays in the list; a place where no letter lies is none."""
    await dead_letters.put(event(settings, bytes(KEPT_BYTES_MAX + 1)), "validate", "The event is too large")
    [letter] = await list_dead_letters(settings)

    with pytest.raises(EventRejected, match="cannot be replayed"):
        await replay_dead_letter(settings, letter.place)

    assert await list_dead_letters(settings) == [letter]
    assert await replay_dead_letter(settings, "3-99") is None


async def test_a_message_too_large_to_keep_still_leaves_word(settings: Settings, dead_letters: DeadLetters) -> None:
    """The reason is kept, the replay passes it over, and nothing is stuck."""
    await dead_letters.put(event(settings, bytes(KEPT_BYTES_MAX + 1)), "validate", "The event is too large")

    [letter] = await list_dead_letters(settings)

    assert (letter.reason, letter.key, letter.value) == ("The event is too large", None, None)
    assert await replay_dead_letters(settings) == 0


async def test_a_reason_of_any_length_is_cut_to_size(settings: Settings, dead_letters: DeadLetters) -> None:
    """Headers have limits, too."""
    await dead_letters.put(event(settings, UPLOAD), "decode", "long " * 100_000)

    assert len((await list_dead_letters(settings))[0].reason) == 1000


async def test_no_topic_is_no_dead_letters(log_settings: Settings) -> None:
    """A broker on which nothing ever ran has none, and gets no topic by being asked."""
    assert await list_dead_letters(log_settings) == []
    async with kafka.consumer(log_settings) as consumer:
        assert not {each for each in await consumer.topics() if each.startswith(log_settings.topic_prefix)}


async def test_a_missing_broker_is_named(tmp_path: Path, unused_tcp_port: int) -> None:
    """One line, with what to do."""
    settings = Settings(broker_url=f"kafka://127.0.0.1:{unused_tcp_port}", data_dir=tmp_path)

    with pytest.raises(ServiceUnavailable, match=r"Kafka does not answer.*SIGHTLINE_BROKER_URL"):
        await list_dead_letters(settings)
