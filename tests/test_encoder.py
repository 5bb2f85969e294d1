"""Encoders, in this process and in a child: the same answers, one per photo, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_photo

from models.bundle import build_tiny_bundle, read_manifest
from models.encoder import BATCH_SIZES, LABELS_KEPT, Encoding, LocalEncoder
from models.encoder_process import ProcessEncoder
from models.tiny import COLOURS
from stream_app.errors import BundleError, EncoderFailed, EncoderUnavailable, PhotoRejected

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def bundle_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, made once for this file."""
    return build_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
async def process_encoder(bundle_dir: Path) -> AsyncIterator[ProcessEncoder]:
    """An encoder with a child of its own, ended after the test."""
    encoder = ProcessEncoder(bundle_dir)
    yield encoder
    await encoder.close()


def best_label(answer: Encoding | PhotoRejected) -> str:
    """The colour that the network saw."""
    assert isinstance(answer, Encoding)
    return list(COLOURS)[answer.label_indices[0]]


def test_an_encoding_has_the_shapes_that_it_promises(bundle_dir: Path) -> None:
    """Half precision, best class first, and the photo's own size."""
    [encoding] = LocalEncoder(bundle_dir).encode_images([colour_photo("red")])

    assert isinstance(encoding, Encoding)
    assert encoding.image_embedding.dtype == np.float16 and encoding.image_embedding.shape == (12,)
    assert encoding.label_indices.dtype == np.uint16 and len(encoding.label_indices) == min(LABELS_KEPT, len(COLOURS))
    assert (np.diff(encoding.label_scores.astype(float)) <= 0).all()
    assert (encoding.width_px, encoding.height_px) == (48, 40)


@pytest.mark.parametrize("count", [0, 1, 2, 9, BATCH_SIZES[-1], BATCH_SIZES[-1] + 1, 70])
def test_answers_come_in_order_for_every_number_of_photos(count: int, bundle_dir: Path) -> None:
    """Padding a batch changes neither order nor number."""
    expected = [list(COLOURS)[i % len(COLOURS)] for i in range(count)]

    answers = LocalEncoder(bundle_dir).encode_images([colour_photo(COLOURS[name]) for name in expected])

    assert [best_label(answer) for answer in answers] == expected


