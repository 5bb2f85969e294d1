"""The parameters of a request: read, checked, and refused in one clear line."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from stream_app.errors import QueryRejected
from stream_app.web.thumbnails import SIDES_PX

K_DEFAULT = 20
K_MAX = 1_000
OFFSET_MAX = 100_000_000
PHOTO_ID_MAX = 2**63 - 1


def photo_id_of(request: web.Request) -> int:
    """The photo_id in the path; raises QueryRejected."""
    text = request.match_info["photo_id"]
    if _is_decimal(text) and int(text) <= PHOTO_ID_MAX:
        return int(text)
    raise QueryRejected(
        "the photo id cannot be used",
        expected=f"a whole number from 0 to {PHOTO_ID_MAX}",
        received=repr(text[:40]),
        remedy="Take photo_id from a search reply.",
    )


def k_of(request: web.Request) -> int:
    """How many are asked for, 1 to K_MAX; raises QueryRejected."""
    return _whole_number(request.query, "k", K_DEFAULT, 1, K_MAX)


def offset_of(request: web.Request) -> int:
    """How many photos to pass over; raises QueryRejected."""
    return _whole_number(request.query, "offset", 0, 0, OFFSET_MAX)


def count_of(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """The parameter `name`, from `low` to `high`; raises QueryRejected."""
    return _whole_number(request.query, name, default, low, high)


def side_of(request: web.Request) -> int | None:
    """The longer side of the wanted thumbnail in pixels, rounded up to one we make; None: the original."""
    if "side" not in request.query:
        return None
    asked = _whole_number(request.query, "side", 0, 1, SIDES_PX[-1])
    return next(side for side in SIDES_PX if side >= asked)


def words_of(request: web.Request) -> str:
    """The words of a query, without the blanks around them; raises QueryRejected when there are none."""
    text = request.query.get("q", "").strip()
    if text:
        return text
    raise QueryRejected(
        "the search has no words",
        expected="?q=words",
        received="nothing",
        remedy="Try ?q=dog or ?q=boat+on+a+lake.",
    )


def _whole_number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if _is_decimal(text) and low <= int(text) <= high:
        return int(text)
    raise QueryRejected(
        f"{name} cannot be used",
        expected=f"a whole number from {low} to {high}",
        received=repr(text[:40]),
        remedy=f"Leave {name} out for {default}, or give a number in that range." if default else None,
    )


def _is_decimal(text: str) -> bool:
    # 19 digits hold 2**63 - 1; int() of a megabyte of digits would be work for nothing.
    return text.isascii() and text.isdigit() and len(text) <= 19
