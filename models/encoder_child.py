"""The child process of an encoder: its main function, and the parent's handle to it.

Requests and answers cross a pipe as small tuples. TensorFlow is only ever imported in the child.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from models.devices import Device
from models.encoder import Encoding, LocalEncoder
from stream_app.errors import EncoderFailed, PhotoRejected, SightlineError

REQUESTS_AT_ONCE = 2  # one is decoded while the other is in the network
READY = -1  # the number under which the child says that it can begin, or why it cannot
#: What Ctrl-C and supervisors send to the whole group of processes: the parent ends its child in order.
GROUP_SIGNALS = {signal.SIGINT, signal.SIGTERM}

Answer = Encoding | PhotoRejected


class ChildDied(Exception):
    """The child process ended before it answered."""


def serve(connection: Connection, bundle_dir: Path, pixels_max: int, device: Device) -> None:
    """The child's whole life: load, then answer until the pipe closes or the parent is gone."""
    for each in GROUP_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        encoder = LocalEncoder(bundle_dir, pixels_max=pixels_max, device=device)
    except Exception as error:  # whatever it is, the parent must hear it
        connection.send((READY, _to_wire(error)))
        return
    connection.send((READY, None))
    sending = threading.Lock()

    def answer(number: int, images: Sequence[bytes]) -> None:
        answers = _answers(encoder, images)
        with sending:
            connection.send((number, answers))

    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
        while (request := _receive(connection)) is not None:
            pool.submit(answer, *request)


def _end_with_parent() -> None:
    """Leave at once when the parent dies, also by kill -9: an orphan would keep a gigabyte."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answers(encoder: LocalEncoder, images: Sequence[bytes]) -> Any:
    try:
        return [_to_wire(each) if isinstance(each, PhotoRejected) else each for each in encoder.encode_images(images)]
    except Exception as error:  # out of memory, a broken graph: the request fails, the child lives
        return _to_wire(error)


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None


def _to_wire(error: Exception) -> tuple[str, str | None, str | None, str | None]:
    """An error as plain texts: exceptions with keyword arguments do not survive a pickle."""
    if isinstance(error, SightlineError):
        return error.problem, error.expected, error.received, error.remedy
    return f"{type(error).__name__}: {error}"[:300], None, None, None


def _rejected(wire: Any) -> Answer:
    if isinstance(wire, Encoding):
        return wire
    problem, expected, received, remedy = wire
    return PhotoRejected(problem, expected=expected, received=received, remedy=remedy)


class EncoderChild:
    """A running child: requests go in, futures come true, and all of them fail when it dies."""

    def __init__(self, bundle_dir: Path, pixels_max: int, device: Device) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        self._connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=serve, args=(theirs, bundle_dir, pixels_max, device), name="sightline-encoder", daemon=True
        )
        with _group_signals_blocked():  # from the child's first moment, long before it can ignore them
            self._process.start()
        # At the parent's end multiprocessing sends SIGTERM and waits, for ever where that is ignored.
        Finalize(self, self._process.kill, exitpriority=0)
        theirs.close()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self.ready: asyncio.Future[Any] = self._expect(READY)
        self._reader = threading.Thread(target=self._read, name="encoder-answers", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return self._process.is_alive()

    async def request(self, images: Sequence[bytes]) -> list[Answer]:
        """The child's answers; ChildDied, or EncoderFailed when it could not run the batch."""
        number = next(self._numbers)
        future = self._expect(number)
        try:
            await asyncio.to_thread(self._send, number, images)
            answers = await future
        finally:
            self._waiting.pop(number, None)
        if isinstance(answers, tuple):
            raise EncoderFailed("The encoder could not run a batch", received=answers[0])
        return [_rejected(each) for each in answers]

    def stop(self) -> None:
        """End the child at once: it keeps nothing that would have to be saved."""
        self._process.kill()
        self._process.join(5)
        self._reader.join(5)
        self._connection.close()

    def _expect(self, number: int) -> asyncio.Future[Any]:
        self._waiting[number] = asyncio.get_running_loop().create_future()
        return self._waiting[number]

    def _send(self, number: int, images: Sequence[bytes]) -> None:
        with self._sending:
            try:
                self._connection.send((number, list(images)))
            except OSError as error:
                raise ChildDied from error

    def _read(self) -> None:
        """In a thread: hand each answer to the future that waits for it, until the child is gone."""
        while (message := _receive(self._connection)) is not None:
            number, answers = message
            if (future := self._waiting.get(number)) is not None:
                _settle(future, answers)
        self._process.join(5)
        for future in list(self._waiting.values()):
            _settle(future, ChildDied(_end_of(self._process.exitcode)))


@contextmanager
def _group_signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_of(exit_code: int | None) -> str:
    """How a process ended, in words."""
    if exit_code == -signal.SIGKILL:
        return "a process that was killed; often by the system, for want of memory"
    if exit_code is not None and exit_code < 0:
        return f"a process that ended by signal {-exit_code}"
    return f"a process that ended with exit code {exit_code}"


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    def settle() -> None:
        if not future.done():
            future.set_exception(answer) if isinstance(answer, Exception) else future.set_result(answer)

    loop = future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