def test_only_two_batches_of_photos_are_decoded_at_a_time(bundle_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the list: pixels take far more memory than files."""
    encoder, decoded, ahead = LocalEncoder(bundle_dir), 0, []
    decode, run = encoder._decode, encoder._run
    lock = threading.Lock()

    def counted_decode(data: bytes) -> object:
        nonlocal decoded
        with lock:
            decoded += 1
        return decode(data)

    def watched_run(batch: list[Any]) -> list[Encoding | PhotoRejected]:
        nonlocal decoded
        answers = run(batch)
        time.sleep(0.01)  # the threads may run as far ahead as they are let
        with lock:
            ahead.append(decoded)
            decoded -= len(batch)
        return answers

    monkeypatch.setattr(encoder, "_decode", counted_decode)
    monkeypatch.setattr(encoder, "_run", watched_run)

    assert len(encoder.encode_images([colour_photo("red")] * 10 * BATCH_SIZES[-1])) == 10 * BATCH_SIZES[-1]
    assert len(ahead) == 10 and max(ahead) <= 2 * BATCH_SIZES[-1]


def test_a_bad_photo_is_answered_in_its_place(bundle_dir: Path) -> None:
    """The photos around a damaged one are encoded all the same."""
    photos = [colour_photo("red"), b"no photo", colour_photo("blue"), colour_photo("red")[:40]]

    answers = LocalEncoder(bundle_dir).encode_images(photos)

    assert [isinstance(answer, PhotoRejected) for answer in answers] == [False, True, False, True]


def test_a_batch_of_bad_photos_needs_no_network(bundle_dir: Path) -> None:
    """Nothing to encode is no error."""
    answers = LocalEncoder(bundle_dir).encode_images([b"", b"text"])

    assert all(isinstance(answer, PhotoRejected) for answer in answers)


def test_a_damaged_network_is_not_loaded(tmp_path: Path) -> None:
    """The hash of the SavedModel is checked before TensorFlow reads it."""
    bundle_dir = build_tiny_bundle(tmp_path / "tiny")
    with (bundle_dir / "saved_model" / "1" / "saved_model.pb").open("ab") as file:
        file.write(b"\0")

    with pytest.raises(BundleError, match=r"saved_model\.pb"):
        LocalEncoder(bundle_dir)


async def test_a_child_answers_as_this_process_does(bundle_dir: Path, process_encoder: ProcessEncoder) -> None:
    """Good and bad photos come back over the pipe as they are."""
    photos = [colour_photo(colour) for colour in COLOURS.values()] + [b"no photo"]

    theirs = await process_encoder.encode_images(photos)

    ours = LocalEncoder(bundle_dir).encode_images(photos)
    assert process_encoder.vision_id == read_manifest(bundle_dir).vision_id
    assert [best_label(answer) for answer in theirs[:-1]] == [best_label(answer) for answer in ours[:-1]]
    assert isinstance(theirs[-1], PhotoRejected) and str(theirs[-1]) == str(ours[-1])


async def test_many_requests_at_once_each_get_their_own_answers(process_encoder: ProcessEncoder) -> None:
    """Answers never go to another's request."""
    names = list(COLOURS) * 3

    answers = await asyncio.gather(*(process_encoder.encode_images([colour_photo(COLOURS[name])]) for name in names))

    assert [best_label(answer) for [answer] in answers] == names


async def test_a_killed_child_is_replaced_and_loses_no_photo(process_encoder: ProcessEncoder) -> None:
    """A kill from outside, with requests in flight and between them, costs time and nothing else."""
    await process_encoder.start()
    photos = [colour_photo("red")] * 200
    running = [asyncio.create_task(process_encoder.encode_images(photos[:5])) for _ in range(8)]
    await asyncio.sleep(0)
    os.kill(process_encoder.pid or 0, signal.SIGKILL)

    answers = [answer for task in running for answer in await task]

    assert [best_label(answer) for answer in answers] == ["red"] * 40


async def test_a_photo_that_kills_the_child_is_the_only_one_rejected(
    bundle_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is tried again photo by photo, and the guilty one is answered by an error."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    encoder = ProcessEncoder(bundle_dir)
    monkeypatch.setattr("models.encoder_child.serve", serve_with_a_weakness)
    photos = [colour_photo("red"), DEADLY, colour_photo("blue")]

    answers = await encoder.encode_images(photos)
    await encoder.close()

    assert [isinstance(answer, PhotoRejected) for answer in answers] == [False, True, False]


DEADLY = b"this one ends the process"


def serve_with_a_weakness(connection: object, *of_the_parent: object) -> None:
    """The child's main function, in which one photo does what a bug in a C library could do."""
    from models import encoder, encoder_child

    decode = encoder.decode_image

    def deadly_decode(data: bytes, **options: int) -> object:
        if data == DEADLY:
            os._exit(139)
        return decode(data, **options)

    encoder.decode_image = deadly_decode  # type: ignore[assignment]
    encoder_child.serve(connection, *of_the_parent)  # type: ignore[arg-type]


async def test_an_encoder_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A damaged bundle comes out as EncoderFailed with the child's own words."""
    bundle_dir = build_tiny_bundle(tmp_path / "tiny")
    (bundle_dir / "saved_model" / "1" / "saved_model.pb").unlink()

    with pytest.raises(EncoderFailed, match=r"saved_model\.pb"):
        await ProcessEncoder(bundle_dir).start()


async def test_an_encoder_that_is_closed_while_it_starts_ends_quietly(bundle_dir: Path) -> None:
    """A worker that is told to stop has not crashed; what still asks for answers is told that there are none."""
    encoder = ProcessEncoder(bundle_dir)
    starting = asyncio.create_task(encoder.start())
    asking = asyncio.create_task(encoder.encode_images([colour_photo("red")]))
    while encoder.pid is None:
        await asyncio.sleep(0)
    await encoder.close()

    assert await starting is None
    with pytest.raises(EncoderUnavailable):
        await asking
    assert encoder.pid is None


async def test_a_signal_to_the_whole_group_leaves_the_end_of_the_child_to_its_parent(
    process_encoder: ProcessEncoder,
) -> None:
    """From its first moment on: the parent stops in order, and may want an answer until then."""
    starting = asyncio.create_task(process_encoder.start())
    while process_encoder.pid is None:
        await asyncio.sleep(0)
    os.kill(process_encoder.pid, signal.SIGTERM)
    await starting
    os.kill(process_encoder.pid, signal.SIGTERM)
    [answer] = await process_encoder.encode_images([colour_photo("red")])

    assert best_label(answer) == "red"


def test_the_child_ends_when_its_parent_is_killed(bundle_dir: Path) -> None:
    """kill -9 of the worker leaves no orphan behind."""
    code = (
        "import asyncio, sys; from pathlib import Path; from models.encoder_process import ProcessEncoder\n"
        "async def main():\n"
        f"    encoder = ProcessEncoder(Path({str(bundle_dir)!r})); await encoder.start()\n"
        "    print(encoder.pid, flush=True); await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        parent.kill()

    assert _ends_within(child_pid, seconds=20)


def test_a_parent_that_forgets_to_close_its_encoder_ends_all_the_same(bundle_dir: Path) -> None:
    """And its child with it, though that one ignores what multiprocessing would end it by."""
    code = (
        "import asyncio; from pathlib import Path; from models.encoder_process import ProcessEncoder\n"
        "if __name__ == '__main__':\n"
        f"    encoder = ProcessEncoder(Path({str(bundle_dir)!r}))\n"
        "    asyncio.run(encoder.start()); print(encoder.pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60)

    assert _ends_within(int(done.stdout), seconds=20)


def _ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
