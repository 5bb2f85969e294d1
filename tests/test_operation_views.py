"""Operations over HTTP: where parameters may stand, how long they may be, and which methods there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from memory_album import MemoryAlbum, photo_bytes
from web_client import problem_of, serving


@pytest.fixture
async def client(tmp_path: Path) -> Any:
    """A client of a server of one photo."""
    album = MemoryAlbum()
    album.add(photo_bytes("red"), "red.jpg", photo_id=7)
    async with serving(album, tmp_path) as client:
        yield client


async def test_as_many_ids_as_are_allowed_stand_in_an_address(client: Any) -> None:
    """1,000 of 19 digits, and 20 tags of 200 letters that need nine bytes each."""
    ids = [("exclude_user", str(2**62 + number)) for number in range(1_000)]
    reply = await client.get("/api/search", params=[("q", "red"), *ids, *[("tag", "写" * 200)] * 20])

    assert reply.status == 200
    await problem_of(await client.get("/api/search", params=[("q", "red"), *ids, ("exclude_user", "1")]), 400)


async def test_null_is_no_value(client: Any) -> None:
    """What is not wanted is left out."""
    problem = await problem_of(await client.get("/api/search?q=red&orientation=null"), 400)

    assert problem["expected"] == "landscape, portrait, square"


@pytest.mark.parametrize("path", ["/api/classify", "/api/search/image"])
async def test_a_photo_does_not_stand_in_the_address(client: Any, path: str) -> None:
    """It is the body."""
    assert "body" in (await problem_of(await client.post(f"{path}?image=aGVsbG8="), 400))["expected"]


async def test_the_parameters_of_a_json_body_do_not_stand_in_the_address(client: Any) -> None:
    """Nor beside it."""
    reply = await client.post(
        "/api/words/disambiguate?context=river", json={"candidates": ["a", "b"], "context": ["c"]}
    )

    assert "JSON" in (await problem_of(reply, 400))["expected"]


async def test_a_path_and_a_query_do_not_say_the_same_twice(client: Any) -> None:
    """Which of them would count?"""
    problem = await problem_of(await client.get("/api/photos/7/related?photo_id=8"), 400)

    assert problem["received"] == "8"


@pytest.mark.parametrize(
    ("path", "name", "is_right"),
    [
        ("/api/photos", "title", True),
        ("/api/photos", "titel", False),
        ("/api/classify", "k", False),
        ("/api/photos", "", False),
    ],
)
async def test_a_form_has_no_fields_that_nobody_knows(client: Any, path: str, name: str, is_right: bool) -> None:
    """A misspelt title is told, not lost."""
    form = FormData()
    form.add_field("image", photo_bytes("green"), filename="leaf.jpg")
    form.add_field(name, "1")
    reply = await client.post(path, data=form)

    assert reply.status == (202 if is_right else 400)


async def test_the_field_image_is_a_photo_without_a_file_name_too(client: Any) -> None:
    """As `curl -F 'image=<photo.jpg'` sends it."""
    body = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + photo_bytes("red") + b"\r\n--x--\r\n"
    reply = await client.post("/api/classify", data=body, headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert (await reply.json())["labels"][0]["name"] == "red"


async def test_what_can_be_got_can_be_asked_for_its_head(client: Any) -> None:
    """With the same status and no body."""
    for path in ("/api/search?q=red", "/api/photos/7", "/api/stats", "/api/openapi.json", "/api/docs"):
        reply = await client.head(path)
        assert (reply.status, await reply.read()) == (200, b"")


async def test_a_method_that_there_is_not_is_405_and_names_those_that_there_are(client: Any) -> None:
    """For every kind of route."""
    for path, allowed in (("/api/search", "GET,HEAD"), ("/api/classify", "POST"), ("/api/photos/7", "DELETE,GET,HEAD")):
        reply = await client.request("PATCH", path)
        await problem_of(reply, 405)
        assert reply.headers["Allow"] == allowed
