"""Asking a running Sightline over Kafka, from any Python program: requests go out, replies find their way back."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from stream_app import kafka
from stream_app.contract.operations import BY_NAME
from stream_app.contract.values import Answer
from stream_app.errors import ServiceUnavailable, SightlineError
from stream_app.query_messages import TIMEOUT_MS
from stream_app.running import with_running_services
from stream_app.settings import Settings
from stream_app.topics import queries_topic, recognised, reply_topic, reply_topic_prefix

#: How long a reply may be under way once it is written.
GRACE_SECONDS = 5.0


class ProblemAnswered(SightlineError):
    """The worker answered with a problem; `status` is what HTTP would have had."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.status = int(said["status"])
        advice = {name: said.get(name) for name in ("expected", "received", "remedy")}
        super().__init__(str(said["detail"]), **advice)

    def __reduce__(self) -> tuple[Any, ...]:
        said = {"status": self.status, "detail": self.problem}
        return type(self), (said | {"expected": self.expected, "received": self.received, "remedy": self.remedy},)


class KafkaQueries:
    """Asks over Kafka; `async with KafkaQueries("kafka://host:9092") as queries: await queries.ask("search", q="dog")`.

    Without an address it asks where the commands do: at SIGHTLINE_BROKER_URL, or else at the private broker of the
    `sightline up` that runs on the same SIGHTLINE_DATA_DIR.

    All callers may share one topic for replies, which is made where it is missing: each reads one partition of it,
    and leaves alone what answers others. Give `reply_topic` a name of your own, behind the worker's prefix, where
    others must not read along.
    """

    def __init__(self, broker: str | Settings = "", *, topic_prefix: str = "", reply_topic: str = "") -> None:
        self._settings = broker if isinstance(broker, Settings) else _settings(broker, topic_prefix)
        self._reply_topic = reply_topic or reply_topic_prefix(self._settings)
        self._partition = 0
        self._waiting: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._running = AsyncExitStack()
        self._producer: AIOKafkaProducer

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as running:
            self._settings = await recognised(self._settings)
            count = await reply_topic(self._settings, self._reply_topic)
            self._partition = random.randrange(count)
            # A reply should not wait for others to fill a fetch, nor a request for others to fill a batch.
            consumer = await running.enter_async_context(kafka.consumer(self._settings, fetch_max_wait_ms=100))
            self._producer = await running.enter_async_context(kafka.producer(self._settings, linger_ms=0))
            here = TopicPartition(self._reply_topic, self._partition)
            consumer.assign([here])
            # Now, and not at the first fetch: a reply may come before it.
            consumer.seek(here, (await consumer.end_offsets([here]))[here])
            reading = asyncio.create_task(self._read(consumer))
            running.push_async_callback(_end, reading)
            self._running = running.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.aclose()

    async def ask(
        self, operation: str, *, timeout_ms: int = TIMEOUT_MS, key: bytes | None = None, **request: Any
    ) -> Any:
        """The answer to one request, of the type that the contract says; photos are given as bytes.

        Requests with the same key are worked on in their order. Raises ProblemAnswered, and ServiceUnavailable when
        nothing comes back in time.
        """
        message = {"operation": operation, "request": request, "timeout_ms": timeout_ms}
        return _typed(await self.exchange(message, key=key))

    async def ask_all(
        self, requests: Sequence[tuple[str, Mapping[str, Any]]], *, timeout_ms: int = TIMEOUT_MS
    ) -> list[Any]:
        """The answers to up to 1,000 requests in one message, in their order; ProblemAnswered stands among them."""
        asked = [{"operation": operation, "request": request} for operation, request in requests]
        reply = await self.exchange({"requests": asked, "timeout_ms": timeout_ms})
        if "problem" in reply:
            raise ProblemAnswered(reply["problem"])
        return [_typed_or_problem(each) for each in reply["answers"]]

    async def exchange(self, message: Mapping[str, Any], *, key: bytes | None = None) -> dict[str, Any]:
        """The reply to a message as JSON, its parts joined; raises ServiceUnavailable when none comes in time."""
        correlation_id = uuid.uuid4().hex
        arrivals = self._waiting[correlation_id] = asyncio.Queue()
        timeout_seconds = message.get("timeout_ms", TIMEOUT_MS) / 1000 + GRACE_SECONDS
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._send(message, correlation_id, key)
                return await _joined(arrivals)
        except TimeoutError:
            raise ServiceUnavailable(
                "Sightline did not answer over Kafka",
                expected=f"a reply on {self._reply_topic} within {timeout_seconds:.0f} s",
                received="none",
                remedy="Look whether a worker runs, and at its dead letters.",
            ) from None
        finally:
            del self._waiting[correlation_id]

    async def _send(self, message: Mapping[str, Any], correlation_id: str, key: bytes | None) -> None:
        headers = [
            ("reply_to", self._reply_topic.encode()),
            ("correlation_id", correlation_id.encode()),
            ("reply_partition", b"%d" % self._partition),
        ]
        try:
            await self._producer.send_and_wait(
                queries_topic(self._settings), msgspec.json.encode(message), key=key, headers=headers
            )
        except KafkaError as error:
            raise kafka.no_answer(self._settings, error) from error

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        """Hand out what answers us; a reply may come twice, and to those who have gone."""
        async for record in consumer:
            correlation_id = dict(record.headers).get("correlation_id", b"").decode(errors="replace")
            if (arrivals := self._waiting.get(correlation_id)) is not None:
                arrivals.put_nowait(orjson.loads(record.value))


def _settings(broker_url: str, topic_prefix: str) -> Settings:
    if broker_url:
        return Settings(broker_url=broker_url, topic_prefix=topic_prefix)
    given = {"topic_prefix": topic_prefix} if topic_prefix else {}
    return with_running_services(Settings.from_environment(None, **given))


async def _joined(arrivals: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
    """A reply, or the parts of one put together: they may come twice, and cut otherwise the second time."""
    answers: dict[int, Any] = {}
    while True:
        reply = await arrivals.get()
        if "answers" not in reply:
            return reply
        answers |= enumerate(reply["answers"], reply["first"])
        if len(answers) == reply["total"]:
            return {"answers": [answers[number] for number in sorted(answers)]}


def _typed(reply: Mapping[str, Any]) -> Answer | None:
    if "problem" in reply:
        raise ProblemAnswered(reply["problem"])
    kind = BY_NAME[reply["operation"]].answer
    return None if kind is None else msgspec.convert(reply["answer"], kind)


def _typed_or_problem(reply: Mapping[str, Any]) -> Answer | ProblemAnswered | None:
    try:
        return _typed(reply)
    except ProblemAnswered as problem:
        return problem


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
