"""What can be set, and what is refused in one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_app.errors import SettingsError
from stream_app.settings import Settings


def test_the_environment_overrides_defaults_and_arguments_override_both() -> None:
    """A value that is set to nothing counts as not set."""
    environment = {"SIGHTLINE_WEB_PORT": "7000", "SIGHTLINE_APP_ID": "mine", "SIGHTLINE_BUNDLE": ""}

    settings = Settings.from_environment(environment, web_port=7001)

    assert (settings.web_port, settings.app_id, settings.bundle) == (7001, "mine", "default")


def test_a_child_process_gets_the_same_settings() -> None:
    """All of them cross the environment unchanged."""
    settings = Settings.from_environment({}, data_dir=Path("/tmp/x"), private_addresses_allowed=True)

    assert Settings.from_environment(settings.to_environment()) == settings


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("WEB_PORT", "99999", "1 to 65535"),
        ("WEB_PORT", "http", "a value of type int"),
        ("PRIVATE_ADDRESSES_ALLOWED", "perhaps", "true or false"),
        ("PHOTO_PIXELS_MAX", "-1", "1000000 to"),
        ("FETCH_TIMEOUT_SECONDS", "nan", "0.1 to 600.0"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_a_value_that_will_not_do_is_one_clear_line(name: str, text: str, expected: str) -> None:
    """It names the variable, what it may be, and what it is."""
    with pytest.raises(SettingsError, match=f"SIGHTLINE_{name} .*expected {expected}.*; received .*{text}"):
        Settings.from_environment({f"SIGHTLINE_{name}": text})
