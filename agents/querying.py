"""`answer_queries`: requests that come over Kafka, answered to the topic that each names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import faust
from faust.types import EventT, StreamT

from agents.persistence import do_batch
from stream_app.dead_letters import DeadLetters
from stream_app.errors import QueryRejected
from stream_app.held_messages import HeldMessages
from stream_app.query_messages import (
    address_of,
    headers_of,
    message_of,
    problem_value,
    question_of,
    reply_values,
)
from stream_app.query_replies import QueryDesk, problem_said_of
from stream_app.reply_topics import ReplyTopics


@dataclass(frozen=True)
class QueryRoom:
    """What the agent works with, handed in by the app; `opened` returns when this worker can answer."""

    desk: QueryDesk
    replies: ReplyTopics
    dead_letters: DeadLetters
    opened: Callable[[], Awaitable[None]]
    held: HeldMessages = field(default_factory=HeldMessages)


def declare_querying(app: faust.App, topic: faust.Topic, room: QueryRoom) -> None:
    """Declare the agent on `app`."""

    @app.agent(topic, name="answer_queries")
    async def answer_queries(stream: StreamT) -> None:
        async for event in stream.noack().events():
            await room.opened()
            await room.held.take_in(event, lambda each: do_batch(answer, [each], "query", room.dead_letters))

    async def answer(events: Sequence[EventT]) -> None:
        for event in events:
            await answer_query(event, room)


async def answer_query(event: EventT, room: QueryRoom) -> None:
    """Reply to one message; returns when the reply, or else a dead letter, is durable. Safe to repeat."""
    headers = headers_of(event.message.headers)
    message, rejected = _read(event)
    address = address_of(message, headers)
    refusal = await room.replies.refusal(address) if address else "nothing says where the reply should go"
    if address is None or refusal:
        reasons = [str(each) for each in (refusal, rejected) if each]
        await room.dead_letters.put(event, "query", "; ".join(reasons))
        return
    try:
        if rejected:
            raise rejected
        question = question_of(message, address)
    except QueryRejected as error:
        values = [problem_value(address, problem_said_of(error, "a query"))]
    else:
        answers = await room.desk.answers(question, int(event.message.timestamp * 1000))
        values = reply_values(address, question, answers, room.replies.bytes_max)
    await room.replies.send(address, event.message.key or None, values)


def _read(event: EventT) -> tuple[object, QueryRejected | None]:
    try:
        return message_of(event.message.value), None
    except QueryRejected as error:
        return None, error
