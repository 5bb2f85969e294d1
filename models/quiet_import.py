"""Import TensorFlow without the notes on its build that it prints past every logging setting."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def import_tensorflow() -> Any:
    """The tensorflow module; an import error is raised as ever, only the notes are dropped."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" not in sys.modules:
        with _errors_dropped():
            import tensorflow
    import tensorflow

    return tensorflow


@contextmanager
def _errors_dropped() -> Iterator[None]:
    """Standard error (the descriptor, since C++ writes there) leads nowhere for a while."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
