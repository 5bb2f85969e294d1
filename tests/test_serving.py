"""Encoding at TF Serving: the same answers over gRPC and REST as here, from servers that are slow, wrong or away.

The servers run in a process of their own and speak the real protocols around the tiny bundle's SavedModel.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from colours import colour_photo
from serving_process import ServingProcess

from agents.encoding import encode_patiently
from models.decoding import crop_square, decode_image
from models.encoder import Encoding, LocalEncoder, load_network
from models.manifest import read_manifest
from models.serving import BATCH_SIZE, REQUESTS_AT_ONCE, RemoteEncoder, transport_to
from models.serving_protocol import parse_address, read_prediction
from models.squares import SquareCutter
from models.tiny import COLOURS, SIDE_PX
from stream_app.errors import EncoderFailed, EncoderUnavailable, PhotoRejected
from stream_app.local_services import free_port

MakeEncoder = Callable[..., RemoteEncoder]
PHOTOS = [colour_photo(colour) for colour in COLOURS.values()]


@pytest.fixture(scope="module")
def running(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    """The servers that the tests of this file share."""
    servers = ServingProcess(tiny_bundle, tmp_path_factory.mktemp("serving"))
    yield servers
    servers.kill()


@pytest.fixture
def server(running: ServingProcess) -> ServingProcess:
    """The same without faults, and with an empty journal."""
    running.misbehave()
    return running


@pytest.fixture(params=["grpc", "rest"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each claim holds for both protocols."""
    return str(request.param)


@pytest.fixture
async def encoder_at(tiny_bundle: Path) -> AsyncIterator[MakeEncoder]:
    """Makes encoders that are closed after the test."""
    made: list[RemoteEncoder] = []

    def make(address: str, **options: Any) -> RemoteEncoder:
        made.append(RemoteEncoder(tiny_bundle, parse_address(address), **options))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def encoder(server: ServingProcess, kind: str, encoder_at: MakeEncoder) -> RemoteEncoder:
    """One that asks the shared servers."""
    return encoder_at(server.address(kind), timeout_seconds=5.0)


def best_labels(answers: list[Encoding | PhotoRejected]) -> list[str]:
    """The colours that the network saw; `rejected` where it saw none."""
    names = list(COLOURS)
    return [names[each.label_indices[0]] if isinstance(each, Encoding) else "rejected" for each in answers]


class TestSameAnswers:
    """Where the network runs makes no difference."""

    async def test_vectors_are_those_of_this_process(self, server, kind, tiny_bundle):
        """In single precision, before an encoding halves it: at most 1e-5 apart."""
        files = [SquareCutter(read_manifest(tiny_bundle), pixels_max=10_000).cut(photo).file for photo in noisy(16)]
        transport = transport_to(parse_address(server.address(kind)))
        theirs = read_prediction(await transport.predict(files, 10.0), 16, read_manifest(tiny_bundle))
        await transport.close()
        pixels = [decode_image(photo, side_px=SIDE_PX, pixels_max=10_000) for photo in noisy(16)]
        embeddings, scores = load_network(tiny_bundle, threads=1)(
            np.stack([crop_square(each, resize_px=SIDE_PX, side_px=SIDE_PX) for each in pixels])
        )

        assert np.abs(theirs.image_embedding - embeddings).max() <= 1e-5
        assert np.abs(theirs.label_scores - np.take_along_axis(scores, theirs.label_indices, 1)).max() <= 1e-5

    async def test_encodings_are_those_of_the_local_encoder(self, encoder, tiny_bundle):
        """Good and bad photos, in order, with the photos' own sizes and the same words for what is wrong."""
        photos = [*noisy(20), b"no photo", colour_photo("red")[:40], *PHOTOS]
        theirs = await encoder.encode_images(photos)
        ours = LocalEncoder(tiny_bundle).encode_images(photos)

        assert [as_values(each) for each in theirs] == [as_values(each) for each in ours]

    async def test_tensors_may_come_as_bytes_too(self, server, encoder_at):
        """`--predict_response_tensor_serialization_option` makes TF Serving fill the other field."""
        encoder = encoder_at(server.address("grpc"))
        numbers = await encoder.encode_images(PHOTOS)
        server.misbehave(tensor_content=True)
        content = await encoder.encode_images(PHOTOS)

        assert [as_values(each) for each in content] == [as_values(each) for each in numbers]

    async def test_many_requests_at_once_each_get_their_own_answers(self, encoder):
        names = list(COLOURS) * 4
        answers = await asyncio.gather(*(encoder.encode_images([colour_photo(COLOURS[name])]) for name in names))

        assert [best_labels(each) for each in answers] == [[name] for name in names]

    async def test_what_is_no_photo_is_never_sent(self, encoder, server):
        answers = await encoder.encode_images([b"", b"text"]) + await encoder.encode_images([])

        assert best_labels(answers) == ["rejected", "rejected"]
        assert server.journal() == []

    def test_tensorflow_is_not_needed_for_grpc(self):
        """Half a gigabyte that the worker of a remote encoder does without; it can still be imported afterwards."""
        program = (
            "import sys; from models.serving_grpc import load_stubs; messages, _ = load_stubs()\n"
            "print(any(name.split('.')[0] == 'tensorflow' for name in sys.modules))\n"
            "import tensorflow; request = messages.PredictRequest()\n"
            "request.inputs['x'].CopyFrom(tensorflow.make_tensor_proto([1.0])); print(len(request.inputs))"
        )
        root = Path(__file__).parent.parent
        ran = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)

        assert ran.stdout.split() == ["False", "1"], ran.stderr


