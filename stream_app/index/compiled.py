"""Functions compiled to machine code when they are first called, and kept on the disk for the next process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(*, fastmath: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile for the processor at hand, without Python's lock; `fastmath` lets sums be reordered into its lanes."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, nogil=True, fastmath=fastmath)(function)
        except RuntimeError:  # nowhere that it may write to: each process compiles for itself
            return njit(nogil=True, fastmath=fastmath)(function)

    return decorate
