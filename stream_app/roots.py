"""The folders below which `file:` photos may be read: those of the settings, and those that were published."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stream_app.errors import SettingsError
from stream_app.index import files
from stream_app.settings import Settings


class PublishedRoots:
    """Calling it gives the roots as they are now; the registry is read again whenever it was replaced."""

    def __init__(self, settings: Settings, always: Sequence[Path] = ()) -> None:
        given = [Path(each).expanduser() for each in settings.photo_roots.split(os.pathsep) if each]
        self._always = [*given, *always]
        self._registry = _registry(settings)
        self._seen: tuple[int, ...] = ()
        self._published: list[Path] = []

    def __call__(self) -> list[Path]:
        """All roots; a registry that cannot be read counts as empty."""
        try:
            status = self._registry.stat()
        except OSError:
            return self._always
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._published = _read(self._registry)
            self._seen = seen
        return [*self._always, *self._published]


def publish_root(settings: Settings, folder: Path) -> None:
    """Let every worker on this data folder read the files below `folder`; raises SettingsError when it cannot."""
    root = folder.resolve()
    registry = _registry(settings)
    try:
        registry.parent.mkdir(parents=True, exist_ok=True)
        with _locked(registry):
            roots = _read(registry)
            if root not in roots:
                _write(registry, [*roots, root])
    except OSError as error:
        raise SettingsError(
            f"{registry} cannot be written",
            expected="a data folder of one's own",
            received=error.strerror,
            remedy="Correct its permissions, or set SIGHTLINE_DATA_DIR.",
        ) from error


def _registry(settings: Settings) -> Path:
    return settings.data_dir / "roots.json"


def _read(registry: Path) -> list[Path]:
    try:
        return [Path(each) for each in json.loads(registry.read_bytes())["roots"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _write(registry: Path, roots: Sequence[Path]) -> None:
    unfinished = registry.with_name(f".{registry.name}.{os.getpid()}")
    # The standard library's JSON, as the name of a folder need not be valid UTF-8.
    files.write_bytes(unfinished, json.dumps({"roots": [str(each) for each in roots]}).encode())
    files.publish(unfinished, registry)


@contextmanager
def _locked(registry: Path) -> Iterator[None]:
    """Two folders may be published at the same time."""
    with registry.with_name(f".{registry.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
