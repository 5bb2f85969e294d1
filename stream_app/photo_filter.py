"""Which photos may be among the hits: a request's filter, made ready to be asked about one row after another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stream_app.catalogue import PhotoRow
from stream_app.contract.searching import TIME_EXPECTED, PhotoFilter
from stream_app.contract.values import id_of
from stream_app.errors import QueryRejected
from stream_app.tag_index import folded, folded_tags

#: A photo is square when its sides differ by less than this share.
SQUARE_TOLERANCE = 0.05
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Labels = Callable[[PhotoRow], list[str]]


class RowFilter:
    """A filter of rows; `refused` counts what it turned away, by the parameter that did."""

    def __init__(self, asked: PhotoFilter, labels: Labels) -> None:
        self.refused: Counter[str] = Counter()
        self._asked = asked
        self._labels = labels
        self._tags = {folded(each) for each in asked.tag}
        self._label_names = {folded(each) for each in asked.label}
        self._users = {str(id_of(each, "user_id")) for each in asked.user_id}
        self._excluded_users = {str(id_of(each, "exclude_user")) for each in asked.exclude_user}
        self._after_ms = time_ms(asked.after, "after")
        self._before_ms = time_ms(asked.before, "before")

    def allows(self, row: PhotoRow) -> bool:
        """Whether the photo satisfies everything that was asked."""
        reason = self._reason(row)
        if reason:
            self.refused[reason] += 1
        return reason is None

    def _reason(self, row: PhotoRow) -> str | None:
        """The parameter that turns the photo away, or None."""
        asked, user = self._asked, row.text("user_id")
        if self._users and user not in self._users:
            return "user_id"
        if user in self._excluded_users:
            return "exclude_user"
        if self._tags and not self._tags & folded_tags(row):
            return "tag"
        if self._label_names and not self._label_names & {folded(each) for each in self._labels(row)}:
            return "label"
        if self._after_ms is not None and row.upload_version.time_ms < self._after_ms:
            return "after"
        if self._before_ms is not None and row.upload_version.time_ms >= self._before_ms:
            return "before"
        if asked.orientation and orientation(row.width_px, row.height_px) != asked.orientation:
            return "orientation"
        if row.width_px < asked.min_width:
            return "min_width"
        return "min_height" if row.height_px < asked.min_height else None


def orientation(width_px: int, height_px: int) -> str:
    """landscape, portrait or square."""
    if abs(width_px - height_px) <= SQUARE_TOLERANCE * max(width_px, height_px):
        return "square"
    return "landscape" if width_px > height_px else "portrait"


def time_ms(text: str, name: str) -> int | None:
    """Milliseconds since 1970 of a time as a caller writes it; None where nothing was said. Raises QueryRejected."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        if _DATE.fullmatch(text.strip()):
            moment = moment.replace(tzinfo=UTC)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise QueryRejected(
            f"{name} cannot be used",
            expected=TIME_EXPECTED,
            received=repr(text[:40]),
            remedy="Say which time zone it is in: add Z for UTC, and write a + as %2B in an address.",
        ) from None
