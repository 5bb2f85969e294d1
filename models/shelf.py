"""The shelf: the folder below which bundles lie, each in a folder of its own; the default one is built on first use."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.bundle import build_bundle
from models.bundle_fit import check_fit
from models.manifest import MANIFEST_FILE, BundleManifest, file_states, read_manifest, verify_bundle
from models.vision import DEFAULT_VISION
from models.word_sources import DEFAULT_WORDS
from stream_app.errors import BundleError

DEFAULT = "default"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class ShelvedBundle:
    """A folder that is a bundle, or should be one: then `problem` says why it is none."""

    path: Path
    manifest: BundleManifest | None
    problem: str
    size_bytes: int
    made_at: float  # seconds since 1970

    @classmethod
    def look_at(cls, path: Path) -> ShelvedBundle:
        """What can be told without reading the files: their hashes are for `verify`."""
        manifest, problem = None, ""
        try:
            manifest = read_manifest(path)
            check_fit(path, manifest)
        except BundleError as error:
            problem = str(error)
        files = [each.stat() for each in path.rglob("*") if each.is_file()]
        made_at = max((each.st_mtime for each in files), default=0.0)
        return cls(path, manifest, problem, sum(each.st_size for each in files), made_at)


def shelved_bundles(bundles_dir: Path) -> list[ShelvedBundle]:
    """Every folder on the shelf, by name; hidden ones are under work."""
    folders = sorted(bundles_dir.iterdir()) if bundles_dir.is_dir() else []
    return [ShelvedBundle.look_at(each) for each in folders if each.is_dir() and not each.name.startswith(".")]


def find_bundle(name: str, bundles_dir: Path) -> Path | None:
    """The folder of a bundle by the name that a setting has for it: "default", a path, or one on the shelf."""
    if name == DEFAULT:
        return default_bundle(bundles_dir)
    folders = (Path(name).expanduser(), bundles_dir / name)
    return next((each for each in folders if (each / MANIFEST_FILE).is_file()), None)


def default_bundle(bundles_dir: Path, vision: str = DEFAULT_VISION, words: str = DEFAULT_WORDS) -> Path:
    """Where the bundle of these models lies, or will."""
    return bundles_dir / f"{vision}-{words}"


def bundle_states(bundle_dir: Path) -> tuple[dict[str, str], str]:
    """Every file of a bundle with its state (ok, changed, missing, unknown), and what else is wrong with it, or ""."""
    try:
        manifest = read_manifest(bundle_dir)
    except BundleError as error:
        return {MANIFEST_FILE: "damaged"}, str(error)
    states = {MANIFEST_FILE: "ok"} | file_states(bundle_dir, manifest)
    if not is_sound(states):
        return states, ""
    try:
        check_fit(bundle_dir, manifest)
    except BundleError as error:
        return states, str(error)
    return states, ""


def is_sound(states: dict[str, str]) -> bool:
    """Whether nothing of a bundle is damaged; what lies beside it does no harm."""
    return set(states.values()) <= {"ok", "unknown"}


def ensure_bundle(
    bundles_dir: Path, *, vision: str = DEFAULT_VISION, words: str = DEFAULT_WORDS, progress: Progress | None = None
) -> Path:
    """The bundle of these models, built on first use; whoever builds it at the same time is waited for."""
    bundle_dir = default_bundle(bundles_dir, vision, words)
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
