"""The file of a layout: how buckets are cut, small enough to lie beside the shards and in Redis.

One line of JSON (shape, kind and a checksum), then the planes' normals and thresholds as float32.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from stream_app.errors import LayoutRejected
from stream_app.index import files
from stream_app.index.lsh import BITS_PER_KEY_MAX, BITS_PER_KEY_MIN, FittedPlanes, Hyperplanes

FORMAT = 1
REMEDY = "Remove it; `sightline lsh fit` makes a new one, and until then planes are random."


def layout_to_bytes(planes: Hyperplanes) -> bytes:
    """The whole layout; the same planes give the same bytes."""
    body = planes.normals.astype("<f4").tobytes() + planes.thresholds.astype("<f4").tobytes()
    header = {
        "format": FORMAT,
        "kind": planes.kind,
        "layout_id": planes.layout_id,
        "dimensions": planes.dimensions,
        "bits_per_key": planes.bits_per_key,
        "depth": planes.depth,
        "table_count": planes.table_count,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return json.dumps(header).encode() + b"\n" + body


def layout_from_bytes(data: bytes, *, dimensions: int, source: str) -> Hyperplanes:
    """The inverse of `layout_to_bytes`; raises LayoutRejected, naming `source`, on damage or other dimensions."""
    try:
        line, body = data.split(b"\n", 1)
        header = json.loads(line)
        if header["format"] != FORMAT or header["sha256"] != hashlib.sha256(body).hexdigest():
            raise ValueError("another checksum or format")
        planes = _planes(header, np.frombuffer(body, "<f4"))
    except (ValueError, KeyError, TypeError) as error:
        raise LayoutRejected(
            f"{source} is no layout of buckets", expected="a whole file", received=str(error), remedy=REMEDY
        ) from None
    if planes.dimensions != dimensions:
        raise LayoutRejected(
            f"{source} is for other vectors",
            expected=f"{dimensions} dimensions",
            received=str(planes.dimensions),
            remedy=REMEDY,
        )
    return planes


def save_layout(planes: Hyperplanes, path: Path) -> None:
    """Write the file in one step, so that a reader meets the old one or the new one; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    files.write_bytes(temporary, layout_to_bytes(planes))
    files.publish(temporary, path)


def load_layout(path: Path, *, dimensions: int) -> Hyperplanes | None:
    """The layout in a file, None where there is none; raises LayoutRejected."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LayoutRejected(f"{path} cannot be read", received=error.strerror, remedy=REMEDY) from None
    return layout_from_bytes(data, dimensions=dimensions, source=str(path))


def _planes(header: dict, numbers: np.ndarray) -> Hyperplanes:
    dimensions, bits, depth, tables = (
        int(header[name]) for name in ("dimensions", "bits_per_key", "depth", "table_count")
    )
    plane_count = tables * depth
    if not BITS_PER_KEY_MIN <= bits <= depth <= BITS_PER_KEY_MAX or len(numbers) != plane_count * (dimensions + 1):
        raise ValueError(f"{len(numbers)} numbers for {tables} tables of {depth} planes in {dimensions} dimensions")
    normals, thresholds = numbers[: plane_count * dimensions], numbers[plane_count * dimensions :]
    planes = FittedPlanes(normals.reshape(plane_count, dimensions), thresholds, bits_per_key=bits, table_count=tables)
    planes.kind, planes.layout_id = str(header["kind"]), str(header["layout_id"])
    return planes
