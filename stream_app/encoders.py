"""The encoder that the settings ask for: a process of this machine's own, or TF Serving somewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.devices import Device
from models.encoder import AsyncEncoder
from models.encoder_process import ProcessEncoder
from models.serving import RemoteEncoder
from models.serving_protocol import parse_address
from stream_app.errors import SettingsError
from stream_app.metrics import ENCODER_CIRCUIT_OPEN, ENCODER_REQUEST_SECONDS
from stream_app.settings import Settings

LOCAL = "local"
PRECISIONS = {"auto": None, "true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class EncoderMetrics:
    """Keeps Prometheus told of how it goes with a server."""

    def asked(self, outcome: str, seconds: float) -> None:
        """A request ended."""
        ENCODER_REQUEST_SECONDS.labels(outcome).observe(seconds)

    def circuit_changed(self, is_open: bool) -> None:
        """Nobody is asked for now, or it goes on."""
        ENCODER_CIRCUIT_OPEN.set(is_open)


def device_of(settings: Settings) -> Device:
    """What this machine's own encoder runs on; SettingsError when SIGHTLINE_DEVICE or …_MIXED_PRECISION is no such."""
    if (precision := settings.mixed_precision.lower()) not in PRECISIONS:
        raise SettingsError(
            "SIGHTLINE_MIXED_PRECISION cannot be used",
            expected="auto, true or false",
            received=repr(settings.mixed_precision),
        )
    return Device(settings.device, PRECISIONS[precision])


def exact_device_of(settings: Settings) -> Device:
    """The same for figures that are compared with those of other machines: in half precision only if that is asked."""
    device = device_of(settings)
    return replace(device, mixed_precision=bool(device.mixed_precision))


def make_encoder(settings: Settings, bundle_dir: Path) -> AsyncEncoder:
    """The encoder for a bundle; raises SettingsError when SIGHTLINE_ENCODER is neither `local` nor an address."""
    if settings.encoder == LOCAL:
        return ProcessEncoder(bundle_dir, pixels_max=settings.photo_pixels_max, device=device_of(settings))
    return RemoteEncoder(
        bundle_dir,
        parse_address(settings.encoder),
        pixels_max=settings.photo_pixels_max,
        timeout_seconds=settings.encoder_timeout_seconds,
        batch_size=settings.encoder_batch_size,
        observer=EncoderMetrics(),
    )


async def check_encoder(settings: Settings, bundle_dir: Path) -> None:
    """Before anything is started: EncoderFailed when TF Serving has another model than the bundle."""
    encoder = make_encoder(settings, bundle_dir)
    if isinstance(encoder, RemoteEncoder):
        try:
            await encoder.start()
        finally:
            await encoder.close()
