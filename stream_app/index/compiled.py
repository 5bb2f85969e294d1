"""Functions compiled to machine code when they are first called, and kept on the disk for the next process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from numba import config, njit

#: What a sum needs to be spread over the lanes of the processor; infinities stay what they are.
ANY_ORDER: Final = {"reassoc", "contract", "nsz"}
HERE: Final = Path(__file__).parent


def compiled(*, sums_in_any_order: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for the processor at hand; what is compiled runs without Python's lock."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        options: dict[str, Any] = {"nogil": True, "fastmath": ANY_ORDER if sums_in_any_order else False}
        try:
            with _kept_apart():
                return njit(cache=True, **options)(function)
        except RuntimeError:  # nowhere that it may write to: each process compiles for itself
            return njit(**options)(function)

    return decorate


@contextmanager
def _kept_apart() -> Iterator[None]:
    """Keep what is compiled now where only these very sources find it.

    Numba looks at the file of a function and not at those of the functions that it calls, and would run old machine
    code of one on the data of another.
    """
    usual = config.CACHE_DIR
    config.CACHE_DIR = str(kept_folder())
    try:
        yield
    finally:
        config.CACHE_DIR = usual


def kept_folder() -> Path:
    """Where what was compiled of these sources is kept, if there is a place that can be written."""
    return Path(config.CACHE_DIR or HERE / "__pycache__") / f"compiled-{_digest()}"


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for source in sorted(HERE.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
