"""Photos and bundles of plain colours, which the tiny network can tell apart."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from models.encoder import Encoding
from models.space import Space


def colour_photo(colour: str | tuple[int, int, int], image_format: str = "PNG") -> bytes:
    """The file of a photo that is one colour all over."""
    buffer = io.BytesIO()
    Image.new("RGB", (48, 40), colour).save(buffer, image_format)
    return buffer.getvalue()


def search_vectors_of(space: Space, encodings: list[Encoding]) -> np.ndarray:
    """What a shard would index for these photos, float32 [n, search_dimensions]."""
    embeddings = np.stack([each.image_embedding for each in encodings])
    indices = np.stack([each.label_indices for each in encodings])
    scores = np.stack([each.label_scores for each in encodings])
    return space.search_vectors(embeddings, space.project(embeddings, indices, scores))
