"""The command as a whole: what goes wrong before anything runs is one line, and no traceback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from stream_app.cli import main


@pytest.mark.parametrize("below", ["", "/deeper"])
@pytest.mark.parametrize("arguments", [["up", "--starter"], ["up", "--photos", "PHOTOS"], ["bundles", "build"]])
def test_a_data_folder_that_is_none_is_one_clear_line(tmp_path: Path, arguments: list[str], below: str) -> None:
    """A file stands in its place, or above it."""
    (tmp_path / "a.jpg").write_bytes(b"counts by its name")
    (tmp_path / "file").touch()
    arguments = [each.replace("PHOTOS", str(tmp_path)) for each in arguments]

    result = CliRunner().invoke(main, arguments, env={"SIGHTLINE_DATA_DIR": f"{tmp_path}/file{below}"})

    assert result.exit_code == 2
    assert result.stderr.startswith("sightline: ") and f"{tmp_path}/file" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_libraries_keep_out_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they have a place there already, as for weights that were downloaded once, they go on with it."""
    (tmp_path / ".config" / "matplotlib").mkdir(parents=True)
    for each in ("KERAS_HOME", "MPLCONFIGDIR"):
        monkeypatch.setenv(each, "")
        monkeypatch.delenv(each)

    env = {"HOME": str(tmp_path), "SIGHTLINE_DATA_DIR": f"{tmp_path}/data"}
    result = CliRunner().invoke(main, ["settings"], env=env)

    assert result.exit_code == 0
    assert os.environ["KERAS_HOME"] == f"{tmp_path}/data/keras" and "MPLCONFIGDIR" not in os.environ


def commands() -> list[Any]:
    """Every command with its name, also those within groups."""
    found: list[Any] = []
    waiting: list[tuple[click.Command, str]] = [(main, "sightline")]
    while waiting:
        command, name = waiting.pop()
        found.append(pytest.param(command, name, id=name))
        inner = getattr(command, "commands", {}).items()
        waiting += [(each, f"{name} {below}") for below, each in inner if not each.hidden]
    return found


@pytest.mark.parametrize(("command", "name"), commands())
class TestHelp:
    def test_every_command_and_every_option_says_what_it_is_for(self, command: click.Command, name: str) -> None:
        options = [each for each in command.params if isinstance(each, click.Option)]

        assert command.help
        assert [each.name for each in options if not each.help] == []

    def test_it_can_be_read_in_eighty_columns(self, command: click.Command, name: str) -> None:
        """No line is longer, and none of a list of commands is cut off."""
        context = click.Context(command, info_name=name, terminal_width=80, max_content_width=80)
        lines = command.get_help(context).splitlines()

        assert max(map(len, lines)) <= 80
        assert [each for each in lines if each.endswith("...") and not each.startswith("Usage")] == []


def test_settings_can_be_read_in_eighty_columns() -> None:
    """What each is for, that is; a value is as long as it is."""
    lines = CliRunner().invoke(main, ["settings"]).output.splitlines()

    assert {len(line) <= 80 for line in lines if line.startswith(" ")} == {True}
