"""Where a network runs and in which precision, as far as a machine without a GPU can tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from colours import colour_photo

from models import devices
from models.devices import PRECISION_COSINE_MIN, Device, check_precision, multiplies_bfloat16
from models.encoder import Encoding, LocalEncoder
from models.encoder_process import ProcessEncoder
from models.linear_projection import unit
from models.tiny import COLOURS
from stream_app.encoders import device_of, exact_device_of
from stream_app.errors import EncoderFailed, SettingsError
from stream_app.settings import Settings

GPUS = [SimpleNamespace(name="first"), SimpleNamespace(name="second")]


@pytest.mark.parametrize(("name", "chosen"), [("auto", "first"), ("gpu", "first"), ("gpu:1", "second"), ("cpu", None)])
def test_the_device_that_was_named_is_chosen(name: str, chosen: str | None):
    assert getattr(Device(name).choose_gpu(GPUS), "name", None) == chosen


def test_without_a_gpu_the_processor_is_taken_unless_one_was_asked_for():
    assert Device("auto").choose_gpu([]) is None
    with pytest.raises(EncoderFailed, match=r"SIGHTLINE_DEVICE=gpu: .* received no GPU at all"):
        Device("gpu").choose_gpu([])
    with pytest.raises(EncoderFailed, match=r"received 2 of them: first, second"):
        Device("gpu:2").choose_gpu(GPUS)


@pytest.mark.parametrize("name", ["tpu", "GPU:0", "gpu:", "gpu:-1", "", "cpu "])
def test_a_device_of_no_kind_is_refused(name: str):
    with pytest.raises(SettingsError, match="expected auto, cpu, gpu, or gpu:N"):
        device_of(Settings(device=name))


async def test_a_missing_gpu_is_told_by_the_process_that_looked_for_it(tiny_bundle: Path):
    encoder = ProcessEncoder(tiny_bundle, device=Device("gpu:99"))
    try:
        with pytest.raises(EncoderFailed, match="SIGHTLINE_DEVICE=gpu:99"):
            await encoder.start()
    finally:
        await encoder.close()


async def test_mixed_precision_leaves_photos_where_they_are(tiny_bundle: Path):
    photos = [colour_photo(colour) for name, colour in COLOURS.items() if name != "black"]  # whose embedding is 0
    encoder = ProcessEncoder(tiny_bundle, device=Device("cpu", mixed_precision=True))
    try:
        await encoder.start()
        mixed = await encoder.encode_images(photos)
    finally:
        await encoder.close()
    exact = LocalEncoder(tiny_bundle).encode_images(photos)

    assert (unit(_embeddings(mixed)) * unit(_embeddings(exact))).sum(axis=1).min() >= PRECISION_COSINE_MIN


def test_a_network_that_half_precision_breaks_is_refused():
    exact = np.eye(3, dtype=np.float32)
    check_precision(exact, exact * 1.5)
    for broken in (exact[::-1], exact * np.nan):
        with pytest.raises(EncoderFailed, match="SIGHTLINE_MIXED_PRECISION=false"):
            check_precision(exact, broken)


@pytest.mark.parametrize(
    ("flags", "has"),
    [
        ("fpu avx2 avx512f amx_bf16 amx_tile", True),
        ("fpu avx512f avx512_bf16", True),
        ("fpu avx2 avx512f avx512bw", False),  # TensorFlow would round its numbers here, and compute as before
    ],
)
def test_only_a_processor_with_instructions_for_bfloat16_computes_in_it(tmp_path: Path, flags: str, has: bool):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: spectre\n")

    assert multiplies_bfloat16(cpuinfo) == has
    assert not multiplies_bfloat16(tmp_path / "another system")


def test_left_to_itself_a_network_that_half_precision_breaks_goes_on_in_float32(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
):
    photos = [colour_photo(colour) for colour in COLOURS.values()]
    exact = LocalEncoder(tiny_bundle).encode_images(photos)
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(devices, "PRECISION_COSINE_MIN", 1.5)  # which none reaches
    with pytest.raises(EncoderFailed, match="SIGHTLINE_MIXED_PRECISION=false"):
        LocalEncoder(tiny_bundle, device=Device("cpu", mixed_precision=True))
    left_to_itself = LocalEncoder(tiny_bundle, device=Device("cpu", mixed_precision=None)).encode_images(photos)

    np.testing.assert_array_equal(_embeddings(left_to_itself), _embeddings(exact))


@pytest.mark.parametrize(
    ("text", "served", "compared"),
    [("auto", None, False), ("true", True, True), ("FALSE", False, False), ("1", True, True), ("no", False, False)],
)
def test_figures_are_in_float32_unless_half_precision_is_asked_for(text: str, served: bool | None, compared: bool):
    settings = Settings.from_environment({"SIGHTLINE_MIXED_PRECISION": text})

    assert device_of(settings).mixed_precision is served
    assert exact_device_of(settings).mixed_precision is compared


def test_a_precision_of_no_kind_is_refused():
    with pytest.raises(SettingsError, match="expected auto, true or false; received 'half'"):
        device_of(Settings(mixed_precision="half"))


def _embeddings(encodings: list) -> np.ndarray:
    assert all(isinstance(each, Encoding) for each in encodings)
    return np.stack([each.image_embedding for each in encodings]).astype(np.float32)
