"""The doors of the web server: foreign names, foreign pages, bodies without end, and what is served as what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from memory_album import MemoryAlbum, photo_bytes
from web_client import serving

from stream_app.web.security import host_check, same_origin, split_host

UPLOAD_BYTES_MAX = 20_000


@pytest.fixture
def album() -> MemoryAlbum:
    """One photo, and one file that only pretends to be one."""
    album = MemoryAlbum()
    album.add(photo_bytes(), 'a "quoted"\r\nname.jpg', photo_id=1)
    return album


@pytest.fixture
async def client(album: MemoryAlbum, tmp_path: Path) -> AsyncIterator[Any]:
    """A client of a server with a low body limit."""
    async with serving(
        album, tmp_path, upload_bytes_max=UPLOAD_BYTES_MAX, allowed_hosts="photos.example:8080, other.example"
    ) as client:
        yield client


class TestHosts:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:6066", "photos.example"])
    async def test_our_names_are_answered(self, client: Any, host: str) -> None:
        """Loopback and allowed names, in any case, at any port."""
        assert (await client.get("/api/stats", headers={"Host": host})).status == 200

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "localhost.evil.example", "192.168.1.9", "a@localhost", "localhost/x", "", "[::1"],
    )
    async def test_a_rebound_name_is_refused(self, client: Any, host: str) -> None:
        """Every route is behind the door, the page and the probes too."""
        for path in ("/", "/api/stats", "/readyz", "/nothing"):
            reply = await client.get(path, headers={"Host": host})

            assert reply.status == 421
            assert "SIGHTLINE_ALLOWED_HOSTS" in await reply.text()

    def test_a_worker_bound_to_every_address_answers_to_literal_addresses_only(self) -> None:
        """An address cannot be rebound, a name can."""
        is_ours = host_check("0.0.0.0", "")

        assert is_ours("10.1.2.3") and is_ours("fe80::1") and not is_ours("evil.example")

    def test_the_bound_address_is_ours(self) -> None:
        """And no other one."""
        is_ours = host_check("10.1.2.3", "")

        assert is_ours("10.1.2.3") and not is_ours("10.1.2.4")

    @pytest.mark.parametrize(
        ("host", "parts"),
        [
            ("A.example:80", ("a.example", 80)),
            ("[::1]:80", ("::1", 80)),
            ("::1", ("::1", None)),
            ("x:port", ("", None)),
            ("x:99999", ("", None)),
            ("u@x", ("", None)),
        ],
    )
    def test_a_host_header_is_split_or_refused_as_nonsense(self, host: str, parts: Any) -> None:
        """Name in lower case, port as a number."""
        assert split_host(host) == parts


class TestForeignPages:
    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "file://"])
    async def test_a_foreign_origin_can_change_nothing(self, client: Any, album: MemoryAlbum, origin: str) -> None:
        """Neither upload nor delete, also from another port of this machine."""
        headers = {"Origin": origin}

        assert (await client.delete("/api/photos/1", headers=headers)).status == 403
        assert (await client.post("/api/photos", data=photo_bytes(), headers=headers)).status == 403
        assert (await album.stats())["photos"] == 1

    async def test_our_own_page_may_delete(self, client: Any) -> None:
        """Its Origin is the Host of the request."""
        headers = {"Origin": str(client.make_url("/")).rstrip("/"), "Sec-Fetch-Site": "same-origin"}

        assert (await client.delete("/api/photos/1", headers=headers)).status == 204

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    async def test_a_foreign_page_can_load_nothing(self, client: Any, site: str) -> None:
        """Not even a photo into an <img>."""
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}

        assert (await client.get("/api/photos/1/image", headers=headers)).status == 403

    async def test_a_link_to_the_page_can_be_followed(self, client: Any) -> None:
        """A navigation of the whole tab is no attack."""
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

        assert (await client.get("/?q=red", headers=headers)).status == 200
        assert (await client.post("/api/photos", data=photo_bytes(), headers=headers)).status == 403

    async def test_the_page_cannot_be_framed(self, client: Any) -> None:
        """Neither by header nor by a request for a frame."""
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}

        assert (await client.get("/", headers=headers)).status == 403
        assert "frame-ancestors 'none'" in (await client.get("/")).headers["Content-Security-Policy"]

    def test_a_default_port_is_the_same_origin(self) -> None:
        """Browsers leave 80 and 443 out."""
        assert same_origin("https://photos.example", "photos.example:443")
        assert same_origin("http://photos.example", "photos.example")
        assert not same_origin("http://photos.example", "photos.example:8080")


class TestBodies:
    @pytest.mark.parametrize("path", ["/api/photos", "/api/search/image", "/api/classify"])
    async def test_a_body_above_the_limit_is_413(self, client: Any, path: str) -> None:
        """The limit is named."""
        reply = await client.post(path, data=photo_bytes() + bytes(UPLOAD_BYTES_MAX))

        assert reply.status == 413
        assert str(UPLOAD_BYTES_MAX) in (await reply.json(content_type=None))["expected"]

    async def test_a_body_that_does_not_say_its_length_is_counted(self, client: Any) -> None:
        """Chunks are counted while they arrive."""

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield bytes(UPLOAD_BYTES_MAX // 4)

        assert (await client.post("/api/photos", data=chunks())).status == 413

    async def test_a_compressed_body_is_counted_unpacked(self, client: Any) -> None:
        """A small bomb does not become a large photo."""
        import zlib

        bomb = zlib.compress(photo_bytes() + bytes(UPLOAD_BYTES_MAX * 20))
        reply = await client.post("/api/photos", data=bomb, headers={"Content-Encoding": "deflate"})

        assert reply.status in (400, 413)

    async def test_a_form_above_the_limit_is_413(self, client: Any) -> None:
        """All files together count."""
        from aiohttp import FormData

        form = FormData()
        for name in "abc":
            form.add_field("image", photo_bytes() + bytes(UPLOAD_BYTES_MAX // 2), filename=name)

        assert (await client.post("/api/photos", data=form)).status == 413


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/api/stats", "/nothing", "/api/photos/1/image", "/metrics"])
    async def test_every_reply_carries_the_security_headers(self, client: Any, path: str) -> None:
        """Errors and photos too."""
        headers = (await client.get(path)).headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "unsafe-inline" not in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers

    def test_the_page_has_no_inline_script_or_style_and_no_other_host(self) -> None:
        """What the policy forbids is not there to begin with."""
        static = Path("stream_app/web/static")
        static = static if static.exists() else Path(__file__).parent.parent / static
        for path in static.iterdir():
            text = path.read_text()
            page = text if path.suffix == ".html" else ""

            assert "<style" not in page and " style=" not in page and " onclick=" not in page
            assert page.count("<script") == page.count('<script type="module" src="/static/')
            assert "innerHTML" not in text and "eval(" not in text
            assert "https://" not in text and "http://" not in text.replace("http://www.w3.org/2000/svg", "")


class TestPhotosAsServed:
    async def test_only_a_photo_is_served_as_a_photo(self, client: Any, album: MemoryAlbum) -> None:
        """A page stored under a photo's name is refused, not shown."""
        album._bytes[1] = b"<html><script>alert(1)</script>"
        reply = await client.get("/api/photos/1/image")

        assert (reply.status, reply.content_type) == (422, "application/problem+json")

    async def test_a_photo_opened_alone_may_run_nothing(self, client: Any) -> None:
        """Its type comes from its bytes, its policy allows nothing, its name breaks no header."""
        reply = await client.get("/api/photos/1/image")

        assert reply.content_type == "image/jpeg"
        assert reply.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "\n" not in reply.headers["Content-Disposition"] and '"' not in reply.headers["Content-Disposition"]
