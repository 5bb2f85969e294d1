"""Uploads under an Idempotency-Key: sent twice, they are done once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from memory_album import MemoryAlbum, photo_bytes
from web_client import problem_of, serving

from stream_app.errors import IdempotencyKeyReused, QueryRejected, ServiceUnavailable
from stream_app.idempotency import KEPT_SECONDS, PRUNE_SECONDS, IdempotencyKeys

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
GREEN = photo_bytes("green")


async def count_of(album: MemoryAlbum) -> int:
    """How many photos the album has."""
    return len(await album.photos(0, 100))


class TestUploading:
    """`POST /api/photos`."""

    async def test_the_same_upload_again_is_the_same_photo(self, tmp_path: Path) -> None:
        """Its answer is that of before, and says so."""
        album = MemoryAlbum()
        async with serving(album, tmp_path) as client:
            first, again = [await client.post("/api/photos?name=a.jpg", data=GREEN, headers=KEY) for _ in range(2)]

            assert [each.status for each in (first, again)] == [202, 202]
            assert await first.json() == await again.json()
            assert first.headers["Location"] == again.headers["Location"]
        assert ["Idempotent-Replayed" in each.headers for each in (first, again)] == [False, True]
        assert await count_of(album) == 1

    async def test_a_restart_of_the_worker_does_not_make_it_another_photo(self, tmp_path: Path) -> None:
        """What is known of a key lies on the disk."""
        album, ids = MemoryAlbum(), []
        for _ in range(2):
            async with serving(album, tmp_path) as client:
                reply = await client.post("/api/photos", data=GREEN, headers=KEY)
                ids.append((await reply.json())["photo_id"])

        assert ids[0] == ids[1]
        assert await count_of(album) == 1

    async def test_two_that_come_at_the_same_moment_make_one_photo(self, tmp_path: Path) -> None:
        """The second waits for the answer of the first."""
        album = MemoryAlbum()
        async with serving(album, tmp_path) as client:
            replies = await asyncio.gather(*(client.post("/api/photos", data=GREEN, headers=KEY) for _ in range(5)))

            assert len({(await each.json())["photo_id"] for each in replies}) == 1
        assert await count_of(album) == 1

    @pytest.mark.parametrize(
        ("query", "colour"), [("name=a.jpg", "blue"), ("name=b.jpg", "green"), ("name=a.jpg&tags=x", "green")]
    )
    async def test_the_key_of_another_upload_is_refused(self, tmp_path: Path, query: str, colour: str) -> None:
        """Other bytes, another name, or other tags: the answer of before would be a lie."""
        album = MemoryAlbum()
        async with serving(album, tmp_path) as client:
            await client.post("/api/photos?name=a.jpg", data=GREEN, headers=KEY)
            problem = await problem_of(
                await client.post(f"/api/photos?{query}", data=photo_bytes(colour), headers=KEY), 422
            )

        assert "used for another request" in problem["detail"] and "new key" in problem["remedy"]
        assert await count_of(album) == 1

    async def test_the_form_counts_by_what_it_holds(self, tmp_path: Path) -> None:
        """Every sender draws another boundary between its parts."""
        album, replies = MemoryAlbum(), []
        async with serving(album, tmp_path) as client:
            for _ in range(2):
                form = FormData()
                for name in ("1.jpg", "2.jpg"):
                    form.add_field("image", photo_bytes("red"), filename=name)
                replies.append(await (await client.post("/api/photos", data=form, headers=KEY)).json())

        assert replies[0] == replies[1]
        assert await count_of(album) == 2

    async def test_an_upload_that_was_refused_leaves_its_key_free(self, tmp_path: Path) -> None:
        """Nothing was done that could be done twice."""
        album = MemoryAlbum()
        async with serving(album, tmp_path) as client:
            await problem_of(await client.post("/api/photos", data=b"only text", headers=KEY), 422)
            reply = await client.post("/api/photos", data=GREEN, headers=KEY)

        assert reply.status == 202

    async def test_without_a_key_every_upload_is_its_own(self, tmp_path: Path) -> None:
        """The album decides whether it is the same photo."""
        album = MemoryAlbum()
        async with serving(album, tmp_path) as client:
            for _ in range(2):
                await client.post("/api/photos", data=GREEN)

        assert await count_of(album) == 2

    @pytest.mark.parametrize("keys", [[""], ["a b"], ["x" * 256], ["schlüssel"], ["a", "a"]])
    async def test_a_key_that_cannot_be_used_is_refused(self, tmp_path: Path, keys: list[str]) -> None:
        """Before anything is uploaded."""
        album = MemoryAlbum()
        async with serving(album, tmp_path) as client:
            headers = [("Idempotency-Key", each) for each in keys]
            await problem_of(await client.post("/api/photos", data=GREEN, headers=headers), 400)

        assert await count_of(album) == 0


class Deed:
    """Counts how often it was done."""

    def __init__(self, *failures: Exception) -> None:
        self.count = 0
        self._failures = list(failures)

    async def __call__(self) -> dict[str, Any]:
        """The answer, or the next failure."""
        self.count += 1
        if self._failures:
            raise self._failures.pop()
        return {"photo_id": str(self.count)}


class TestKeys:
    """The folder of keys itself."""

    async def test_what_was_begun_when_the_worker_ended_is_done_again(self, tmp_path: Path) -> None:
        """And is still the same request: another one may not have its key."""
        deed = Deed(RuntimeError("the worker ended"))
        with pytest.raises(RuntimeError):
            await IdempotencyKeys(tmp_path).once("key", "a", deed)

        with pytest.raises(IdempotencyKeyReused):
            await IdempotencyKeys(tmp_path).once("key", "b", deed)
        assert await IdempotencyKeys(tmp_path).once("key", "a", deed) == ({"photo_id": "2"}, False)

    async def test_a_refusal_leaves_the_key_free(self, tmp_path: Path) -> None:
        """Also for something else."""
        keys = IdempotencyKeys(tmp_path)
        with pytest.raises(QueryRejected):
            await keys.once("key", "a", Deed(QueryRejected("no")))

        assert await keys.once("key", "b", Deed()) == ({"photo_id": "1"}, False)

    async def test_keys_are_forgotten_after_two_days_and_not_before_one(self, tmp_path: Path) -> None:
        """The folder does not grow for ever."""
        now, deed = [1_000_000.0], Deed()
        keys = IdempotencyKeys(tmp_path, clock_seconds=lambda: now[0])
        await keys.once("old", "a", deed)
        now[0] += 24 * 60 * 60
        assert (await keys.once("old", "a", deed))[1]
        now[0] += KEPT_SECONDS + PRUNE_SECONDS
        await keys.once("new", "a", deed)

        assert len(list(tmp_path.iterdir())) == 1
        assert await keys.once("old", "b", deed) == ({"photo_id": "3"}, False)

    async def test_a_damaged_file_stands_for_nothing(self, tmp_path: Path) -> None:
        """The request is done as if it came first."""
        await IdempotencyKeys(tmp_path).once("key", "a", Deed())
        next(tmp_path.iterdir()).write_bytes(b"{")

        assert (await IdempotencyKeys(tmp_path).once("key", "a", Deed()))[1] is False

    async def test_a_disk_that_refuses_is_said_before_anything_is_done(self, tmp_path: Path) -> None:
        """A promise that cannot be kept is not given."""
        (tmp_path / "file").touch()
        deed = Deed()
        with pytest.raises(ServiceUnavailable, match="Look at the disk"):
            await IdempotencyKeys(tmp_path / "file").once("key", "a", deed)

        assert deed.count == 0
