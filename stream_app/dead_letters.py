"""The topic `dead-letters`: messages that could not be worked on, why, and how they get another chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from stream_app import kafka
from stream_app.errors import EventRejected
from stream_app.settings import Settings
from stream_app.topics import activity_topic, collections_topic, dead_letters_topic

Headers = list[tuple[str, bytes]]
REASON_CHARACTERS_MAX = 1000
#: A message that was just small enough to be sent must still be so with these headers.
KEPT_BYTES_MAX = 900_000
#: The header of a record that is no letter, but says which one was replayed by itself.
REPLAYED = "replayed"


@dataclass(frozen=True)
class DeadLetter:
    """A message as it was at `topic`/`partition`/`offset`; `value` is None where it was empty or too large.

    `place` names the letter itself: its own partition and offset, as `2-15`.
    """

    reason: str
    stage: str
    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    place: str = ""

    def __str__(self) -> str:
        key = (self.key or b"-").decode(errors="replace")
        return f"{self.topic}/{self.partition}/{self.offset} {key} [{self.stage}] {self.reason}"


class _Message(Protocol):
    """What is needed of a Faust message; `timestamp` is in seconds."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: Any
    value: Any


class _Event(Protocol):
    """What is needed of a Faust event."""

    message: _Message


class DeadLetters:
    """Puts messages aside on a topic, which is anything with Faust's `send`."""

    def __init__(self, topic: Any) -> None:
        self._topic = topic

    async def put(self, event: _Event, stage: str, reason: str) -> None:
        """Set the message of `event` aside; returns when the broker has confirmed it."""
        message = event.message
        headers = dead_letter_headers(
            reason,
            stage,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            time_ms=int(message.timestamp * 1000),
        )
        key, value = message.key, message.value
        if len(key or b"") + len(value or b"") > KEPT_BYTES_MAX:
            key = value = None  # its place in the log still says which it was
        # Faust would write None as the JSON null.
        await (await self._topic.send(key=key, value=value or b"", headers=headers))


def dead_letter_headers(reason: str, stage: str, *, topic: str, partition: int, offset: int, time_ms: int) -> Headers:
    """The headers of a dead letter; its key and value are those of the message itself."""
    headers = {"reason": reason[:REASON_CHARACTERS_MAX], "stage": stage, "topic": topic}
    headers |= {"partition": str(partition), "offset": str(offset), "time_ms": str(time_ms)}
    return [(name, value.encode(errors="replace")) for name, value in headers.items()]


async def list_dead_letters(settings: Settings) -> list[DeadLetter]:
    """Every dead letter that was not replayed yet, oldest first; raises ServiceUnavailable."""
    async with _reader(settings) as reader:
        try:
            return await _unreplayed(reader, settings)
        except KafkaError as error:
            raise kafka.no_answer(settings, error) from error


async def replay_dead_letters(settings: Settings) -> int:
    """Send each dead letter not replayed yet to where it came from; returns how many were sent.

    What fails again comes back as a new dead letter. A letter without a value was empty, or too large to keep,
    and is passed over. Raises ServiceUnavailable; what was sent by then is sent again the next time.
    """
    async with _reader(settings) as reader, kafka.producer(settings) as producer:
        try:
            letters = await _unreplayed(reader, settings)
            letters = [each for each in letters if each.topic and each.value is not None]
            for letter in letters:
                await _replay(producer, letter, settings)
            await reader.commit({each: await reader.position(each) for each in reader.assignment()})
        except KafkaError as error:
            raise kafka.no_answer(settings, error) from error
    return len(letters)


async def replay_dead_letter(settings: Settings, place: str) -> DeadLetter | None:
    """Send one dead letter to where it came from, and return it; None where it is replayed already, or none.

    What says so is a record behind it, which outlives it. Raises EventRejected for a letter without a value, and
    ServiceUnavailable.
    """
    async with _reader(settings) as reader, kafka.producer(settings) as producer:
        try:
            letter = next((each for each in await _unreplayed(reader, settings) if each.place == place), None)
            if letter is None:
                return None
            if not letter.topic or letter.value is None:
                raise EventRejected(
                    f"The dead letter {place} cannot be replayed",
                    expected="a message that was kept whole",
                    received="only its reason: it was empty, or too large to keep",
                    remedy="Send the event anew from where it came.",
                )
            await _replay(producer, letter, settings)
            note = [(REPLAYED, place.encode())]
            await producer.send_and_wait(
                dead_letters_topic(settings), b"", None, int(place.split("-")[0]), headers=note
            )
        except KafkaError as error:
            raise kafka.no_answer(settings, error) from error
    return letter


def _reader(settings: Settings) -> Any:
    """A consumer whose committed offsets say up to where the letters were replayed."""
    return kafka.consumer(settings, group_id=f"{settings.app_id}-dead-letters")


async def _unreplayed(reader: AIOKafkaConsumer, settings: Settings) -> list[DeadLetter]:
    """Leaves `reader` at the end of what it read."""
    topic = dead_letters_topic(settings)
    if topic not in await reader.topics():  # to ask for its partitions would make it
        return []
    here = [TopicPartition(topic, each) for each in range(settings.partition_count)]
    reader.assign(here)
    begins, ends = await reader.beginning_offsets(here), await reader.end_offsets(here)
    found: list[ConsumerRecord] = []
    for each in here:
        reader.seek(each, max(begins[each], await reader.committed(each) or 0))
    while waiting := [each for each in here if await reader.position(each) < ends[each]]:
        for records in (await reader.getmany(*waiting, timeout_ms=500)).values():
            found += records
    replayed = {value.decode() for record in found for name, value in record.headers if name == REPLAYED}
    letters = [_letter(each) for each in found if all(name != REPLAYED for name, _ in each.headers)]
    letters = [each for each in letters if each.place not in replayed]
    return sorted(letters, key=lambda each: (each.time_ms, each.topic, each.partition, each.offset))


async def _replay(producer: AIOKafkaProducer, letter: DeadLetter, settings: Settings) -> None:
    value = letter.value
    if letter.topic in (activity_topic(settings), collections_topic(settings)):
        value = _dated(value, letter.time_ms)
    known = await producer.partitions_for(letter.topic)
    partition = letter.partition if letter.partition in known else None
    await producer.send_and_wait(letter.topic, value, letter.key, partition)


def _dated(value: bytes | None, time_ms: int) -> bytes | None:
    """The event with the time at which it first came in, if it has none: it may not overtake what came since."""
    try:
        message = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return value
    if not isinstance(message, dict) or "time" in message:
        return value
    return orjson.dumps(message | {"time": time_ms})


def _letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        reason=headers.get("reason", "unknown"),
        stage=headers.get("stage", "unknown"),
        topic=headers.get("topic", ""),
        partition=int(headers.get("partition", 0)),
        offset=int(headers.get("offset", 0)),
        time_ms=int(headers.get("time_ms", record.timestamp)),
        key=record.key,
        value=record.value or None,
        place=f"{record.partition}-{record.offset}",
    )
