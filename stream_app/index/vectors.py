"""Unit vectors: what may enter the index, checked once at its door."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stream_app.errors import VectorRejected

#: A length this close to one is rounding, and is mended; anything further off is a mistake of the caller's.
UNIT_TOLERANCE = 1e-3


def unit_vectors(vectors: ArrayLike, dimensions: int) -> np.ndarray:
    """`vectors` as float32 [n, dimensions] of unit length; raises VectorRejected naming the first bad one."""
    matrix = _matrix(vectors, dimensions)
    with np.errstate(all="ignore"):
        lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
        fit = np.abs(lengths - 1.0) <= UNIT_TOLERANCE
    if not fit.all():
        at = int(np.argmin(fit))
        raise VectorRejected(
            f"vector {at + 1} of {len(matrix)} cannot be indexed",
            expected="finite numbers and length 1",
            received=_fault(matrix[at], float(lengths[at])),
        )
    return (matrix / lengths[:, None].astype(np.float32)).astype(np.float32, copy=False)


def unit_vector(vector: ArrayLike, dimensions: int) -> np.ndarray:
    """One vector as float32 [dimensions] of unit length; raises VectorRejected."""
    if np.ndim(vector) != 1:
        raise _wrong_shape(f"a shape of {np.shape(vector)}", f"{dimensions} numbers")
    one = np.asarray(vector)
    if one.dtype == np.float32 and len(one) == dimensions:  # the way of a search, without what many vectors need
        length = math.sqrt(np.dot(one, one))
        if abs(length - 1.0) <= UNIT_TOLERANCE:
            return np.asarray(one / np.float32(length))
    return unit_vectors(one[None, :], dimensions)[0]


def rounded(vectors: np.ndarray) -> np.ndarray:
    """float32 vectors as float16 would keep them, so that a score does not change when a photo is sealed."""
    return vectors.astype(np.float16).astype(np.float32)


def _matrix(vectors: ArrayLike, dimensions: int) -> np.ndarray:
    try:
        matrix: np.ndarray[Any, Any] = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise _wrong_shape("something else", f"rows of {dimensions} numbers") from None
    if matrix.size == 0 and len(matrix) == 0:
        return matrix.reshape(0, dimensions)
    if matrix.ndim != 2 or matrix.shape[1] != dimensions:
        raise _wrong_shape(f"a shape of {matrix.shape}", f"rows of {dimensions} numbers")
    return matrix


def _wrong_shape(received: str, expected: str) -> VectorRejected:
    return VectorRejected("a vector has the wrong length", expected=expected, received=received)


def _fault(vector: np.ndarray, length: float) -> str:
    if np.isnan(vector).any():
        return "NaN"
    if np.isinf(vector).any():
        return "an infinite number"
    return "only zeros" if length == 0 else f"length {length:.4g}"
