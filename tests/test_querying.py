"""The same request over HTTP and over Kafka: a real worker, a real broker, and what both doors answer."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from album_process import AlbumProcess, colour_folder, colour_photo

from stream_app.contract.operations import BY_NAME
from stream_app.folders import folder_photo_id
from stream_app.kafka_client import KafkaQueries
from stream_app.settings import Settings

RED, BLUE = (str(folder_photo_id(f"{each}-0.png")) for each in ("red", "blue"))
GREEN = str(folder_photo_id("green-1.png"))
YELLOW = colour_photo("yellow", 99)

#: Every operation, in an order in which one finds what another made; then what each door must refuse.
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("search", {"q": "red", "k": 5}),
    ("search", {"q": "red^2 - blue", "k": 3, "explain": True}),
    ("search", {"q": "red nonsenseword"}),
    ("search", {"q": "red", "user_id": ["7"], "orientation": "landscape"}),
    ("search_image", {"image": YELLOW, "k": 3}),
    ("search_image", {"image": YELLOW, "q": "red", "k": 3}),
    ("related", {"photo_id": BLUE, "k": 4}),
    ("photos", {"k": 10}),
    ("photo", {"photo_id": RED}),
    ("classification", {"photo_id": RED, "k": 3}),
    ("classify", {"image": YELLOW, "k": 3}),
    ("similar_words", {"word": "red", "k": 3}),
    ("analogy", {"q": "red - blue + green"}),
    ("disambiguate", {"candidates": ["red", {"text": "blue", "gloss": "a colour"}], "context": ["green"]}),
    ("add_to_gallery", {"gallery_id": "5", "photo_ids": [RED, GREEN]}),
    ("gallery", {"gallery_id": "5"}),
    ("gallery_suggestions", {"gallery_id": "5", "k": 3}),
    ("remove_from_gallery", {"gallery_id": "5", "photo_ids": [GREEN]}),
    ("suggestions", {"photo_ids": [RED], "k": 3, "method": "mean"}),
    ("delete_gallery", {"gallery_id": "5"}),
    ("set_quest_brief", {"quest_id": "6", "q": "red"}),
    ("submit_to_quest", {"quest_id": "6", "photo_ids": [RED, BLUE]}),
    ("quest", {"quest_id": "6"}),
    ("quest_ranking", {"quest_id": "6"}),
    ("withdraw_from_quest", {"quest_id": "6", "photo_ids": [BLUE]}),
    ("delete_quest", {"quest_id": "6"}),
    ("photographers", {"q": "red", "k": 3}),
    ("search", {}),
    ("search", {"q": "red", "k": 0}),
    ("search", {"q": "nonsenseword"}),
    ("search", {"q": "red", "colour": "red"}),
    ("search", {"q": "red", "cursor": "nonsense"}),
    ("related", {"photo_id": "12345"}),
    ("photo", {"photo_id": "12345"}),
    ("classification", {"photo_id": RED, "k": 1_001}),
    ("classify", {"image": YELLOW[:200]}),
    ("similar_words", {"word": "nonsenseword"}),
    ("analogy", {}),
    ("disambiguate", {"candidates": []}),
]


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[AlbumProcess]:
    """One worker with twelve photos."""
    process = AlbumProcess(settings, "worker")
    try:
        process.ready().run("publish", str(colour_folder(tmp_path / "photos", 3)))
        yield process.until_findable(12)
    finally:
        process.stop()


def over_http(worker: AlbumProcess, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """The answer of the operation's route, in the words of a reply over Kafka."""
    operation = BY_NAME[name]
    path = operation.path
    for each in operation.path_names:
        path = path.replace(f"{{{each}}}", quote(str(request[each])))
    rest = {field: value for field, value in request.items() if field not in operation.path_names}
    body = rest.pop("image", None)
    if operation.body == "json":
        body, rest = json.dumps(rest).encode(), {}
    elif rest:
        path += "?" + urlencode({field: _text(value) for field, value in rest.items()}, doseq=True)
    status, answer = worker.send(operation.method, path, body)
    return {"operation": name, "answer" if status < 300 else "problem": answer}


def comparable(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply without what two answers to one request may differ in: how long it took, and a number's quotes."""
    kept = {name: value for name, value in reply.items() if name != "correlation_id"}
    if answer := kept.get("answer"):
        kept["answer"] = {name: value for name, value in answer.items() if name != "took_ms"}
    if problem := kept.get("problem"):
        kept["problem"] = problem | {"received": str(problem["received"]).replace("'", "")}
    return kept


def as_json(request: dict[str, Any]) -> dict[str, Any]:
    """A request as any program would write it."""
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in request.items()
    }


class TestTheSameOverBothDoors:
    """HTTP and Kafka."""

    async def test_every_operation_answers_the_same(self, worker: AlbumProcess) -> None:
        """Each request that either refuses, too; one by one, and all in one message."""
        async with KafkaQueries(worker.settings) as queries:
            offered = await _offered(queries)
            asked = [(name, request) for name, request in REQUESTS if name in offered]
            http = [comparable(await asyncio.to_thread(over_http, worker, *each)) for each in asked]
            single = [
                comparable(await queries.exchange({"operation": name, "request": as_json(request)}))
                for name, request in asked
            ]

        assert offered == {name for name, _ in asked}
        assert single == http
        assert {"answer", "problem"} <= {kind for each in http for kind in each}


async def _offered(queries: KafkaQueries) -> set[str]:
    """The operations of this worker."""
    reply = await queries.exchange({"operation": "none", "request": {}})
    return set(reply["problem"]["expected"].split(", "))


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
