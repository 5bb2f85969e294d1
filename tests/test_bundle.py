"""Model bundles: whole or not at all, the same each time, and never damaged unseen."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colours import colour_photo

from models import bundle
from models.bundle import build_bundle, build_tiny_bundle, project_bundle, read_manifest
from models.linear_projection import LinearProjection, TrainedProjection
from models.manifest import VISION_DIR, verify_bundle
from models.quiet_import import import_tensorflow
from models.shelf import ensure_bundle
from models.space import Space
from stream_app.errors import BundleError

tf = import_tensorflow()

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


def test_a_folder_with_anything_else_in_it_is_never_replaced(tmp_path: Path) -> None:
    """`sightline export ~/Pictures` costs nobody a photo, before the network is even read."""
    pictures, beside, versions, file = (tmp_path / name for name in ("pictures", "beside", "versions", "file"))
    pictures.mkdir()
    (pictures / "holiday.jpg").write_bytes(b"dear to somebody")
    build_tiny_bundle(beside)
    (beside / "notes.txt").write_text("mine")
    build_tiny_bundle(versions)
    (versions / "saved_model" / "2").mkdir()
    file.write_text("mine")
    before = sorted(tmp_path.rglob("*"))

    for folder, named in ((pictures, "holiday"), (beside, "notes"), (versions, "saved_model/2"), (file, "is a file")):
        with pytest.raises(BundleError, match=named):
            build_bundle(folder, vision="efficientnet_lite0")

    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_takes_the_place_of_another(tmp_path: Path) -> None:
    """And of an empty folder; nothing is left beside it."""
    (tmp_path / "tiny").mkdir()
    for _ in range(2):
        build_tiny_bundle(tmp_path / "tiny")

    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert verify_bundle(tmp_path / "tiny").vision == "tiny_colours"


def test_others_may_read_a_bundle_as_the_umask_allows(tmp_path: Path) -> None:
    """TF Serving mostly runs as somebody else."""
    bundle_dir = build_tiny_bundle(tmp_path / "tiny")
    (tmp_path / "plain").mkdir()

    assert bundle_dir.stat().st_mode == (tmp_path / "plain").stat().st_mode


def trained(dimensions: int = 12) -> TrainedProjection:
    """A layer of random numbers that counts for a third."""
    random = np.random.default_rng(3)
    layer = random.normal(size=(dimensions, 16)).astype(np.float32)
    return TrainedProjection(LinearProjection(layer, random.normal(size=16).astype(np.float32)), 0.33)


def test_a_trained_projection_makes_another_space_of_the_same_encodings(tiny_bundle: Path, tmp_path: Path) -> None:
    """From the bundle alone, whatever it was made from; both ways to project it agree."""
    projected = project_bundle(tiny_bundle, tmp_path / "projected", trained())

    before, after = read_manifest(tiny_bundle), read_manifest(projected)
    assert after.vision_id == before.vision_id and after.space_id != before.space_id
    photo = tf.constant([colour_photo("red"), colour_photo("green", "JPEG")])
    served, former = (
        tf.saved_model.load(str(folder / VISION_DIR)).signatures["serving_default"](photos=photo)
        for folder in (projected, tiny_bundle)
    )
    numbers = {name: values.numpy() for name, values in served.items()}
    ours = Space.load(projected).project(numbers["image_embedding"], numbers["label_indices"], numbers["label_scores"])
    np.testing.assert_array_equal(numbers["image_embedding"], former["image_embedding"].numpy())
    np.testing.assert_allclose(numbers["joint_embedding"], ours, atol=1e-5)
    assert np.abs(ours - former["joint_embedding"].numpy()).max() > 0.1


def test_a_projection_of_another_network_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """2,048 numbers of one network are no 12 of another."""
    with pytest.raises(BundleError, match="other dimensions: projection; expected 12 x 16; received 2048 x 16"):
        project_bundle(tiny_bundle, tmp_path / "projected", trained(2048))

    assert list(tmp_path.iterdir()) == []


def _ensure(bundles_dir: str) -> None:
    ensure_bundle(Path(bundles_dir))


def test_two_processes_share_one_build_of_the_real_bundle(tmp_path: Path) -> None:
    """A damaged bundle is made again by one of them, and the other waits for it."""
    damaged = tmp_path / "efficientnet_lite0-wordnet_sgns_200d"
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
