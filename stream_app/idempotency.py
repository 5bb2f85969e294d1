"""Idempotency keys: a request that is sent again under its key is answered again, and changes nothing again.

One file for each key, below the data folder, where the uploads are too: so it outlives the worker.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import orjson

from stream_app.errors import IdempotencyKeyReused, ServiceUnavailable, SightlineError
from stream_app.index import files

#: Whoever sends a request again does so within minutes; a day is what is promised.
KEPT_SECONDS = 2 * 24 * 60 * 60
PRUNE_SECONDS = 60 * 60

Answer = dict[str, Any]


@dataclass(frozen=True)
class _Claim:
    """What a key stands for, and what was answered; `answer` is None until the request was done."""

    fingerprint: str
    answer: Answer | None = None


class IdempotencyKeys:
    """Does what a key asks for once, also when two requests with it come at the same moment."""

    def __init__(self, folder: Path, *, clock_seconds: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock_seconds = clock_seconds
        self._pruned_seconds = 0.0
        # The last one to let go of a lock takes it along.
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def once(self, key: str, fingerprint: str, do: Callable[[], Awaitable[Answer]]) -> tuple[Answer, bool]:
        """The answer of `do`, and whether it is that of before, when `do` was not called.

        `fingerprint` says what is asked for; the key with another one is IdempotencyKeyReused. A request that was
        refused leaves the key free. What was begun when the worker ended is done again, so `do` must be safe to
        repeat. Raises ServiceUnavailable when the disk refuses.
        """
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
        async with self._locks.setdefault(path, asyncio.Lock()):
            claim = await asyncio.to_thread(self._claim, path, fingerprint)
            if claim.fingerprint != fingerprint:
                raise IdempotencyKeyReused(
                    "The Idempotency-Key was used for another request",
                    expected="the same photos with the same names, title and tags as the first time",
                    received="something else",
                    remedy="Take a new key for every upload, and the same one only to send it again.",
                )
            if claim.answer is not None:
                return claim.answer, True
            try:
                answer = await do()
            except SightlineError:
                await asyncio.to_thread(path.unlink, missing_ok=True)
                raise
            await asyncio.to_thread(self._write, path, _Claim(fingerprint, answer))
            return answer, False

    def _claim(self, path: Path, fingerprint: str) -> _Claim:
        """The claim that holds: the one on the disk, or else a new one, which then lies there."""
        self._prune()
        known = None if self._is_old(path) else _read(path)
        if known is None:
            self._write(path, known := _Claim(fingerprint))
        return known

    def _write(self, path: Path, claim: _Claim) -> None:
        unfinished = path.with_name(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(unfinished, orjson.dumps(asdict(claim)))
            files.publish(unfinished, path)
            os.utime(path, (self._clock_seconds(),) * 2)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            raise ServiceUnavailable(
                "The Idempotency-Key cannot be kept", received=error.strerror, remedy="Look at the disk of the worker."
            ) from error

    def _prune(self) -> None:
        """Now and then remove the keys that nobody will use any more."""
        now = self._clock_seconds()
        if now - self._pruned_seconds > PRUNE_SECONDS and self._folder.is_dir():
            self._pruned_seconds = now
            for path in self._folder.iterdir():
                if self._is_old(path):
                    path.unlink(missing_ok=True)

    def _is_old(self, path: Path) -> bool:
        try:
            return self._clock_seconds() - path.stat().st_mtime > KEPT_SECONDS
        except OSError:
            return False


def _read(path: Path) -> _Claim | None:
    try:
        return _Claim(**orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):  # none, or a damaged one, which stands for nothing
        return None
