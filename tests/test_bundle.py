"""Model bundles: whole or not at all, the same each time, and never damaged unseen."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from models import bundle
from models.bundle import build_bundle, build_tiny_bundle, ensure_bundle, read_manifest
from models.manifest import verify_bundle
from stream_app.errors import BundleError

ROOT = Path(__file__).resolve().parent.parent


def test_a_bundle_made_twice_means_the_same(tiny_bundle: Path, tmp_path: Path) -> None:
    """Both ids are the same on every build, so that workers who build their own agree."""
    first, again = read_manifest(tiny_bundle), read_manifest(build_tiny_bundle(tmp_path / "again"))

    assert (again.vision_id, again.space_id) == (first.vision_id, first.space_id)


def test_a_bundle_lists_every_file_that_it_has(tiny_bundle: Path) -> None:
    """The manifest names all files but itself."""
    there = {path.relative_to(tiny_bundle).as_posix() for path in tiny_bundle.rglob("*") if path.is_file()}

    assert there == {*read_manifest(tiny_bundle).files, "bundle.json"}


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a bundle never stands where a whole one is expected."""

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(bundle, "save_words", fail)
    with pytest.raises(OSError, match="full"):
        build_tiny_bundle(tmp_path / "tiny")

    assert list(tmp_path.iterdir()) == []


def test_an_unknown_model_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    """A wrong name leaves no folder."""
    with pytest.raises(BundleError, match="alexnet"):
        build_bundle(tmp_path / "bundle", vision="alexnet")

    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    """The line comes back from the process that builds."""
    with pytest.raises(BundleError, match=r"No such words.*glove_6b_50d.*word2vec"):
        ensure_bundle(tmp_path, words="word2vec")


def _ensure(bundles_dir: str) -> None:
    ensure_bundle(Path(bundles_dir))


def test_two_processes_share_one_build_of_the_real_bundle(tmp_path: Path) -> None:
    """A damaged bundle is made again by one of them, and the other waits for it."""
    damaged = tmp_path / "efficientnet_lite0-glove_6b_50d"
    damaged.mkdir()
    (damaged / "bundle.json").write_text("damaged")
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_ensure, args=(str(tmp_path),)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)

    assert [process.exitcode for process in both] == [0, 0]
    assert verify_bundle(damaged).search_dimensions == 256
    assert {path.name for path in tmp_path.iterdir()} == {damaged.name, f".{damaged.name}.lock"}


def test_a_space_is_loaded_without_tensorflow(tiny_bundle: Path) -> None:
    """A web worker starts quickly and stays small."""
    code = (
        "import sys; from pathlib import Path; from models.space import Space\n"
        "import models.bundle, models.encoder_process\n"
        f"Space.load(Path({str(tiny_bundle)!r})).embed_words('red'); sys.exit('tensorflow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
