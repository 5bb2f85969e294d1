"""A disk on which things go wrong: the n-th operation fails, or the power is cut there and what was not synced is lost.

Below one folder it counts every write, fsync, rename, mkdir, unlink and rmdir that Python makes, and remembers what of
each file and of each folder's list of names has reached the disk. After a power cut `surviving` writes down what may
have survived it. The model: an fsync of a file keeps its content and not its name; an fsync of a folder keeps the names
in it; of what was not synced any part may survive, a file's content also in part or as zeros; a rename happens whole or
not at all.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class PowerCut(BaseException):
    """The power goes; nothing that runs afterwards may reach the disk."""


class FaultyDisk:
    """The folder `root` while `plugged_in`; without a plan everything works and is counted."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        os.makedirs(self._root, exist_ok=True)
        self._folder = _Folder()
        self._paths: dict[int, str] = {}  # by open descriptor
        self.works()
        self._keep(self._root, self._folder)

    def works(self) -> None:
        """From now on nothing goes wrong, and counting begins anew."""
        self.operations: list[str] = []
        self._plan: Callable[[int, str], None] = lambda number, kind: None

    def fails_at(self, step: int, code: int = errno.ENOSPC, *, once: bool = False) -> None:
        """Operation `step` (from 0) and, unless `once`, all that need room after it raise OSError with `code`."""

        def plan(number: int, kind: str) -> None:
            # Removing needs no room.
            tidying = code == errno.ENOSPC and kind in ("unlink", "rmdir")
            if (number == step or (number > step and not once)) and not tidying:
                raise OSError(code, os.strerror(code))

        self.works()
        self._plan = plan

    def is_cut_at(self, step: int) -> None:
        """The power goes just before operation `step` (from 0)."""

        def plan(number: int, kind: str) -> None:
            if number >= step:
                raise PowerCut

        self.works()
        self._plan = plan

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Python's way to the disk leads through here."""
        with pytest.MonkeyPatch.context() as patched:
            for name in ("fsync", "replace", "mkdir", "unlink", "rmdir", "open"):
                patched.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))
            opened = self._opened(io.open)
            patched.setattr(io, "open", opened)
            patched.setattr(builtins, "open", opened)
            # Whole paths rather than names relative to an open folder.
            patched.setattr(shutil, "_use_fd_functions", False)
            yield

    def surviving(self, to: Path, seed: int | None) -> Path:
        """Write to `to` what a power cut leaves: what was synced, and with a seed also some of what was not."""
        self._read_unsynced(self._root, self._folder)
        self._folder.survive(to, random.Random(seed) if seed is not None else None)
        return to

    # Each of these makes of a function of the operating system one that is counted, may fail, and is remembered.

    def _fsync(self, real: Callable) -> Callable:
        def fsync(descriptor: int) -> None:
            path = self._paths.get(descriptor)
            if path is None:
                return real(descriptor)
            self._step("fsync")
            self._node(path).sync(path)

        return fsync

    def _replace(self, real: Callable) -> Callable:
        def replace(source: Any, target: Any) -> None:
            if not self._is_mine(source):
                return real(source, target)
            # What is met here for the first time must be met before it moves.
            (folder, name), node = self._parent(source), self._node(source)
            self._step("rename")
            real(source, target)
            assert os.path.dirname(source) == os.path.dirname(target), "renames from folder to folder are not modelled"
            folder.change({name: None, os.path.basename(target): node})

        return replace

    def _mkdir(self, real: Callable) -> Callable:
        def mkdir(path: Any, mode: int = 0o777) -> None:
            if not self._is_mine(path):
                return real(path, mode)
            folder, name = self._parent(path)
            self._step("mkdir")
            real(path, mode)
            folder.change({name: _Folder()})

        return mkdir

    def _unlink(self, real: Callable) -> Callable:
        return self._removing(real, "unlink")

    def _rmdir(self, real: Callable) -> Callable:
        return self._removing(real, "rmdir")

    def _removing(self, real: Callable, kind: str) -> Callable:
        def remove(path: Any, **options: Any) -> None:
            if not self._is_mine(path):
                return real(path, **options)
            folder, name = self._parent(path)
            if os.path.lexists(path):
                self._step(kind)
            real(path, **options)
            folder.change({name: None})

        return remove

    def _open(self, real: Callable) -> Callable:
        def open_descriptor(path: Any, *arguments: Any, **options: Any) -> int:
            descriptor: int = real(path, *arguments, **options)
            self._paths.pop(descriptor, None)
            if self._is_mine(path):
                self._paths[descriptor] = os.path.abspath(path)
            return descriptor

        return open_descriptor

    def _opened(self, real: Callable) -> Callable:
        def opened(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            if mode != "wb" or not self._is_mine(path):
                return real(path, mode, *arguments, **options)
            folder, name = self._parent(path)
            self._step("create")
            file = real(path, mode, *arguments, **options)
            node = folder.names.get(name)
            if not isinstance(node, _File):
                node = _File()
                folder.change({name: node})
            node.unsynced = True
            self._paths[file.fileno()] = os.path.abspath(path)
            return _Written(file, node, self._step)

        return opened

    def _step(self, kind: str) -> None:
        number = len(self.operations)
        self.operations.append(kind)
        self._plan(number, kind)

    def _is_mine(self, path: Any) -> bool:
        if not isinstance(path, str | os.PathLike):
            return False
        return f"{os.path.abspath(path)}{os.sep}".startswith(self._root + os.sep)

    def _parent(self, path: Any) -> tuple[_Folder, str]:
        parent, name = os.path.split(os.path.abspath(path))
        folder = self._node(parent)
        assert isinstance(folder, _Folder)
        return folder, name

    def _node(self, path: Any) -> _File | _Folder:
        """The node of a path; what others wrote, as Annoy does, is met here for the first time."""
        node: _File | _Folder = self._folder
        at = self._root
        relative = os.path.relpath(os.path.abspath(path), self._root)
        for name in [] if relative == "." else relative.split(os.sep):
            assert isinstance(node, _Folder)
            self._adopt(at, node)
            at, node = os.path.join(at, name), node.names[name]
        if isinstance(node, _Folder):
            self._adopt(at, node)
        return node

    def _adopt(self, path: str, folder: _Folder) -> None:
        for entry in os.scandir(path):
            if entry.name not in folder.names:
                folder.change({entry.name: _Folder() if entry.is_dir() else _File()})

    def _keep(self, path: str, folder: _Folder) -> None:
        """Take what lies there at first for safe."""
        self._adopt(path, folder)
        for name, node in folder.names.items():
            at = os.path.join(path, name)
            node.sync(at)
            if isinstance(node, _Folder):
                self._keep(at, node)
        folder.sync(path)

    def _read_unsynced(self, path: str, folder: _Folder) -> None:
        """Take from the real disk what a file held when the power went."""
        self._adopt(path, folder)
        for name, node in folder.names.items():
            if isinstance(node, _Folder):
                self._read_unsynced(os.path.join(path, name), node)
            elif node.unsynced:
                node.content = Path(path, name).read_bytes()


class _File:
    """`durable` was there at the last fsync; `content` when the power went."""

    def __init__(self) -> None:
        self.durable = self.content = b""
        self.unsynced = True

    def sync(self, path: str) -> None:
        self.durable, self.unsynced = Path(path).read_bytes(), False

    def survive(self, to: Path, chance: random.Random | None) -> None:
        kept = self.durable
        if self.unsynced and chance is not None:
            length = chance.randrange(len(self.content) + 1)
            torn = self.content[:length] + bytes(len(self.content) - length)
            kept = chance.choice([self.durable, self.content, torn])
        to.write_bytes(kept)


class _Folder:
    """`names` is what programs see, `durable` what the disk has, `changes` how one became the other."""

    def __init__(self) -> None:
        self.names: dict[str, _File | _Folder] = {}
        self.durable: dict[str, _File | _Folder] = {}
        self.changes: list[dict[str, _File | _Folder | None]] = []

    def change(self, change: dict[str, _File | _Folder | None]) -> None:
        self.changes.append(change)
        _apply(change, self.names)

    def sync(self, path: str) -> None:
        self.durable, self.changes = dict(self.names), []

    def survive(self, to: Path, chance: random.Random | None) -> None:
        to.mkdir(parents=True)
        names = dict(self.durable)
        if chance is not None:
            for change in self._lucky_changes(chance):
                _apply(change, names)
        for name, node in names.items():
            node.survive(to / name, chance)

    def _lucky_changes(self, chance: random.Random) -> list[dict[str, _File | _Folder | None]]:
        """Those that reached the disk: a journal keeps their order, and not every file system has one."""
        way = chance.choice(["journal", "any", "last"])
        if way == "journal":
            return self.changes[: chance.randrange(len(self.changes) + 1)]
        return self.changes[-1:] if way == "last" else [each for each in self.changes if chance.random() < 0.5]


def _apply(change: dict[str, _File | _Folder | None], names: dict[str, _File | _Folder]) -> None:
    for name, node in change.items():
        names.pop(name, None)
        if node is not None:
            names[name] = node


class _Written:
    """A file that is being written: each write is an operation of the disk."""

    def __init__(self, file: Any, node: _File, step: Callable[[str], None]) -> None:
        self._file, self._node, self._step = file, node, step

    def write(self, data: Any) -> int:
        self._step("write")
        self._node.unsynced = True
        written: int = self._file.write(data)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
