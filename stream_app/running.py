"""Where the services of a running `sightline up` can be reached: a note that it leaves in its data folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_app.errors import SettingsError
from stream_app.settings import Settings

_NOTED = ("broker_url", "redis_url", "embedded_broker")


@contextmanager
def noted(settings: Settings) -> Iterator[None]:
    """Leave the note while the block runs."""
    note = _note(settings)
    note.write_text(json.dumps({name: getattr(settings, name) for name in _NOTED}))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def with_running_services(settings: Settings) -> Settings:
    """The same settings with the addresses of the `sightline up` on this data folder, where none are set."""
    if settings.broker_url:
        return settings
    try:
        return dataclasses.replace(settings, **json.loads(_note(settings).read_text()))
    except (OSError, ValueError):
        raise SettingsError(
            "No Kafka to speak to",
            expected="SIGHTLINE_BROKER_URL, or a running `sightline up` on the same SIGHTLINE_DATA_DIR",
            received=f"neither, and no service noted in {settings.data_dir}",
            remedy="Start `sightline up` in another terminal.",
        ) from None


def _note(settings: Settings) -> Path:
    return settings.data_dir / "services.json"
