"""Encode photographs: bytes in, image embeddings and class scores out. It knows no words and no index.

`LocalEncoder` runs TensorFlow in this process; `models.encoder_process` runs one in a child. TensorFlow is imported
when a LocalEncoder is made, not when this file is.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from models.decoding import crop_square, decode_image
from models.devices import Device, allow_mixed_precision, check_precision, set_up, tries_mixed_precision
from models.made_photos import made_photos
from models.manifest import VISION_DIR, BundleManifest, verify_bundle
from models.quiet_import import import_tensorflow
from stream_app.errors import BundleError, EncoderFailed, PhotoRejected

log = logging.getLogger(__name__)

PIXELS_MAX = 150_000_000
LABELS_KEPT = 32  # class scores that an encoding carries: the rest share next to nothing
# A graph is traced once per size; what is left of a batch is padded to the next one.
BATCH_SIZES = (1, 8)  # in float32 a photo among 16 takes a tenth more: what it is turned into leaves the cache
ANY_DEVICE = Device()

# uint8 [n, side, side, 3] -> (float32 embeddings [n, d], float32 scores [n, classes])
Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Encoding:
    """One photo as the vision model sees it."""

    image_embedding: np.ndarray  # float16 [d]
    label_indices: np.ndarray  # uint16 [t], best first
    label_scores: np.ndarray  # float16 [t], softmax probabilities
    width_px: int  # the photo's own, upright
    height_px: int


class Encoder(Protocol):
    """What turns photos into encodings, at once."""

    vision_id: str

    def encode_images(self, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
        """One answer per photo, in order; a bad photo is answered by its error."""
        ...

    def close(self) -> None:
        """Let go of threads and memory."""
        ...


class AsyncEncoder(Protocol):
    """The same for an event loop, which it never holds up."""

    vision_id: str

    async def start(self) -> None:
        """Be ready to encode; EncoderFailed when that cannot be."""
        ...

    async def encode_images(self, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
        """One answer per photo, in order; EncoderFailed when no answer can be had."""
        ...

    async def close(self) -> None:
        """Let go of processes, threads and memory."""
        ...


class LocalEncoder:
    """An encoder in this process: photos are decoded in threads and run through a frozen graph in batches."""

    def __init__(
        self,
        bundle_dir: Path,
        *,
        pixels_max: int = PIXELS_MAX,
        threads: int | None = None,
        device: Device = ANY_DEVICE,
    ) -> None:
        manifest = verify_bundle(bundle_dir, below="saved_model/")
        self.vision_id = manifest.vision_id
        self._pixels_max = pixels_max
        self._side_px, self._resize_px = _sizes(manifest)
        threads = threads or core_count()
        self._network = load_network(bundle_dir, threads=threads, device=device)
        self._network_free = threading.Lock()  # two batches at once would be no quicker, and need twice the memory
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def encode_images(self, images: Sequence[bytes]) -> list[Encoding | PhotoRejected]:
        """One answer per photo, in order; the next batch is decoded while one is in the network, and no more."""
        size = BATCH_SIZES[-1]
        answers: list[Encoding | PhotoRejected] = []
        waiting: deque[list[Future[_Square | PhotoRejected]]] = deque()
        for start in range(0, len(images), size):
            waiting.append([self._pool.submit(self._decode, image) for image in images[start : start + size]])
            if len(waiting) > 1:
                answers += self._run([each.result() for each in waiting.popleft()])
        for batch in waiting:
            answers += self._run([each.result() for each in batch])
        return answers

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, data: bytes) -> _Square | PhotoRejected:
        try:
            photo = decode_image(data, side_px=self._resize_px, pixels_max=self._pixels_max)
            pixels = crop_square(photo, resize_px=self._resize_px, side_px=self._side_px)
            return _Square(pixels, photo.width_px, photo.height_px)
        except PhotoRejected as rejected:
            return rejected

    def _run(self, batch: list[_Square | PhotoRejected]) -> list[Encoding | PhotoRejected]:
        squares = [each for each in batch if isinstance(each, _Square)]
        if not squares:
            return [each for each in batch if isinstance(each, PhotoRejected)]
        size = next(size for size in BATCH_SIZES if size >= len(squares))
        padded = np.zeros((size, self._side_px, self._side_px, 3), np.uint8)
        padded[: len(squares)] = [square.pixels for square in squares]
        with self._network_free:
            embeddings, scores = self._network(padded)
        encodings = iter([_encoding(*each) for each in zip(squares, embeddings, scores, strict=False)])
        return [each if isinstance(each, PhotoRejected) else next(encodings) for each in batch]


@dataclass(frozen=True)
class _Square:
    pixels: np.ndarray  # uint8 [side, side, 3]
    width_px: int
    height_px: int


def _sizes(manifest: BundleManifest) -> tuple[int, int]:
    try:
        return int(manifest.preprocessing["side_px"]), int(manifest.preprocessing["resize_px"])
    except (KeyError, ValueError) as error:
        raise BundleError("The bundle does not say how photos are prepared", received=str(error)) from error


def _encoding(square: _Square, embedding: np.ndarray, scores: np.ndarray) -> Encoding:
    kept = np.argsort(-scores, kind="stable")[:LABELS_KEPT]
    return Encoding(
        image_embedding=embedding.astype(np.float16),
        label_indices=kept.astype(np.uint16),
        label_scores=scores[kept].astype(np.float16),
        width_px=square.width_px,
        height_px=square.height_px,
    )


def core_count() -> int:
    """The cores this process may use; a container's limit counts where the system tells it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_network(bundle_dir: Path, *, threads: int, device: Device = ANY_DEVICE) -> Network:
    """The bundle's vision model as a frozen graph; TensorFlow is imported here. EncoderFailed without the device."""
    tf = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    set_up(tf, device, threads=threads)
    saved = tf.saved_model.load(str(bundle_dir / VISION_DIR))
    frozen = convert_variables_to_constants_v2(saved.signatures["pixels"])
    names = sorted(saved.signatures["pixels"].structured_outputs)  # image_embedding, label_scores

    def run(photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = frozen(tf.constant(photos))
        by_name = dict(zip(names, outputs, strict=True))
        return by_name["image_embedding"].numpy(), by_name["label_scores"].numpy()

    side_px = frozen.inputs[0].shape[1]
    if tries_mixed_precision(tf, device):
        _mix_precision(tf, run, made_photos(side_px, BATCH_SIZES[1]).astype(np.uint8), device)
    for size in BATCH_SIZES:  # the first run of each size costs half a second: not in a person's first search
        run(np.zeros((size, side_px, side_px, 3), np.uint8))
    return run


def _mix_precision(tf: Any, run: Network, photos: np.ndarray, device: Device) -> None:
    """From now on in half precision; not for a network that it breaks: EncoderFailed where it was asked for."""
    exact, _ = run(photos)
    allow_mixed_precision(tf)
    try:
        check_precision(exact, run(photos)[0])
    except EncoderFailed as broken:
        allow_mixed_precision(tf, False)
        if device.mixed_precision:
            raise
        log.warning("Going on in float32. %s", broken)
