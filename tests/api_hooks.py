"""What Schemathesis is told beyond the document: photos that can be decoded, and ids and words that there are.

An id or a word is put only in the place of one that the document allows: a request stays as right or as wrong as it
was. A worker that is not ready for a moment is asked again, as it asks to be.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.core.transport import Response

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
COLOURS = ("red", "green", "blue", "yellow")
PHOTO_IDS = os.environ.get("SIGHTLINE_TEST_PHOTO_IDS", "42").split(",")
COLLECTION_IDS = ("1", "2", "3")
TIMES_ASKED_AGAIN = 30


def photo(colour: tuple[int, ...], kind: str) -> bytes:
    """A small photo of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(out, kind)
    return out.getvalue()


for media_type, kind in KINDS.items():
    colours = st.tuples(*[st.integers(0, 255)] * 3)
    schemathesis.openapi.media_type(media_type, st.builds(photo, colours, st.just(kind)))

some_photos = st.lists(st.sampled_from(PHOTO_IDS), min_size=1, max_size=5)
some_colours = st.lists(st.sampled_from(COLOURS), min_size=2, max_size=3)


def is_id(value: Any) -> bool:
    """Whether the document allows it for an id; of the largest, not all that it allows."""
    return isinstance(value, str) and bool(re.fullmatch("[0-9]{1,18}", value))


def is_ids(value: Any) -> bool:
    """A list of them."""
    return isinstance(value, list) and 0 < len(value) <= 100 and all(map(is_id, value))


def is_words(value: Any) -> bool:
    """A query of the right length."""
    return isinstance(value, str) and len(value) <= 200 and bool(re.search(r"\S", value))


def is_texts(value: Any) -> bool:
    """Two texts or more of the right length."""
    return isinstance(value, list) and 1 < len(value) <= 50 and all(map(is_words, value))


#: By the name of a field: what must stand there, and what may stand there instead.
KNOWN: dict[str, tuple[Callable[[Any], bool], st.SearchStrategy]] = {
    "photo_id": (is_id, st.sampled_from(PHOTO_IDS)),
    "gallery_id": (is_id, st.sampled_from(COLLECTION_IDS)),
    "quest_id": (is_id, st.sampled_from(COLLECTION_IDS)),
    "photo_ids": (is_ids, some_photos),
    "q": (is_words, st.sampled_from(WORDS)),
    "word": (is_words, st.sampled_from(COLOURS)),
    "candidates": (is_texts, some_colours),
    "context": (is_texts, some_colours),
}


def with_known(given: Any) -> st.SearchStrategy:
    """Three times in four, what is there instead of what is made up."""
    names = [name for name in KNOWN if isinstance(given, dict) and name in given and KNOWN[name][0](given[name])]
    if not names:
        return st.just(given)
    known = st.fixed_dictionaries({name: KNOWN[name][1] for name in names})
    return st.one_of(st.just(given), *[known.map(lambda each: given | each)] * 3)


@schemathesis.hook
def flatmap_path_parameters(_: Any, given: Any) -> st.SearchStrategy:
    """Ids and words of a path."""
    return with_known(given)


@schemathesis.hook
def flatmap_query(_: Any, given: Any) -> st.SearchStrategy:
    """Words of a query."""
    return with_known(given)


@schemathesis.hook
def flatmap_body(_: Any, given: Any) -> st.SearchStrategy:
    """Ids and words of a JSON body."""
    return with_known(given)


@schemathesis.hook
def after_call(_: Any, case: Any, response: Response) -> None:
    """Ask again where the worker says when to: the answer that comes then is checked, and so is one that never comes.

    On a machine with much else to do the broker may take a worker for dead, and its partitions away for a moment.
    """
    for _again in range(TIMES_ASKED_AGAIN):
        if response.status_code != 503 or "retry-after" not in response.headers:
            return
        time.sleep(float(response.headers["retry-after"][0]))
        with requests.Session() as session:
            answered = Response.from_requests(session.send(response.request), response.verify)
        for name in Response.__slots__:
            setattr(response, name, getattr(answered, name))