class TestBatches:
    """What is refused as a whole is sent in parts."""

    async def test_a_server_with_a_smaller_maximum_gets_smaller_batches_from_then_on(self, encoder, server):
        server.misbehave(batch_max=5)
        first = await encoder.encode_images(PHOTOS * 4)
        server.misbehave(batch_max=5)
        second = await encoder.encode_images(PHOTOS * 4)

        assert best_labels(first) == best_labels(second) == list(COLOURS) * 4
        assert server.outcomes() == Counter(answered=len(server.journal()))

    @pytest.mark.parametrize("fault", ["refused_colour", "nan_colour"])
    async def test_a_bad_photo_is_the_only_one_rejected(self, encoder, server, fault):
        """Its batch is halved until it is alone, and another photo goes well right after."""
        server.misbehave(**{fault: "ff00ff"})
        answers = await encoder.encode_images(PHOTOS)

        assert best_labels(answers) == [name if name != "magenta" else "rejected" for name in COLOURS]
        assert len(server.journal()) <= 24

    async def test_a_server_that_refuses_every_photo_rejects_none(self, encoder, server):
        """It is the server that is at fault."""
        server.misbehave(batch_max=0)

        with pytest.raises(EncoderUnavailable, match=r"no use for any photo.*maximum input batch size 0"):
            await encoder.encode_images(PHOTOS)

    async def test_messages_over_a_limit_are_made_smaller(self, kind, tiny_bundle, tmp_path, encoder_at):
        """gRPC's own limit of a message, or a proxy's: seven photos fit, sixteen do not."""
        servers = ServingProcess(tiny_bundle, tmp_path, message_bytes_max=22_000)
        try:
            answers = await encoder_at(servers.address(kind)).encode_images(PHOTOS * 4)
        finally:
            servers.kill()

        assert best_labels(answers) == list(COLOURS) * 4

    async def test_no_message_is_larger_than_most_take(self, encoder_at, server, kind, monkeypatch):
        """A batch is cut before it is sent where the network looks at many pixels."""
        monkeypatch.setattr("models.serving.MESSAGE_BYTES_MAX", 22_000)
        await encoder_at(server.address(kind)).encode_images(PHOTOS * 2)

        assert max(each["photos"] for each in server.journal()) == (7 if kind == "grpc" else 5)  # base64 is longer

    async def test_photos_are_decoded_only_as_fast_as_the_server_takes_them(
        self, server, kind, encoder_at, monkeypatch
    ):
        """What bounds the memory of a client that is given very many at once."""
        cut: list[bytes] = []
        really_cut = SquareCutter.cut
        monkeypatch.setattr(SquareCutter, "cut", lambda self, data: (cut.append(data), really_cut(self, data))[1])
        server.misbehave(delayed=1.0, delay_seconds=600.0)
        encoding = asyncio.create_task(encoder_at(server.address(kind)).encode_images(PHOTOS * 50))
        while len(cut) < REQUESTS_AT_ONCE * BATCH_SIZE:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        encoding.cancel()

        assert len(cut) == REQUESTS_AT_ONCE * BATCH_SIZE


