"""What Schemathesis is told beyond the document: photos that can be decoded, and ids and words that there are.

An id or a word is put only in the place of one that the document allows: a request stays as right or as wrong as it
was.
"""

from __future__ import annotations

import io
import os
import re
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image

KINDS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/tiff": "TIFF",
    "application/octet-stream": "PNG",
}
WORDS = ("red", "green^2 blue", '"yellow"', "blue - red")
PHOTO_IDS = os.environ.get("SIGHTLINE_TEST_PHOTO_IDS", "42").split(",")


def photo(colour: tuple[int, ...], kind: str) -> bytes:
    """A small photo of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(out, kind)
    return out.getvalue()


for media_type, kind in KINDS.items():
    colours = st.tuples(*[st.integers(0, 255)] * 3)
    schemathesis.openapi.media_type(media_type, st.builds(photo, colours, st.just(kind)))


@schemathesis.hook
def flatmap_path_parameters(_: Any, given: dict[str, Any] | None) -> st.SearchStrategy:
    """One id in two is that of a photo."""
    return _either(given, "photo_id", lambda value: re.fullmatch("[0-9]{1,18}", value), PHOTO_IDS)


@schemathesis.hook
def flatmap_query(_: Any, given: dict[str, Any] | None) -> st.SearchStrategy:
    """One query in two has words that are known."""
    return _either(given, "q", lambda value: len(value) <= 200 and re.search(r"\S", value), WORDS)


def _either(given: dict[str, Any] | None, name: str, is_right: Any, known: Any) -> st.SearchStrategy:
    if given and isinstance(value := given.get(name), str) and is_right(value):
        return st.one_of(st.just(given), st.sampled_from(known).map(lambda each: given | {name: each}))
    return st.just(given)
