"""The SavedModel of a bundle: what TF Serving answers is what this house would answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_photo
from PIL import Image

from models.encoder import Encoding, LocalEncoder
from models.manifest import VISION_DIR, read_manifest
from models.quiet_import import import_tensorflow
from models.space import LABELS_FILE, SPACE_FILE, Space
from models.tiny import COLOURS, SIDE_PX
from stream_app.errors import PhotoRejected

tf = import_tensorflow()

PHOTOS = [colour_photo(colour, image_format) for colour in COLOURS for image_format in ("PNG", "JPEG", "BMP", "GIF")]


@pytest.fixture(scope="module")
def served(tiny_bundle: Path) -> Any:
    """The SavedModel as a server holds it."""
    return tf.saved_model.load(str(tiny_bundle / VISION_DIR))


def answer(served: Any, photos: list[bytes]) -> dict[str, np.ndarray]:
    """What a server answers."""
    outputs = served.signatures["serving_default"](photos=tf.constant(photos, tf.string))
    return {name: values.numpy() for name, values in outputs.items()}


def test_the_signatures_are_those_that_clients_were_promised(served: Any) -> None:
    """Names, types and shapes, which TF Serving shows to whoever asks for the model's metadata."""

    def described(name: str) -> dict[str, tuple[str, list[int | None]]]:
        signature = served.signatures[name]
        specs = signature.structured_input_signature[1] | signature.structured_outputs
        return {each: (spec.dtype.name, spec.shape.as_list()) for each, spec in specs.items()}

    assert described("serving_default") == {
        "photos": ("string", [None]),
        "image_embedding": ("float32", [None, 12]),
        "joint_embedding": ("float32", [None, 16]),
        "label_scores": ("float32", [None, 10]),
        "label_indices": ("int32", [None, 10]),
        "vision_id": ("string", [None]),
    }
    assert described("pixels") == {
        "photos": ("uint8", [None, SIDE_PX, SIDE_PX, 3]),
        "image_embedding": ("float32", [None, 12]),
        "label_scores": ("float32", [None, 10]),
    }


def test_a_server_encodes_as_this_house_does(served: Any, tiny_bundle: Path) -> None:
    """Whole files give the same embeddings, and the same classes in the same order."""
    received, ours = answer(served, PHOTOS), LocalEncoder(tiny_bundle).encode_images(PHOTOS)

    for row, encoding in enumerate(ours):
        assert isinstance(encoding, Encoding)
        np.testing.assert_allclose(received["image_embedding"][row], encoding.image_embedding, atol=1e-3)
        np.testing.assert_allclose(received["label_scores"][row], encoding.label_scores, atol=1e-3)
        assert received["label_indices"][row][0] == encoding.label_indices[0]


def test_every_answer_says_which_model_gave_it(served: Any, tiny_bundle: Path) -> None:
    """A server with another model is told from the right one by each of its answers."""
    assert answer(served, PHOTOS[:3])["vision_id"].tolist() == [read_manifest(tiny_bundle).vision_id.encode()] * 3


def test_the_served_joint_embedding_is_the_spaces(served: Any, tiny_bundle: Path) -> None:
    """A client that has never heard of the space gets the same vectors."""
    received = answer(served, PHOTOS)

    expected = Space.load(tiny_bundle).project(
        received["image_embedding"], received["label_indices"], received["label_scores"]
    )
    np.testing.assert_allclose(received["joint_embedding"], expected, atol=1e-5)


@pytest.mark.parametrize("weight", [None, 0.0, 0.4, 1.0])
def test_both_ways_to_project_agree_on_any_input(weight: float | None, tiny_bundle: Path, tmp_path: Path) -> None:
    """Whoever changes one formula without the other learns of it here; with a trained layer and without."""
    from models.saved_model import JointProjection

    random = np.random.default_rng(11)
    arrays = dict(np.load(tiny_bundle / SPACE_FILE))
    if weight is not None:
        arrays["projection"] = random.normal(size=(12, 16)).astype(np.float32)
        arrays["projection_bias"] = random.normal(size=16).astype(np.float32)
        arrays["projection_weight"] = np.array(weight, np.float32)
    np.savez(tmp_path / SPACE_FILE, **arrays)
    (tmp_path / LABELS_FILE).write_bytes((tiny_bundle / LABELS_FILE).read_bytes())
    embeddings = random.normal(size=(50, 12)).astype(np.float32)
    indices = np.stack([random.permutation(10)[:7] for _ in range(50)]).astype(np.int32)
    scores = random.dirichlet(np.ones(7), 50).astype(np.float32)
    scores[0] = 0.0  # a photo in which nothing is seen

    ours = Space(tmp_path, read_manifest(tiny_bundle)).project(embeddings, indices, scores)

    theirs = JointProjection(arrays)(tf.constant(embeddings), tf.constant(indices), tf.constant(scores))
    np.testing.assert_allclose(theirs.numpy(), ours, atol=1e-5)


def test_a_square_gives_the_same_numbers_as_pixels_and_as_a_file(served: Any) -> None:
    """Bit for bit: the encoder of this house and the one that sends squares to a server agree."""
    pixels = np.random.default_rng(2).integers(0, 256, (4, SIDE_PX, SIDE_PX, 3), np.uint8)
    files = []
    for each in pixels:
        buffer = io.BytesIO()
        Image.fromarray(each).save(buffer, "BMP")
        files.append(buffer.getvalue())

    received = answer(served, files)

    expected = served.signatures["pixels"](photos=tf.constant(pixels))
    np.testing.assert_array_equal(received["image_embedding"], expected["image_embedding"].numpy())


def test_no_photos_give_no_rows(served: Any) -> None:
    """An empty request is no error."""
    received = answer(served, [])

    assert received["image_embedding"].shape == (0, 12) and received["joint_embedding"].shape == (0, 16)


def test_one_bad_photo_spoils_its_request(served: Any, tiny_bundle: Path) -> None:
    """TF Serving answers a request or refuses it; the encoder of this house answers each photo by itself."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        answer(served, [PHOTOS[0], b"no photo"])

    assert isinstance(LocalEncoder(tiny_bundle).encode_images([b"no photo"])[0], PhotoRejected)
