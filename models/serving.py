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
from typing import Any, TypeVar

import numpy as np

from models.circuit_breaker import OPEN_SECONDS, CircuitBreaker, CircuitOpen
from models.encoder import LABELS_KEPT, PIXELS_MAX, Encoding, core_count
from models.manifest import read_manifest
from models.serving_protocol import (
    AnswerWrong,
    OtherModel,
    Prediction,
    RequestRefused,
    ServerAway,
    ServerUnfit,
    ServingAddress,
    ServingObserver,
    Transport,
    Unobserved,
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


#: The failures of a server, whatever the photos are, and what they are called.
FAILURES: dict[type[Exception], str] = {
    ServerAway: "away",
    ServerUnfit: "unfit",
    AnswerWrong: "wrong",
    OtherModel: "wrong",
}
NOT_FINITE = "NaN or infinity"


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
        open_seconds: float = OPEN_SECONDS,
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
        self._breaker = CircuitBreaker(tuple(FAILURES), open_seconds=open_seconds, changed=self._circuit_changed)
        self._last_failure: Exception = ServerAway("nothing was asked yet")
        self._turns = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._pool = ThreadPoolExecutor(core_count(), thread_name_prefix="decode")

    async def start(self) -> None:
        """Ask the server for its model; EncoderFailed when it is another one. A server that is away may come later."""
        for attempt in range(TRIES):
            await _pause(attempt)
            try:
                await self._ask([self._grey])
                return
            except CircuitOpen:
                return
            except OtherModel as other:  # while servers are replaced, another one of them may answer next
                failure = self._unavailable(other)
            except (RequestRefused, ServerAway, ServerUnfit, AnswerWrong) as failed:
                log.warning("%s; photos wait for it", self._unavailable(failed))
                return
        raise EncoderFailed(
            failure.problem, expected=failure.expected, received=failure.received, remedy=failure.remedy
        )

    async def encode_images(self, images: Sequence[bytes]) -> list[Answer]:
        """One answer per photo, in order; EncoderUnavailable when the server is away or of no use."""
        if images and self._breaker.is_open:
            # The trial is one of its own. Were it one of these batches, the first of its neighbours to find the circuit
            # open would call all of them off, the trial among them, time and again.
            await self._check_server()
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
            prediction = await self._predict(squares)
        except RequestRefused as refused:
            if len(squares) == 1:
                return [await self._judge(squares[0])]
            answers = await self._run_halves(squares)
            if all(isinstance(each, Encoding) for each in answers):
                self._keep_below(len(squares), refused)
            return answers
        return [
            _encoding(square, prediction, row) if prediction.finite[row] else await self._judge(square)
            for row, square in enumerate(squares)
        ]

    async def _run_halves(self, squares: list[Square]) -> list[Answer]:
        middle = (len(squares) + 1) // 2
        return await self._run(squares[:middle]) + await self._run(squares[middle:])

    async def _judge(self, square: Square) -> Answer:
        """The fate of a photo that seems bad: it is so only if, time and again, the server takes another one."""
        for attempt in range(TRIES):
            await _pause(attempt)
            try:
                prediction = await self._predict([square])
                if prediction.finite[0]:
                    return _encoding(square, prediction, 0)
                why = NOT_FINITE
            except RequestRefused as refused:
                why = str(refused)
            await self._check_server()
        return PhotoRejected("The encoder's server takes other photos, but not this one", received=why)

    async def _check_server(self) -> None:
        """Have a grey square encoded; EncoderUnavailable when that cannot be."""
        try:
            prediction = await self._predict([self._grey])
        except RequestRefused as refused:
            raise self._unavailable(refused) from refused
        if not prediction.finite[0]:
            raise self._unavailable(RequestRefused(NOT_FINITE))

    def _keep_below(self, count: int, refused: Exception) -> None:
        """Send no more batches as large as one that was refused, though each of its photos was taken."""
        self._batch_max = min(self._batch_max, max(1, (count + 1) // 2))
        log.warning("%s refuses %d photos at once (%s): %d from now on", self._address, count, refused, self._batch_max)

    async def _predict(self, squares: Sequence[Square]) -> Prediction:
        """The answer to a request, which is repeated where that may help; EncoderUnavailable when it does not.

        Raises RequestRefused too, which is about these photos.
        """
        failure: Exception = self._last_failure
        for attempt in range(TRIES):
            await _pause(attempt)
            try:
                return await self._ask(squares)
            except CircuitOpen:
                failure = self._last_failure
                break
            except ServerUnfit as unfit:
                failure = unfit
                break
            except (ServerAway, AnswerWrong) as passing:
                failure = passing
        raise self._unavailable(failure) from failure

    async def _ask(self, squares: Sequence[Square]) -> Prediction:
        """One request and its answer; raises CircuitOpen and what models.serving_protocol lists."""
        began, outcome = time.monotonic(), "cancelled"
        with self._breaker.attempt():
            try:
                outputs = await self._transport.predict([each.file for each in squares], self._timeout_seconds)
                prediction = await asyncio.to_thread(read_prediction, outputs, len(squares), self._manifest)
                outcome = "answered" if prediction.finite.all() else "not_finite"
                return prediction
            except RequestRefused:
                outcome = "refused"
                raise
            except tuple(FAILURES) as failure:
                # A copy: the traceback of the failure itself would keep the photos of this request.
                self._last_failure, outcome = type(failure)(*failure.args), FAILURES[type(failure)]
                raise
            finally:
                self._observer.asked(outcome, time.monotonic() - began)

    def _circuit_changed(self, is_open: bool) -> None:
        if is_open:
            log.error("%s; nothing is asked of it for a while", self._unavailable(self._last_failure))
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
        if isinstance(failure, RequestRefused):
            expected = "a bundle's saved_model, with image files as input"
            return EncoderUnavailable(f"{server} has no use for any photo", expected=expected, received=str(failure))
        if isinstance(failure, AnswerWrong):
            return EncoderUnavailable(f"{server} answers wrongly", received=str(failure))
        return EncoderUnavailable(f"{server} does not answer", received=str(failure))


def _encoding(square: Square, prediction: Prediction, row: int) -> Encoding:
    return Encoding(
        image_embedding=prediction.image_embedding[row].astype(np.float16),
        label_indices=prediction.label_indices[row, :LABELS_KEPT].astype(np.uint16),
        label_scores=prediction.label_scores[row, :LABELS_KEPT].astype(np.float16),
        width_px=square.width_px,
        height_px=square.height_px,
    )


async def _pause(attempt: int) -> None:
    """Before the second try and all after it. Full jitter: workers that lost the same server come back out of step."""
    if attempt:
        await asyncio.sleep(random.uniform(0, min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2**attempt)))


async def _all_or_none(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; the first failure cancels the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    return [task.result() for task in tasks]
