"""The parameters of a request, in its path and its query: read, checked, and refused in one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from aiohttp import web

from stream_app.contract.reading import request_from_texts
from stream_app.contract.values import Request
from stream_app.errors import RequestMalformed

R = TypeVar("R", bound=Request)


def request_of(kind: type[R], request: web.Request, more: Mapping[str, object] = {}) -> R:
    """What is asked in an address, with the fields in `more` beside; raises RequestMalformed."""
    path = dict(request.match_info)
    texts = {name: request.query.getall(name) for name in request.query}
    if twice := sorted(set(texts) & set(path)):
        raise RequestMalformed(f"{twice[0]} is given twice", expected="in the path alone", received=texts[twice[0]][0])
    return request_from_texts(kind, texts, path | dict(more))
