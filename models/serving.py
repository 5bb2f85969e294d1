"""An encoder that asks TF Serving: photos are decoded here, and the network runs wherever the server is.

The server gets the middle of each photo as an uncompressed BMP file of just the size that the network looks at, so
that its own decoding changes nothing and its vectors are those of the encoder in this house.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from models.circuit_breaker import CircuitBreaker, CircuitOpen
from models.encoder import LABELS_KEPT, PIXELS_MAX, Encoding, core_count
from models.manifest import read_manifest
from models.serving_protocol import (
    AnswerNotFinite,
    AnswerWrong,
    OtherModel,
    Prediction,
    RequestRefused,
    ServerAway,
    ServerUnfit,
    ServingAddress,
    Transport,
    read_prediction,
)
from models.squares import Square, SquareCutter
from stream_app.errors import EncoderFailed, EncoderUnavailable, PhotoRejected

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
BATCH_SIZE = 16
REQUESTS_AT_ONCE = 4  # so many batches are decoded, under way or waiting for another try: what bounds the memory
TRIES = 4
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.2, 5.0
MESSAGE_BYTES_MAX = 4_000_000  # gRPC's own limit, and many a proxy's, is 4 MiB

Answer = Encoding | PhotoRejected
T = TypeVar("T")


class ServingObserver(Protocol):
    """Who is told how it goes."""

    def asked(self, outcome: str, seconds: float) -> None:
        """A request ended: answered, away, unfit, refused, wrong or not_finite."""
        ...

    def circuit_changed(self, is_open: bool) -> None:
        """The circuit opened (nobody is asked any more) or closed."""
        ...


class Unobserved:
    """Nobody is told."""

    def asked(self, outcome: str, seconds: float) -> None:
        """Nothing."""

    def circuit_changed(self, is_open: bool) -> None:
        """Nothing."""


OUTCOMES: dict[type[Exception], str] = {
    ServerAway: "away",
    ServerUnfit: "unfit",
    RequestRefused: "refused",
    OtherModel: "wrong",
    AnswerWrong: "wrong",
    AnswerNotFinite: "not_finite",
}
FAILURES = (ServerAway, ServerUnfit, AnswerWrong)  # those of the server, whatever the photos are


def transport_to(address: ServingAddress) -> Transport:
    """The transport for an address; grpc is imported only where it is used."""
    if address.kind == "grpc":
        from models.serving_grpc import GrpcTransport

        return GrpcTransport(address)
    from models.serving_rest import RestTransport

    return RestTransport(address)


class RemoteEncoder:
    """Encodes over a transport. A server that is away is an EncoderUnavailable: no photo is at fault."""

    def __init__(
        self,
        bundle_dir: Path,
        address: ServingAddress,
        *,
        pixels_max: int = PIXELS_MAX,
        timeout_seconds: float = TIMEOUT_SECONDS,
        batch_size: int = BATCH_SIZE,
        observer: ServingObserver | None = None,
    ) -> None:
        self._manifest = read_manifest(bundle_dir)
        self.vision_id = self._manifest.vision_id
        self._address, self._timeout_seconds = address, timeout_seconds
        self._cutter = SquareCutter(self._manifest, pixels_max=pixels_max)
        self._grey = self._cutter.grey()
        self._observer = observer or Unobserved()
        sent_bytes = len(self._grey.file) * (4 / 3 if address.kind == "rest" else 1)
        self._batch_max = max(1, min(batch_size, int(MESSAGE_BYTES_MAX / sent_bytes)))
        self._transport = transport_to(address)
        self._breaker = CircuitBreaker(FAILURES, changed=self._circuit_changed)
        self._last_failure: Exception = ServerAway("nothing was asked yet")
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._pool = ThreadPoolExecutor(core_count(), thread_name_prefix="decode")

    async def start(self) -> None:
        """Ask the server for its model; EncoderFailed when it is another one. A server that is away may come later."""
        try:
            await self._predict([self._grey])
        except EncoderUnavailable as away:
            if isinstance(away.__cause__, OtherModel):
                raise EncoderFailed(
                    away.problem, expected=away.expected, received=away.received, remedy=away.remedy
                ) from away
            log.warning("%s Photos wait for it.", away)
        except (RequestRefused, AnswerNotFinite) as refused:
            log.warning("%s", self._refuses_all(refused))

    async def encode_images(self, images: Sequence[bytes]) -> list[Answer]:
        """One answer per photo, in order; EncoderUnavailable when the server is away or of no use."""
        size = self._batch_max
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        answers = await _all_or_none(self._encode_batch(batch) for batch in batches)
        return [each for batch in answers for each in batch]

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self._transport.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _encode_batch(self, images: Sequence[bytes]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        async with self._turns:
            decoding = [loop.run_in_executor(self._pool, self._cutter.cut, image) for image in images]
            prepared = await asyncio.gather(*decoding)
            answers = iter(await self._run([each for each in prepared if isinstance(each, Square)]))
            return [each if isinstance(each, PhotoRejected) else next(answers) for each in prepared]

    async def _run(self, squares: list[Square]) -> list[Answer]:
        """One answer per square; a batch that is refused is halved, until what is refused is alone."""
        if len(squares) > self._batch_max:  # another batch has found out meanwhile what the server takes
            return await self._run_halves(squares)
        if not squares:
            return []
        try:
            return _encodings(squares, await self._predict(squares))
        except (RequestRefused, AnswerNotFinite) as refused:
            if len(squares) == 1:
                return [await self._judge(squares[0], refused)]
            answers = await self._run_halves(squares)
            if isinstance(refused, RequestRefused) and all(isinstance(each, Encoding) for each in answers):
                self._keep_below(len(squares), refused)
            return answers

    async def _run_halves(self, squares: list[Square]) -> list[Answer]:
        middle = (len(squares) + 1) // 2
        return await self._run(squares[:middle]) + await self._run(squares[middle:])

    async def _judge(self, square: Square, refused: Exception) -> Answer:
        """The fate of a photo that is refused alone: it is at fault only if the server takes another one after it."""
        try:
            await self._predict([self._grey])
        except (RequestRefused, AnswerNotFinite) as all_refused:
            raise self._refuses_all(all_refused) from all_refused
        try:
            return _encodings([square], await self._predict([square]))[0]
        except (RequestRefused, AnswerNotFinite) as again:
            return PhotoRejected("The encoder's server does not take the photo", received=str(again or refused))

    def _keep_below(self, count: int, refused: Exception) -> None:
        """Send no more batches as large as one that was refused, though each of its photos was taken."""
        self._batch_max = min(self._batch_max, max(1, (count + 1) // 2))
        log.warning("%s refuses %d photos at once (%s): %d from now on", self._address, count, refused, self._batch_max)

    async def _predict(self, squares: Sequence[Square]) -> Prediction:
        """The answer to a request, which is repeated where that may help; EncoderUnavailable when it does not.

        RequestRefused, or AnswerNotFinite time and again, is about these photos.
        """
        failure: Exception = self._last_failure
        for attempt in range(TRIES):
            if attempt:
                # Full jitter: many workers that lost the same server do not come back in step.
                await asyncio.sleep(random.uniform(0, min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2**attempt)))
            try:
                return await self._ask(squares)
            except CircuitOpen:
                failure = self._last_failure
                break
            except ServerUnfit as unfit:
                failure = unfit
                break
            except (ServerAway, AnswerWrong, AnswerNotFinite) as passing:
                failure = passing
        if isinstance(failure, AnswerNotFinite):
            raise failure
        raise self._unavailable(failure) from failure

    async def _ask(self, squares: Sequence[Square]) -> Prediction:
        """One request and its answer; raises CircuitOpen and what models.serving_protocol lists."""
        began, outcome = time.monotonic(), "answered"
        with self._breaker.attempt():
            try:
                outputs = await self._transport.predict([each.file for each in squares], self._timeout_seconds)
                return await asyncio.to_thread(read_prediction, outputs, len(squares), self._manifest)
            except FAILURES as failure:
                self._last_failure, outcome = failure, OUTCOMES[type(failure)]
                raise
            except (RequestRefused, AnswerNotFinite) as failure:
                outcome = OUTCOMES[type(failure)]
                raise
            finally:
                self._observer.asked(outcome, time.monotonic() - began)

    def _circuit_changed(self, is_open: bool) -> None:
        if is_open:
            log.error("%s Nothing is asked of it for a while.", self._unavailable(self._last_failure))
        else:
            log.warning("The encoder's server at %s answers again.", self._address)
        self._observer.circuit_changed(is_open)

    def _unavailable(self, failure: Exception) -> EncoderUnavailable:
        """Why nothing can be encoded just now, in words that tell what to do."""
        server = f"The encoder's server at {self._address}"
        if isinstance(failure, OtherModel):
            return EncoderUnavailable(
                f"{server} has another model than the bundle",
                expected=f"vision_id {self.vision_id}",
                received=str(failure),
                remedy="Serve the bundle's saved_model, or choose the bundle that is served with SIGHTLINE_BUNDLE.",
            )
        if isinstance(failure, ServerUnfit):
            remedy = f"Is {self._address.model!r} the name of the model, and is it loaded?"
            return EncoderUnavailable(f"{server} cannot encode", received=str(failure), remedy=remedy)
        if isinstance(failure, AnswerWrong):
            return EncoderUnavailable(f"{server} answers wrongly", received=str(failure))
        return EncoderUnavailable(f"{server} does not answer", received=str(failure))

    def _refuses_all(self, refused: Exception) -> EncoderUnavailable:
        return EncoderUnavailable(
            f"The encoder's server at {self._address} refuses every photo",
            expected="a bundle's saved_model, with image files as input",
            received=str(refused),
        )


def _encodings(squares: Sequence[Square], prediction: Prediction) -> list[Answer]:
    rows = zip(squares, prediction.image_embedding, prediction.label_indices, prediction.label_scores, strict=True)
    return [
        Encoding(
            image_embedding=embedding.astype(np.float16),
            label_indices=indices[:LABELS_KEPT].astype(np.uint16),
            label_scores=scores[:LABELS_KEPT].astype(np.float16),
            width_px=square.width_px,
            height_px=square.height_px,
        )
        for square, embedding, indices, scores in rows
    ]


async def _all_or_none(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; the first failure cancels the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    return [task.result() for task in tasks]
