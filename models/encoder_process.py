"""An encoder in a child process, so that an event loop never waits for TensorFlow, nor dies with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from models.devices import Device
from models.encoder import ANY_DEVICE, PIXELS_MAX, Encoding
from models.encoder_child import REQUESTS_AT_ONCE, Answer, ChildDied, EncoderChild
from models.manifest import read_manifest
from stream_app.errors import EncoderFailed, EncoderUnavailable, PhotoRejected

START_TIMEOUT_SECONDS = 180.0  # importing TensorFlow from a cold disk
REQUEST_TIMEOUT_SECONDS = 120.0  # a batch takes a fifth of a second; more than this is a hang


class ProcessEncoder:
    """Keeps one child alive. A batch that kills it is tried again photo by photo, and the guilty one is rejected."""

    def __init__(self, bundle_dir: Path, *, pixels_max: int = PIXELS_MAX, device: Device = ANY_DEVICE) -> None:
        self.vision_id = read_manifest(bundle_dir).vision_id
        self._bundle_dir, self._pixels_max, self._device = bundle_dir, pixels_max, device
        self._child: EncoderChild | None = None
        self._closed = False
        self._starting = asyncio.Lock()
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._alone = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id, when there is one."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Have a child that is ready, or none when closed meanwhile; EncoderFailed when it cannot start."""
        with suppress(EncoderUnavailable):
            await self._ready_child()

    async def encode_images(self, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
        """One answer per photo, in order; EncoderFailed when the child cannot be started or is broken.

        After `close` that is EncoderUnavailable: what was asked for by then is no photo's fault.
        """
        if not images:
            return []
        try:
            async with self._turns:
                return await self._request(images)
        except ChildDied:
            return [await self._encode_alone(image) for image in images]

    async def close(self) -> None:
        """End the child, also one that has not started yet; there is no other after it."""
        self._closed = True
        await self._end_child()

    async def _encode_alone(self, image: bytes) -> Answer:
        """One photo with nothing else in the child, so that a death is this photo's doing."""
        async with self._all_turns():
            try:
                return (await self._request([image]))[0]
            except ChildDied:
                self._require_open()
                return PhotoRejected("The photo ended the process that decodes photos", remedy="It is left out.")

    @asynccontextmanager
    async def _all_turns(self) -> AsyncIterator[None]:
        async with self._alone:  # two that each hold one turn and want the other's would wait for ever
            for _ in range(REQUESTS_AT_ONCE):
                await self._turns.acquire()
            try:
                yield
            finally:
                for _ in range(REQUESTS_AT_ONCE):
                    self._turns.release()

    async def _request(self, images: Sequence[bytes]) -> list[Answer]:
        child = await self._ready_child()
        try:
            return await asyncio.wait_for(child.request(images), REQUEST_TIMEOUT_SECONDS)
        except (ChildDied, TimeoutError) as error:
            # A killed process counts as alive for a moment yet: the next request must not go to it.
            await self._discard(child)
            raise ChildDied from error

    async def _discard(self, child: EncoderChild) -> None:
        async with self._starting:
            if self._child is child:
                await self._end_child()

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await asyncio.to_thread(child.stop)

    def _require_open(self) -> None:
        if self._closed:
            raise EncoderUnavailable("The encoder was closed", remedy="Whoever takes over the work has one of its own.")

    async def _ready_child(self) -> EncoderChild:
        async with self._starting:
            if self._child is not None and self._child.alive:
                return self._child
            await self._end_child()
            self._require_open()
            self._child = child = EncoderChild(self._bundle_dir, self._pixels_max, self._device)
            try:
                problem = await asyncio.wait_for(asyncio.shield(child.ready), START_TIMEOUT_SECONDS)
            except ChildDied as died:
                problem = (str(died), None, None, None)
            except TimeoutError:
                problem = (f"no answer within {START_TIMEOUT_SECONDS:g} s", None, None, None)
            if problem is not None:
                await self._end_child()
                self._require_open()
                raise EncoderFailed("The encoder process cannot start", received=problem[0], remedy=problem[3])
            return child
