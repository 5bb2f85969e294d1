"""Thumbnails: made once, right-sized, upright, kept on disk, and asked about again by ETag."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from memory_album import MemoryAlbum, photo_bytes
from PIL import Image
from web_client import serving

from stream_app.errors import PhotoRejected
from stream_app.web.thumbnails import Thumbnails, make_thumbnail

PIXELS_MAX = 1_000_000


def opened(data: bytes) -> Image.Image:
    """The thumbnail as an image."""
    return Image.open(io.BytesIO(data))


class TestMaking:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
    def test_every_kind_of_photo_becomes_a_small_webp(self, kind: str) -> None:
        """The longer side is the one asked for, the shape stays."""
        small = opened(make_thumbnail(photo_bytes("red", 800, 400, kind), 160, PIXELS_MAX))

        assert (small.format, small.size) == ("WEBP", (160, 80))

    def test_a_small_photo_is_not_blown_up(self) -> None:
        """Its own size is the largest that is served."""
        assert opened(make_thumbnail(photo_bytes("red", 60, 40), 320, PIXELS_MAX)).size == (60, 40)

    def test_a_photo_taken_sideways_stands_upright(self) -> None:
        """The EXIF orientation is applied and not kept."""
        out, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (80, 40)).save(out, "JPEG", exif=exif)

        assert opened(make_thumbnail(out.getvalue(), 160, PIXELS_MAX)).size == (40, 80)

    @pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0", photo_bytes()[:300], b"%PDF-1.7", b"<svg/>"])
    def test_what_cannot_be_decoded_is_rejected(self, data: bytes) -> None:
        """One error, whatever the bytes."""
        with pytest.raises(PhotoRejected):
            make_thumbnail(data, 160, PIXELS_MAX)

    def test_too_many_pixels_are_rejected_before_they_are_decoded(self) -> None:
        """The size in the header is enough."""
        with pytest.raises(PhotoRejected, match="too many pixels"):
            make_thumbnail(photo_bytes("red", 60, 40), 160, 1_000)


class TestKeeping:
    async def test_a_thumbnail_is_made_once_for_many_who_ask_together(self, tmp_path: Path) -> None:
        """The original is read a single time."""
        reads = 0

        async def original() -> bytes:
            nonlocal reads
            reads += 1
            await asyncio.sleep(0.01)
            return photo_bytes()

        thumbnails = Thumbnails(tmp_path, pixels_max=PIXELS_MAX)
        answers = await asyncio.gather(*(thumbnails.get(5, 1, 160, original) for _ in range(10)))
        again = await thumbnails.get(5, 1, 160, original)

        assert reads == 1
        assert set(answers) == {again}

    async def test_one_who_hangs_up_leaves_the_others_their_thumbnail(self, tmp_path: Path) -> None:
        """The making goes on without the first who asked."""
        begun, go = asyncio.Event(), asyncio.Event()

        async def original() -> bytes:
            begun.set()
            await go.wait()
            return photo_bytes()

        thumbnails = Thumbnails(tmp_path, pixels_max=PIXELS_MAX)
        first = asyncio.create_task(thumbnails.get(5, 1, 160, original))
        await begun.wait()
        second = asyncio.create_task(thumbnails.get(5, 1, 160, original))
        await asyncio.sleep(0.01)
        first.cancel()
        go.set()

        assert opened(await second).format == "WEBP"

    async def test_a_folder_that_cannot_be_written_costs_nobody_a_thumbnail(self, tmp_path: Path) -> None:
        """The answer comes, it is only not kept."""
        (tmp_path / "taken").write_text("a file where the folder should be")
        thumbnails = Thumbnails(tmp_path / "taken", pixels_max=PIXELS_MAX)

        async def original() -> bytes:
            return photo_bytes()

        assert opened(await thumbnails.get(5, 1, 160, original)).format == "WEBP"


class TestServing:
    @pytest.fixture
    def album(self) -> MemoryAlbum:
        """One photo."""
        album = MemoryAlbum()
        album.add(photo_bytes("red", 1000, 500), "red.jpg", photo_id=3)
        return album

    @pytest.fixture
    async def client(self, album: MemoryAlbum, tmp_path: Path) -> Any:
        """A client of a server of that album."""
        async with serving(album, tmp_path) as client:
            yield client

    @pytest.mark.parametrize(("asked", "served"), [(1, 160), (160, 160), (161, 320), (320, 320), (1280, 1000)])
    async def test_a_side_is_rounded_up_to_one_of_four(self, client: Any, asked: int, served: int) -> None:
        """So that nobody can fill the disk with every size there is."""
        reply = await client.get(f"/api/photos/3/image?side={asked}")

        assert reply.content_type == "image/webp"
        assert max(opened(await reply.read()).size) == served

    @pytest.mark.parametrize("side", ["0", "-5", "99999", "big"])
    async def test_a_side_that_cannot_be_is_400(self, client: Any, side: str) -> None:
        """One to the largest we make."""
        assert (await client.get(f"/api/photos/3/image?side={side}")).status == 400

    async def test_a_browser_that_has_it_is_told_so(self, client: Any) -> None:
        """304 for the same version, for thumbnail and original."""
        for path in ("/api/photos/3/image?side=160", "/api/photos/3/image"):
            etag = (await client.get(path)).headers["ETag"]

            assert (await client.get(path, headers={"If-None-Match": etag})).status == 304

    async def test_a_replaced_photo_is_shown_anew(self, client: Any, album: MemoryAlbum) -> None:
        """Its version is part of the ETag and of the file's name."""
        old = await client.get("/api/photos/3/image?side=160")
        album.add(photo_bytes("blue", 500, 1000), "blue.jpg", photo_id=3)
        new = await client.get("/api/photos/3/image?side=160", headers={"If-None-Match": old.headers["ETag"]})

        assert new.status == 200
        assert opened(await new.read()).size == (80, 160)
