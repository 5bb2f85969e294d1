"""The shelf: the folder below which bundles lie, each in a folder of its own; the default one is built on first use."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from models.bundle import build_bundle
from models.bundle_fit import check_fit
from models.manifest import verify_bundle
from models.word_sources import DEFAULT_WORDS
from stream_app.errors import BundleError

Progress = Callable[[str], None]


def ensure_bundle(
    bundles_dir: Path,
    *,
    vision: str = "efficientnet_lite0",
    words: str = DEFAULT_WORDS,
    progress: Progress | None = None,
) -> Path:
    """The bundle of these models, built on first use; whoever builds it at the same time is waited for."""
    bundle_dir = bundles_dir / f"{vision}-{words}"
    bundles_dir.mkdir(parents=True, exist_ok=True)
    with _locked(bundles_dir / f".{bundle_dir.name}.lock"):
        if not _is_whole(bundle_dir):
            _build_apart(bundle_dir, vision, words, progress or (lambda line: None))
    return bundle_dir


def _build_apart(bundle_dir: Path, vision: str, words: str, say: Progress) -> None:
    """Build in a process of its own: TensorFlow and all words would stay in a worker's memory for good."""
    say(f"Building the model bundle {bundle_dir.name} (once)")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            problem = pool.submit(_build_or_say, bundle_dir, vision, words).result()
        except BrokenProcessPool as error:
            raise BundleError(
                "The process that builds the model bundle died", remedy="Is there memory left?"
            ) from error
    if problem is not None:
        raise BundleError(problem[0], expected=problem[1], received=problem[2], remedy=problem[3])


def _build_or_say(bundle_dir: Path, vision: str, words: str) -> tuple[str, str | None, str | None, str | None] | None:
    """What went wrong, as texts: an exception with keyword arguments would not survive the way back."""
    try:
        build_bundle(bundle_dir, vision=vision, words=words)
    except BundleError as error:
        return error.problem, error.expected, error.received, error.remedy
    return None


def _is_whole(bundle_dir: Path) -> bool:
    """Whether the bundle is there, undamaged, and of these formulas; any other is made again, not complained about."""
    try:
        check_fit(bundle_dir, verify_bundle(bundle_dir))
    except BundleError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the system lets go of it when its holder dies."""
    import fcntl

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
