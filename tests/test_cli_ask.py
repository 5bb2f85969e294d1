"""The commands that ask a worker, against a real server: tables, JSON, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from memory_album import MemoryAlbum, photo_bytes
from web_client import serving

from stream_app.cli import main
from stream_app.contract import collections
from stream_app.contract.photos import ClassificationAnswer
from stream_app.contract.searching import HitExplanation, PhotoHit
from stream_app.contract.values import Scored
from stream_app.local_services import free_port

EXPLANATION = HitExplanation(
    cosine=0.5, hamming_cosine=0.4, tag_bonus=0.25, shared_words=["sea"], shared_labels=["boat"], source="memtable"
)
HIT: dict[str, Any] = {
    "photo_id": "77",
    "score": 0.75,
    "url": "file:///album/77.jpg",
    "image_url": "/api/photos/77/image",
    "title": "The [red] boat",
    "tags": [],
    "labels": ["boat", "lake"],
    "user_id": "5",
    "width": 4,
    "height": 3,
    "duplicates": 2,
    "explanation": EXPLANATION,
}


class FixedAnswers:
    """Operations whose answers are always the same; `asked` keeps the requests."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def classification(self, request: Any) -> ClassificationAnswer:
        self.asked.append(request)
        return ClassificationAnswer(labels=[Scored("boat", 0.5)], words=[Scored("sea", 0.25), Scored("lake", 0.125)])

    async def gallery_suggestions(self, request: Any) -> collections.SuggestionsAnswer:
        self.asked.append(request)
        hit = collections.Suggestion(**HIT, members=["8", "9"])
        return collections.SuggestionsAnswer(hits=[hit], members=4, themes=2, complete=True, took_ms=1.0)

    suggestions = gallery_suggestions

    async def quest_ranking(self, request: Any) -> collections.QuestRankingAnswer:
        self.asked.append(request)
        fields = {
            name: HIT[name] for name in ("photo_id", "score", "url", "image_url", "title", "user_id", "width", "height")
        }
        submission = collections.Submission(
            **fields, topic="off", duplicate_of="6", resubmitted=3, reason="not a [boat]"
        )
        return collections.QuestRankingAnswer(
            submissions=[submission], threshold=0.2, waiting=["1"], states={"1": "gone"}, took_ms=1.0
        )

    async def photographers(self, request: Any) -> collections.PhotographersAnswer:
        self.asked.append(request)
        photographer = collections.Photographer(user_id="5", score=0.7, photos=1_200, evidence=[PhotoHit(**HIT)])
        return collections.PhotographersAnswer(photographers=[photographer], unknown_words=["quux"], took_ms=1.0)


@pytest.fixture
def desk() -> FixedAnswers:
    return FixedAnswers()


@pytest.fixture
async def run(tmp_path: Path, desk: FixedAnswers) -> Any:
    """Runs a command against a server of two photos, in a thread of its own."""
    album = MemoryAlbum()
    album.add(photo_bytes("red"), "red.jpg", photo_id=7, title="A red one")
    album.add(photo_bytes("blue"), "blue.jpg", photo_id=9)
    async with serving(album, tmp_path / "data", desk) as client:
        url = str(client.make_url("/"))

        async def run_command(*arguments: str) -> Result:
            environment = {"SIGHTLINE_DATA_DIR": str(tmp_path)}
            command = [*arguments, "--url", url]
            return await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)

        yield run_command


