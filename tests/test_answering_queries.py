"""The agent's plain function on real topics: who is answered, who is not, and when."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import faust
import orjson
import pytest
from faust.events import Event as FaustEvent
from faust.types.tuples import ConsumerMessage
from memory_album import MemoryAlbum, MemorySearch, photo_bytes

from agents.querying import QueryRoom, answer_query
from stream_app import kafka, topics
from stream_app.contract.operations import handlers_of
from stream_app.dead_letters import DeadLetters, list_dead_letters
from stream_app.held_messages import HeldMessages
from stream_app.local_services import faust_settings
from stream_app.query_replies import QueryDesk
from stream_app.reply_topics import ReplyTopics
from stream_app.settings import Settings
from stream_app.web.photo_types import require_readable_photo

SEARCH = {"operation": "search", "request": {"q": "red"}}


class FailingDesk:
    """An operation that fails as nobody foresaw, and one that takes long."""

    def __init__(self) -> None:
        self.asked = 0

    async def photo(self, request: Any) -> None:
        raise RuntimeError("a secret of ours")

    async def photos(self, request: Any) -> None:
        self.asked += 1
        await asyncio.sleep(60)


class Caller:
    """A caller with a reply topic, and the agent that it asks; every message is given to the agent by hand."""

    def __init__(self, app: faust.App, settings: Settings) -> None:
        self._offsets = itertools.count(1)
        self.settings = settings
        self.topic = topics.reply_topic_prefix(settings)
        album = MemoryAlbum()
        for colour in ("red", "green"):
            album.add(photo_bytes(colour), f"{colour}.jpg")
        self.failing = FailingDesk()
        desk = QueryDesk(handlers_of([MemorySearch(album), self.failing]), require_readable_photo, at_once=4)
        letters = app.topic(
            topics.dead_letters_topic(settings), value_type=bytes, value_serializer="raw", key_type=bytes
        )
        self.replies = ReplyTopics(settings)
        self.room = QueryRoom(desk, self.replies, DeadLetters(letters), asyncio.Event().wait)
        self._app = app

    async def ask(self, message: object, headers: dict[str, bytes] | None = None, *, age_ms: int = 0) -> None:
        """Return when the message is done with; bytes are sent as they are."""
        value = message if isinstance(message, bytes) else orjson.dumps(message)
        if headers is None:
            headers = {"reply_to": self.topic.encode(), "correlation_id": b"7"}
        sent_at = time.time() - age_ms / 1000
        place = "photo-queries", 0, next(self._offsets), sent_at, 0, list(headers.items())
        event = FaustEvent(self._app, None, value, {}, ConsumerMessage(*place, None, value, None, 0, len(value), None))
        await answer_query(event, self.room)

    async def replied(self) -> list[dict[str, Any]]:
        """Every reply so far, as JSON."""
        return [orjson.loads(each.value) async for each in kafka.read_topic(self.settings, self.topic)]

    async def buried(self) -> list[str]:
        """Why messages became dead letters."""
        return [each.reason for each in await list_dead_letters(self.settings)]


@pytest.fixture
async def caller(log_settings: Settings) -> AsyncIterator[Caller]:
    """Topics of a new album, and a topic for replies."""
    settings = replace(log_settings, reply_bytes_max=10_000)
    await topics.create_topics(settings, topics.topic_specs(settings, "tiny"))
    await topics.reply_topic(settings, topics.reply_topic_prefix(settings))
    app = faust.App(settings.app_id, broker=settings.broker_url, store="memory://", **faust_settings(settings))
    async with app.producer:
        asking = Caller(app, settings)
        yield asking
        await asking.replies.stop()


class TestWhoIsAnswered:
    """`answer_query`."""

    async def test_an_answer_carries_the_callers_id(self, caller: Caller) -> None:
        """In the header and in the message; asked twice it is answered twice."""
        await caller.ask(SEARCH)
        await caller.ask(SEARCH)
        first, second = await caller.replied()
        headers = [each.headers async for each in kafka.read_topic(caller.settings, caller.topic)]

        assert first["answer"]["hits"] == second["answer"]["hits"] != []
        assert (first["correlation_id"], headers) == ("7", [(("correlation_id", b"7"),)] * 2)

    async def test_a_message_that_is_wrong_is_answered_with_what_is_wrong(self, caller: Caller) -> None:
        """As far as it says whom to answer."""
        await caller.ask(b"\xffno json")
        await caller.ask({"operation": "serach", "request": {}})
        await caller.ask(SEARCH | {"requests": [SEARCH]})

        replies = await caller.replied()
        assert [each["problem"]["status"] for each in replies] == [400, 400, 400]
        assert "Did you mean search?" in [each["problem"]["remedy"] for each in replies]
        assert {each["correlation_id"] for each in replies} == {"7"}
        assert await caller.buried() == []

    async def test_no_topic_is_written_to_but_those_under_the_prefix_that_exist(self, caller: Caller) -> None:
        """A request may not make a worker write events, nor a broker make topics; it becomes a dead letter."""
        prefix = topics.reply_topic_prefix(caller.settings)
        activity = topics.activity_topic(caller.settings)
        for topic in (activity, f"{prefix}.missing", ""):
            await caller.ask(SEARCH, {"reply_to": topic.encode(), "correlation_id": b"7"})
        await caller.ask(SEARCH, {"reply_to": prefix.encode(), "correlation_id": b"7", "reply_partition": b"99"})
        async with kafka.consumer(caller.settings) as consumer:
            existing = await consumer.topics()

        assert len(await caller.buried()) == 4
        assert await caller.replied() == []
        assert [each async for each in kafka.read_topic(caller.settings, activity)] == []
        assert f"{prefix}.missing" not in existing

    async def test_topics_that_nobody_made_do_not_hold_up_the_others(self, caller: Caller) -> None:
        """Fifty of them are looked for together, and not one after the other."""
        await caller.ask(SEARCH)
        prefix = topics.reply_topic_prefix(caller.settings)
        async with asyncio.timeout(25):
            await asyncio.gather(
                *(caller.ask(SEARCH, {"reply_to": f"{prefix}.{each}".encode()}) for each in range(50)),
                caller.ask(SEARCH),
            )

        assert len(await caller.buried()) == 50
        assert len(await caller.replied()) == 2

    async def test_what_nobody_foresaw_is_a_problem_without_our_secrets(self, caller: Caller) -> None:
        """And stops nobody else."""
        await caller.ask({"requests": [{"operation": "photo", "request": {"photo_id": 1}}, SEARCH]})
        [reply] = await caller.replied()

        assert [sorted(each) for each in reply["answers"]] == [["operation", "problem"], ["answer", "operation"]]
        assert reply["answers"][0]["problem"]["status"] == 500
        assert "secret" not in str(reply)


class TestTime:
    """Requests that are too old."""

    async def test_what_waited_too_long_is_answered_and_not_worked_on(self, caller: Caller) -> None:
        """Its caller has gone, or is about to."""
        await caller.ask({"operation": "photos", "request": {}, "timeout_ms": 1_000}, age_ms=2_000)
        [reply] = await caller.replied()

        assert (reply["problem"]["status"], caller.failing.asked) == (503, 0)

    async def test_what_takes_too_long_is_given_up(self, caller: Caller) -> None:
        """After the time that its caller waits; one who waits too little for it to be begun waits longer next time."""
        for timeout_ms in (200, 2_000, 20_000):
            if not caller.failing.asked:
                await caller.ask({"operation": "photos", "request": {}, "timeout_ms": timeout_ms})
        replies = await caller.replied()

        assert {each["problem"]["status"] for each in replies} == {503}
        assert caller.failing.asked == 1


class TestMany:
    """Up to a thousand requests in one message."""

    async def test_a_thousand_are_answered_in_their_order_over_several_messages(self, caller: Caller) -> None:
        """None of which is larger than it may be."""
        words = ["red", "green", "nonsense"] * 333 + ["red"]
        await caller.ask({"requests": [{"operation": "search", "request": {"q": each, "k": 1}} for each in words]})
        parts = await caller.replied()
        answers = {first: each for part in parts for first, each in enumerate(part["answers"], part["first"])}
        first_hits = [
            answers[each]["answer"]["hits"][0]["url"] if "answer" in answers[each] else None for each in range(1_000)
        ]

        assert len(parts) > 1 and {each["total"] for each in parts} == {1_000}
        assert first_hits == [f"file:///album/{each}.jpg" if each != "nonsense" else None for each in words]


class TestOrder:
    """`HeldMessages`."""

    async def test_messages_of_one_key_are_worked_on_in_their_order(self) -> None:
        """Those of other keys do not wait for them, and no more are held than may be."""
        held, done = HeldMessages(), []

        async def work(event: Any) -> None:
            await asyncio.sleep(event.message.value)
            done.append((event.message.key, event.message.value))

        for key, seconds in ((b"a", 0.3), (b"a", 0.0), (b"b", 0.1), (None, 0.0)):
            await held.take_in(_held(key, seconds), work)
        while len(done) < 4:
            await asyncio.sleep(0.01)

        assert done == [(None, 0.0), (b"b", 0.1), (b"a", 0.3), (b"a", 0.0)]

    async def test_what_fails_even_as_a_dead_letter_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not acknowledged before."""
        monkeypatch.setattr("stream_app.held_messages.PAUSE_SECONDS", 0.01)
        tries = itertools.count(1)
        succeeded = asyncio.Event()

        async def work(event: Any) -> None:
            if next(tries) < 3:
                raise OSError("the broker is away")
            succeeded.set()

        await HeldMessages().take_in(_held(b"a", 0), work)
        async with asyncio.timeout(10):
            await succeeded.wait()


def _held(key: bytes | None, value: float) -> Any:
    message = ConsumerMessage("photo-queries", 0, 1, 0.0, 0, [], key, value, None, 0, 0, None)
    return FaustEvent(None, key, value, {}, message)
