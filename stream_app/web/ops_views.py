"""What the operators' page is made of: the worker's observations, live, and its dead letters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from stream_app.dead_letters import DeadLetter
from stream_app.in_time import in_time
from stream_app.observations import Observation, columns
from stream_app.watch import Watch
from stream_app.web.problems import RequestRefused
from stream_app.web.security import HEADERS

#: Each page that is open costs a connection and a write every two seconds.
LISTENERS_MAX = 16
#: A silence longer than this is broken by a comment, so that nobody on the way takes the connection for dead.
HEARTBEAT_SECONDS = 10.0
#: A browser that takes nothing for so long has gone, whatever its connection says.
STALLED_SECONDS = 10.0
LETTERS_SHOWN_MAX = 200
VALUE_SHOWN_CHARACTERS = 600
FRESH = {"Cache-Control": "no-store"}


class OpsViews:
    """Views for operators; only replaying a dead letter changes anything."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._listeners = 0

    def routes(self) -> list[web.RouteDef]:
        """Every route of these views."""
        return [
            web.get("/api/ops", self.now),
            web.get("/api/ops/events", self.events),
            web.get("/api/ops/dead-letters", self.dead_letters),
            web.post("/api/ops/dead-letters/{place}/replay", self.replay),
        ]

    async def now(self, request: web.Request) -> web.Response:
        """The worker, and what it saw of itself last; `observation` is null before it has looked."""
        last = self._watch.observations.since(0)[-1:]
        observed = _observation_json(last[0]) if last else None
        listeners = {"listeners": self._listeners, "listeners_max": LISTENERS_MAX}
        return _json({"worker": self._watch.card.to_json(), "observation": observed} | listeners)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: `worker`, `history`, then `observation` for ever; ends with the worker or the client."""
        if self._listeners >= LISTENERS_MAX:
            raise RequestRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too many pages listen to this worker already",
                expected=f"at most {LISTENERS_MAX}",
                received=f"{self._listeners + 1}",
                remedy="Close one of them; /metrics says the same to Prometheus.",
            )
        self._listeners += 1
        try:
            return await self._tell(request)
        finally:
            self._listeners -= 1

    async def dead_letters(self, request: web.Request) -> web.Response:
        """The newest dead letters, newest first, and how many there are."""
        letters = await in_time(self._watch.dead_letters())
        shown = [_letter_json(each) for each in letters[: -LETTERS_SHOWN_MAX - 1 : -1]]
        return _json({"dead_letters": shown, "count": len(letters)})

    async def replay(self, request: web.Request) -> web.Response:
        """Sends one dead letter to where it came from; 404 where it was replayed already."""
        place = request.match_info["place"]
        letter = await in_time(self._watch.replay(place)) if re.fullmatch(r"\d{1,6}-\d{1,18}", place) else None
        if letter is None:
            raise RequestRefused(
                HTTPStatus.NOT_FOUND,
                "there is no such dead letter",
                expected="the place of one that was not replayed yet",
                received=place[:40],
                remedy="Look at the list again: another operator may have been quicker.",
            )
        return _json({"replayed": _letter_json(letter)}, HTTPStatus.ACCEPTED)

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        headers = HEADERS | FRESH | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        reply = web.StreamResponse(headers=headers)
        seen = _sequence(request.headers.get("Last-Event-ID", ""), self._watch.card.start_id)
        try:
            await reply.prepare(request)
            async for text in self._texts(seen):
                await asyncio.wait_for(reply.write(text), STALLED_SECONDS)
        except (ConnectionError, TimeoutError):  # nobody is there any more
            if request.transport is not None:
                request.transport.abort()
        return reply

    async def _texts(self, seen: int) -> AsyncIterator[bytes]:
        """Every text that a listener is told who knows what came up to `seen`."""
        observations = self._watch.observations
        yield b"retry: 2000\n\n" + _event("worker", self._watch.card.to_json())
        past = observations.since(seen)
        yield _event("history", {"continues": seen > 0} | columns(past))
        if past:
            yield self._told(past[-1])
            seen = past[-1].sequence
        while not observations.closed:
            newest = await observations.newest_after(seen, HEARTBEAT_SECONDS)
            if newest:
                yield self._told(newest)
                seen = newest.sequence
            else:
                yield b": still here\n\n"

    def _told(self, observation: Observation) -> bytes:
        return _event(
            "observation", _observation_json(observation), f"{self._watch.card.start_id}.{observation.sequence}"
        )


def attach_ops(web_app: web.Application, watch: Watch) -> None:
    """Registers the routes, and lets `watch` run as long as the server does."""
    web_app.add_routes(OpsViews(watch).routes())

    async def run(_: web.Application) -> AsyncIterator[None]:
        running = asyncio.create_task(watch.run())
        yield
        running.cancel()
        await asyncio.wait([running])

    async def let_go(_: web.Application) -> None:
        watch.observations.close()

    web_app.cleanup_ctx.append(run)
    web_app.on_shutdown.append(let_go)  # before the server waits for what is still being answered


def _event(name: str, data: Mapping[str, Any], event_id: str = "") -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _sequence(last_event_id: str, start_id: str) -> int:
    """How far a listener came that comes back; 0 for one that is new, or knows another start of the worker."""
    start, _, sequence = last_event_id.partition(".")
    return int(sequence) if start == start_id and sequence.isdecimal() and len(sequence) < 18 else 0


def _observation_json(observation: Observation) -> dict[str, Any]:
    return {
        "sequence": observation.sequence,
        "time_ms": observation.time_ms,
        "numbers": observation.numbers,
        "state": observation.state,
    }


def _letter_json(letter: DeadLetter) -> dict[str, Any]:
    """A letter as text: what it holds was sent by anybody, and may be no text at all."""
    value = letter.value or b""
    return {
        "place": letter.place,
        "reason": letter.reason,
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "time_ms": letter.time_ms,
        "key": (letter.key or b"").decode(errors="replace")[:80],
        "value": value[: 4 * VALUE_SHOWN_CHARACTERS].decode(errors="replace")[:VALUE_SHOWN_CHARACTERS],
        "value_bytes": len(value),
        "replayable": bool(letter.topic and letter.value),
    }


def _json(body: Mapping[str, Any] | Sequence[Any], status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=FRESH)
