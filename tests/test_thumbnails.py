"""Thumbnails: made once, right-sized, upright, kept on disk, and asked about again by ETag."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from memory_album import MemoryAlbum, photo_bytes
from PIL import Image
from web_client import serving

from stream_app.errors import PhotoRejected, ServiceUnavailable
from stream_app.web.thumbnail_folder import ThumbnailFolder
from stream_app.web.thumbnails import Thumbnails, make_thumbnail

PIXELS_MAX = 1_000_000
BYTES_MAX = 1_000_000


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

        thumbnails = Thumbnails(tmp_path, pixels_max=PIXELS_MAX, bytes_max=BYTES_MAX)
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

        thumbnails = Thumbnails(tmp_path, pixels_max=PIXELS_MAX, bytes_max=BYTES_MAX)
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
        thumbnails = Thumbnails(tmp_path / "taken", pixels_max=PIXELS_MAX, bytes_max=BYTES_MAX)

        async def original() -> bytes:
            return photo_bytes()

        assert opened(await thumbnails.get(5, 1, 160, original)).format == "WEBP"

    async def test_what_the_album_no_longer_has_is_removed(self, tmp_path: Path) -> None:
        """Every size and version of it, and nothing of the others."""

        async def original() -> bytes:
            return photo_bytes()

        thumbnails = Thumbnails(tmp_path, pixels_max=PIXELS_MAX, bytes_max=BYTES_MAX)
        for photo_id, time_ms, side_px in [(5, 1, 160), (5, 1, 320), (5, 2, 160), (5 + 256, 1, 160), (6, 1, 160)]:
            await thumbnails.get(photo_id, time_ms, side_px, original)
        asked: list[set[int]] = []

        async def known(photo_ids: Set[int]) -> Set[int]:
            asked.append(set(photo_ids))
            return photo_ids - {5}

        await thumbnails.forget_unknown(known)

        assert asked == [{5, 6, 5 + 256}]
        assert names_in(tmp_path) == ["261-1-160.webp", "6-1-160.webp"]

    async def test_an_album_that_cannot_tell_costs_no_thumbnail(self, tmp_path: Path) -> None:
        """While its tables are being recovered it would know none of its photos."""
        put(ThumbnailFolder(tmp_path, BYTES_MAX), 5)

        async def unable(photo_ids: Set[int]) -> Set[int]:
            raise ServiceUnavailable("recovering")

        with pytest.raises(ServiceUnavailable):
            await Thumbnails(tmp_path, pixels_max=PIXELS_MAX, bytes_max=BYTES_MAX).forget_unknown(unable)
        assert names_in(tmp_path) == ["5-1-160.webp"]


def names_in(folder: Path) -> list[str]:
    """The files in the folder of thumbnails, finished or not."""
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


def put(folder: ThumbnailFolder, *photo_ids: int) -> None:
    """A thumbnail of 1,000 bytes of each, used in this order."""
    for photo_id in photo_ids:
        path = folder.path(photo_id, 1, 160)
        folder.write(path, bytes(1_000))
        os.utime(path, (photo_id, photo_id))


class TestLimit:
    """The folder never grows beyond what it may hold."""

    def test_what_was_not_used_for_longest_goes_first(self, tmp_path: Path) -> None:
        """Down to nine tenths, so that there is room for some more."""
        folder = ThumbnailFolder(tmp_path, 10_000)
        put(folder, *range(1, 11))
        folder.write(folder.path(11, 1, 160), bytes(1_000))

        assert sorted(folder.photo_ids()) == [3, 4, 5, 6, 7, 8, 9, 10, 11]

    def test_what_is_read_counts_as_used(self, tmp_path: Path) -> None:
        """The oldest file is the last that was looked at."""
        folder = ThumbnailFolder(tmp_path, 10_000)
        put(folder, *range(1, 11))
        read = folder.read(folder.path(1, 1, 160))
        folder.write(folder.path(11, 1, 160), bytes(1_000))

        assert read == bytes(1_000)
        assert sorted(folder.photo_ids()) == [1, 4, 5, 6, 7, 8, 9, 10, 11]

    def test_it_is_never_larger_than_it_may_be(self, tmp_path: Path) -> None:
        """At no moment of many, whether a thumbnail is new or written again."""
        folder, sizes = ThumbnailFolder(tmp_path, 10_000), []
        for number in range(100):
            folder.write(folder.path(number % 30, 1, 160), bytes(500 + number * 10))
            sizes.append(sum(each.stat().st_size for each in tmp_path.rglob("*.webp")))

        assert 8_000 < max(sizes) <= 10_000

    def test_what_lay_there_before_counts(self, tmp_path: Path) -> None:
        """From an earlier run, a larger limit, or a process that was killed while it wrote."""
        put(ThumbnailFolder(tmp_path, 100_000), *range(1, 20))
        (tmp_path / "00").mkdir()
        (tmp_path / "00" / "half.part").write_bytes(bytes(50_000))
        os.utime(tmp_path / "00" / "half.part", (0, 0))
        folder = ThumbnailFolder(tmp_path, 10_000)
        folder.write(folder.path(20, 1, 160), bytes(1_000))

        assert names_in(tmp_path) == sorted(f"{photo_id}-1-160.webp" for photo_id in range(12, 21))

    def test_threads_may_write_at_once(self, tmp_path: Path) -> None:
        """Files vanish under each other's hands."""
        folder = ThumbnailFolder(tmp_path, 20_000)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda each: folder.write(folder.path(each, 1, 160), bytes(1_000)), range(400)))

        assert 10 <= len(names_in(tmp_path)) <= 20


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

    async def test_thumbnails_of_what_was_deleted_elsewhere_go_by_themselves(
        self, album: MemoryAlbum, tmp_path: Path
    ) -> None:
        """An event deletes a photo without a request: the server looks for what it left behind."""
        folder = ThumbnailFolder(tmp_path / "thumbnails", BYTES_MAX)
        put(folder, 3, 4)
        async with serving(album, tmp_path), asyncio.timeout(30):
            while folder.photo_ids() != {3}:
                await asyncio.sleep(0.01)

    async def test_a_replaced_photo_is_shown_anew(self, client: Any, album: MemoryAlbum) -> None:
        """Its version is part of the ETag and of the file's name."""
        old = await client.get("/api/photos/3/image?side=160")
        album.add(photo_bytes("blue", 500, 1000), "blue.jpg", photo_id=3)
        new = await client.get("/api/photos/3/image?side=160", headers={"If-None-Match": old.headers["ETag"]})

        assert new.status == 200
        assert opened(await new.read()).size == (80, 160)
