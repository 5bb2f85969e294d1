"""Inception-v3 and GoogLeNet: each layout of weights gives what the library that wrote it would compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trained_inception
from torch_files import write_state

from models.inception_v3 import LAYER_NAMES, inception_v3, read_inception_v3
from models.quiet_import import import_tensorflow

tf = import_tensorflow()


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> trained_inception.Tensors:
    """The tensors of a really trained Inception-v3."""
    return trained_inception.fetch_tensors(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def keras_model(tensors: trained_inception.Tensors) -> Any:
    """The same network as keras.applications makes it."""
    return trained_inception.keras_model(tensors)


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """A real photograph, whole and in quarters, float32 [5, 299, 299, 3] in -1..1."""
    from skimage import data

    photo = data.astronaut().astype(np.float32)
    parts = [photo, photo[:256, :256], photo[:256, 256:], photo[256:, :256], photo[256:, 256:]]
    return np.stack([tf.image.resize(part, [299, 299]).numpy() for part in parts]) / 127.5 - 1.0


@pytest.fixture(scope="module")
def expected(keras_model: Any, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What Keras computes: embeddings [5, 2048] and probabilities."""
    import keras

    both = keras.Model(keras_model.input, [keras_model.layers[-2].output, keras_model.output])
    embeddings, scores = both.predict(squares, verbose=0)
    assert embeddings.std(axis=0).max() > 0.1, "trained features tell photographs apart"
    return embeddings, scores


def save_old_weights(model: Any, path: Path) -> None:
    """The format of Keras' own download, which Keras 3 reads but has no public function to write."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


SAVERS: dict[str, Callable[[Any, Path], None]] = {
    "old.h5": save_old_weights,
    "whole.h5": lambda model, path: model.save(path),
    "whole.keras": lambda model, path: model.save(path),
    "new.weights.h5": lambda model, path: model.save_weights(path),
}


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_each_keras_format_of_trained_weights_computes_what_keras_does(
    name: str, keras_model: Any, squares: np.ndarray, expected: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """Reader, table of layers and folded normalisation agree with keras.applications on a real photograph."""
    SAVERS[name](keras_model, tmp_path / name)

    weights, torchvision = read_inception_v3(tmp_path / name)
    embeddings, scores = inception_v3(weights, torchvision=torchvision)(squares)

    assert not torchvision
    np.testing.assert_allclose(embeddings, expected[0], atol=1e-4)
    np.testing.assert_allclose(scores, expected[1], atol=1e-4)


def test_trained_weights_in_torchvisions_layout_are_the_same_network(
    tensors: trained_inception.Tensors, squares: np.ndarray, expected: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """The state file is read without PyTorch; with TensorFlow's averages at the border it is Keras' network."""
    path = write_state(tmp_path / "inception_v3.pth", trained_inception.torch_state(tensors, LAYER_NAMES))

    weights, torchvision = read_inception_v3(path)
    embeddings, scores = inception_v3(weights, torchvision=False)(squares)

    assert torchvision
    np.testing.assert_allclose(embeddings, expected[0], atol=1e-4)
    np.testing.assert_allclose(scores, expected[1], atol=1e-4)
