"""How this program speaks to Kafka without Faust: the one place that knows addresses, limits and quirks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from stream_app.errors import ServiceUnavailable, SettingsError
from stream_app.settings import Settings

#: Largest message that is sent, the broker's usual limit.
MESSAGE_BYTES_MAX = 1_048_576
REQUEST_TIMEOUT_MS = 15_000
#: How the cluster id of a broker begins that `sightline up` started: its clients know its quirks by that.
PRIVATE_CLUSTER = "sightline-up-"


def bootstrap(settings: Settings) -> list[str]:
    """The brokers' `host:port`s; raises SettingsError where no usable address is set."""
    addresses = [
        each.strip().rstrip("/").removeprefix("kafka://").removeprefix("aiokafka://")
        for each in settings.broker_url.replace(";", ",").split(",")
        if each.strip()
    ]
    for address in addresses or [""]:
        host, _, port = address.rpartition(":")
        if not host or "/" in host or not port.isdecimal():
            raise SettingsError(
                "The address of Kafka cannot be used",
                expected="SIGHTLINE_BROKER_URL as kafka://host:port",
                received=repr(settings.broker_url),
                remedy="Set it, or let `sightline up` start a private broker.",
            )
    return addresses


def producer_options(settings: Settings) -> dict[str, Any]:
    """The keyword arguments of a producer whose records are never lost silently."""
    options = {**_client_options(settings), "acks": "all", "max_request_size": MESSAGE_BYTES_MAX}
    if settings.embedded_broker:
        # Tansu counts a batch as one offset at the end of the log, so a batch may hold one record only.
        return options | {"max_batch_size": 1, "enable_idempotence": False}
    return options | {"linger_ms": 5, "max_batch_size": 65_536, "enable_idempotence": True}


def consumer_options(settings: Settings) -> dict[str, Any]:
    """The keyword arguments of a consumer that reads from the beginning and commits nothing by itself."""
    # Tansu answers a fetch on an empty partition only when the whole wait is over.
    wait_ms = 100 if settings.embedded_broker else 500
    return {
        **_client_options(settings),
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "fetch_max_wait_ms": wait_ms,
    }


def partition_of(key: bytes, partition_count: int) -> int:
    """The partition that our producers and Java's choose for a key; librdkafka's does with `murmur2_random`."""
    return (murmur2(key) & 0x7FFFFFFF) % partition_count


@asynccontextmanager
async def producer(settings: Settings, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer, flushed and stopped at the end; raises ServiceUnavailable without an answer."""
    client = AIOKafkaProducer(**producer_options(settings) | options)
    async with _running(client, settings):
        yield client


@asynccontextmanager
async def consumer(settings: Settings, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of `topics`, or of what is assigned later; raises as `producer` does."""
    client = AIOKafkaConsumer(*topics, **consumer_options(settings) | options)
    async with _running(client, settings):
        yield client


async def read_topic(settings: Settings, topic: str) -> AsyncGenerator[ConsumerRecord, None]:
    """Every record that `topic` holds at this moment, those of a partition in their order.

    Raises SettingsError where there is no such topic, and ServiceUnavailable.
    """
    async with consumer(settings) as client:
        try:
            here = await _from_the_beginning(client, settings, topic)
            ends = await client.end_offsets(here)
            # Compaction leaves gaps, also at the end: the position says where the end is, not what was seen.
            while waiting := [each for each in here if await client.position(each) < ends[each]]:
                for partition, records in (await client.getmany(*waiting, timeout_ms=500)).items():
                    for record in records:
                        if record.offset < ends[partition]:
                            yield record
        except KafkaError as error:
            raise no_answer(settings, error) from error


async def follow_topic(settings: Settings, topic: str) -> AsyncGenerator[list[ConsumerRecord], None]:
    """The records of `topic` from the beginning, then those that come, until the caller stops; empty lists meanwhile.

    Raises as `read_topic` does.
    """
    async with consumer(settings) as client:
        try:
            await _from_the_beginning(client, settings, topic)
            while True:
                arrived = await client.getmany(timeout_ms=200)
                yield [record for records in arrived.values() for record in records]
        except KafkaError as error:
            raise no_answer(settings, error) from error


async def _from_the_beginning(client: AIOKafkaConsumer, settings: Settings, topic: str) -> list[TopicPartition]:
    """Place a consumer before the first record of a topic that is there."""
    # Asked for by its name, a topic that is not there would be made.
    if topic not in await client.topics():
        raise SettingsError(
            f"There is no topic {topic}",
            expected="the topics of a worker that ran before",
            remedy="Start a worker first, with the same SIGHTLINE_BUNDLE, _APP_ID and _TOPIC_PREFIX.",
        )
    here = [TopicPartition(topic, each) for each in range(settings.partition_count)]
    client.assign(here)
    await client.seek_to_beginning(*here)
    return here


def no_answer(settings: Settings, error: BaseException) -> ServiceUnavailable:
    """The error to raise for a KafkaError that trying again did not mend."""
    return ServiceUnavailable(
        "Kafka does not answer",
        expected=f"a broker at {', '.join(bootstrap(settings))}",
        received=str(error) or type(error).__name__,
        remedy="Start the broker, or correct SIGHTLINE_BROKER_URL.",
    )


def _client_options(settings: Settings) -> dict[str, Any]:
    return {"bootstrap_servers": bootstrap(settings), "request_timeout_ms": REQUEST_TIMEOUT_MS}


@asynccontextmanager
async def _running(client: Any, settings: Settings) -> AsyncIterator[None]:
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        await client.stop()
        raise no_answer(settings, error) from error
    except BaseException:
        await client.stop()
        raise
    try:
        yield
    finally:
        await client.stop()
