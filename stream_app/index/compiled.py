"""Functions compiled to machine code when they are first called, and kept on the disk for the next process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

#: What a sum needs to be spread over the lanes of the processor; infinities stay what they are.
ANY_ORDER = {"reassoc", "contract", "nsz"}


def compiled(*, sums_in_any_order: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for the processor at hand; what is compiled runs without Python's lock."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        options: dict[str, Any] = {"nogil": True, "fastmath": ANY_ORDER if sums_in_any_order else False}
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # nowhere that it may write to: each process compiles for itself
            return njit(**options)(function)

    return decorate
