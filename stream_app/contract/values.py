"""Values that several requests and answers share."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from stream_app.errors import QueryRejected

ID_MAX = 2**63 - 1
K_MAX = 1_000
SCORE_DIGITS = 6


def _up_to(number: int) -> str:
    """A pattern of the decimals from 0 to `number`, leading zeros among them, with as many digits at most."""
    digits = str(number)
    free = [f"[0-9]{{{left}}}" if left else "" for left in reversed(range(len(digits)))]
    below = [f"{digits[:place]}[0-{int(digit) - 1}]{free[place]}" for place, digit in enumerate(digits) if digit != "0"]
    return f"^([0-9]{{1,{len(digits) - 1}}}|{'|'.join(below)}|{digits})$"


#: What an id looks like as a text.
ID_PATTERN = _up_to(ID_MAX)

_ID = f"a whole number from 0 to {ID_MAX}, as a number or as decimals in a string"

#: An id as a caller may write it.
AnyId = Annotated[int, Meta(ge=0, le=ID_MAX, title=_ID)] | Annotated[str, Meta(pattern=ID_PATTERN, title=_ID)]
#: An id as every answer writes it: JavaScript would lose the last digits of a number.
Id = Annotated[str, Meta(pattern="^[0-9]{1,19}$", description="decimals in a string")]

Count = Annotated[int, Meta(ge=1, le=K_MAX, title=f"a whole number from 1 to {K_MAX}")]
Text = Annotated[str, Meta(max_length=200, title="at most 200 characters")]
Cosine = Annotated[float, Meta(description="1 is the same, 0 is unrelated")]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request is: immutable, by name, and refused where it has a field that does not exist."""


class Answer(Struct, frozen=True, kw_only=True):
    """What every answer is; later releases may add fields."""


class Scored(Struct, frozen=True):
    """A word with its cosine or its weight, or a label with its probability."""

    name: str
    score: float


def scored(pairs: Any) -> list[Scored]:
    """Names with their scores, in their order, rounded so that the same answer reads the same everywhere."""
    return [Scored(name, rounded(score)) for name, score in pairs]


def rounded(score: float) -> float:
    """A score with as many digits as answers show."""
    return round(float(score), SCORE_DIGITS)


def id_of(value: int | str, name: str = "photo_id") -> int:
    """The number of an id; raises QueryRejected where it is none."""
    if isinstance(value, int) and 0 <= value <= ID_MAX:
        return value
    # 19 digits hold the largest; int() of a megabyte of digits would be work for nothing.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19 and int(value) <= ID_MAX:
        return int(value)
    raise QueryRejected(
        f"{name} cannot be used",
        expected=f"a whole number from 0 to {ID_MAX}",
        received=repr(value)[:60],
        remedy="Take the id from an answer." if name == "photo_id" else None,
    )
