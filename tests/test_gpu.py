"""What only a GPU can show; `make test-gpu` runs it, and everywhere else it is skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colours import colour_photo

from models.devices import PRECISION_COSINE_MIN, Device
from models.encoder import Encoding
from models.encoder_process import ProcessEncoder
from models.linear_projection import unit
from models.quiet_import import import_tensorflow
from models.tiny import COLOURS

pytestmark = pytest.mark.skipif(
    not import_tensorflow().config.list_physical_devices("GPU"), reason="there is no GPU that TensorFlow can use"
)
PHOTOS = [colour_photo(colour) for name, colour in COLOURS.items() if name != "black"]  # whose embedding is 0


@pytest.mark.parametrize("mixed_precision", [False, True])
async def test_a_gpu_sees_what_the_processor_sees(tiny_bundle: Path, mixed_precision: bool):
    ours = await _embeddings(tiny_bundle, Device("cpu"))
    theirs = await _embeddings(tiny_bundle, Device("gpu", mixed_precision))

    cosine_min = PRECISION_COSINE_MIN if mixed_precision else 0.9999
    assert (unit(ours) * unit(theirs)).sum(axis=1).min() >= cosine_min


def test_only_the_memory_that_is_needed_is_taken(tiny_bundle: Path):
    program = (
        "from pathlib import Path; from models.devices import Device; from models.encoder import load_network\n"
        f"load_network(Path({str(tiny_bundle)!r}), threads=1, device=Device('gpu'))\n"
        "import tensorflow as tf; [gpu] = tf.config.get_visible_devices('GPU')\n"
        "print(tf.config.experimental.get_memory_growth(gpu), len(tf.config.list_logical_devices('GPU')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split()[-2:] == ["True", "1"]


async def _embeddings(bundle: Path, device: Device) -> np.ndarray:
    encoder = ProcessEncoder(bundle, device=device)
    try:
        await encoder.start()
        encodings = await encoder.encode_images(PHOTOS)
    finally:
        await encoder.close()
    return np.stack([each.image_embedding for each in encodings if isinstance(each, Encoding)]).astype(np.float32)
