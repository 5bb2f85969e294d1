"""The words over HTTP: what each route answers, to good requests and to bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from memory_album import MemoryAlbum
from web_client import problem_of, serving

from models.word_sources import word_source
from models.words import Vocabulary

BANCO = {"candidates": ["bank", "bench"], "context": ["garden", "chair", "wooden"]}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return word_source("glove_6b_50d")().vocabulary


@pytest.fixture
async def client(words: Vocabulary, tmp_path: Path) -> Any:
    """A client of a server whose album has the real words."""
    async with serving(MemoryAlbum(words), tmp_path) as client:
        yield client


async def test_similar_words_come_best_first_with_their_cosine(client: Any) -> None:
    """k bounds them, and the word itself is none of them."""
    found = await (await client.get("/api/words/Guitars/similar?k=3")).json()

    assert len(found["words"]) == 3 and found["known_words"] == ["guitars"]
    assert found["words"][0]["score"] >= found["words"][2]["score"] > 0.5
    assert found["words"][0]["name"] != "guitars"


async def test_a_phrase_with_a_blank_has_neighbours_too(client: Any) -> None:
    found = await (await client.get("/api/words/red%20qwzx/similar?k=2")).json()

    assert (found["known_words"], found["unknown_words"], len(found["words"])) == (["red"], {"qwzx": 1}, 2)


@pytest.mark.parametrize(
    "query",
    [
        "positive=king,woman&negative=man",
        "positive=king&positive=woman&negative=man",
        "q=king%20-%20man%20%2B%20woman",
        "q=king - man + woman",
    ],
)
async def test_king_without_man_with_woman_is_queen(client: Any, query: str) -> None:
    """Both ways to ask, also typed into an address bar as it stands."""
    found = await (await client.get(f"/api/words/analogy?{query}&k=3")).json()

    assert "queen" in [word["name"] for word in found["words"]]
    assert sorted(found["known_words"]) == ["king", "man", "woman"]


@pytest.mark.parametrize("query", ["", "?k=3", "?q=", "?positive=,", "?q=king&positive=queen"])
async def test_an_analogy_of_nothing_or_of_both_is_422(client: Any, query: str) -> None:
    problem = await problem_of(await client.get(f"/api/words/analogy{query}"), 422)

    assert "negative=man" in problem["expected"]


@pytest.mark.parametrize("path", ["qwzx/similar", "analogy?positive=qwzx", "analogy?q=qwzx"])
async def test_only_unknown_words_are_422_and_named(client: Any, path: str) -> None:
    assert "qwzx" in (await problem_of(await client.get(f"/api/words/{path}"), 422))["detail"]


@pytest.mark.parametrize("path", ["dog/similar", "analogy"])
@pytest.mark.parametrize("k", ["0", "1001", "x"])
async def test_a_k_that_cannot_be_is_400(client: Any, path: str, k: str) -> None:
    problem = await problem_of(await client.get(f"/api/words/{path}?k={k}"), 400)

    assert "1 to 1000" in problem["expected"]


async def test_the_translation_that_fits_its_context_comes_first(client: Any) -> None:
    found = await (await client.post("/api/words/disambiguate", json=BANCO)).json()

    assert [each["text"] for each in found["candidates"]] == ["bench", "bank"]
    assert found["sure"] and found["margin"] > 0.1 and found["unknown_words"] == {}


async def test_a_gloss_is_answered_with_its_candidate(client: Any) -> None:
    senses = [{"text": "bank", "gloss": "money"}, {"text": "bank", "gloss": "side of a river"}, "qwzx"]
    reply = await client.post("/api/words/disambiguate", json={"candidates": senses, "context": ["water", "qwzx"]})
    found = await reply.json()

    assert found["candidates"][0]["gloss"] == "side of a river"
    assert found["candidates"][2] == {"text": "qwzx", "gloss": None, "score": None}
    assert (found["sure"], found["unknown_words"]) == (False, {"qwzx": 2})


async def test_a_context_of_unknown_words_is_422_with_their_count(client: Any) -> None:
    reply = await client.post("/api/words/disambiguate", json=BANCO | {"context": ["qwzx", "qwzx"]})

    assert "qwzx (2)" in (await problem_of(reply, 422))["received"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 60_000,
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'"bank"',
        b'{"candidates": "bank", "context": ["river"]}',
        b'{"candidates": ["bank", 7], "context": ["river"]}',
        b'{"candidates": ["bank", {"gloss": "x"}], "context": ["river"]}',
        b'{"candidates": ["bank", {"text": "x", "gloss": 3}], "context": ["river"]}',
        b'{"candidates": ["bank", "bench"], "context": [null]}',
        b'{"candidates": ["bank", "bench"], "context": "river"}',
        json.dumps(BANCO | {"candidates": ["bank"]}).encode(),
        json.dumps(BANCO | {"context": []}).encode(),
    ],
)
async def test_a_body_of_another_shape_is_400(client: Any, body: bytes) -> None:
    problem = await problem_of(await client.post("/api/words/disambiguate", data=body, headers=JSON), 400)

    assert problem["expected"] and problem["received"]


async def test_a_body_without_end_is_413(client: Any) -> None:
    """It is not gathered first, nor parsed."""
    body = b'{"candidates": [' + b'"a",' * 40_000
    reply = await client.post("/api/words/disambiguate", data=body, headers=JSON)

    await problem_of(reply, 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
async def test_a_body_of_another_kind_is_415_with_advice(client: Any, kind: str) -> None:
    reply = await client.post("/api/words/disambiguate", data=json.dumps(BANCO), headers={"Content-Type": kind})

    assert "curl -H" in (await problem_of(reply, 415))["remedy"]