class TestFaults:
    """A server that answers slowly, wrongly or not at all."""

    @pytest.mark.parametrize("fault", ["delayed", "failed", "cut_off", "wrong_shape", "not_finite", "wrong_vision_id"])
    async def test_every_photo_is_answered_though_a_fifth_of_the_answers_fail(self, server, kind, encoder_at, fault):
        encoder = encoder_at(server.address(kind), timeout_seconds=0.5, batch_size=4, open_seconds=0.5)
        server.misbehave(**{fault: 0.2})
        while len(server.outcomes()) < 2:  # a fifth of so few may be none
            answers = await encode_patiently(encoder, PHOTOS * 12)

            assert best_labels(answers) == list(COLOURS) * 12

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            ("delayed", "does not answer"),
            ("failed", "does not answer"),
            ("cut_off", "does not answer|answers wrongly"),
            ("wrong_shape", r"answers wrongly.*image_embedding of shape \[10, 11\].*\[10, 12\]"),
            ("not_finite", "no use for any photo.*NaN or infinity"),
            ("wrong_vision_id", "another model than the bundle.*received 0123456789ab"),
        ],
    )
    async def test_a_server_that_always_fails_is_said_to_be_unavailable(self, server, kind, encoder_at, fault, said):
        """In bounded time, in words that say what came; no photo is answered by a rejection."""
        encoder = encoder_at(server.address(kind), timeout_seconds=0.3)
        server.misbehave(**{fault: 1.0}, delay_seconds=600.0)

        with pytest.raises(EncoderUnavailable, match=said):
            await encoder.encode_images(PHOTOS)

    async def test_another_model_is_refused_before_anything_is_embedded(self, encoder, server):
        """What it would answer means something else."""
        server.misbehave(wrong_vision_id=1.0)

        with pytest.raises(EncoderFailed, match=f"vision_id {encoder.vision_id}.*0123456789ab") as refused:
            await encoder.start()
        assert not isinstance(refused.value, EncoderUnavailable)

    async def test_a_server_that_is_not_there_yet_may_come_later(self, kind, encoder_at):
        """The worker starts, and says why nothing can be encoded."""
        encoder = encoder_at(f"{kind}://127.0.0.1:{free_port()}/sightline")
        await encoder.start()

        with pytest.raises(EncoderUnavailable, match="does not answer"):
            await encoder.encode_images(PHOTOS)

    async def test_a_model_that_is_not_served_is_named(self, server, kind, encoder_at):
        encoder = encoder_at(server.address(kind, "another"))

        with pytest.raises(EncoderUnavailable, match=r"Servable not found.*Is 'another' the name"):
            await encoder.encode_images(PHOTOS)

    @pytest.mark.parametrize(("asked", "at"), [("grpc", "rest"), ("rest", "grpc")])
    async def test_the_other_protocols_port_is_no_server(self, server, encoder_at, asked, at):
        """The two ports are easily mixed up."""
        encoder = encoder_at(server.address(at).replace(at, asked), timeout_seconds=1.0)

        with pytest.raises(EncoderUnavailable):
            await encoder.encode_images(PHOTOS)

    async def test_an_answer_without_end_is_not_kept(self, encoder_at, monkeypatch):
        """What is no answer of ours does not fill the memory."""
        monkeypatch.setattr("models.serving_rest.ANSWER_BYTES_MAX", 100_000)

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" " * 10_000)

        application = web.Application()
        application.router.add_post("/{path:.*}", endless)
        async with serving(application) as port:
            encoder = encoder_at(f"rest://127.0.0.1:{port}")
            with pytest.raises(EncoderUnavailable, match="more than 100,000 bytes"):
                await encoder.encode_images(PHOTOS)

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"null", b'{"outputs": 1}', b'{"outputs": {"vision_id": 3}}', b"\xff"]
    )
    async def test_an_answer_that_is_none_is_a_wrong_one(self, encoder_at, body):
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(body=body, content_type="application/json")

        application = web.Application()
        application.router.add_post("/{path:.*}", answer)
        async with serving(application) as port:
            with pytest.raises(EncoderUnavailable, match="answers wrongly"):
                await encoder_at(f"rest://127.0.0.1:{port}").encode_images(PHOTOS)


class TestCircuit:
    """A server that is away is left alone, and found again."""

    async def test_nothing_is_asked_for_a_while_after_several_failures(self, server, kind, encoder_at):
        told = Told()
        encoder = encoder_at(server.address(kind), open_seconds=60.0, observer=told)
        server.misbehave(failed=1.0)
        for _ in range(5):
            with pytest.raises(EncoderUnavailable):
                await encoder.encode_images(PHOTOS)

        assert told.circuit == [True]
        assert len(server.journal()) == told.outcomes["away"] == 5

    async def test_photos_wait_for_a_killed_server_and_are_encoded_once_it_is_back(
        self, kind, tiny_bundle, tmp_path, encoder_at
    ):
        """On the same port, as a restarted container is."""
        told = Told()
        servers = ServingProcess(tiny_bundle, tmp_path)
        try:
            encoder = encoder_at(servers.address(kind), open_seconds=0.5, observer=told)
            await encoder.encode_images(PHOTOS)
            await asyncio.to_thread(servers.kill)
            waiting = asyncio.create_task(encode_patiently(encoder, PHOTOS * 3))
            while True not in told.circuit:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(servers.start)
            async with asyncio.timeout(60):  # it may wait for ever, if nobody tries the server again
                answers = await waiting
        finally:
            servers.kill()

        assert best_labels(answers) == list(COLOURS) * 3
        assert told.circuit[-1] is False


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.circuit: list[bool] = []

    def asked(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1

    def circuit_changed(self, is_open: bool) -> None:
        self.circuit.append(is_open)


def noisy(count: int) -> list[bytes]:
    """Photos of which no two pixels are alike, larger than what the network looks at."""
    from album_process import COLOURS as NAMES
    from album_process import colour_photo as noisy_photo

    return [noisy_photo(list(NAMES)[seed % len(NAMES)], seed) for seed in range(count)]


def as_values(answer: Encoding | PhotoRejected) -> Any:
    """An answer as something that can be compared."""
    if isinstance(answer, PhotoRejected):
        return str(answer)
    vectors = (answer.image_embedding, answer.label_indices, answer.label_scores)
    return [each.tolist() for each in vectors] + [answer.width_px, answer.height_px]


class serving:
    """An application on a port of its own, for as long as the block."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def __aenter__(self) -> int:
        port = free_port()
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return port

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
