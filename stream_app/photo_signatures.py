"""The signature of a photo's image embedding: 256 bits by which the same picture is known when it comes again.

Of two photos the differing bits tell the angle between their embeddings, whatever was done to the file meanwhile:
recompressed, resized, cropped a little, brightened, mirrored, or a watermark laid over it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from stream_app.index.lsh import SIGNATURE_BITS, Signatures, cosine_estimate

SIGNATURE_BYTES = SIGNATURE_BITS // 8
#: Up to so many differing bits two photos count as one picture. Of 611 photographs and their changed copies, 89 in 100
#: are within it (recompressed .99, mirrored 1.0, brightened .99, 5 % cropped .98, 10 % cropped, halved or with a
#: watermark .92; recompressed, cropped and halved together .39), and no other of the 611. Of 24,000 photographs of 200
#: classes at 64 pixels, 7 in 1,000 have one within it that is not theirs. At 40 bits: .80, and none; at 56: .95, and
#: 78 in 1,000.
NEAR_DUPLICATE_BITS = 48
SMALLEST_LOUDNESS = 1e-6


def signatures(image_embeddings: np.ndarray, vision_id: str) -> np.ndarray:
    """uint8 [n, 32] of image embeddings, float16 or float32 [n, d]; comparable where `vision_id` is the same."""
    embeddings = np.asarray(image_embeddings, dtype=np.float32)
    if not len(embeddings):
        return np.empty((0, SIGNATURE_BYTES), np.uint8)
    return _planes(embeddings.shape[1], vision_id).of(_centred(embeddings)).view(np.uint8)


def differing_bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many bits differ between signatures, uint8 [..., 32] broadcast against each other: int [...]."""
    return np.bitwise_count(np.bitwise_xor(one, other)).sum(axis=-1, dtype=np.int64)


def estimated_cosine(bits: np.ndarray) -> np.ndarray:
    """The cosine of centred embeddings that so many differing bits speak for."""
    return cosine_estimate(bits, SIGNATURE_BITS)


def originals(of_photos: np.ndarray, differing_bits_max: int = NEAR_DUPLICATE_BITS) -> np.ndarray:
    """For each signature, uint8 [n, 32], the row of the first one that it repeats, int [n]; its own where none.

    A repetition is no original itself, so that a chain of small changes does not join what looks different.
    """
    first = np.arange(len(of_photos))
    kept: list[int] = []
    for row, signature in enumerate(of_photos):
        near = np.flatnonzero(differing_bits(of_photos[kept], signature) <= differing_bits_max)
        if len(near):
            first[row] = kept[near[0]]
        else:
            kept.append(row)
    return first


def _centred(embeddings: np.ndarray) -> np.ndarray:
    """Logarithms of the channels round their mean: at equal hits fewer strangers than with the bare embedding.

    The mean is each photo's own, so that a signature says nothing about a bundle and needs nothing of it.
    """
    loudness = np.maximum(embeddings.mean(axis=1, keepdims=True), SMALLEST_LOUDNESS)
    quiet = np.log1p(np.maximum(embeddings, 0) / loudness)
    return np.asarray(quiet - quiet.mean(axis=1, keepdims=True))


@lru_cache(maxsize=4)
def _planes(dimensions: int, vision_id: str) -> Signatures:
    """The planes of a model: random, orthogonal, and the same wherever its name is."""
    seed = int.from_bytes(hashlib.sha256(vision_id.encode()).digest()[:8], "big")
    return Signatures(dimensions, bits=SIGNATURE_BITS, seed=seed)
