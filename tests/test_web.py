"""The album over HTTP: what each route answers, to good requests and to bad ones."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import FormData, web
from memory_album import MemoryAlbum, photo_bytes
from web_client import problem_of, serving

from stream_app.errors import SegmentCorrupt, ServiceUnavailable


@pytest.fixture
def album() -> MemoryAlbum:
    """Three photos: two reddish ones and a blue one."""
    album = MemoryAlbum()
    album.add(photo_bytes("red"), "red.jpg", photo_id=7, title="A red one", tags=["warm"])
    album.add(photo_bytes("#d04040", 40, 60), "rose.jpg", photo_id=2**63 - 1)
    album.add(photo_bytes("blue", kind="PNG"), "blue sky.png", photo_id=9)
    return album


@pytest.fixture
async def client(album: MemoryAlbum, tmp_path: Path) -> Any:
    """A client of a server of that album."""
    async with serving(album, tmp_path) as client:
        yield client


class TestQuestions:
    async def test_a_photo_is_answered_with_its_id_as_a_string(self, client: Any) -> None:
        """The largest id keeps every digit."""
        photo = await (await client.get(f"/api/photos/{2**63 - 1}")).json()

        assert photo["photo_id"] == "9223372036854775807"
        assert (photo["width"], photo["height"], photo["state"]) == (40, 60, "findable")
        assert photo["labels"][0]["name"] == "red"

    async def test_photos_come_newest_first_and_page_by_page(self, client: Any) -> None:
        """Two pages of two hold all three photos once."""
        first = await (await client.get("/api/photos?k=2")).json()
        second = await (await client.get("/api/photos?k=2&offset=2")).json()

        ids = [photo["photo_id"] for photo in first["photos"] + second["photos"]]
        assert ids == ["9", "9223372036854775807", "7"]

    async def test_related_leaves_the_photo_itself_out(self, client: Any) -> None:
        """The other red photo comes first, the photo asked about not at all."""
        reply = await (await client.get("/api/photos/7/related")).json()

        assert [hit["photo_id"] for hit in reply["hits"]] == ["9223372036854775807", "9"]

    async def test_a_nameless_upload_gets_a_name_that_says_what_it_is(self, client: Any) -> None:
        """The store of uploads is published again after a restart, by the names of its files."""
        reply = await (await client.post("/api/photos", data=photo_bytes("red"))).json()
        photo = await (await client.get(reply["photos"][0]["location"])).json()

        assert photo["url"].endswith(".jpg") or photo["url"].endswith(".png")

    async def test_words_find_photos_and_the_reply_says_how_complete_it_is(self, client: Any) -> None:
        """A hit carries all that a page needs to show it."""
        reply = await (await client.get("/api/search?q=red&k=1")).json()

        assert (reply["complete"], reply["shards"], reply["unknown_words"]) == (True, {"0": "shard"}, [])
        assert reply["took_ms"] >= 0
        hit = reply["hits"][0]
        assert hit["score"] == round(hit["score"], 6)
        assert {key: hit[key] for key in ("photo_id", "url", "image_url", "title", "tags", "width")} == {
            "photo_id": "7",
            "url": "file:///album/red.jpg",
            "image_url": "/api/photos/7/image",
            "title": "A red one",
            "tags": ["warm"],
            "width": 60,
        }

    async def test_words_that_are_not_known_are_named_beside_the_hits(self, client: Any) -> None:
        """One known word is enough to search by."""
        reply = await (await client.get("/api/search?q=blue+quux&k=1")).json()

        assert (reply["hits"][0]["photo_id"], reply["unknown_words"]) == ("9", ["quux"])

    @pytest.mark.parametrize("field", [None, "image", "anything"])
    async def test_a_photo_searches_as_a_body_and_as_a_form(self, client: Any, field: str | None) -> None:
        """Raw bytes, the field `image` and any other file are the same question."""
        data: Any = photo_bytes("blue")
        if field:
            form = FormData()
            form.add_field(field, data, filename="any.jpg")
            data = form
        reply = await (await client.post("/api/search/image?k=1", data=data)).json()

        assert reply["hits"][0]["photo_id"] == "9"

    async def test_the_field_image_counts_wherever_it_stands_in_the_form(self, client: Any) -> None:
        """Another file before it is not the one that is searched by."""
        form = FormData()
        form.add_field("other", photo_bytes("red"), filename="other.jpg")
        form.add_field("image", photo_bytes("blue"), filename="image.jpg")
        reply = await (await client.post("/api/search/image?k=1", data=form)).json()

        assert reply["hits"][0]["photo_id"] == "9"

    async def test_classify_names_what_a_photo_shows(self, client: Any) -> None:
        """k bounds labels and words alike."""
        reply = await (await client.post("/api/classify?k=2", data=photo_bytes("green"))).json()

        assert reply["labels"][0]["name"] == "green"
        assert (len(reply["labels"]), len(reply["words"])) == (2, 2)

    async def test_stats_count_the_findable_photos(self, client: Any) -> None:
        """`photos` is a number."""
        assert (await (await client.get("/api/stats")).json())["photos"] == 3


class TestChanges:
    async def test_an_upload_answers_202_with_the_place_of_the_photo(self, client: Any) -> None:
        """What was uploaded is found where Location says, with its title and tags."""
        reply = await client.post("/api/photos?name=leaf.jpg&title=Leaf&tags=a,b", data=photo_bytes("green"))
        assert reply.status == 202
        body = await reply.json()
        photo = await (await client.get(reply.headers["Location"])).json()

        assert body["photo_id"] == photo["photo_id"] == body["photos"][0]["photo_id"]
        assert (photo["title"], photo["tags"]) == ("Leaf", ["a", "b"])
        assert photo["url"].endswith("/leaf.jpg")

    async def test_a_form_uploads_several_photos_and_names_the_bad_ones(self, client: Any) -> None:
        """One text file among the photos does not stop them."""
        form = FormData()
        form.add_field("title", "Two")
        for name, data in (("1.jpg", photo_bytes()), ("x.jpg", b"only text"), ("2.jpg", photo_bytes("blue"))):
            form.add_field("image", data, filename=name)
        reply = await client.post("/api/photos", data=form)
        body = await reply.json()

        assert reply.status == 202
        assert [photo["name"] for photo in body["photos"]] == ["1.jpg", "2.jpg"]
        assert [each["name"] for each in body["rejected"]] == ["x.jpg"]
        assert "only text" in body["rejected"][0]["detail"]

    async def test_a_name_with_folders_keeps_only_its_last_part(self, client: Any) -> None:
        """A name can lead nowhere on the disk."""
        reply = await client.post("/api/photos?name=../../etc/pass%00wd", data=photo_bytes())

        assert (await reply.json())["photos"][0]["name"] == "passwd"

    async def test_a_deleted_photo_is_found_nowhere(self, client: Any) -> None:
        """204, then 404 for the photo, its image and its thumbnail, also when that was made before."""
        assert (await client.get("/api/photos/7/image?side=160")).status == 200
        assert (await client.delete("/api/photos/7")).status == 204

        for path in ("", "/image", "/image?side=160", "/related"):
            await problem_of(await client.get(f"/api/photos/7{path}"), 404)
        hits = (await (await client.get("/api/search?q=red")).json())["hits"]
        assert "7" not in [hit["photo_id"] for hit in hits]

    async def test_a_deleted_photo_leaves_no_thumbnail_on_the_disk(self, client: Any, tmp_path: Path) -> None:
        """The folder of thumbnails holds nothing of it."""
        await client.get("/api/photos/7/image?side=160")
        assert list(tmp_path.rglob("7-*.webp"))
        await client.delete("/api/photos/7")

        assert not list(tmp_path.rglob("7-*.webp"))

    async def test_deleting_an_unknown_photo_is_404(self, client: Any) -> None:
        """Nothing is deleted that is not there."""
        await problem_of(await client.delete("/api/photos/12345"), 404)


class TestBadRequests:
    @pytest.mark.parametrize("k", ["0", "-1", "1001", "10000000", "abc", "1.5", "", "٣", "9" * 5000])
    async def test_a_k_that_cannot_be_is_refused_with_advice(self, client: Any, k: str) -> None:
        """Expected, received and remedy are all there."""
        for path in ("/api/photos?", "/api/photos/7/related?", "/api/search?q=red&"):
            problem = await problem_of(await client.get(path, params=[("k", k)]), 400)

            assert "1 to 1000" in problem["expected"]
            assert problem["received"] and problem["remedy"]

    @pytest.mark.parametrize("photo_id", ["abc", "-1", str(2**63), "1e3", "9" * 5000])
    async def test_an_id_that_cannot_be_is_400(self, client: Any, photo_id: str) -> None:
        """It says what an id looks like."""
        problem = await problem_of(await client.get(f"/api/photos/{photo_id}"), 400)

        assert "whole number" in problem["expected"]

    @pytest.mark.parametrize("path", ["/api/photos/12345", "/api/photos/12345/image", "/api/nothing", "/static/x"])
    async def test_what_is_not_there_is_404(self, client: Any, path: str) -> None:
        """Unknown photos and unknown addresses alike."""
        await problem_of(await client.get(path), 404)

    async def test_a_wrong_method_is_405_and_names_the_right_ones(self, client: Any) -> None:
        """The Allow header stays."""
        reply = await client.put("/api/search", data=b"")
        await problem_of(reply, 405)

        assert "GET" in reply.headers["Allow"]

    @pytest.mark.parametrize("query", ["", "?q=", "?q=+++"])
    async def test_a_search_without_words_is_400(self, client: Any, query: str) -> None:
        """It gives an example."""
        problem = await problem_of(await client.get(f"/api/search{query}"), 400)

        assert "q=dog" in problem["remedy"]

    async def test_a_search_of_unknown_words_is_422_and_helps(self, client: Any) -> None:
        """The advice of the vocabulary reaches the caller."""
        problem = await problem_of(await client.get("/api/search?q=quux"), 422)

        assert "red" in problem["expected"] and problem["received"] == "quux"

    @pytest.mark.parametrize("path", ["/api/search/image", "/api/classify", "/api/photos"])
    async def test_a_text_file_is_no_photo(self, client: Any, path: str) -> None:
        """422 at once."""
        problem = await problem_of(await client.post(path, data=b"<svg onload=x>"), 422)

        assert "JPEG" in problem["expected"] and "<svg" in problem["received"]

    async def test_heic_without_the_extra_is_422_and_names_the_extra(self, client: Any) -> None:
        """It is told at once, not found among the dead letters later."""
        with patch("stream_app.web.photo_types.find_spec", return_value=None):
            reply = await client.post("/api/photos", data=b"\x00\x00\x00\x18ftypheic" + bytes(20))
        problem = await problem_of(reply, 422)

        assert "pillow-heif" in problem["remedy"]

    @pytest.mark.parametrize(
        ("path", "status"), [("/api/search/image", 422), ("/api/classify", 422), ("/api/photos", 400)]
    )
    async def test_an_empty_body_is_refused_and_told_how_to_send_one(self, client: Any, path: str, status: int) -> None:
        """A question may name a photo's address instead of sending it, an upload may not."""
        problem = await problem_of(await client.post(path), status)

        assert "curl" in problem["remedy"]

    async def test_a_truncated_photo_is_422(self, client: Any) -> None:
        """Its first bytes are right, the rest is missing."""
        await problem_of(await client.post("/api/search/image", data=photo_bytes()[:60]), 422)

    @pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/mixed"])
    async def test_a_broken_form_is_400(self, client: Any, kind: str) -> None:
        """A missing boundary, a body without one, a form of nothing."""
        reply = await client.post("/api/photos", data=b"--y\r\nbroken", headers={"Content-Type": kind})

        await problem_of(reply, 400)

    async def test_a_form_of_boundaries_only_is_400(self, client: Any) -> None:
        """Each of them looks like a header of the part before."""
        reply = await client.post(
            "/api/photos", data=b"--x\r\n" * 10_000, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )

        assert "curl" in (await problem_of(reply, 400))["remedy"]

    async def test_a_body_that_is_not_compressed_as_it_says_is_400(self, client: Any) -> None:
        """The reason is one line."""
        reply = await client.post("/api/search/image", data=photo_bytes(), headers={"Content-Encoding": "gzip"})

        assert "\n" not in (await problem_of(reply, 400))["received"]

    async def test_a_body_without_end_is_408(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Some bytes now and then hold no request open for ever."""
        monkeypatch.setattr("stream_app.web.bodies.BODY_SECONDS_MAX", 0.1)

        async def drops() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x"
                await asyncio.sleep(0.02)

        reply = await client.post("/api/photos", data=drops())

        assert "took too long" in (await problem_of(reply, 408))["detail"]


class TestTrouble:
    async def test_a_client_that_hangs_up_leaves_no_traceback(
        self, client: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A page that is closed during an upload is nothing to look after."""
        # The test server would cancel the handler, as a worker's server does not.
        runner = web.AppRunner(client.server.app, handler_cancellation=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"POST /api/photos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nsome")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.1)
        await site.stop()

        assert "Traceback" not in caplog.text

    async def test_a_lost_connection_of_the_album_itself_is_500(self, client: Any, album: MemoryAlbum) -> None:
        """The client is still there to be told."""

        async def fail() -> Any:
            raise ConnectionRefusedError

        album.stats = fail  # type: ignore[method-assign]
        await problem_of(await client.get("/api/stats"), 500)

    async def test_what_was_not_foreseen_is_500_without_internals(
        self, client: Any, album: MemoryAlbum, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The log has the reason, the reply has not."""

        async def fail() -> Any:
            raise RuntimeError("secret of the house")

        album.stats = fail  # type: ignore[method-assign]
        problem = await problem_of(await client.get("/api/stats"), 500)

        assert "secret" not in str(problem)
        assert "secret of the house" in caplog.text

    async def test_a_damaged_segment_is_500_and_its_path_stays_inside(self, client: Any, album: MemoryAlbum) -> None:
        """An error of ours that no caller can mend."""

        async def fail() -> Any:
            raise SegmentCorrupt("/inner/path/forest.ann is damaged")

        album.stats = fail  # type: ignore[method-assign]
        assert "/inner" not in str(await problem_of(await client.get("/api/stats"), 500))

    async def test_a_missing_service_is_503_and_says_when_to_come_back(self, client: Any, album: MemoryAlbum) -> None:
        """Retry-After is set."""

        async def fail() -> Any:
            raise ServiceUnavailable("Redis does not answer")

        album.stats = fail  # type: ignore[method-assign]
        reply = await client.get("/api/stats")
        await problem_of(reply, 503)

        assert reply.headers["Retry-After"]


class TestProbes:
    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
    async def test_a_ready_worker_answers_200(self, client: Any, path: str) -> None:
        """All three probes are content."""
        assert (await client.get(path)).status == 200

    async def test_a_worker_that_recovers_lives_but_is_not_ready(self, client: Any, album: MemoryAlbum) -> None:
        """503 with the reason."""
        album.is_ready = (False, "partition 2 is recovering")
        reply = await client.get("/readyz")

        assert (reply.status, (await reply.json())["reason"]) == (503, "partition 2 is recovering")
        assert (await client.get("/livez")).status == 200

    async def test_metrics_are_in_the_text_format_of_prometheus(self, client: Any) -> None:
        """The process' own numbers are among them."""
        reply = await client.get("/metrics")

        assert "# TYPE python_info gauge" in await reply.text()
        assert reply.content_type == "text/plain"


class TestPage:
    async def test_the_page_and_all_it_names_are_served(self, client: Any) -> None:
        """Every file of the page answers with its type."""
        page = await client.get("/")
        assert (page.status, page.content_type) == (200, "text/html")
        text = await page.text()

        for name in [part.split('"')[0] for part in text.split('"/static/')[1:]]:
            assert (await client.get(f"/static/{name}")).status == 200

    async def test_every_module_that_a_module_imports_is_served(self, client: Any) -> None:
        """Followed from the first module on, as a browser does."""
        seen, waiting = set(), ["app.js"]
        while waiting:
            name = waiting.pop()
            reply = await client.get(f"/static/{name}")
            assert (reply.status, reply.content_type) == (200, "text/javascript"), name
            seen.add(name)
            waiting += set(re.findall(r'from "\./([a-z]+\.js)"', await reply.text())) - seen

        assert {"api.js", "grid.js", "uploads.js"} <= seen
        page = await (await client.get("/")).text()
        named = set(re.findall(r'"/static/([a-z]+\.js)"', page))
        assert named == seen, "the page names every module, so that none is asked for only when another has come"

    async def test_an_unchanged_page_is_304(self, client: Any) -> None:
        """The browser's copy is confirmed by its ETag."""
        etag = (await client.get("/")).headers["ETag"]

        assert (await client.get("/", headers={"If-None-Match": etag})).status == 304
