"""The command as a whole: what goes wrong before anything runs is one line, and no traceback."""

from __future__ import annotations

import os
from pathlib import Path

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


def test_every_command_says_what_it_is_for() -> None:
    """Also those within groups."""
    waiting = [(main, ["sightline"])]
    while waiting:
        command, names = waiting.pop()
        assert command.help, names
        waiting += [
            (each, [*names, name]) for name, each in getattr(command, "commands", {}).items() if not each.hidden
        ]
