"""What every search can be asked with beside its own parameters; tests hold it to the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from stream_app.contract.searching import Orientation

#: Ids as a caller has them: numbers, or texts as in an answer.
PhotoId = int | str
UserId = int | str
CollectionId = int | str


class Filters(TypedDict, total=False):
    """Which photos may be among the hits: those that satisfy everything that is given; of a list any one will do."""

    tag: Sequence[str]
    label: Sequence[str]
    user_id: Sequence[UserId]
    exclude_user: Sequence[UserId]
    after: str
    before: str
    orientation: Orientation | None
    min_width: int
    min_height: int


class HitOptions(Filters, total=False):
    """How many hits, and which."""

    k: int
    min_score: float | None
    fold: bool
    explain: bool


class Options(HitOptions, total=False):
    """The same, page by page."""

    cursor: str