class TestTables:
    async def test_words_find_photos(self, run: Any) -> None:
        """Several arguments are one query, and what is not known is told."""
        result = await run("search", "red", "quux", "-k", "1")

        assert result.exit_code == 0, result.output
        assert "A red one" in result.output and "unknown word: quux" in result.output

    async def test_a_photo_finds_its_like(self, run: Any, tmp_path: Path) -> None:
        """By its id, and as a file."""
        (tmp_path / "blue.jpg").write_bytes(photo_bytes("blue"))

        assert "red.jpg" in (await run("related", "9")).output
        assert "blue.jpg" in (await run("search", "--image", str(tmp_path / "blue.jpg"), "-k", "1")).output

    async def test_a_photo_is_named_by_words_and_labels(self, run: Any, tmp_path: Path) -> None:
        """A file, or a photo of the album."""
        (tmp_path / "green.jpg").write_bytes(photo_bytes("green"))

        assert "green" in (await run("classify", str(tmp_path / "green.jpg"), "-k", "1")).output
        stored = [line.split() for line in (await run("classify", "7")).output.splitlines()]
        assert ["sea", "0.250", "boat", "0.500"] in stored and ["lake", "0.125"] in stored

    async def test_suggestions_name_their_members_and_say_why(self, run: Any, desk: FixedAnswers) -> None:
        """For a gallery, and for a list of photos."""
        result = await run("suggest", "12", "--method", "mean", "--explain", "--tag", "sea", "--tag", "lake")
        listed = await run("suggest", "--photo", "8", "--photo", "9")

        assert "8, 9" in result.output and "4 members with 2 themes" in result.output and "[red]" in result.output
        assert "cosine 0.500 + 0.25 for tags, memtable; sea, boat" in result.output and "(+2 alike)" in result.output
        assert listed.exit_code == 0
        asked, unsaved = desk.asked
        assert (asked.gallery_id, asked.method, asked.tag, asked.explain) == ("12", "mean", ["sea", "lake"], True)
        assert unsaved.photo_ids == ["8", "9"]

    async def test_a_ranking_flags_what_is_off_topic_and_what_is_there_already(self, run: Any) -> None:
        result = await run("rank", "3")

        for part in ("off", "not a [boat]", "6", "off topic below 0.200", "not findable: 1 gone"):
            assert part in result.output

    async def test_photographers_come_with_evidence(self, run: Any, desk: FixedAnswers) -> None:
        """A brief of words and an example."""
        result = await run("photographers", "boats", "at", "sea", "--photo", "7", "--model", "mean", "--evidence", "1")

        assert "1,200" in result.output and "77.jpg" in result.output and "unknown word: quux" in result.output
        [asked] = desk.asked
        assert (asked.q, asked.photo_ids, asked.model, asked.evidence) == ("boats at sea", ["7"], "mean", 1)


class TestJson:
    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            (["search", "red"], "hits"),
            (["related", "7"], "hits"),
            (["classify", "7"], "words"),
            (["suggest", "12"], "themes"),
            (["rank", "3"], "submissions"),
            (["photographers", "boats"], "photographers"),
        ],
    )
    async def test_every_answer_is_printed_as_it_came(self, run: Any, arguments: list[str], field: str) -> None:
        result = await run(*arguments, "--json")

        assert result.exit_code == 0, result.output
        assert field in json.loads(result.output)


class TestTrouble:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["search", "quux"], "no word of the query is known; expected words such as red"),
            (["search", "red", "--after", "yesterday", "--cursor", "x" * 201], "cursor cannot be used"),
            (["search"], "expected WORDS or --image"),
            (["related", "12345"], "there is no photo 12345"),
            (["related", "abc"], "a whole number from 0 to"),
            (["classify", "no-such-file.jpg"], "a photo's file, or the id"),
            (["suggest"], "either GALLERY_ID or --photo"),
            (["suggest", "1", "--photo", "2"], "either GALLERY_ID or --photo"),
            (["photographers"], "WORDS or --photo"),
        ],
    )
    async def test_what_cannot_be_answered_is_one_line(self, run: Any, arguments: list[str], said: str) -> None:
        """With an exit code, and no traceback."""
        result = await run(*arguments)

        assert result.exit_code == 2
        assert result.stderr.startswith("sightline: ") and len(result.stderr.splitlines()) == 1
        assert said in result.stderr

    def test_no_worker_is_one_line_and_says_how_to_start_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The address is that of the settings, where none is given."""
        monkeypatch.setattr("stream_app.client.connection.BACKOFF_SECONDS", 0.0)
        environment = {"SIGHTLINE_DATA_DIR": str(tmp_path), "SIGHTLINE_WEB_PORT": str(port := free_port())}
        result = CliRunner().invoke(main, ["search", "red"], env=environment)

        assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
        assert f"127.0.0.1:{port}" in result.stderr and "sightline up" in result.stderr
