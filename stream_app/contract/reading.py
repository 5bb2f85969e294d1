"""From what a caller sent to a request of the contract, or to one clear line that says what is wrong with it."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from stream_app.contract.near_names import did_you_mean
from stream_app.errors import RequestMalformed

R = TypeVar("R", bound=Struct)

_FIELD_IN_MESSAGE = re.compile(r"(.*?)(?: - at `\$\.?([^.\[`]*)[^`]*`)?", re.DOTALL)


def request_from_texts(kind: type[R], texts: Mapping[str, Sequence[str]], more: Mapping[str, object] = {}) -> R:
    """The request whose fields are texts, as in an address: a list is repeated, or separated by commas.

    `more` are fields that came another way, as a photo in the body. Raises RequestMalformed.
    """
    values: dict[str, object] = {}
    for name, given in texts.items():
        if name in _list_limits(kind):
            parts = [part.strip() for text in given for part in text.split(",")]
            # Empty ones are left out, but too many of them are too many, too.
            values[name] = parts if len(parts) > _list_limits(kind)[name] else [part for part in parts if part]
        elif len(given) > 1:
            raise RequestMalformed(
                f"{name} is given {len(given)} times", expected="once", received=", ".join(given)[:60]
            )
        elif given[0].lower() == "null" and name in _optional_names(kind):
            # msgspec would take the text for no value; in an address that is said by leaving it out.
            raise _rejection(kind, {name: given[0]}, f"Expected a value - at `$.{name}`")
        else:
            values[name] = given[0]
    return _convert(kind, values | dict(more), strict=False)


def request_from_json(kind: type[R], value: object, more: Mapping[str, object] = {}) -> R:
    """The request in a decoded JSON object, with the fields in `more` beside; raises RequestMalformed."""
    if not isinstance(value, Mapping):
        raise RequestMalformed(
            "the body cannot be used", expected=f"a JSON object{_fields_of(kind)}", received=_shown(value)
        )
    twice = sorted(set(value) & set(more))
    if twice:
        raise RequestMalformed(f"{twice[0]} is given twice", expected="in the address alone", received=_shown(value))
    whole = {name: _whole(each) for name, each in value.items()}
    return _convert(kind, whole | dict(more), strict=True)


def _whole(value: Any) -> Any:
    """The same with 7 for 7.0: JSON does not tell them apart, and some languages write every number so."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return [_whole(each) for each in value] if isinstance(value, list) else value


def _convert(kind: type[R], values: dict[str, Any], *, strict: bool) -> R:
    try:
        request = msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _rejection(kind, values, str(error)) from None
    for name in msgspec.structs.asdict(request):
        value = getattr(request, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise _rejection(kind, values, f"Expected a finite number - at `$.{name}`")
    return request


def _rejection(kind: type[Struct], values: Mapping[str, Any], message: str) -> RequestMalformed:
    """msgspec's message in our words: which field, what it should have been, what came."""
    known = [each.encode_name for each in msgspec.structs.fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        return RequestMalformed(
            f"there is no parameter {unknown[0][:40]!r}",
            expected=f"some of {', '.join(known)}",
            received=_shown(unknown[0]),
            remedy=did_you_mean(unknown[0], known),
        )
    if missing := re.match(r"Object missing required field `(\w+)`$", message):
        return RequestMalformed(
            f"{missing[1]} is missing",
            expected=_expected(kind, missing[1]) or "a value",
            received="nothing",
            remedy=_remedy(kind, missing[1]),
        )
    parts = _FIELD_IN_MESSAGE.fullmatch(message)
    assert parts is not None
    problem, name = parts[1], parts[2]
    if not name:
        return RequestMalformed("the request cannot be used", expected=problem, received=_shown(dict(values)))
    return RequestMalformed(
        f"{name} cannot be used",
        expected=_expected(kind, name) or problem.removeprefix("Expected ").replace("`", ""),
        received=_shown(values.get(name)),
        remedy=_remedy(kind, name),
    )


def _remedy(kind: type[Struct], name: str) -> str | None:
    examples = next((meta.examples for meta in _metas(_hints(kind).get(name)) if meta.examples), None)
    if examples:
        told = (each if isinstance(each, str) else msgspec.json.encode(each).decode() for each in examples)
        return f"Try {' or '.join(f'{name}={each}' for each in told)}."
    default = {each.encode_name: each.default for each in msgspec.structs.fields(kind)}.get(name)
    return f"Leave {name} out for {default}." if isinstance(default, int) and default else None


def _expected(kind: type[Struct], name: str) -> str | None:
    """The title of a field's type, which is written for people, or the values that it can have."""
    hint = _hints(kind).get(name)
    title = next((meta.title for meta in _metas(hint) if meta.title), None)
    return title or ", ".join(map(str, _choices(hint))) or None


def _metas(hint: object) -> list[Meta]:
    if get_origin(hint) is Annotated:
        return [each for each in get_args(hint)[1:] if isinstance(each, Meta)]
    return [meta for part in get_args(hint) for meta in _metas(part)]


def _choices(hint: object) -> list[object]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [choice for part in get_args(hint) for choice in _choices(part)]


@cache
def _hints(kind: type[Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


@cache
def _list_limits(kind: type[Struct]) -> dict[str, int]:
    """How many there may be, of each field that is a list."""
    lists = {name: hint for name, hint in _hints(kind).items() if get_origin(_bare(hint)) is list}
    limits = {name: [each.max_length for each in _metas(hint) if each.max_length] for name, hint in lists.items()}
    return {name: limit[0] if limit else sys.maxsize for name, limit in limits.items()}


@cache
def _optional_names(kind: type[Struct]) -> frozenset[str]:
    """The fields that may be None."""
    return frozenset(name for name, hint in _hints(kind).items() if NoneType in get_args(hint))


def _bare(hint: object) -> object:
    """A type without what is said about it."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _fields_of(kind: type[Struct]) -> str:
    needed = [each.encode_name for each in msgspec.structs.fields(kind) if each.required]
    return f" with {', '.join(needed)}" if needed else ""


def _shown(received: object) -> str:
    """At most 60 characters of what came."""
    text = repr(received)
    return text if len(text) <= 60 else f"{text[:56]} ..."
