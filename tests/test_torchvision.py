"""GoogLeNet and Inception-v3 from torchvision's state files: its numbers, and whole bundles that say what they see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_photo
from torch_files import write_state
from torchvision_reference import REFERENCE, SIDES_PX, made_photo, made_tensor

from models import googlenet, inception_v3
from models.branches import expected_shapes
from models.bundle import build_bundle
from models.encoder import LABELS_KEPT, Encoding, LocalEncoder
from models.manifest import read_manifest
from models.space import Space
from models.vision import vision_model
from stream_app.errors import BundleError

STEPS = {"googlenet": googlenet.STEPS, "inception_v3": inception_v3.STEPS}
DIMENSIONS = {"googlenet": 1024, "inception_v3": 2048}
# Both of GoogLeNet's auxiliary heads, and Inception's: a state file has them, and inference leaves them out.
HEADS = {"googlenet": ("aux1.conv.conv.weight", "aux2.fc2.weight"), "inception_v3": ("AuxLogits.conv0.conv.weight",)}

each_network = pytest.mark.parametrize("name", REFERENCE)


def state_of(name: str) -> dict[str, np.ndarray]:
    """A state dictionary with the names and shapes of torchvision's, and weights made by rule."""
    state = {key: made_tensor(key, shape) for key, shape in expected_shapes(STEPS[name], 1000).items()}
    return state | {head: np.ones((2, 2), np.float32) for head in HEADS[name]}


@pytest.fixture(scope="module", params=REFERENCE)
def named_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A network's name, and a state file of it."""
    return request.param, write_state(
        tmp_path_factory.mktemp("torch") / f"{request.param}.pth", state_of(request.param)
    )


def test_a_state_file_computes_what_torchvision_does(named_file: tuple[str, Path]) -> None:
    """The numbers that torchvision itself gave for the same weights and the same photo."""
    name, path = named_file
    answers = REFERENCE[name]
    embeddings, scores = (
        np.asarray(each) for each in vision_model(name).build(path).module(made_photo(SIDES_PX[name]))
    )

    assert embeddings.shape == (1, DIMENSIONS[name])
    np.testing.assert_allclose(embeddings[0, ::128], answers.embedding, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(embeddings.astype(float)), answers.length, rtol=1e-4)
    np.testing.assert_allclose(scores[0, :4], answers.scores, rtol=1e-3)


def test_a_bundle_of_it_embeds_a_photo_and_names_what_it_shows(named_file: tuple[str, Path], tmp_path: Path) -> None:
    """Everything behind `sightline export --vision NAME --weights FILE`, and then one photo's whole way."""
    name, path = named_file
    bundle = build_bundle(tmp_path / "bundle", vision=name, weights=path)
    encoder, space = LocalEncoder(bundle), Space.load(bundle)
    [encoding] = encoder.encode_images([colour_photo((200, 30, 30))])
    encoder.close()
    assert isinstance(encoding, Encoding)
    rows = (encoding.image_embedding[None], encoding.label_indices[None], encoding.label_scores[None])
    joint = space.project(*rows)

    assert (read_manifest(bundle).vision, encoder.vision_id) == (name, space.vision_id)
    assert encoding.image_embedding.shape == (DIMENSIONS[name],)
    assert len(space.labels(encoding.label_indices, encoding.label_scores, LABELS_KEPT)) == LABELS_KEPT
    assert len(space.nearest_words(joint[0], 5)) == 5
    assert space.search_vectors(encoding.image_embedding[None], joint).shape == (1, space.search_dimensions)


@each_network
def test_a_state_file_of_another_network_is_refused_by_the_first_layer_that_differs(name: str, tmp_path: Path) -> None:
    other: dict[str, Any] = {"googlenet": "inception_v3", "inception_v3": "googlenet"}
    path = write_state(tmp_path / "other.pth", state_of(other[name]))

    with pytest.raises(BundleError, match=r"The weights lack the layer .*; expected a tensor of shape"):
        vision_model(name).build(path)
