"""The same request over HTTP and over Kafka: a real worker, a real broker, and what both doors answer."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from album_process import AlbumProcess, colour_folder, colour_photo

from stream_app import topics
from stream_app.contract.operations import BY_NAME
from stream_app.contract.searching import SearchAnswer
from stream_app.errors import ServiceUnavailable
from stream_app.folders import folder_photo_id
from stream_app.kafka_client import KafkaQueries, ProblemAnswered
from stream_app.running import noted
from stream_app.settings import Settings

README = Path(__file__).parent.parent / "README.md"
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

#: What the others see: in one message requests run beside each other.
GALLERIES = {"gallery", "gallery_suggestions", "add_to_gallery", "remove_from_gallery", "delete_gallery"}
QUESTS = {"quest", "quest_ranking", "set_quest_brief", "submit_to_quest", "withdraw_from_quest", "delete_quest"}
CHANGES = GALLERIES | QUESTS


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[AlbumProcess]:
    """One worker with twelve photos, which stay as they are: a seal between two answers would round their scores."""
    process = AlbumProcess(replace(settings, seal_interval_seconds=3_600.0), "worker")
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
    kind = "application/json" if operation.body == "json" else "image/png"
    status, answer = worker.send(operation.method, path, body, kind)
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
            unchanging = [number for number, (name, _) in enumerate(asked) if name not in CHANGES]
            requests = [{"operation": asked[each][0], "request": as_json(asked[each][1])} for each in unchanging]
            together = await queries.exchange({"requests": requests})

        assert offered == {name for name, _ in asked}
        assert single == http
        assert [comparable(each) for each in together["answers"]] == [http[each] for each in unchanging]
        assert {each["operation"] for each in http if "answer" in each} == offered


class TestTheClient:
    """`KafkaQueries`."""

    async def test_answers_have_the_contracts_types_and_problems_are_raised(self, worker: AlbumProcess) -> None:
        """Two callers at once share the topic of replies, and each gets its own; a thousand in one message, too."""
        async with KafkaQueries(worker.settings) as ours, KafkaQueries(worker.settings) as theirs:
            answers = await asyncio.gather(
                *(each.ask("search", q=colour, k=1) for each in (ours, theirs) for colour in ("red", "blue") * 10)
            )
            with pytest.raises(ProblemAnswered) as caught:
                await ours.ask("photo", photo_id=12345)
            many = await ours.ask_all([("search", {"q": "red", "k": 12}), ("photo", {"photo_id": 1})] * 500)
            image = await theirs.ask("search_image", image=YELLOW, k=1)

        assert [each.hits[0].url.rsplit("/", 1)[-1].split("-")[0] for each in answers] == ["red", "blue"] * 20
        assert caught.value.status == 404
        assert [type(each) for each in many] == [SearchAnswer, ProblemAnswered] * 500
        assert "yellow" in image.hits[0].url

    async def test_an_address_is_all_that_it_needs(self, worker: AlbumProcess) -> None:
        """Also of the private broker, which has no idempotent producer and would miscount longer batches."""
        settings = worker.settings
        async with KafkaQueries(settings.broker_url, topic_prefix=settings.topic_prefix) as queries:
            answers = await asyncio.gather(*(queries.ask("search", q="red", k=1) for _ in range(20)))

        assert {len(each.hits) for each in answers} == {1}

    def test_readmes_program_runs_as_it_stands_there(self, worker: AlbumProcess) -> None:
        """But for the word, which the tests' small model lacks; it finds the broker of `sightline up` by its note."""
        program = next(each for each in README.read_text().split("```python\n") if "KafkaQueries()" in each)
        program = program.split("```")[0].replace('"dog"', '"red"')
        environment = os.environ | worker.settings.to_environment() | {"SIGHTLINE_BROKER_URL": ""}
        with noted(worker.settings):
            ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)

        assert ran.returncode == 0, ran.stderr
        assert len(ran.stdout.splitlines()) == 5

    async def test_a_caller_hears_when_nobody_answers(self, log_settings: Settings) -> None:
        """In one line, and not for ever."""
        await topics.create_topics(log_settings, topics.topic_specs(log_settings, "tiny"))
        async with KafkaQueries(log_settings) as queries:
            with pytest.raises(ServiceUnavailable, match="within"):
                await queries.ask("search", q="red", timeout_ms=1)


@pytest.mark.several_workers
class TestSeveralWorkers:
    """On one broker."""

    async def test_any_of_them_answers_and_none_is_missed_when_one_is_killed(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        """Requests go where their partitions are, and those of a killed worker to the others."""
        workers = [
            AlbumProcess(replace(settings, data_dir=tmp_path / str(each), bundle=settings.bundle), "worker")
            for each in range(2)
        ]
        try:
            for each in workers:
                each.ready()
            async with KafkaQueries(settings) as queries:
                asked = [("similar_words", {"word": "red", "k": 3})] * 20
                before = await asyncio.gather(*(queries.ask(name, **request) for name, request in asked))
                shares = [each.metric("sightline_queries_answered_total") for each in workers]
                workers[0].kill()
                after = await asyncio.gather(*(queries.ask(name, **request) for name, request in asked))
        finally:
            for each in workers:
                each.stop()

        assert all(each == before[0] for each in [*before, *after])
        assert sum(shares) == 20 and min(shares) > 0


async def _offered(queries: KafkaQueries) -> set[str]:
    """The operations of this worker."""
    reply = await queries.exchange({"operation": "none", "request": {}})
    return set(reply["problem"]["expected"].split(", "))


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
