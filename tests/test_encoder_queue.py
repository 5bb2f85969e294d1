"""The count of photos that wait for the encoder."""

from __future__ import annotations

import asyncio

import pytest

from stream_app.encoder_queue import CountedEncoder
from stream_app.errors import EncoderFailed


class SlowEncoder:
    """Answers when it is let go, or fails then."""

    vision_id = "v"

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.fails = False

    async def start(self) -> None:
        """Nothing to start."""

    async def encode_images(self, images):
        await self.go.wait()
        if self.fails:
            raise EncoderFailed("The encoder is broken")
        return list(images)

    async def close(self) -> None:
        """Nothing to close."""


async def test_photos_count_from_being_handed_over_until_they_are_answered() -> None:
    """Those of several callers together."""
    slow = SlowEncoder()
    counted = CountedEncoder(slow)
    asked = [
        asyncio.create_task(counted.encode_images([b"a", b"b"])),
        asyncio.create_task(counted.encode_images([b"c"])),
    ]
    await asyncio.sleep(0)
    assert (counted.waiting, counted.vision_id) == (3, "v")
    slow.go.set()

    assert await asyncio.gather(*asked) == [[b"a", b"b"], [b"c"]]
    assert counted.waiting == 0


async def test_photos_of_an_encoder_that_fails_do_not_wait_for_ever() -> None:
    """Nor do those of a caller that gave up."""
    slow = SlowEncoder()
    counted = CountedEncoder(slow)
    given_up = asyncio.create_task(counted.encode_images([b"a"]))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    assert counted.waiting == 0

    slow.fails = True
    slow.go.set()
    with pytest.raises(EncoderFailed):
        await counted.encode_images([b"a"])
    assert counted.waiting == 0
